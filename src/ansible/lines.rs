//! From bytes of a run's output to lines that a terminal may show. Pure.
//!
//! Ansible passes control sequences of task names through (ANSIBLE.md §3), and modules print what they like: only colours
//! (SGR) survive here.

/// Most bytes kept of one line before it is complete; the rest up to its end is dropped.
const MAX_RAW: usize = 64 * 1024;
/// Most characters shown of one line.
const MAX_CHARS: usize = 4096;
/// Longest colour sequence kept, in bytes.
const MAX_SGR: usize = 32;
/// Columns of a tab stop.
const TAB: usize = 8;

/// Cuts a stream of bytes into clean lines, keeping at most one unfinished line.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    line: Vec<u8>,
    is_cut: bool,
    after_return: bool,
}

impl Splitter {
    /// Takes more bytes and hands each line they complete to `emit`.
    pub(crate) fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(String)) {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((b'\n', text)) => (text, Some(b'\n')),
                Some((b'\r', text)) => (text, Some(b'\r')),
                Some(_) | None => (piece, None),
            };
            if self.after_return && !text.is_empty() {
                // A progress display starts over; a return right before the line's end is just Windows.
                self.line.clear();
                self.is_cut = false;
                self.after_return = false;
            }
            let room = MAX_RAW - self.line.len().min(MAX_RAW);
            self.is_cut |= text.len() > room;
            self.line.extend_from_slice(text.get(..room).unwrap_or(text));
            match end {
                Some(b'\n') => emit(self.take()),
                Some(_) => self.after_return = true,
                None => {}
            }
        }
    }

    /// The last line of a stream that has ended without a line feed.
    pub(crate) fn finish(&mut self) -> Option<String> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let line = clean(&String::from_utf8_lossy(&self.line), self.is_cut);
        self.line.clear();
        self.is_cut = false;
        self.after_return = false;
        line
    }
}

/// Keeps text and colours; expands tabs; cuts with `…`.
fn clean(raw: &str, is_cut: bool) -> String {
    let mut kept = String::with_capacity(raw.len().min(MAX_CHARS));
    let (mut column, mut is_coloured, mut is_cut) = (0, false, is_cut);
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        if c == '\u{1b}' {
            let (sequence, behind) = escape(rest);
            if let Some(colour) = sequence {
                kept.push_str(colour);
                is_coloured = true;
            }
            rest = behind;
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        let width = match c {
            '\t' => TAB - column % TAB,
            c if is_dangerous(c) => continue,
            _ => 1,
        };
        if column + width > MAX_CHARS {
            is_cut = true;
            break;
        }
        column += width;
        if c == '\t' { kept.extend(std::iter::repeat_n(' ', width)) } else { kept.push(c) }
    }
    if is_cut {
        kept.push('…');
        kept.push_str(if is_coloured { "\u{1b}[0m" } else { "" });
    }
    kept
}

/// Controls, and format characters that reorder or hide text.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Splits an escape sequence off the front of `text` (which starts with ESC): the sequence if it is a colour, and what
/// follows it. An unfinished sequence takes the rest of the line.
fn escape(text: &str) -> (Option<&str>, &str) {
    let bytes = text.as_bytes();
    let end = match bytes.get(1) {
        // CSI: parameters, then one final byte.
        Some(b'[') => bytes.iter().skip(2).position(|byte| !(0x20..=0x3f).contains(byte)).map(|at| at + 3),
        // OSC, DCS, SOS, PM, APC: up to BEL or ESC \.
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let bell = bytes.iter().position(|byte| *byte == 7).map(|at| at + 1);
            let terminator = bytes.windows(2).position(|pair| pair == b"\x1b\\").map(|at| at + 2);
            bell.into_iter().chain(terminator).min()
        }
        // Two- and three-byte sequences such as ESC ( B.
        Some(0x20..=0x2f) => Some(3),
        Some(0x30..=0x7e) => Some(2),
        Some(_) | None => Some(1),
    };
    let end = end.unwrap_or(text.len()).min(text.len());
    // Never cut a character in two: a sequence broken by one ends before it.
    let end = (0..=end).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0).max(1);
    let (sequence, behind) = text.split_at(end);
    let parameters = sequence.strip_prefix("\u{1b}[").and_then(|inner| inner.strip_suffix('m'));
    let is_colour =
        |inner: &str| inner.len() <= MAX_SGR && inner.bytes().all(|b| b.is_ascii_digit() || b";:".contains(&b));
    (parameters.is_some_and(is_colour).then_some(sequence), behind)
}

/// `line` without its colours.
pub(crate) fn without_colours(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(at);
        kept.push_str(before);
        rest = escape(sequence).1;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        splitter.push(bytes, |line| lines.push(line));
        lines.extend(splitter.finish());
        lines
    }

    #[rstest]
    #[case::plain(b"a\nb\n", &["a", "b"])]
    #[case::no_final_newline(b"a\nb", &["a", "b"])]
    #[case::empty_lines(b"\n\na\n", &["", "", "a"])]
    #[case::windows(b"a\r\nb\r\n", &["a", "b"])]
    #[case::progress(b"10%\r50%\r100%\ndone\n", &["100%", "done"])]
    #[case::progress_at_the_end(b"10%\r100%\r", &["100%"])]
    #[case::bad_utf8(b"a\xff\xfeb\n", &["a\u{fffd}\u{fffd}b"])]
    #[case::colours_stay(b"\x1b[0;31mred\x1b[0m\n", &["\x1b[0;31mred\x1b[0m"])]
    #[case::the_rest_goes(b"\x1b[2J\x1b[1;1H\x1b[?25lx\x1b(By\x1b]0;title\x07z\x1bPq\x1b\\!\x1bc\x07\x08\n", &["xyz!"])]
    #[case::unfinished(b"x\x1b[31\ny\x1b]8;;http\nz\x1b\n", &["x", "y", "z"])]
    #[case::eight_bit_csi("a\u{9b}31mb\n".as_bytes(), &["a31mb"])]
    #[case::bidi("a\u{202e}b\u{200b}c\n".as_bytes(), &["abc"])]
    #[case::tabs(b"a\tb\t\tc\n", &["a       b               c"])]
    #[case::escape_before_wide("x\u{1b}é\n".as_bytes(), &["xé"])]
    #[case::csi_broken_by_wide("x\u{1b}[1ém\n".as_bytes(), &["xém"])]
    #[case::huge_colour(b"\x1b[0000000000000000000000000000000000000001mx\n", &["x"])]
    fn output_becomes_clean_lines(#[case] bytes: &[u8], #[case] expected: &[&str]) {
        assert_eq!(lines(bytes), expected);
    }

    #[test]
    fn a_huge_line_is_cut_and_the_next_one_is_whole() {
        let mut bytes = vec![b'x'; 1 << 20];
        bytes.extend_from_slice(b"\nnext\n");
        let lines = lines(&bytes);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].chars().count(), MAX_CHARS + 1);
        assert!(lines[0].ends_with("x…"));
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn colours_can_be_taken_off() {
        assert_eq!(without_colours("\u{1b}[0;31mERROR! x\u{1b}[0m"), "ERROR! x");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_harmless_lines(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(0x1b), Just(b'[')], 0..300),
            cut in 1_usize..50,
        ) {
            let whole = lines(&bytes);
            let (mut splitter, mut pieces) = (Splitter::default(), Vec::new());
            for piece in bytes.chunks(cut) {
                splitter.push(piece, |line| pieces.push(line));
            }
            pieces.extend(splitter.finish());
            prop_assert_eq!(&whole, &pieces);
            for line in whole {
                let bare = without_colours(&line);
                prop_assert!(!bare.chars().any(char::is_control), "{:?}", bare);
            }
        }
    }
}

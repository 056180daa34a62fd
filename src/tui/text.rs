//! Text on a terminal: cleaned, measured in columns, cut with an ellipsis, wrapped. Knows nothing of nodes or keys.

pub(super) use crate::domain::text::count;
use jiff::{SignedDuration, Timestamp};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Marks a cut. In ASCII mode the theme replaces it when a frame is finished.
pub(super) const ELLIPSIS: char = '…';

/// Columns between tab stops.
const TAB: usize = 8;

/// Columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

fn char_width(c: char) -> usize {
    UnicodeWidthChar::width(c).unwrap_or(0)
}

/// Makes text of the program's surroundings fit for one line: tabs become spaces, line ends one space, and control and
/// direction characters go. What machines send is a `domain::text::Text` and clean already.
pub(super) fn clean(raw: &str) -> String {
    let mut kept = String::with_capacity(raw.len());
    let mut column = 0;
    for c in raw.chars() {
        match c {
            '\t' => {
                let gap = TAB - column % TAB;
                kept.extend(std::iter::repeat_n(' ', gap));
                column += gap;
            }
            '\n' => {
                kept.push(' ');
                column += 1;
            }
            c if c.is_control() || is_direction(c) => {}
            c => {
                kept.push(c);
                column += char_width(c);
            }
        }
    }
    kept
}

/// Characters that reorder or hide their neighbours.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `text` in at most `columns`, its end cut where it is too long.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += char_width(c);
        if used >= columns {
            break;
        }
        kept.push(c);
    }
    if columns > 0 {
        kept.push(ELLIPSIS);
    }
    kept
}

/// `text` in at most `columns`, its beginning cut where it is too long: the end of an IPv6 address tells it apart.
pub(super) fn fit_end(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let mut kept: Vec<char> = Vec::new();
    for c in text.chars().rev() {
        used += char_width(c);
        if used >= columns {
            break;
        }
        kept.push(c);
    }
    if columns > 0 {
        kept.push(ELLIPSIS);
    }
    kept.into_iter().rev().collect()
}

/// `text` in exactly `columns`.
pub(super) fn pad(text: &str, columns: usize) -> String {
    let mut cell = fit(text, columns);
    let gap = columns.saturating_sub(width(&cell));
    cell.extend(std::iter::repeat_n(' ', gap));
    cell
}

/// Breaks `text` at spaces into lines of at most `columns`; a longer word is broken where the line ends.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let wide = width(word);
        if used > 0 && used + 1 + wide > columns {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            push(&mut lines, ' ');
            used += 1;
        }
        for c in word.chars() {
            if used > 0 && used + char_width(c) > columns {
                lines.push(String::new());
                used = 0;
            }
            push(&mut lines, c);
            used += char_width(c);
        }
    }
    lines
}

fn push(lines: &mut [String], c: char) {
    if let Some(last) = lines.last_mut() {
        last.push(c);
    }
}

/// [`wrap`] for a paragraph in one style.
pub(super) fn wrap_styled(text: &str, style: Style, columns: usize) -> Vec<Line<'static>> {
    wrap(text, columns).into_iter().map(|line| Line::styled(line, style)).collect()
}

/// A styled line in at most `columns`, its end cut where it is too long.
pub(super) fn cut(spans: Vec<Span<'static>>, columns: usize) -> Line<'static> {
    let mut left = columns;
    let mut line = Line::default();
    let all: usize = spans.iter().map(|span| width(&span.content)).sum();
    if all <= columns {
        return Line::from(spans);
    }
    for span in spans {
        let wide = width(&span.content);
        if wide < left {
            left -= wide;
            line.push_span(span);
        } else {
            // One column more than there is makes the cut show, also where the span ends just here.
            let cell = fit(&format!("{} ", span.content), left);
            line.push_span(Span::styled(cell, span.style));
            break;
        }
    }
    line
}

/// Breaks a styled line wherever `columns` are full. Never empty.
pub(super) fn fold(spans: &[Span<'_>], columns: usize) -> Vec<Line<'static>> {
    let columns = columns.max(1);
    let mut lines = vec![Line::default()];
    let mut used = 0;
    for span in spans {
        let mut piece = String::new();
        for c in span.content.chars() {
            if used > 0 && used + char_width(c) > columns {
                add(&mut lines, &mut piece, span.style);
                lines.push(Line::default());
                used = 0;
            }
            piece.push(c);
            used += char_width(c);
        }
        add(&mut lines, &mut piece, span.style);
    }
    lines
}

fn add(lines: &mut [Line<'static>], piece: &mut String, style: Style) {
    if let (Some(line), false) = (lines.last_mut(), piece.is_empty()) {
        line.push_span(Span::styled(std::mem::take(piece), style));
    }
}

/// Time from `since` to `now` in at most five columns.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    span(u64::try_from(now.duration_since(since).as_secs()).unwrap_or_default())
}

/// A time in at most five columns: `42s`, `12m`, `3h05`, `4d`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h{:02}", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Elapsed time as a stopwatch shows it: `02:10`, `1:02:10`.
pub(super) fn stopwatch(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (hours, minutes, rest) = (seconds / 3_600, seconds % 3_600 / 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes:02}:{rest:02}") }
}

/// Whole seconds left until `until`, rounded up, never negative.
pub(super) fn seconds_left(until: Timestamp, now: Timestamp) -> i64 {
    let left = until.duration_since(now);
    let whole = left.as_secs() + i64::from(left.subsec_nanos() > 0);
    if left > SignedDuration::ZERO { whole } else { 0 }
}

/// Bytes in the unit disk makers print: `960G`, `3.8T`.
pub(super) fn bytes(size: u64) -> String {
    const UNITS: [(u64, char); 3] = [(1_000_000_000_000, 'T'), (1_000_000_000, 'G'), (1_000_000, 'M')];
    for (unit, letter) in UNITS {
        if size >= unit {
            let tenths = size / (unit / 10);
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return if whole < 10 && tenth > 0 {
                format!("{whole}.{tenth}{letter}")
            } else {
                format!("{whole}{letter}")
            };
        }
    }
    format!("{size}B")
}
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("pve-07aa", 8, "pve-07aa")]
    #[case("pve-07aa.lab", 8, "pve-07a…")]
    #[case("漢字漢字", 5, "漢字…")]
    #[case("漢字漢字", 4, "漢…")]
    #[case("abc", 0, "")]
    fn cuts_are_marked(#[case] text: &str, #[case] columns: usize, #[case] expected: &str) {
        assert_eq!(fit(text, columns), expected);
    }

    #[test]
    fn the_end_of_an_address_survives() {
        assert_eq!(fit_end("2001:db8::d3ff:fe00:1234", 12), "…f:fe00:1234");
    }

    #[test]
    fn controls_go_and_tabs_become_spaces() {
        assert_eq!(clean("a\tb\u{1b}[31m\u{202e}c\nd"), "a       b[31mc d");
    }

    #[rstest]
    #[case(0, "0s")]
    #[case(-5, "0s")]
    #[case(59, "59s")]
    #[case(60, "1m")]
    #[case(3_900, "1h05")]
    #[case(200_000, "2d")]
    fn ages_are_short(#[case] seconds: i64, #[case] expected: &str) {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(age(now - SignedDuration::from_secs(seconds), now), expected);
    }

    #[rstest]
    #[case(960_197_124_096, "960G")]
    #[case(3_840_755_982_336, "3.8T")]
    #[case(512, "512B")]
    fn disk_sizes_are_in_makers_units(#[case] size: u64, #[case] expected: &str) {
        assert_eq!(bytes(size), expected);
    }

    #[test]
    fn words_wrap_and_long_words_break() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn folding_keeps_styles() {
        let red = Style::new().red();
        let lines = fold(&[Span::raw("ab"), Span::styled("cdef", red)], 3);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].spans[0], Span::styled("def", red));
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_asked(text in any::<String>(), columns in 1_usize..40) {
            let text = clean(&text);
            prop_assert!(width(&fit(&text, columns)) <= columns);
            prop_assert!(width(&fit_end(&text, columns)) <= columns);
            prop_assert!(width(&pad(&text, columns)) <= columns.max(width(&text)));
            for line in fold(&[Span::raw(text.clone())], columns.max(2)) {
                prop_assert!(line.width() <= columns.max(2));
            }
        }
    }
}

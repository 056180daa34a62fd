//! A run's output as the pane keeps it: a bounded ring of lines and a place in it. A place is a line number and a row
//! within the folded line, so that nothing depends on a 16-bit scroll offset and a resize keeps the place.

use std::collections::VecDeque;

use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use search::Search;

use super::text;
use crate::client::OutputChunk;
use crate::domain::RunId;

mod search;

/// Lines kept; the whole output is in the run's folder.
const MAX_LINES: usize = 50_000;

/// Bytes kept.
const MAX_BYTES: usize = 16 << 20;

/// Longest line shown, in bytes.
const MAX_LINE: usize = 8 << 10;

/// Where the pane stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// At the end, moving with it.
    #[default]
    Follow,
    /// Held still, with this at the top.
    At {
        /// Number of the line.
        line: u64,
        /// Row of the folded line.
        row: usize,
    },
}

/// A line, and its words where colours stand between them: what is searched for is searched at each key.
#[derive(Debug)]
struct Kept {
    line: Box<str>,
    bare: Option<Box<str>>,
}

impl Kept {
    fn new(line: String) -> Self {
        let line = shorten(line);
        let bare = line.contains(['\u{1b}', '\r']).then(|| bare(&line).into());
        Self { line, bare }
    }

    fn bare(&self) -> &str {
        self.bare.as_deref().unwrap_or(&self.line)
    }

    fn bytes(&self) -> usize {
        self.line.len() + self.bare.as_ref().map_or(0, |bare| bare.len())
    }
}

/// A run's output.
#[derive(Debug, Default)]
pub(super) struct Pager {
    run: Option<RunId>,
    lines: VecDeque<Kept>,
    first: u64,
    next: u64,
    bytes: usize,
    search: Search,
    /// Where the pane stands.
    pub(super) place: Place,
    /// Whether long lines are cut in place of folded.
    pub(super) is_cut: bool,
}

impl Pager {
    /// Shows `run`; another one than before begins empty and followed.
    pub(super) fn show(&mut self, run: Option<RunId>) {
        if self.run != run {
            *self = Self { run, is_cut: self.is_cut, ..Self::default() };
        }
    }

    /// The run shown.
    pub(super) fn run(&self) -> Option<RunId> {
        self.run
    }

    /// Where to go on reading.
    pub(super) fn cursor(&self) -> u64 {
        self.next
    }

    /// Number of the oldest line kept: so many are in the run's folder only.
    pub(super) fn dropped(&self) -> u64 {
        self.first
    }

    /// Whether there is nothing to show.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes in a chunk of `run`. Returns whether anything new came.
    pub(super) fn take(&mut self, run: RunId, chunk: OutputChunk) -> bool {
        let is_news = self.run == Some(run) && chunk.next > self.next;
        if !is_news {
            return false;
        }
        if chunk.first > self.next {
            // Lines between are gone: what was kept no longer joins what comes.
            self.lines.clear();
            self.bytes = 0;
            self.first = chunk.first;
            self.search.forget_before(self.first);
        }
        let known = usize::try_from(self.next.saturating_sub(chunk.first)).unwrap_or(usize::MAX);
        for line in chunk.lines.into_iter().skip(known) {
            let line = Kept::new(line);
            self.bytes += line.bytes();
            self.search.see(self.first + self.lines.len() as u64, line.bare());
            self.lines.push_back(line);
        }
        self.next = chunk.next;
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.bytes());
            self.first += 1;
        }
        self.search.forget_before(self.first);
        true
    }

    fn line(&self, number: u64) -> Option<&Kept> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.lines.get(index)
    }

    fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn folded(&self, number: u64, columns: usize) -> Vec<Line<'static>> {
        let Some(line) = self.line(number) else { return Vec::new() };
        let spans = self.search.marked(number, styled(&line.line));
        if self.is_cut { vec![text::cut(spans, columns)] } else { text::fold(&spans, columns) }
    }

    /// The place at which the last line stands at the bottom.
    fn last_page(&self, columns: usize, rows: usize) -> (u64, usize) {
        let mut missing = rows.max(1);
        let mut line = self.end();
        while line > self.first {
            line -= 1;
            let height = self.folded(line, columns).len();
            if height >= missing {
                return (line, height - missing);
            }
            missing -= height;
        }
        (self.first, 0)
    }

    /// The place at the top of a pane of this size.
    fn top(&self, columns: usize, rows: usize) -> (u64, usize) {
        let last = self.last_page(columns, rows);
        match self.place {
            Place::Follow => last,
            Place::At { line, .. } if line < self.first => (self.first, 0).min(last),
            Place::At { line, row } => (line, row.min(self.folded(line, columns).len().saturating_sub(1))).min(last),
        }
    }

    /// The rows to draw.
    pub(super) fn visible(&self, columns: usize, rows: usize) -> Vec<Line<'static>> {
        let (mut line, skip) = self.top(columns, rows);
        let mut shown: Vec<_> = self.folded(line, columns).into_iter().skip(skip).collect();
        while shown.len() < rows && line + 1 < self.end() {
            line += 1;
            shown.extend(self.folded(line, columns));
        }
        shown.truncate(rows);
        shown
    }

    /// Number of the first line drawn and of the one after the last there is, counted from 1.
    pub(super) fn position(&self, columns: usize, rows: usize) -> (u64, u64) {
        (self.top(columns, rows).0 + 1, self.end())
    }

    /// Moves by rows and holds the output still; at the end it is followed again.
    pub(super) fn scroll(&mut self, by: isize, columns: usize, rows: usize) {
        let (mut line, mut row) = self.top(columns, rows);
        for _ in 0..by.unsigned_abs() {
            if by < 0 {
                if row > 0 {
                    row -= 1;
                } else if line > self.first {
                    line -= 1;
                    row = self.folded(line, columns).len().saturating_sub(1);
                }
            } else if row + 1 < self.folded(line, columns).len() {
                row += 1;
            } else {
                line += 1;
                row = 0;
            }
        }
        let at_end = (line, row) >= self.last_page(columns, rows);
        self.place = if at_end && by > 0 { Place::Follow } else { Place::At { line, row } };
    }

    /// Holds the output where it stands, or follows it again.
    pub(super) fn toggle(&mut self, columns: usize, rows: usize) {
        self.place = match self.place {
            Place::Follow => {
                let (line, row) = self.top(columns, rows);
                Place::At { line, row }
            }
            Place::At { .. } => Place::Follow,
        };
    }

    /// To the lines about a host in the task that has this name, and so many others of the same name before and after it. Says
    /// whether they are kept.
    pub(super) fn go_to(&mut self, task: &str, (earlier, later): (u32, u32), host: &str) -> bool {
        let is_header = |line: &str| line.starts_with("TASK [") || line.starts_with("RUNNING HANDLER [");
        let is_task = |line: &str| {
            let name = line.split_once('[').map_or("", |(_, rest)| rest);
            is_header(line) && name.strip_prefix(task).is_some_and(|rest| rest.starts_with(']'))
        };
        let mut headers =
            self.lines.iter().enumerate().filter(|(_, line)| is_task(line.bare())).map(|(index, _)| index);
        let [earlier, later] = [earlier, later].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        // Where lines are gone, those before it may be among them.
        let found = if self.first == 0 { headers.nth(earlier) } else { headers.rev().nth(later) };
        let Some(header) = found else { return false };
        let of_task = self.lines.iter().enumerate().skip(header + 1).take_while(|(_, line)| !is_header(line.bare()));
        let is_about = |line: &str| line.contains(&format!("[{host}]")) || line.contains(&format!("[{host} ->"));
        let place = of_task.into_iter().find(|(_, line)| is_about(line.bare())).map_or(header, |(index, _)| index);
        self.show_line(self.first + place.max(header + 1) as u64);
        true
    }

    /// What is searched for; empty: nothing.
    pub(super) fn searched(&self) -> &str {
        self.search.words()
    }

    /// Whether something is searched for.
    pub(super) fn is_searched(&self) -> bool {
        !self.search.words().is_empty()
    }

    /// The number of the find that is shown, if one is, and how many there are.
    pub(super) fn finds(&self) -> (Option<usize>, usize) {
        self.search.count()
    }

    /// Searches, and goes to the first find from here on.
    pub(super) fn search(&mut self, words: &str) {
        let here = match self.place {
            Place::At { line, .. } => line,
            Place::Follow => self.first,
        };
        let before = std::mem::replace(&mut self.search, Search::new(words));
        if let Some(found) = before.narrowed_to(words) {
            // A letter more finds nothing where there was nothing.
            for number in found {
                let index = usize::try_from(number.saturating_sub(self.first)).ok();
                if let Some(line) = index.and_then(|index| self.lines.get(index)) {
                    self.search.see(*number, line.bare());
                }
            }
        } else {
            for (line, number) in self.lines.iter().zip(self.first..) {
                self.search.see(number, line.bare());
            }
        }
        if let Some(found) = self.search.go_from(here) {
            self.show_line(found);
        }
    }

    /// To the next find or the one before; around the corner. Says whether there is one.
    pub(super) fn step_find(&mut self, forward: bool) -> bool {
        let found = self.search.step(forward);
        if let Some(line) = found {
            self.show_line(line);
        }
        found.is_some()
    }

    /// Holds the output with this line near the top, and the one before it, so that one sees where one is.
    fn show_line(&mut self, line: u64) {
        self.place = Place::At { line: line.saturating_sub(1).max(self.first), row: 0 };
    }

    /// What is drawn, as plain text; lines are whole.
    pub(super) fn shown(&self, columns: usize, rows: usize) -> String {
        let (first, _) = self.top(columns, rows);
        let mut left = rows;
        let mut shown = Vec::new();
        for number in first..self.end() {
            let height = self.folded(number, columns).len();
            if height > left {
                break;
            }
            left -= height;
            shown.push(self.line(number).map(|line| bare(&line.line)).unwrap_or_default());
        }
        shown.join("\n")
    }

    /// To the oldest line.
    pub(super) fn go_to_oldest(&mut self) {
        self.place = Place::At { line: self.first, row: 0 };
    }
}

fn shorten(line: String) -> Box<str> {
    if line.len() <= MAX_LINE {
        return line.into();
    }
    let cut = line.floor_char_boundary(MAX_LINE);
    format!("{}… ({} bytes more in the run's folder)", &line[..cut], line.len() - cut).into()
}

/// One line with Ansible's colours. `ansi-to-tui` splits at line ends and makes `ESC[0m` an explicit reset, which would
/// punch holes into a selected row: both are undone here.
fn styled(line: &str) -> Vec<Span<'static>> {
    use ansi_to_tui::IntoText as _;
    let last = line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default();
    let Ok(parsed) = last.into_text() else { return vec![Span::raw(text::clean(last))] };
    let spans = parsed.lines.into_iter().flat_map(|line| line.spans);
    spans.map(|span| Span::styled(text::clean(&span.content), plain_colours(span.style))).collect()
}

/// A line without its colours.
fn bare(line: &str) -> String {
    styled(line).iter().map(|span| span.content.as_ref()).collect()
}

/// Of a style only what 16 colours can show.
fn plain_colours(style: Style) -> Style {
    let keep = |colour: Option<Color>| match colour {
        Some(Color::Reset | Color::Rgb(..) | Color::Indexed(16..)) | None => None,
        Some(other) => Some(other),
    };
    Style {
        fg: keep(style.fg),
        bg: keep(style.bg),
        underline_color: None,
        sub_modifier: ratatui::style::Modifier::empty(),
        ..style
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager(lines: &[&str]) -> Pager {
        let mut pager = Pager::default();
        pager.show(Some(RunId(1)));
        assert!(pager.take(RunId(1), chunk(0, lines)));
        pager
    }

    fn chunk(first: u64, lines: &[&str]) -> OutputChunk {
        let next = first + lines.len() as u64;
        OutputChunk { lines: lines.iter().map(ToString::to_string).collect(), first, next }
    }

    fn shown(pager: &Pager, columns: usize, rows: usize) -> Vec<String> {
        pager.visible(columns, rows).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_follows_the_end_and_folds_long_lines() {
        let mut pager = pager(&["one", "abcdef", "three"]);
        assert_eq!(shown(&pager, 4, 3), ["ef", "thre", "e"]);
        pager.take(RunId(1), chunk(3, &["four"]));
        assert_eq!(shown(&pager, 4, 3), ["thre", "e", "four"]);
    }

    #[test]
    fn scrolling_up_holds_and_down_to_the_end_follows() {
        let mut pager = pager(&["1", "2", "3", "4", "5"]);
        pager.scroll(-2, 10, 2);
        assert_eq!(shown(&pager, 10, 2), ["2", "3"]);
        pager.take(RunId(1), chunk(5, &["6"]));
        assert_eq!(shown(&pager, 10, 2), ["2", "3"]);
        pager.scroll(3, 10, 2);
        assert_eq!(pager.place, Place::Follow);
        pager.go_to_oldest();
        pager.scroll(-1, 10, 2);
        assert_eq!(shown(&pager, 10, 2), ["1", "2"]);
        pager.toggle(10, 2);
        assert_eq!(shown(&pager, 10, 2), ["5", "6"]);
    }

    #[test]
    fn a_task_on_a_host_is_found_again() {
        let output = [
            "PLAY [x] ***",
            "",
            "TASK [join] ***",
            "ok: [a.lab]",
            "",
            "\u{1b}[0;31mTASK [join]\u{1b}[0m ***",
            "ok: [a.lab]",
            "fatal: [b.lab -> c.lab]: FAILED!",
            "",
            "TASK [join two] ***",
            "ok: [b.lab]",
        ];
        let mut pager = pager(&output);
        assert!(pager.go_to("join", (1, 0), "b.lab"));
        assert_eq!(shown(&pager, 80, 2), ["ok: [a.lab]", "fatal: [b.lab -> c.lab]: FAILED!"]);
        assert!(pager.go_to("join", (0, 1), "nobody"));
        assert_eq!(shown(&pager, 80, 1), ["TASK [join] ***"]);
        assert!(!pager.go_to("join", (2, 0), "a.lab") && !pager.go_to("jo", (0, 0), "a.lab"));
    }

    #[test]
    fn a_task_is_found_where_earlier_ones_of_its_name_are_gone() {
        let mut pager = Pager::default();
        pager.show(Some(RunId(1)));
        let lines = ["TASK [join] ***", "ok: [b.lab]", "TASK [join] ***", "changed: [b.lab]"];
        pager.take(RunId(1), chunk(7, &lines));
        // The first of three is gone.
        assert!(pager.go_to("join", (1, 1), "b.lab"));
        assert_eq!(shown(&pager, 80, 2), ["TASK [join] ***", "ok: [b.lab]"]);
        assert!(pager.go_to("join", (2, 0), "b.lab"));
        assert_eq!(shown(&pager, 80, 2), ["TASK [join] ***", "changed: [b.lab]"]);
        assert!(!pager.go_to("join", (0, 2), "b.lab"));
    }

    #[test]
    fn other_runs_old_chunks_and_gaps_are_told_apart() {
        let mut pager = pager(&["1", "2"]);
        assert!(!pager.take(RunId(2), chunk(0, &["x"])));
        assert!(!pager.take(RunId(1), chunk(0, &["1"])));
        assert!(pager.take(RunId(1), chunk(1, &["2", "3"])));
        assert_eq!(shown(&pager, 10, 9), ["1", "2", "3"]);
        assert!(pager.take(RunId(1), chunk(10, &["11"])));
        assert_eq!(shown(&pager, 10, 9), ["11"]);
        assert_eq!(pager.dropped(), 10);
        pager.show(Some(RunId(2)));
        assert!(pager.is_empty());
    }

    #[test]
    fn a_letter_more_searches_what_was_found() {
        let mut pager = pager(&["failed", "\u{1b}[31mfa\u{1b}[0miled", "fall", "ok"]);
        for (words, count) in [("f", 3), ("fa", 3), ("fai", 2), ("fail", 2), ("fa", 3), ("all", 1), ("", 0), ("o", 1)] {
            pager.search(words);
            assert_eq!(pager.finds().1, count, "{words}");
        }
    }

    #[test]
    fn memory_is_bounded_in_lines_and_bytes() {
        let mut pager = Pager::default();
        pager.show(Some(RunId(1)));
        for round in 0..60 {
            let lines = vec!["x"; 1_000];
            pager.take(RunId(1), chunk(round * 1_000, &lines));
        }
        assert_eq!(pager.lines.len(), MAX_LINES);
        assert_eq!(pager.dropped(), 10_000);
        let long = "y".repeat(1 << 20);
        pager.take(RunId(1), chunk(60_000, &[&long]));
        assert!(pager.lines.back().is_some_and(|line| line.bytes() < MAX_LINE + 100 && line.line.ends_with("folder)")));
        pager.go_to_oldest();
        pager.place = Place::At { line: 3, row: 7 };
        assert_eq!(shown(&pager, 10, 1), ["x"]);
    }

    #[test]
    fn colours_stay_resets_and_controls_go() {
        let spans = styled("\u{1b}[0;31mfatal\u{1b}[0m:\tx\u{1b}[38;2;1;2;3my");
        assert_eq!(spans[0].style.fg, Some(Color::Red));
        assert_eq!(spans[1].style.fg, None);
        let plain: String = spans.iter().map(|span| span.content.as_ref()).collect();
        assert_eq!(plain, "fatal:       xy");
        assert_eq!(Line::from(styled("10%\r100%")).to_string(), "100%");
        assert!(styled("").is_empty());
    }
}

//! What is searched for in the output, and where it is. Found as lines come, so that a flood is never searched twice.

use std::collections::VecDeque;

use ratatui::style::Style;
use ratatui::text::Span;

use crate::tui::theme;

/// A search; with no words, none.
#[derive(Debug, Default)]
pub(super) struct Search {
    words: String,
    lower: String,
    /// Numbers of the lines that hold it.
    found: VecDeque<u64>,
    /// The one that is shown.
    at: Option<u64>,
}

impl Search {
    pub(super) fn new(words: &str) -> Self {
        Self { words: words.to_owned(), lower: words.to_lowercase(), ..Self::default() }
    }

    /// What is searched for.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// The lines found so far, where only they can hold `words`: these go on from what is searched for.
    pub(super) fn narrowed_to(&self, words: &str) -> Option<&VecDeque<u64>> {
        (!self.lower.is_empty() && words.to_lowercase().contains(&self.lower)).then_some(&self.found)
    }

    /// Looks at a line without its colours; they come in order.
    pub(super) fn see(&mut self, number: u64, line: &str) {
        if self.lower.is_empty() {
            return;
        }
        if line.to_lowercase().contains(&self.lower) {
            self.found.push_back(number);
        }
    }

    /// Lines before this one are gone.
    pub(super) fn forget_before(&mut self, first: u64) {
        while self.found.front().is_some_and(|number| *number < first) {
            self.found.pop_front();
        }
    }

    /// The number of the find that is shown, counted from 1, and of all.
    pub(super) fn count(&self) -> (Option<usize>, usize) {
        let at = self.at.and_then(|at| self.found.binary_search(&at).ok());
        (at.map(|index| index + 1), self.found.len())
    }

    /// To the first find from this line on, else to the first of all.
    pub(super) fn go_from(&mut self, line: u64) -> Option<u64> {
        self.at = self.found.iter().find(|number| **number >= line).or(self.found.front()).copied();
        self.at
    }

    /// To the next find or the one before, around the corner.
    pub(super) fn step(&mut self, forward: bool) -> Option<u64> {
        let at = self.at.unwrap_or_default();
        let next = if forward {
            self.found.iter().find(|number| **number > at).or(self.found.front())
        } else {
            self.found.iter().rfind(|number| **number < at).or(self.found.back())
        };
        self.at = next.copied();
        self.at
    }

    /// A line's words with those that were searched for marked, the find that is shown more than the others.
    pub(super) fn marked(&self, number: u64, spans: Vec<Span<'static>>) -> Vec<Span<'static>> {
        if self.lower.is_empty() || self.found.binary_search(&number).is_err() {
            return spans;
        }
        let mark = if self.at == Some(number) { theme::selected().patch(theme::strong()) } else { theme::selected() };
        let letters: Vec<(char, Style)> =
            spans.iter().flat_map(|span| span.content.chars().map(|c| (c, span.style))).collect();
        // Letter by letter, for lower case may be longer than what it stands for.
        let lower: Vec<char> = letters.iter().map(|(c, _)| c.to_lowercase().next().unwrap_or(*c)).collect();
        let needle: Vec<char> = self.words.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect();
        let mut is_marked = vec![false; letters.len()];
        for start in 0..(letters.len() + 1).saturating_sub(needle.len()) {
            if lower[start..].starts_with(&needle) {
                is_marked[start..start + needle.len()].fill(true);
            }
        }
        let styled: Vec<_> = letters
            .into_iter()
            .zip(is_marked)
            .map(|((c, style), is_marked)| (c, if is_marked { style.patch(mark) } else { style }))
            .collect();
        styled
            .chunk_by(|(_, one), (_, other)| one == other)
            .map(|run| Span::styled(run.iter().map(|(c, _)| *c).collect::<String>(), run[0].1))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(words: &str, lines: &[&str]) -> Search {
        let mut search = Search::new(words);
        lines.iter().zip(10..).for_each(|(line, number)| search.see(number, &super::super::bare(line)));
        search
    }

    #[test]
    fn finds_are_visited_in_order_and_around_the_corner() {
        let mut search = search("fail", &["FAILED", "ok", "\u{1b}[31mfa\u{1b}[0mil", "ok", "failed=0"]);
        assert_eq!((search.count(), search.go_from(11)), ((None, 3), Some(12)));
        let steps = [true, true, false, false].map(|forward| search.step(forward));
        assert_eq!(steps, [14, 10, 14, 12].map(Some));
        assert_eq!(search.count(), (Some(2), 3));
        search.forget_before(13);
        assert_eq!((search.count(), search.step(true)), ((None, 1), Some(14)));
        assert_eq!(self::search("x", &["y"]).step(true), None);
        assert_eq!(self::search("", &["y"]).count(), (None, 0));
    }

    #[test]
    fn what_was_searched_for_is_marked_across_colours() {
        let search = search("Ed F", &["failed fast, failed F"]);
        let red = Style::new().fg(ratatui::style::Color::Red);
        let spans = vec![Span::styled("failed", red), Span::raw(" fast, failed F")];
        let marked = search.marked(10, spans);
        let text: Vec<_> = marked.iter().map(|span| span.content.as_ref()).collect();
        assert_eq!(text, ["fail", "ed", " f", "ast, fail", "ed F"]);
        assert_eq!(marked[1].style, red.patch(theme::selected()));
    }
}

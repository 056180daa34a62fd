//! What is wrong with an answer file, all of it at once, each with its place.

use std::fmt;
use std::ops::Range;

pub use crate::domain::Severity;

/// One thing that is wrong in the operator's answer file. No message repeats the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How much it weighs.
    pub severity: Severity,
    /// The setting in dotted form (`disk-setup.zfs.raid`); empty for a syntax error.
    pub path: String,
    /// Bytes of the text that are to blame; `None` where something is missing.
    pub span: Option<Range<usize>>,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn new(path: impl Into<String>, span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, path: path.into(), span, message: harmless(message.into()), hint: None }
    }

    pub(super) fn weigh(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Line and column (in characters), both from 1, of the problem's place in `text`.
    #[must_use]
    pub fn position(&self, text: &str) -> Option<(usize, usize)> {
        let before = text.get(..self.span.as_ref()?.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..)?.chars().count() + 1;
        Some((before.matches('\n').count() + 1, column))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " (hint: {hint})"))
    }
}

/// Most characters of a message.
const MAX_CHARS: usize = 400;

/// `message` on one line: what it repeats of the file must not steer a terminal.
fn harmless(message: String) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if message.len() <= MAX_CHARS && !message.contains(is_harmful) {
        return message;
    }
    message.chars().take(MAX_CHARS).map(|c| if is_harmful(c) { '?' } else { c }).collect()
}

/// Everything that is wrong with an answer file; never empty as an error. In the order of the text, missing settings last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Sorts by place, what has none last.
    pub(super) fn sorted(mut problems: Vec<Problem>) -> Self {
        sort(&mut problems);
        Self(problems)
    }
}

/// Sorts by place, what has none last.
pub(super) fn sort(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| problem.span.as_ref().map_or(usize::MAX, |span| span.start));
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

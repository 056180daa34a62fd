//! The control of a dialog that asks several things: lines of text, and lines with a few choices.

use super::field::Field;

/// A line of a [`Sheet`].
#[derive(Debug)]
pub(in crate::tui) enum SheetLine {
    /// One of several.
    Choice {
        /// What is chosen.
        label: &'static str,
        /// The choices.
        choices: Vec<String>,
        /// The one that is chosen.
        chosen: usize,
    },
    /// A text.
    Text(Field),
}

impl SheetLine {
    /// What it is about.
    pub(in crate::tui) fn label(&self) -> &'static str {
        match self {
            Self::Choice { label, .. } => label,
            Self::Text(field) => field.label(),
        }
    }
}

impl SheetLine {
    /// Why the last of what was typed into it was not taken.
    pub(in crate::tui) fn refused(&self) -> Option<&str> {
        match self {
            Self::Choice { .. } => None,
            Self::Text(field) => field.refused(),
        }
    }
}

/// Several lines to fill in.
#[derive(Debug)]
pub(in crate::tui) struct Sheet {
    lines: Vec<SheetLine>,
    marked: usize,
}

impl Sheet {
    /// A sheet whose first line is marked.
    pub(super) fn new(lines: Vec<SheetLine>) -> Self {
        Self { lines, marked: 0 }
    }

    /// The lines.
    pub(in crate::tui) fn lines(&self) -> &[SheetLine] {
        &self.lines
    }

    /// The marked one.
    pub(in crate::tui) fn marked(&self) -> usize {
        self.marked
    }

    /// What is chosen in a line.
    pub(super) fn chosen(&self, line: usize) -> usize {
        match self.lines.get(line) {
            Some(SheetLine::Choice { chosen, .. }) => *chosen,
            Some(SheetLine::Text(_)) | None => 0,
        }
    }

    /// What was typed into a line.
    pub(super) fn text(&self, line: usize) -> &str {
        match self.lines.get(line) {
            Some(SheetLine::Text(field)) => field.value(),
            Some(SheetLine::Choice { .. }) | None => "",
        }
    }

    /// Moves the mark.
    pub(super) fn step(&mut self, by: isize) {
        self.marked = self.marked.saturating_add_signed(by).min(self.lines.len().saturating_sub(1));
    }

    /// Whether there is something to choose in the marked line.
    pub(super) fn has_choice(&self) -> bool {
        matches!(self.lines.get(self.marked), Some(SheetLine::Choice { choices, .. }) if choices.len() > 1)
    }

    /// Whether the marked line stands at its last choice.
    pub(in crate::tui) fn is_last(&self) -> bool {
        matches!(self.lines.get(self.marked), Some(SheetLine::Choice { choices, chosen, .. }) if chosen + 1 == choices.len())
    }

    /// Moves the choice of the marked line.
    pub(in crate::tui) fn choose(&mut self, by: isize) {
        if let Some(SheetLine::Choice { choices, chosen, .. }) = self.lines.get_mut(self.marked) {
            *chosen = chosen.saturating_add_signed(by).min(choices.len().saturating_sub(1));
        }
    }

    /// The marked line, to type in.
    pub(super) fn field_mut(&mut self) -> Option<&mut Field> {
        match self.lines.get_mut(self.marked)? {
            SheetLine::Text(field) => Some(field),
            SheetLine::Choice { .. } => None,
        }
    }
}

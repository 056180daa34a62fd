//! How far a conversation is: asked, sent, or refused and to be reconsidered.

use super::{InputMut, Question};
use crate::tui::action::Ticket;

/// How far a conversation is.
#[derive(Debug)]
pub(in crate::tui) enum Dialog<T> {
    /// The operator has the word.
    Asking(T),
    /// The engine has the word.
    Waiting {
        /// What was asked.
        about: T,
        /// The order's ticket.
        ticket: Ticket,
    },
    /// The engine said no.
    Refused {
        /// What was asked.
        about: T,
        /// Why, in the engine's words.
        why: String,
    },
}

impl<T> Dialog<T> {
    /// What it is about.
    pub(in crate::tui) fn about(&self) -> &T {
        match self {
            Self::Asking(about) | Self::Waiting { about, .. } | Self::Refused { about, .. } => about,
        }
    }

    fn into_about(self) -> T {
        match self {
            Self::Asking(about) | Self::Waiting { about, .. } | Self::Refused { about, .. } => about,
        }
    }

    /// The engine said no.
    pub(in crate::tui) fn refuse(self, why: String) -> Self {
        Self::Refused { about: self.into_about(), why }
    }

    /// Back to the question after a refusal.
    pub(in crate::tui) fn reconsider(self) -> Self {
        match self {
            Self::Refused { about, .. } => Self::Asking(about),
            Self::Asking(_) | Self::Waiting { .. } => self,
        }
    }
}

impl Dialog<Box<Question>> {
    /// The question, while the operator has the word.
    pub(in crate::tui) fn asking(&mut self) -> Option<&mut Question> {
        match self {
            Self::Asking(question) => Some(question),
            Self::Waiting { .. } | Self::Refused { .. } => None,
        }
    }

    /// Moves the mark in the list.
    pub(in crate::tui) fn choose(&mut self, by: isize) {
        match self.asking().and_then(|question| question.input_mut()) {
            Some(InputMut::Sheet(sheet)) => sheet.step(by),
            Some(InputMut::Picker(picker)) => picker.step(by),
            Some(InputMut::Field(_)) | None => {}
        }
    }
}

//! An answer taken apart: every setting with where it came from and what it replaced. Secrets are not shown.

use std::collections::BTreeSet;

use super::overlay::{Making, Origin, Overlay, Slot, Stated};
use super::settings::in_words;

/// A setting, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The setting, dotted, with its key where it is a table: `disk-setup.filter.ID_MODEL`.
    pub setting: String,
    /// Its value as in the answer and where it is from; `None` where layers took it away.
    pub value: Option<Shown>,
    /// What it would have been without higher layers, the highest first.
    pub replaced: Vec<Shown>,
}

/// A value that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// As written in an answer; a secret is `"…"`.
    pub text: String,
    /// Where it came from.
    pub origin: Origin,
    /// The template it was, or is still to be, made from.
    pub template: Option<String>,
}

impl Overlay {
    /// Every setting in the order of the answer.
    #[must_use]
    pub fn explain(&self) -> Vec<Explained> {
        let slots: BTreeSet<&Slot> = self.iter().map(|(slot, _)| slot).chain(self.replaced().keys()).collect();
        let stated: std::collections::BTreeMap<&Slot, &Stated> = self.iter().collect();
        let explain = |slot: &Slot| {
            let path = slot.0.spec().path;
            Explained {
                setting: slot.1.as_ref().map_or_else(|| path.to_owned(), |key| format!("{path}.{key}")),
                value: stated.get(slot).map(|stated| shown(slot, stated)),
                replaced: self.replaced().get(slot).into_iter().flatten().rev().map(|old| shown(slot, old)).collect(),
            }
        };
        slots.into_iter().map(explain).collect()
    }
}

fn shown(slot: &Slot, stated: &Stated) -> Shown {
    let text = in_words(slot.0, &stated.value);
    let template = match &stated.making {
        Making::Plain => None,
        Making::Pending => Some(text.clone()),
        Making::Made(template) => Some(template.clone()),
    };
    Shown { text, origin: stated.origin.clone(), template }
}

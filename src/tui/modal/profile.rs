//! A profile made from a machine: what it shows, to be ticked, and a name.

use super::Field;
use crate::client::NewProfile;
use crate::domain::pointer::{self, Pointer, Single};
use crate::domain::{Node, NodeId, ProfileName};
use crate::tui::action::Ticket;

/// The dialog.
#[derive(Debug)]
pub(in crate::tui) struct ProfileForm {
    node: NodeId,
    /// The title.
    pub(in crate::tui) title: String,
    /// The profile's name.
    pub(in crate::tui) field: Field,
    /// What the machine shows, and whether the profile asks for it.
    pub(in crate::tui) facts: Vec<(Pointer, String, bool)>,
    /// The line the keys act on.
    pub(in crate::tui) marked: usize,
    /// The order that is on its way.
    pub(in crate::tui) ticket: Option<Ticket>,
    /// Why it was refused.
    pub(in crate::tui) refused: Option<String>,
}

impl ProfileForm {
    /// `None` where the node never asked: nothing is known of its machine.
    pub(in crate::tui) fn new(node: &Node) -> Option<Self> {
        let info = &node.request.as_ref()?.info;
        let is_usual = |pointer: Pointer| pointer == Pointer::One(Single::SystemName);
        let facts = pointer::shown(info);
        let facts = facts.into_iter().map(|(pointer, value)| (pointer, value, is_usual(pointer))).collect();
        let title = format!("A profile for machines like {}", node.name.host());
        let field = Field::new("name", "");
        Some(Self { node: node.id, title, field, facts, marked: 0, ticket: None, refused: None })
    }

    /// Moves the mark.
    pub(in crate::tui) fn step(&mut self, by: isize) {
        self.marked = self.marked.saturating_add_signed(by).min(self.facts.len().saturating_sub(1));
    }

    /// Ticks the marked line, or takes the tick away.
    pub(in crate::tui) fn toggle(&mut self) {
        if let Some((_, _, ticked)) = self.facts.get_mut(self.marked) {
            *ticked = !*ticked;
        }
    }

    /// What is to be written.
    ///
    /// # Errors
    /// What is missing.
    pub(in crate::tui) fn wish(&self) -> Result<NewProfile, String> {
        let name = self.field.value().trim();
        if name.is_empty() {
            return Err("type a name; Space ticks what its machines must show just so".to_owned());
        }
        name.parse::<ProfileName>().map_err(|error| error.to_string())?;
        let ticked = self.facts.iter().filter(|(_, _, ticked)| *ticked);
        let pointers: Vec<_> = ticked.map(|(pointer, ..)| pointer.to_string()).collect();
        if pointers.is_empty() {
            return Err("tick at least one line".to_owned());
        }
        Ok(NewProfile { node: self.node, name: name.to_owned(), pointers })
    }
}

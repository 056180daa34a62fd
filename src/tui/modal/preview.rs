//! The answer a node would be given, explained: a page to read, made by the engine.

use crate::client::Preview;
use crate::domain::{Fqdn, Node};
use crate::tui::action::Ticket;

/// A page about one node.
#[derive(Debug)]
pub(in crate::tui) struct Look {
    /// Its name.
    pub(in crate::tui) name: Fqdn,
    /// What it was asked with.
    pub(in crate::tui) ticket: Ticket,
    /// What the engine said; `None` until it has.
    pub(in crate::tui) said: Option<Result<Box<Preview>, String>>,
    /// How far it is scrolled.
    pub(in crate::tui) top: usize,
}

impl Look {
    pub(in crate::tui) fn new(node: &Node, ticket: Ticket) -> Self {
        Self { name: node.name.clone(), ticket, said: None, top: 0 }
    }
}

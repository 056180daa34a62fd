//! Dropping a row.

use super::{Ask, Leads, Paragraph, if_seen};
use crate::domain::{Fqdn, Node, NodeId, Order};
use crate::tui::model::Model;

/// Asks whether to drop a row.
#[derive(Debug)]
pub(in crate::tui) struct Forget {
    node: NodeId,
    name: Fqdn,
    /// The row as it was on the screen.
    revision: u64,
}

impl Forget {
    pub(super) fn new(node: &Node) -> Self {
        Self { node: node.id, name: node.name.clone(), revision: node.revision }
    }
}

impl Ask for Forget {
    fn title(&self) -> String {
        format!("Forget {}", self.name)
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let Some(node) = model.snapshot.fleet.node(self.node) else { return Vec::new() };
        let mut body = vec![Paragraph::plain(format!("{} is {}.", self.name, node.phase.word()))];
        if node.phase.is_installed() {
            body.push(Paragraph::plain("It leaves the inventory; the machine itself is not touched."));
        }
        if node.may_be_installed() {
            body.push(Paragraph::danger(
                "Its protection against a second install goes too: if it asks again it is a stranger you could approve.",
            ));
        } else {
            body.push(Paragraph::plain("If it asks again it comes back as a new row."));
        }
        body
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let order = if_seen((self.node, self.revision), Order::Forget { node: self.node });
        Ok(Leads::order(order, format!("forgot `{}`", self.name)))
    }
}

//! The address of a node: the one it is installed with, or the one where Ansible reaches it.

use super::{Ask, Field, Input, InputMut, Leads, Paragraph, if_seen, judged, parse_address};
use crate::domain::{Fqdn, Node, NodeId, Order};
use crate::tui::model::Model;

/// Asks for an address.
#[derive(Debug)]
pub(in crate::tui) struct Address {
    node: NodeId,
    name: Fqdn,
    /// The row as it was on the screen.
    revision: u64,
    is_to_come: bool,
    field: Field,
}

impl Address {
    pub(super) fn new(node: &Node) -> Self {
        let is_to_come = node.is_to_be_installed();
        let known = if is_to_come { node.fixed_address() } else { node.address };
        let known = known.map(|address| address.to_string()).unwrap_or_default();
        Self {
            node: node.id,
            name: node.name.clone(),
            revision: node.revision,
            is_to_come,
            field: Field::new("address", &known),
        }
    }
}

impl Ask for Address {
    fn title(&self) -> String {
        format!("Address of {}", self.name)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        let words = if self.is_to_come {
            "The address it is installed with, whatever the pool, the plan or DHCP say."
        } else {
            "Where SSH and Ansible reach the installed system. Nothing on the machine is changed."
        };
        vec![Paragraph::plain(words)]
    }

    fn leads(&self, model: &Model) -> Result<Leads, String> {
        let address = parse_address(self.field.value())?;
        let verb = if self.is_to_come { "gets" } else { "is reached at" };
        let done = format!("`{}` {verb} {address}", self.name);
        let order = if_seen((self.node, self.revision), Order::SetAddress { node: self.node, address });
        judged(model, order, done)
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Field(&self.field))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Field(&mut self.field))
    }
}

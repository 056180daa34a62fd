//! Where Ansible reaches a node that told no address.

use super::{Ask, Field, Paragraph, Sending, parse_address};
use crate::domain::{Fqdn, Node, NodeId, Order};
use crate::tui::model::Model;

/// Asks for an address.
#[derive(Debug)]
pub(in crate::tui) struct Address {
    node: NodeId,
    name: Fqdn,
    field: Field,
}

impl Address {
    pub(super) fn new(node: &Node) -> Self {
        let known = node.address.map(|address| address.to_string()).unwrap_or_default();
        Self { node: node.id, name: node.name.clone(), field: Field::new("address", &known) }
    }
}

impl Ask for Address {
    fn title(&self) -> String {
        format!("Address of {}", self.name)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![Paragraph::plain("Where SSH and Ansible reach the installed system. Nothing on the machine is changed.")]
    }

    fn order(&self, model: &Model) -> Result<Sending, String> {
        let address = parse_address(self.field.value())?;
        if let Some(owner) = model.snapshot.fleet.owner_of(address, self.node) {
            return Err(format!("{address} belongs to `{}`; choose another one", owner.name));
        }
        let done = format!("`{}` is reached at {address}", self.name);
        Ok(Sending { order: Order::SetAddress { node: self.node, address }, done })
    }

    fn field(&self) -> Option<&Field> {
        Some(&self.field)
    }

    fn field_mut(&mut self) -> Option<&mut Field> {
        Some(&mut self.field)
    }
}

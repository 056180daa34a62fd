//! Another host name, judged while it is typed.

use super::{Ask, Field, Input, InputMut, Leads, Paragraph, if_seen, judged, parse_name};
use crate::domain::{Fqdn, Node, NodeId, Order};
use crate::tui::model::Model;

/// Asks for another host name.
#[derive(Debug)]
pub(in crate::tui) struct Hostname {
    node: NodeId,
    name: Fqdn,
    /// The row as it was on the screen.
    revision: u64,
    field: Field,
}

impl Hostname {
    pub(super) fn new(node: &Node) -> Self {
        Self {
            node: node.id,
            name: node.name.clone(),
            revision: node.revision,
            field: Field::new("host name", node.name.as_str()),
        }
    }
}

impl Ask for Hostname {
    fn title(&self) -> String {
        format!("Host name of {}", self.name)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![Paragraph::plain("The full name the machine is installed with. It cannot be changed once it installs.")]
    }

    fn leads(&self, model: &Model) -> Result<Leads, String> {
        let name = parse_name(self.field.value())?;
        let done = format!("`{}` is now `{name}`", self.name);
        let order = if_seen((self.node, self.revision), Order::Rename { node: self.node, name });
        judged(model, order, done)
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Field(&self.field))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Field(&mut self.field))
    }
}

//! Sending a machine away for good.

use super::{Ask, Field, Input, InputMut, Leads, Paragraph, if_seen};
use crate::domain::text::Text;
use crate::domain::{Fqdn, Node, NodeId, Order};
use crate::tui::model::Model;

/// Asks why to ban a machine.
#[derive(Debug)]
pub(in crate::tui) struct Ban {
    node: NodeId,
    name: Fqdn,
    /// The row as it was on the screen.
    revision: u64,
    known_by: String,
    field: Field,
}

impl Ban {
    pub(super) fn new(node: &Node) -> Self {
        let machine = &node.machine;
        let uuid = machine.uuid.map(|uuid| format!("UUID {uuid}"));
        let serial = machine.serial.as_ref().map(|serial| format!("serial {serial}"));
        let macs = machine.macs.iter().map(ToString::to_string);
        let known_by = uuid.into_iter().chain(serial).chain(macs).collect::<Vec<_>>().join(", ");
        let field = Field::new("reason (may stay empty)", "");
        Self { node: node.id, name: node.name.clone(), revision: node.revision, known_by, field }
    }
}

impl Ask for Ban {
    fn title(&self) -> String {
        format!("Ban {}", self.name)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![
            Paragraph::plain("It is refused whenever it asks, without a row. `T` lists bans and lifts them."),
            Paragraph::muted(format!("Known by any of: {}", self.known_by)),
        ]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let ban = Order::Ban { node: self.node, reason: Text::new(self.field.value()) };
        let order = if_seen((self.node, self.revision), ban);
        Ok(Leads::order(order, format!("banned `{}`; `T` lifts it", self.name)))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Field(&self.field))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Field(&mut self.field))
    }
}

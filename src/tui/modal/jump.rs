//! To the row with the claim code that stands on a machine's screen.

use super::{Ask, Field, Local, Paragraph, Sending};
use crate::domain::NodeId;
use crate::domain::guard::ClaimCode;
use crate::tui::model::Model;

/// Asks for a claim code.
#[derive(Debug)]
pub(in crate::tui) struct Jump {
    field: Field,
}

impl Jump {
    pub(super) fn new() -> Self {
        Self { field: Field::new("code", "") }
    }

    fn found(&self, model: &Model) -> Option<NodeId> {
        let typed = self.field.value().trim().to_ascii_uppercase();
        let shows = |id: NodeId| ClaimCode::of(id).to_string() == typed;
        model.snapshot.fleet.nodes().map(|node| node.id).find(|id| shows(*id))
    }
}

impl Ask for Jump {
    fn title(&self) -> String {
        "Go to a machine".to_owned()
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![Paragraph::plain("Type the four characters on the machine's own screen.")]
    }

    fn order(&self, model: &Model) -> Result<Sending, String> {
        match self.field.value().trim() {
            typed if typed.chars().count() < 4 => Err("four characters".to_owned()),
            typed if self.found(model).is_none() => Err(format!("no row has the code {}", typed.to_ascii_uppercase())),
            _ => Err(String::new()),
        }
    }

    fn local(&self, model: &Model) -> Option<Local> {
        self.found(model).map(Local::GoTo)
    }

    fn is_done_when_typed(&self) -> bool {
        true
    }

    fn field(&self) -> Option<&Field> {
        Some(&self.field)
    }

    fn field_mut(&mut self) -> Option<&mut Field> {
        Some(&mut self.field)
    }
}

//! Two machines in each other's place: names, addresses, rows of the plan and profiles change hands.

use std::sync::Arc;

use super::{Ask, Input, InputMut, Leads, Paragraph, Picker, if_seen, judged, seen};
use crate::domain::guard::ClaimCode;
use crate::domain::{Node, NodeId, Order};
use crate::tui::model::Model;

/// Asks whether two nodes change places; where only one is given, with which.
#[derive(Debug)]
pub(in crate::tui) struct Swap {
    /// Rows as they were on the screen.
    one: (NodeId, u64),
    others: Vec<(NodeId, u64)>,
    picker: Option<Picker>,
}

fn words(node: &Node) -> String {
    let place = node.plan.as_ref().and_then(|entry| entry.place()).map(|place| format!(" in {place}"));
    let serial = node.serial().map(|serial| format!(", serial {serial}")).unwrap_or_default();
    let code = ClaimCode::of(node.id);
    format!("{}{} (code {code}{serial})", node.name.host(), place.unwrap_or_default())
}

impl Swap {
    /// The two that are marked.
    pub(super) fn both(one: &Node, other: &Node) -> Self {
        Self { one: seen(one), others: vec![seen(other)], picker: None }
    }

    /// One, and a list of those it could change places with.
    pub(super) fn with_whom(node: &Node, model: &Model) -> Self {
        let can: Vec<&Arc<Node>> =
            model.snapshot.fleet.nodes().filter(|other| other.id != node.id && other.may_swap()).collect();
        let picker = Picker::new(can.iter().map(|other| words(other)).collect());
        Self { one: seen(node), others: can.iter().map(|other| seen(other)).collect(), picker: Some(picker) }
    }

    fn other(&self) -> Option<(NodeId, u64)> {
        self.others.get(self.picker.as_ref().map_or(0, Picker::marked)).copied()
    }

    fn pair<'a>(&self, model: &'a Model) -> Option<[&'a Arc<Node>; 2]> {
        let fleet = &model.snapshot.fleet;
        Some([fleet.node(self.one.0)?, fleet.node(self.other()?.0)?])
    }
}

impl Ask for Swap {
    fn title(&self) -> String {
        "Two machines change places".to_owned()
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let Some([one, other]) = self.pair(model) else {
            return vec![Paragraph::danger("One of them is gone; close this and look again.")];
        };
        let line = |machine: &Node, to: &Node| format!("{} becomes {}", words(machine), to.name.host());
        let mut body = vec![Paragraph::strong(line(one, other)), Paragraph::strong(line(other, one))];
        body.push(Paragraph::plain("Host name, address, row of the plan and profile change hands; approvals stay."));
        body.push(Paragraph::muted("The same once more undoes it."));
        body
    }

    fn leads(&self, model: &Model) -> Result<Leads, String> {
        let [one, other] = self.pair(model).ok_or_else(|| "one of them is gone".to_owned())?;
        let with = self.other().ok_or_else(|| "one of them is gone".to_owned())?;
        let swap = Order::Swap { node: one.id, other: other.id };
        let order = if_seen(self.one, if_seen(with, swap));
        let done = format!("`{}` and `{}` have changed places; the same once more undoes it", one.name, other.name);
        judged(model, order, done)
    }

    fn input(&self) -> Option<Input<'_>> {
        self.picker.as_ref().map(Input::Picker)
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        self.picker.as_mut().map(InputMut::Picker)
    }
}

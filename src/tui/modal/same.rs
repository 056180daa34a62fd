//! Which machine is which: two rows are one, or one row is two.

use super::{Ask, Input, InputMut, Leads, Paragraph, Picker, if_seen, seen};
use crate::domain::fleet::{Fleet, likely_twins, who_stays};
use crate::domain::{Fqdn, Node, Order};
use crate::tui::model::Model;

/// Other rows that are offered at most.
const CHOICES: usize = 200;

/// Asks which row is the same machine, or whether the row is two.
#[derive(Debug)]
pub(in crate::tui) struct Same {
    name: Fqdn,
    choices: Vec<Result<(Order, String), String>>,
    picker: Picker,
}

impl Same {
    pub(super) fn new(node: &Node, fleet: &Fleet) -> Self {
        let twins = likely_twins(fleet, node);
        let others = fleet.nodes().map(|other| other.id).filter(|id| *id != node.id && !twins.contains(id));
        let mut lines = Vec::new();
        let mut choices = Vec::new();
        let (split, words) = split(node);
        lines.push(words);
        choices.push(split);
        for id in twins.iter().copied().chain(others).take(CHOICES) {
            let Some(other) = fleet.node(id) else { continue };
            let (stays, goes) = who_stays(node, other);
            let alike = if twins.contains(&id) { ", shares identifiers" } else { "" };
            lines.push(format!("the same machine as {} ({}{alike})", other.name, other.phase.word()));
            let done = format!("`{}` is part of `{}` now; `M` parts them", goes.name, stays.name);
            let merge = Order::Merge { node: goes.id, into: stays.id };
            choices.push(Ok((if_seen(seen(goes), if_seen(seen(stays), merge)), done)));
        }
        Self { name: node.name.clone(), choices, picker: Picker::new(lines) }
    }
}

fn split(node: &Node) -> (Result<(Order, String), String>, String) {
    let order = if_seen(seen(node), Order::Split { node: node.id, confirm: None });
    if node.may_be_installed() {
        let shell = format!("prox-orchestrator split {0} --confirm {0}", node.name);
        return (Err(shell.clone()), format!("the last request is another machine: {shell}"));
    }
    if let Some(absorbed) = node.absorbed.last() {
        let done = format!("`{}` is a row of its own again", absorbed.row.name);
        return (Ok((order, done)), format!("not the same machine as {}: undo that", absorbed.row.name));
    }
    let done = format!("the last request of `{}` has a row of its own", node.name);
    (Ok((order, done)), "the last request is another machine: split it off".to_owned())
}

impl Ask for Same {
    fn title(&self) -> String {
        format!("Which machine is {}?", self.name)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![
            Paragraph::plain("A row that may be installed stays, else the older one. Both lose their approvals."),
            Paragraph::muted("Undo: `M` again, on the row that stays."),
        ]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let chosen = self.choices.get(self.picker.marked()).cloned();
        let (order, done) = chosen.unwrap_or_else(|| Err("there is no other row".to_owned()))?;
        Ok(Leads::order(order, done))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Picker(&self.picker))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Picker(&mut self.picker))
    }
}

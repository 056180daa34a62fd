//! What is to become of a run that starts by itself: wait for missing nodes, go on without them, or hold it.

use super::{Ask, Input, InputMut, Leads, Paragraph, Picker};
use crate::domain::fleet::Gate;
use crate::domain::{Fqdn, Order};
use crate::tui::model::Model;

/// Names listed in full.
const NAMED: usize = 6;

/// Asks what the gate shall do.
#[derive(Debug)]
pub(in crate::tui) struct GateChoice {
    orders: Vec<(Order, &'static str)>,
    /// Whom "go now" is about, as they were when the dialog opened.
    going: [Vec<Fqdn>; 2],
    picker: Picker,
}

impl GateChoice {
    pub(super) fn new(model: &Model) -> Self {
        let is_held = matches!(model.overview.gate, Gate::Held { .. });
        let (wait, hold) = (Order::HoldGate { hold: false }, Order::HoldGate { hold: true });
        let going = model.snapshot.fleet.going();
        let [ready, missing] = [&going[0], &going[1]].map(|nodes| nodes.keys().copied().collect());
        let mut choices = vec![
            (
                "wait for the missing nodes; the run starts by itself",
                wait,
                "the run starts by itself when all are ready",
            ),
            (
                "go now, without the missing nodes: each gets a run when it comes",
                Order::GoAsSeen { ready, missing },
                "the run is queued",
            ),
            ("hold: nothing starts by itself until you say so", hold, "held: no run starts by itself"),
        ];
        if is_held {
            // What changes nothing is no choice.
            choices.remove(2);
            choices[0].0 = "let runs start by themselves again";
        }
        let picker = Picker::new(choices.iter().map(|(words, ..)| (*words).to_owned()).collect());
        let going = going.map(|nodes| nodes.into_values().collect());
        Self { orders: choices.into_iter().map(|(_, order, done)| (order, done)).collect(), going, picker }
    }
}

fn listed(nodes: &[Fqdn]) -> String {
    let names: Vec<_> = nodes.iter().take(NAMED).map(|name| name.host().to_owned()).collect();
    match nodes.len() - names.len() {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

impl Ask for GateChoice {
    fn title(&self) -> String {
        "When the playbook starts".to_owned()
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let mut body = vec![Paragraph::strong(model.overview.gate.words(model.now))];
        let [ready, missing] = &self.going;
        if !ready.is_empty() {
            body.push(Paragraph::plain(format!("\"go now\" runs on {}", listed(ready))));
        }
        if !missing.is_empty() {
            body.push(Paragraph::plain(format!("and no longer waits for {}", listed(missing))));
        }
        body
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let chosen = self.orders.get(self.picker.marked());
        let (order, done) = chosen.ok_or_else(|| "nothing is chosen".to_owned())?;
        Ok(Leads::order(order.clone(), (*done).to_owned()))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Picker(&self.picker))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Picker(&mut self.picker))
    }
}

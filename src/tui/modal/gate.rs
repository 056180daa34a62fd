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
        let (release, hold) = (Order::HoldGate { hold: false }, Order::HoldGate { hold: true });
        let going = model.snapshot.fleet.going();
        let [ready, missing] = [&going[0], &going[1]].map(|nodes| nodes.keys().copied().collect());
        // What changes nothing is no choice.
        let wait = if is_held {
            "let runs start by themselves again"
        } else {
            "wait for the missing nodes; the run starts by itself"
        };
        let mut choices = vec![(wait.to_owned(), release, "the run starts by itself when all are ready")];
        if !going[0].is_empty() {
            let without =
                if going[1].is_empty() { "" } else { ", without the missing nodes: each gets a run when it comes" };
            choices.push((format!("go now{without}"), Order::GoAsSeen { ready, missing }, "the run is queued"));
        }
        if !is_held {
            choices.push((
                "hold: nothing starts by itself until you say so".to_owned(),
                hold,
                "held: no run starts by itself",
            ));
        }
        let picker = Picker::new(choices.iter().map(|(words, ..)| words.clone()).collect());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{Rack, busy_rack};

    #[test]
    fn what_changes_nothing_is_no_choice() {
        let choices = |rack: &Rack| GateChoice::new(&rack.model(80, 24)).picker.choices().to_vec();
        let mut rack = Rack::new();
        let words = choices(&rack);
        assert!(
            words.len() == 2 && !words.iter().any(|words| words.starts_with("go now")),
            "nobody is ready: {words:?}"
        );
        rack.ready(1);
        assert_eq!(choices(&rack)[1], "go now", "nobody is missing");
        let words = choices(&busy_rack());
        assert!(words[1].starts_with("go now, without the missing nodes"), "{words:?}");
        rack.order(Order::HoldGate { hold: true });
        assert_eq!(choices(&rack), ["let runs start by themselves again", "go now"]);
    }
}

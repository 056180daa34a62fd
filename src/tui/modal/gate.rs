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
        let gate = &model.overview.gate;
        let (release, hold) = (Order::HoldGate { hold: false }, Order::HoldGate { hold: true });
        let going = model.snapshot.fleet.going();
        let [ready, missing] = [&going[0], &going[1]].map(|nodes| nodes.keys().copied().collect());
        let wait = (
            "wait for the missing nodes; the run starts by itself".to_owned(),
            release.clone(),
            "the run starts by itself when all are ready",
        );
        let hold = (
            "hold: nothing starts by itself until you say so".to_owned(),
            hold,
            "held: no run starts by itself until you say so (key W)",
        );
        let lift = ("let runs start by themselves again".to_owned(), release, lifted(gate));
        // Enter alone leaves it as it is.
        let (now, other) = if gate.is_held() { (hold, lift) } else { (wait, hold) };
        let mut choices = vec![now, other];
        if !going[0].is_empty() {
            let without =
                if going[1].is_empty() { "" } else { ", without the missing nodes: each gets a run when it comes" };
            choices.insert(1, (format!("go now{without}"), Order::GoAsSeen { ready, missing }, "the run is queued"));
        }
        let picker = Picker::new(choices.iter().map(|(words, ..)| words.clone()).collect());
        let going = going.map(|nodes| nodes.into_values().collect());
        Self { orders: choices.into_iter().map(|(_, order, done)| (order, done)).collect(), going, picker }
    }
}

/// What follows where the hold is lifted.
fn lifted(gate: &Gate) -> &'static str {
    match gate {
        Gate::Held { .. } => "not held any more: all are ready, so the run starts in a moment; Esc holds it",
        _ => "not held any more: a run starts by itself when all are ready",
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
    use crossterm::event::KeyCode;

    use super::*;
    use crate::tui::fixture::{Rack, busy_rack, press, text_of};

    fn choices(rack: &Rack) -> Vec<String> {
        GateChoice::new(&rack.model(80, 24)).picker.choices().to_vec()
    }

    #[test]
    fn what_cannot_be_done_is_no_choice() {
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
    }

    /// Nodes are missing or not: Enter alone never lifts a hold.
    #[test]
    fn it_begins_at_what_holds_now() {
        let first = |rack: &Rack| match GateChoice::new(&rack.model(80, 24)).leads(&rack.model(80, 24)) {
            Ok(Leads::Order(sending)) => sending.order,
            other => panic!("{other:?}"),
        };
        let mut ready = Rack::new();
        ready.ready(1);
        for mut rack in [ready, busy_rack()] {
            assert_eq!(first(&rack), Order::HoldGate { hold: false });
            rack.order(Order::HoldGate { hold: true });
            assert_eq!(first(&rack), Order::HoldGate { hold: true });
            assert!(choices(&rack).contains(&"let runs start by themselves again".to_owned()), "{:?}", choices(&rack));
            let mut model = rack.model(80, 24);
            assert!(text_of(&model).contains("held (W)"), "{}", text_of(&model));
            press(&mut model, KeyCode::Char('2'));
            assert_eq!(text_of(&model).contains("held: none starts"), model.overview.runs.is_empty());
        }
    }
}

//! Several things about one node changed in one order, and the note the operator keeps about it.

use jiff::Timestamp;

use super::{Decision, Fleet};
use crate::domain::change::Changes;
use crate::domain::command::{Order, Reply};
use crate::domain::event::Event;
use crate::domain::node::Node;
use crate::domain::refusal::Refusal;
use crate::domain::text::Text;

impl Fleet {
    /// All of it or nothing. Each change is judged as the ones before leave the fleet.
    pub(super) fn decide_edit(&self, node: &Node, changes: &Changes, now: Timestamp) -> Result<Decision, Refusal> {
        let node = node.id;
        let Changes { name, address, profile, nic, note } = changes.clone();
        let orders = [
            name.map(|name| Order::Rename { node, name }),
            address.map(|address| Order::SetAddress { node, address }),
            profile.map(|profile| Order::ChooseProfile { node, profile: profile.choice() }),
            nic.map(|mac| Order::ChooseNic { node, mac }),
            note.map(|note| Order::SetNote { node, note }),
        ];
        let mut draft = self.clone();
        let mut events = Vec::new();
        for order in orders.into_iter().flatten() {
            let decided = draft.decide_order(&order, now)?;
            draft.fold(&decided.events, now);
            events.extend(decided.events);
        }
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Done })
    }

    pub(super) fn decide_note(node: &Node, note: &Text) -> Decision {
        if node.note == *note {
            return Decision::none(Reply::Done);
        }
        Decision::one(Event::NoteSet { node: node.id, note: note.clone() })
    }

    /// Whether each row that an order is bound to is as it was seen.
    ///
    /// # Errors
    /// The first one that is not, or is gone.
    pub fn is_as_seen(&self, order: &Order) -> Result<(), Refusal> {
        let Order::IfSeen { node, revision, then } = order else { return Ok(()) };
        let node = self.existing(*node)?;
        if node.revision != *revision {
            return Err(Refusal::RowChanged { name: node.name.clone(), phase: node.phase.word() });
        }
        self.is_as_seen(then)
    }

    /// An order about a row as it was seen: refused where the row is another matter by now.
    pub(super) fn decide_if_seen(&self, order: &Order, now: Timestamp) -> Result<Decision, Refusal> {
        self.is_as_seen(order)?;
        self.decide_order(&order.clone().bare(), now)
    }
}

/// Whether a row is another matter than before, for whoever decides about it. That it asks once more, the same way, is
/// none, nor is a note. What it is installed with is: a profile decides which disks are wiped.
pub(super) fn is_another_matter(before: &Node, after: &Node) -> bool {
    let stamps = [before, after].map(|node| node.request.as_ref().map(|asked| &asked.stamp));
    let answers = [before, after].map(|node| node.answers.as_ref().map(|answers| (answers.count, answers.delivery)));
    before.phase != after.phase
        || before.name != after.name
        || before.plan != after.plan
        || before.profile != after.profile
        || before.nic != after.nic
        || before.fixed_address() != after.fixed_address()
        || stamps[0] != stamps[1]
        || answers[0] != answers[1]
        || before.report.is_some() != after.report.is_some()
        || before.reinstall_allowed != after.reinstall_allowed
}

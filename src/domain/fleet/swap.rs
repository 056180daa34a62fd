//! Two nodes change places before anything is installed: name, address, row of the plan and profile.

use std::sync::Arc;

use super::plan::fit_of;
use super::planned::{is_about_address, note_match};
use super::{Decision, Fleet};
use crate::domain::event::Event;
use crate::domain::id::NodeId;
use crate::domain::node::{Flag, Node};
use crate::domain::plan::{PlanMatch, words};
use crate::domain::refusal::Refusal;

impl Fleet {
    /// Undone by ordering it again.
    pub(super) fn decide_swap(node: &Node, other: &Node) -> Result<Decision, Refusal> {
        let cannot = |node: &Node, why: String| Refusal::CannotSwap(node.name.clone(), why);
        if node.id == other.id {
            return Err(cannot(node, "it takes two".to_owned()));
        }
        for row in [node, other] {
            if !row.may_swap() {
                let why = format!("it is {}; only machines that wait or are approved can be swapped", row.phase.word());
                return Err(cannot(row, why));
            }
        }
        let found = [fit_in(node, other), fit_in(other, node)];
        for (row, found) in [node, other].into_iter().zip(&found) {
            let against = found.as_ref().map(|found| &found.against).filter(|against| !against.is_empty());
            if let Some(against) = against {
                let why =
                    format!("plan.toml expects a machine with another {} there; correct it first", words(against));
                return Err(cannot(row, why));
            }
        }
        let [found, other_found] = found;
        Ok(Decision::one(Event::Swapped { node: node.id, other: other.id, found, other_found }))
    }

    /// Folds a swap in.
    pub(super) fn apply_swap(&mut self, ids: [NodeId; 2], found: [Option<PlanMatch>; 2]) {
        let [Some(one), Some(two)] = ids.map(|id| self.node(id).cloned()) else { return };
        // Both leave the index before either comes back: each has what the other had.
        self.index.remove(&one);
        self.index.remove(&two);
        let [found, other_found] = found;
        for (row, after) in [(&one, in_place_of(&one, &two, found)), (&two, in_place_of(&two, &one, other_found))] {
            self.index.insert(&after);
            self.state.nodes.insert(row.id, Arc::new(after));
        }
        self.swap_steps(one.id, two.id);
    }
}

/// How a machine fits the other's row of the plan.
fn fit_in(node: &Node, other: &Node) -> Option<PlanMatch> {
    other.plan.as_ref().and_then(|entry| fit_of(node, entry))
}

/// A machine with what the other had.
fn in_place_of(node: &Node, other: &Node, found: Option<PlanMatch>) -> Node {
    let mut after = Node {
        name: other.name.clone(),
        plan: other.plan.clone(),
        plan_match: found,
        address: other.address,
        assigned: other.assigned,
        profile: other.profile.clone(),
        counters: other.counters.clone(),
        is_walked: other.is_walked,
        revision: node.revision + 1,
        ..node.clone()
    };
    after.flags.retain(|flag| !is_about_address(flag) && !matches!(flag, Flag::NotAsWished { .. }));
    note_match(&mut after);
    after
}

//! Samples of walk mode, swaps and notes.

use super::{NODE, Sample, name, operator, peer, system};
use crate::domain::event::Event;
use crate::domain::id::NodeId;
use crate::domain::node::Flag;
use crate::domain::plan::PlanMatch;
use crate::domain::walk::WalkStep;

pub(super) fn walking() -> Vec<Sample> {
    let (node, slot) = (NodeId(8), name(NodeId(9)));
    let walked = |step| Event::Walked { step };
    let took = |found| walked(WalkStep::Took { node, slot: slot.clone(), found });
    vec![
        operator(walked(WalkStep::Begun { first: None })),
        peer(8, took(Some(PlanMatch::default()))),
        operator(walked(WalkStep::Skipped { slot: slot.clone() })),
        operator(walked(WalkStep::Back { slot: slot.clone() })),
        operator(walked(WalkStep::Returned { node, slot: slot.clone(), name: name(node) })),
        operator(walked(WalkStep::Ended)),
        operator(walked(WalkStep::Begun { first: Some(slot.clone()) })),
        peer(8, took(None)),
        operator(Event::Swapped { node: NODE, other: node, found: None, other_found: None }),
        operator(Event::Swapped {
            node: NODE,
            other: node,
            found: Some(PlanMatch::default()),
            other_found: Some(PlanMatch::default()),
        }),
        operator(Event::NoteSet { node: NODE, note: "PSU 2 is dark".into() }),
        operator(Event::NoteSet { node: NODE, note: "".into() }),
        system(Event::Flagged { node: NODE, flag: Flag::NotTheNext { slot } }),
    ]
}

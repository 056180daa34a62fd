//! Samples of what events came to say after the first ones were frozen.

use std::sync::Arc;

use super::planning::entry;
use super::*;

pub(super) fn samples() -> Vec<Sample> {
    let (document, secret) = (DocumentHash::of(b"answer"), Some(SecretHash::of(b"secret")));
    let (node, found, moved) = (NodeId(5), None, Some(name(NodeId(7))));
    vec![
        system(Event::AnswerLost { node: NODE, document, secret }),
        system(Event::AnswerDelivered { node: NODE, document, secret }),
        system(Event::PlanChanged { node, entry: Arc::new(entry()), found, name: moved }),
        system(Event::Flagged { node, flag: Flag::LikeBanned { name: name(NODE) } }),
        system(Event::Flagged {
            node,
            flag: Flag::CameToNothing { verb: Verb::Approve, why: "no address of the pool is free".into() },
        }),
        system(Event::Flagged {
            node,
            flag: Flag::RunsLong { reason: "configuring for 41 min, usually takes 9".into() },
        }),
        system(Event::RepeatsOver { node }),
        system(Event::LeftBehind { node, reason: "the run that configured it ended without a word about it".into() }),
        system(Event::Unflagged { node, flag: Flag::WrongHostKey }),
        operator(Event::GateWaived { nodes: [node].into(), expect: Some(12) }),
        system(Event::Flagged { node, flag: Flag::ReportedOtherKey }),
        system(Event::Flagged { node, flag: Flag::AskedAs { other: NODE } }),
    ]
}

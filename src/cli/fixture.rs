//! Snapshots for the tests of this folder.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::event_samples::events;
use crate::domain::snapshot::{Hold, Service};
use crate::domain::{Event, Fleet, NodeId, Origin, Recorded, Snapshot};

fn snapshot(events: impl IntoIterator<Item = Recorded>) -> Snapshot {
    let mut fleet = Fleet::default();
    events.into_iter().for_each(|recorded| fleet.apply(&recorded));
    let at = Timestamp::UNIX_EPOCH;
    Snapshot {
        seq: 1,
        at,
        fleet,
        holds: imbl::OrdMap::new(),
        undecided: imbl::OrdMap::new(),
        service: Arc::new(Service::default()),
    }
}

/// Nodes of these names and nothing else.
pub(super) fn named(nodes: &[(u64, &str)]) -> Snapshot {
    let imported = |(node, name): &(u64, &str)| {
        let (node, name) = (NodeId(*node), name.parse().unwrap());
        let event = Event::Imported { node, name, status: "installed".into() };
        Recorded { seq: 1, at: Timestamp::UNIX_EPOCH, origin: Origin::System, event }
    };
    snapshot(nodes.iter().map(imported))
}

/// The sample story after so many events, with one machine on hold.
pub(super) fn told(events_told: usize) -> Snapshot {
    let mut snapshot = snapshot(events().into_iter().take(events_told));
    let since = Timestamp::from_second(1_767_225_600).unwrap();
    let until = Timestamp::from_second(1_767_225_645).unwrap();
    snapshot.holds.insert(NodeId(1), Hold { since, until });
    snapshot
}

//! Samples of what the plan says.

use std::sync::Arc;

use super::{Sample, mac, name, operator, peer, system};
use crate::domain::event::Event;
use crate::domain::id::NodeId;
use crate::domain::node::Flag;
use crate::domain::plan::{PlanEntry, PlanKey, PlanMatch};

fn entry() -> PlanEntry {
    PlanEntry {
        serial: Some("S2HRNX0J403405".into()),
        uuid: Some(uuid::Uuid::from_u128(5)),
        macs: [mac(NodeId(5))].into(),
        asset_tag: Some("INV-5".into()),
        address: Some([192, 0, 2, 5].into()),
        profile: Some("storage".parse().unwrap()),
        role: Some("ceph".into()),
        rack: Some("R7".into()),
        slot: Some("12".into()),
        columns: [("owner".to_owned(), "anna".into())].into(),
        ..PlanEntry::new(name(NodeId(5)))
    }
}

pub(super) fn planning() -> Vec<Sample> {
    let node = NodeId(5);
    let found =
        PlanMatch { by: [PlanKey::Uuid, PlanKey::Serial].into(), against: [PlanKey::Mac, PlanKey::AssetTag].into() };
    let bare = Arc::new(PlanEntry::new(name(NodeId(6))));
    let other = NodeId(2);
    let flags = [
        Flag::LeaseReused { of: other },
        Flag::ChooseNic,
        Flag::PlanConflict { other },
        Flag::PlanContradicted { what: "MAC".into() },
        Flag::PlanWeak,
        Flag::PlanName { name: name(other) },
    ];
    let mut samples = vec![
        system(Event::Planned { node, entry: Arc::new(entry()) }),
        system(Event::Planned { node: NodeId(6), entry: Arc::clone(&bare) }),
        system(Event::PlanChanged { node, entry: Arc::new(entry()), found: Some(PlanMatch::default()) }),
        peer(5, Event::PlanMatched { node, found: found.clone() }),
        operator(Event::PlanJoined { node: other, row: NodeId(6), entry: bare, found: PlanMatch::default() }),
        peer(2, Event::PlanJoined { node: other, row: NodeId(6), entry: Arc::new(entry()), found }),
        operator(Event::AddressAssigned { node, address: [192, 0, 2, 30].into() }),
        operator(Event::NicChosen { node, mac: mac(node) }),
        system(Event::Unplanned { node }),
    ];
    samples.extend(flags.map(|flag| system(Event::Flagged { node, flag })));
    samples
}

//! A flood of strangers and the rows it may take.

use std::sync::Arc;

use super::*;
use crate::domain::event::Event;

/// A fleet with room for `rows` undecided machines.
fn narrow(rows: usize) -> Rack {
    Rack::under(Policy { waiting_rows: rows, ..Policy::default() })
}

/// A machine nobody knows, at this address.
fn stranger(rack: &mut Rack, number: u64, peer: &str) -> NodeId {
    let mut ask = box_a().ask();
    let mac = format!("02:00:00:00:{:02x}:{:02x}", number / 256, number % 256);
    ask.stamp.peer = peer.parse().unwrap();
    ask.stamp.macs = [mac.parse().unwrap()].into();
    ask.stamp.body = DocumentHash::of(&number.to_be_bytes());
    let info = Arc::make_mut(&mut ask.info);
    info.dmi.uuid = None;
    info.links[0].mac = mac.parse().unwrap();
    match rack.submit(&Command::Ask(ask)).unwrap().reply {
        Reply::Asked { node, .. } => node,
        other => panic!("{other:?}"),
    }
}

fn is_there(rack: &Rack, id: NodeId) -> bool {
    rack.fleet.node(id).is_some()
}

#[test]
fn the_address_with_most_rows_gives_way() {
    let mut rack = narrow(5);
    let honest: Vec<_> = (0..2).map(|number| stranger(&mut rack, number, &format!("192.0.2.{number}"))).collect();
    let flood: Vec<_> = (10..30).map(|number| stranger(&mut rack, number, "198.51.100.9")).collect();
    assert!(honest.iter().all(|id| is_there(&rack, *id)));
    let left: Vec<_> = flood.iter().filter(|id| is_there(&rack, **id)).collect();
    assert_eq!(left, flood[17..].iter().collect::<Vec<_>>(), "the oldest goes first");
    let late = stranger(&mut rack, 99, "192.0.2.99");
    assert!(is_there(&rack, late) && honest.iter().all(|id| is_there(&rack, *id)));
    let gone = rack.log.iter().filter(|recorded| matches!(recorded.event, Event::GaveWay { rows: 2.., .. }));
    assert_eq!(gone.count(), 18);
}

#[test]
fn a_row_somebody_decided_on_never_gives_way() {
    let mut rack = narrow(2);
    let decided: Vec<_> = (0..4)
        .map(|number| {
            let node = stranger(&mut rack, number, "198.51.100.9");
            if number % 2 == 0 {
                rack.approve(node).unwrap();
            } else {
                rack.order(Order::Reject { node, reason: "".into() }).unwrap();
            }
            node
        })
        .collect();
    for number in 10..30 {
        stranger(&mut rack, number, &format!("192.0.2.{number}"));
    }
    assert!(decided.iter().all(|id| is_there(&rack, *id)));
    assert_eq!(rack.fleet.node_count(), 4 + 2);
}

#[test]
fn a_flood_of_reports_pushes_out_its_own() {
    let mut rack = Rack::new();
    let mut report = |number: u32, peer: &str| {
        let document = DocumentHash::of(&number.to_be_bytes());
        let (peer, report, secret) = (peer.parse().unwrap(), Report::default(), None);
        rack.submit(&Command::Report(Box::new(ReportIn { peer, document, report, secret }))).unwrap();
    };
    report(0, "192.0.2.1");
    for number in 1..1_500 {
        report(number, "198.51.100.9");
    }
    report(9_999, "192.0.2.2");
    let peers: Vec<_> = rack.fleet.unmatched().map(|report| report.peer.to_string()).collect();
    assert_eq!(peers.len(), crate::domain::fleet::MAX_UNMATCHED);
    assert_eq!((peers[0].as_str(), peers[peers.len() - 1].as_str()), ("192.0.2.1", "192.0.2.2"));
}

#[test]
fn a_machine_that_asks_again_takes_no_further_row() {
    let mut rack = narrow(1);
    let node = stranger(&mut rack, 1, "192.0.2.1");
    assert_eq!(stranger(&mut rack, 1, "192.0.2.1"), node);
    assert_eq!(stranger(&mut rack, 1, "192.0.2.7"), node);
    let other = stranger(&mut rack, 2, "192.0.2.1");
    assert!(!is_there(&rack, node) && is_there(&rack, other));
}

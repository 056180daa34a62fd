//! A flood of strangers and the rows it may take.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::domain::command::Verb;
use crate::domain::event::Event;
use crate::domain::fleet::MAX_UNMATCHED;
use crate::domain::node::{Flag, ProfileChoice};
use crate::domain::policy::Auto;
use crate::domain::snapshot::Undecided;

/// A fleet with room for `rows` undecided machines.
fn narrow(rows: usize) -> Rack {
    Rack::under(Policy { waiting_rows: rows, ..Policy::default() })
}

/// A machine nobody knows, at this address.
fn stranger(rack: &mut Rack, number: u64, peer: &str) -> NodeId {
    asks(rack, number, peer).unwrap()
}

/// The same; there may be no room for it.
fn asks(rack: &mut Rack, number: u64, peer: &str) -> Result<NodeId, Refusal> {
    let mut ask = box_a().ask();
    let mac = format!("02:00:00:00:{:02x}:{:02x}", number / 256, number % 256);
    ask.stamp.peer = peer.parse().unwrap();
    ask.stamp.macs = [mac.parse().unwrap()].into();
    ask.stamp.body = DocumentHash::of(&number.to_be_bytes());
    let info = Arc::make_mut(&mut ask.info);
    info.dmi.uuid = None;
    info.links[0].mac = mac.parse().unwrap();
    match rack.submit(&Command::Ask(ask))?.reply {
        Reply::Asked { node, .. } => Ok(node),
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
    let flood: Vec<_> = (10..30).filter_map(|number| asks(&mut rack, number, "198.51.100.9").ok()).collect();
    assert_eq!(flood.len(), 3, "it fills what is left, and is not told by further events");
    assert_eq!(asks(&mut rack, 30, "198.51.100.9"), Err(Refusal::Crowded(5)));
    let late = stranger(&mut rack, 99, "192.0.2.99");
    assert!(is_there(&rack, late) && honest.iter().all(|id| is_there(&rack, *id)));
    let left: Vec<_> = flood.iter().filter(|id| is_there(&rack, **id)).collect();
    assert_eq!(left, flood[1..].iter().collect::<Vec<_>>(), "the oldest goes first");
    rack.pass(Duration::from_hours(1));
    stranger(&mut rack, 31, "198.51.100.9");
    let gone = rack.log.iter().filter(|recorded| matches!(recorded.event, Event::GaveWay { .. }));
    assert_eq!(gone.count(), 2);
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
        rack.pass(Duration::from_hours(1));
        stranger(&mut rack, number, &format!("192.0.2.{number}"));
    }
    assert!(decided.iter().all(|id| is_there(&rack, *id)));
    assert_eq!(rack.fleet.node_count(), 4 + 2);
}

#[rstest::rstest]
#[case::note(|node| Order::SetNote { node, note: "bay 7".into() })]
#[case::profile(|node| Order::ChooseProfile { node, profile: Some(ProfileChoice::Without) })]
fn a_row_somebody_has_touched_never_gives_way(#[case] touch: fn(NodeId) -> Order) {
    let mut rack = narrow(1);
    let touched = stranger(&mut rack, 1, "198.51.100.1");
    rack.order(touch(touched)).unwrap();
    let next = stranger(&mut rack, 2, "198.51.100.1");
    rack.pass(Duration::from_hours(1));
    stranger(&mut rack, 3, "198.51.100.1");
    assert_eq!([touched, next].map(|id| is_there(&rack, id)), [true, false]);
}

#[test]
fn a_row_somebody_is_deciding_on_never_gives_way() {
    let mut rack = narrow(1);
    let node = stranger(&mut rack, 1, "198.51.100.1");
    let (verb, origin, until) = (Verb::Reject, Origin::System, rack.now);
    rack.fleet.set_undecided(imbl::OrdMap::unit(node, Undecided { verb, origin, until }));
    rack.pass(Duration::from_hours(1));
    assert_eq!(asks(&mut rack, 2, "198.51.100.2"), Err(Refusal::Crowded(1)));
    rack.fleet.set_undecided(imbl::OrdMap::new());
    stranger(&mut rack, 2, "198.51.100.2");
}

#[test]
fn a_flood_from_ever_new_addresses_changes_the_rows_once_an_hour() {
    let mut rack = narrow(3);
    let first: Vec<_> = (1..=3).map(|number| stranger(&mut rack, number, &format!("198.51.100.{number}"))).collect();
    let before = rack.log.len();
    for number in 10..250 {
        assert_eq!(asks(&mut rack, number, &format!("203.0.113.{number}")), Err(Refusal::Crowded(3)));
    }
    assert!(first.iter().all(|id| is_there(&rack, *id)), "who was first has its row long enough to be looked at");
    assert_eq!(rack.log.len(), before, "and nothing is stored");
    rack.pass(Duration::from_hours(1));
    stranger(&mut rack, 250, "203.0.113.250");
    assert_eq!(first.iter().map(|id| is_there(&rack, *id)).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn two_addresses_do_not_push_each_other_out_for_ever() {
    let mut rack = narrow(4);
    for number in 0..400 {
        let _ = asks(&mut rack, number, ["198.51.100.9", "203.0.113.9"][usize::from(number % 3 == 0)]);
    }
    assert!(rack.log.len() <= 6, "{} events", rack.log.len());
    let of = |peer: &str| {
        let peers = rack.fleet.nodes().filter_map(|node| Some(node.request.as_ref()?.stamp.peer.to_string()));
        peers.filter(|other| other == peer).count()
    };
    assert_eq!((of("198.51.100.9"), of("203.0.113.9")), (2, 2), "each has its half");
}

#[test]
fn whom_a_rule_approves_needs_none_of_the_places() {
    let mut rack = narrow(1);
    let undecided = stranger(&mut rack, 1, "198.51.100.1");
    assert_eq!(asks(&mut rack, 2, "198.51.100.2"), Err(Refusal::Crowded(1)));
    rack.fleet.set_policy(Policy { auto: Auto::All, ..rack.fleet.policy().clone() });
    let approved = stranger(&mut rack, 2, "198.51.100.2");
    assert_eq!((rack.phase(approved), is_there(&rack, undecided)), ("approved", true));
}

#[test]
fn a_flood_of_reports_pushes_out_its_own() {
    let mut rack = Rack::new();
    let mut report = |number: u32, peer: &str| {
        let document = DocumentHash::of(&number.to_be_bytes());
        let (peer, report, secret) = (peer.parse().unwrap(), Report::default(), None);
        let _ = rack.submit(&Command::Report(Box::new(ReportIn { peer, document, report, secret, may_move: true })));
    };
    report(0, "192.0.2.1");
    for number in 1..1_500 {
        report(number, "198.51.100.9");
    }
    report(9_999, "192.0.2.2");
    assert_eq!(rack.log.len(), MAX_UNMATCHED + 1, "those in between are no events");
    let peers: Vec<_> = rack.fleet.unmatched().map(|report| report.peer.to_string()).collect();
    assert_eq!(peers.len(), MAX_UNMATCHED);
    assert_eq!((peers[0].as_str(), peers[peers.len() - 1].as_str()), ("192.0.2.1", "192.0.2.2"));
}

#[test]
fn a_machine_that_asks_again_takes_no_further_row() {
    let mut rack = narrow(1);
    let node = stranger(&mut rack, 1, "192.0.2.1");
    assert_eq!(stranger(&mut rack, 1, "192.0.2.1"), node);
    assert_eq!(stranger(&mut rack, 1, "192.0.2.7"), node);
    rack.pass(Duration::from_hours(1));
    let other = stranger(&mut rack, 2, "192.0.2.1");
    assert!(!is_there(&rack, node) && is_there(&rack, other));
}

#[test]
fn a_flood_out_of_one_ipv6_network_takes_room_from_itself() {
    let mut rack = narrow(4);
    let honest: Vec<_> =
        (1..=2).map(|number| stranger(&mut rack, number, &format!("2001:db8:0:{number}::1"))).collect();
    for number in 10..30 {
        let _ = asks(&mut rack, number, &format!("2001:db8:0:f::{number:x}"));
    }
    assert!(honest.iter().all(|id| is_there(&rack, *id)), "whoever has one such address has all of its network");
    for number in 1..=MAX_UNMATCHED as u64 + 9 {
        let peer = if number == 1 { "2001:db8:0:1::1".to_owned() } else { format!("2001:db8:0:f::{number:x}") };
        let report = ReportIn {
            peer: peer.parse().unwrap(),
            document: DocumentHash::of(&number.to_be_bytes()),
            report: Report::default(),
            secret: None,
            may_move: true,
        };
        let _ = rack.submit(&Command::Report(Box::new(report)));
    }
    assert!(rack.fleet.unmatched().any(|report| report.id.0 == 1), "nor do its reports push out others'");
}

/// Ten minutes of what one address may ask in that time.
const FLOOD: u32 = 6_000;

#[test]
fn a_machine_that_asks_and_asks_is_an_event_now_and_then() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    for _ in 1..FLOOD {
        rack.pass(Duration::from_millis(100));
        assert!(matches!(rack.ask(&box_a()).1, Verdict::Hold(crate::domain::guard::Withheld::Undecided(_))));
        rack.submit(&Command::RetryServed { node, why: "waits for approval".into() }).unwrap();
    }
    let told = |rack: &Rack| {
        let is_reply = |recorded: &&Recorded| matches!(recorded.event, Event::RetryServed { .. });
        rack.log.iter().filter(is_reply).count()
    };
    assert!(rack.log.len() < 50, "{} events", rack.log.len());
    assert_eq!(told(&rack), rack.log.len() / 2, "one reply each");
    // Decisions are made and told as ever.
    rack.approve(node).unwrap();
    let grant = rack.served(&box_a());
    assert_eq!(rack.release(&box_a(), &grant, None), Reply::Released);
    rack.write(node, true);
    rack.report(node, 0);
    assert_eq!(rack.phase(node), "installed");
    let before = rack.log.len();
    for _ in 0..FLOOD {
        rack.pass(Duration::from_millis(100));
        assert!(matches!(rack.ask(&box_a()).1, Verdict::Hold(_)));
    }
    assert!(rack.log.len() < before + 30, "{} more events", rack.log.len() - before);
    assert!(rack.node(node).flags.contains(&Flag::AsksAgain));
    assert_eq!(rack.phase(node), "installed");
}

#[test]
fn who_asks_in_anothers_name_fills_no_log_and_voids_an_approval_at_once() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    let other = |body: u32| {
        let mut ask = Box1 { peer: "198.51.100.9", ..box_a() }.ask();
        ask.stamp.body = DocumentHash::of(&body.to_be_bytes());
        Command::Ask(ask)
    };
    for body in 0..FLOOD {
        rack.pass(Duration::from_millis(100));
        rack.submit(&other(body)).unwrap();
    }
    assert!(rack.log.len() < 80, "{} events", rack.log.len());
    rack.approve(node).unwrap();
    rack.submit(&other(FLOOD)).unwrap();
    assert_eq!(rack.phase(node), "waiting", "however soon it comes");
}

#[test]
fn a_flood_with_one_uuid_names_a_few_rows_in_each() {
    let mut rack = Rack::new();
    let used = rack.install(&box_a());
    let mut sizes = Vec::new();
    for number in 0..300_u64 {
        let mut ask = Box1 { peer: "198.51.100.9", ..box_a() }.ask();
        let mac = format!("02:00:00:00:{:02x}:{:02x}", number / 256, number % 256).parse().unwrap();
        ask.stamp.macs = [mac].into();
        ask.stamp.body = DocumentHash::of(&number.to_be_bytes());
        Arc::make_mut(&mut ask.info).links[0].mac = mac;
        let decision = rack.submit(&Command::Ask(ask)).unwrap();
        sizes.push(serde_json::to_string(&decision.events).unwrap().len());
    }
    assert_eq!(rack.fleet.node_count(), 301, "each is a machine of its own");
    assert!(sizes[299] < sizes[20] + 100, "{} bytes, then {}", sizes[20], sizes[299]);
    let last = rack.fleet.nodes().last().unwrap();
    assert!(last.flags.len() <= 9, "{:?}", last.flags);
    assert!(last.flags.contains(&Flag::DuplicateOf { other: used }), "the one that matters is among them");
    assert!(last.flags.iter().any(Flag::needs_a_person));

    // Where all of them fit equally, too.
    let macs: BTreeSet<_> = rack.fleet.nodes().flat_map(|node| node.machine.macs.iter().copied()).take(200).collect();
    let mut ask = Box1 { uuid: None, ..box_a() }.ask();
    let links = macs.iter().map(|mac| Link { name: "eno1".into(), mac: *mac });
    Arc::make_mut(&mut ask.info).links = links.collect();
    ask.stamp.macs = macs;
    rack.submit(&Command::Ask(ask)).unwrap();
    assert!(rack.node(used).flags.len() <= 10, "{:?}", rack.node(used).flags);
}

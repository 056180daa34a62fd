//! Grants that went stale while an answer was made: for every reason the guard has, the release is refused.

use std::collections::BTreeSet;

use super::*;
use crate::domain::address::{AddressRules, AddressSource, NicRule};
use crate::domain::event::Event;
use crate::domain::guard::Withheld;

/// A number for each reason. A new one does not compile until it has one, and then a case below.
fn number(why: &Withheld) -> u8 {
    match why {
        Withheld::Undecided(_) => 0,
        Withheld::Changed(_) => 1,
        Withheld::AsksAgain { .. } => 2,
        Withheld::Banned(_) => 3,
        Withheld::AddressTaken(_) => 4,
        Withheld::ChooseNic(_) => 5,
        Withheld::BadRequester { .. } => 6,
        Withheld::BadAddress { .. } => 7,
        Withheld::NoPlannedAddress(_) => 8,
        Withheld::PoolEmpty(_) => 9,
        Withheld::Rejected(_) => 10,
    }
}

/// A machine with two NICs that does not show which one asks.
fn ask() -> Ask {
    let machine = Box1 { macs: vec![MAC_A, "b4:2e:99:00:00:1a"], ..box_a() };
    Ask { asking_mac: None, ..machine.ask() }
}

/// What happens between the grant and the release.
type Meanwhile = fn(&mut Rack, NodeId);

fn rules(rack: &mut Rack, change: impl FnOnce(&mut AddressRules)) {
    let mut policy = rack.fleet.policy().clone();
    change(&mut policy.addresses);
    rack.fleet.set_policy(policy);
}

fn asks_from_elsewhere(rack: &mut Rack, _: NodeId) {
    let mut ask = ask();
    ask.stamp.peer = [192, 0, 2, 66].into();
    rack.submit(&Command::Ask(ask)).unwrap();
}

fn undone(rack: &mut Rack, node: NodeId) {
    rack.order(Order::Undo { node }).unwrap();
}

const CASES: [(u8, Meanwhile); 12] = [
    (0, undone),
    (0, asks_from_elsewhere),
    (1, |rack, node| {
        asks_from_elsewhere(rack, node);
        rack.approve(node).unwrap();
    }),
    (2, |rack, node| {
        rack.report_with(None, Report::default(), 9);
        let report = rack.fleet.unmatched().next().unwrap().id;
        rack.order(Order::Adopt { report, node }).unwrap();
    }),
    (2, |rack, node| {
        rack.order(Order::MarkInstalled { node }).unwrap();
    }),
    (4, |rack, _| {
        let (other, _) = rack.ask(&box_b());
        rack.order(Order::SetAddress { node: other, address: box_a().peer.parse().unwrap() }).unwrap();
    }),
    (5, |rack, _| rules(rack, |rules| rules.nic = NicRule::Asking { or_vendor: false })),
    (6, |rack, _| rules(rack, |rules| rules.gateway = Some(box_a().peer.parse().unwrap()))),
    (7, |rack, node| {
        rack.order(Order::SetAddress { node, address: [192, 0, 2, 77].into() }).unwrap();
        rules(rack, |rules| rules.dns = Some([192, 0, 2, 77].into()));
    }),
    (8, |rack, _| rules(rack, |rules| rules.source = AddressSource::Plan)),
    (9, |rack, _| rules(rack, |rules| rules.source = AddressSource::Pool)),
    (10, |rack, node| {
        undone(rack, node);
        rack.order(Order::Reject { node, reason: Text::default() }).unwrap();
    }),
];

/// Released as it was granted, after `meanwhile`.
fn release(rack: &mut Rack, meanwhile: Meanwhile) -> Reply {
    let Reply::Asked { node, .. } = rack.submit(&Command::Ask(ask())).unwrap().reply else { panic!() };
    rack.approve(node).unwrap();
    let Reply::Asked { verdict: Verdict::Serve(grant), .. } = rack.submit(&Command::Ask(ask())).unwrap().reply else {
        panic!("not served")
    };
    meanwhile(rack, node);
    let shown = Box1 { macs: vec![MAC_A, "b4:2e:99:00:00:1a"], ..box_a() };
    let reply = rack.release(&shown, &grant, Some("192.0.2.10/24"));
    assert!(!matches!(rack.phase(node), "installing"), "{reply:?}");
    reply
}

fn rack() -> Rack {
    let addresses = AddressRules { nic: NicRule::Vendor, ..AddressRules::default() };
    Rack::under(Policy { addresses, ..Policy::default() })
}

#[test]
fn a_stale_grant_is_worth_nothing() {
    let mut seen = BTreeSet::new();
    for (place, (expected, meanwhile)) in CASES.into_iter().enumerate() {
        let mut rack = rack();
        let reply = release(&mut rack, meanwhile);
        let (Reply::Withheld(why) | Reply::Barred(why)) = &reply else { panic!("case {place}: {reply:?}") };
        assert_eq!(matches!(reply, Reply::Barred(_)), matches!(why, Withheld::Rejected(_)), "case {place}");
        assert_eq!(number(why), expected, "case {place}: {why}");
        assert!(!rack.log.iter().any(|recorded| matches!(recorded.event, Event::AnswerReleased { .. })));
        seen.insert(expected);
    }
    // A banned machine has no row that anything could be released to.
    let mut banned = rack();
    let (node, _) = banned.ask(&box_a());
    banned.approve(node).unwrap();
    let grant = banned.served(&box_a());
    let stale = banned.release_of(&box_a(), &grant, None);
    banned.order(Order::Ban { node, reason: Text::default() }).unwrap();
    assert_eq!(banned.submit(&Command::Release(stale)), Err(Refusal::UnknownNode(node)));
    let Reply::Barred(why) = banned.submit(&Command::Ask(box_a().ask())).unwrap().reply else { panic!("not barred") };
    seen.insert(number(&why));
    assert_eq!(seen, (0..=10).collect(), "every reason");
}

#[test]
fn a_second_release_of_one_grant_is_a_repeat_and_ends_with_its_window() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let grant = rack.served(&box_a());
    assert_eq!(rack.release(&box_a(), &grant, None), Reply::Released);
    rack.pass(Policy::default().repeat_window + Duration::from_secs(1));
    let reply = rack.release(&box_a(), &grant, None);
    assert!(matches!(reply, Reply::Withheld(Withheld::AsksAgain { .. })), "{reply:?}");
}

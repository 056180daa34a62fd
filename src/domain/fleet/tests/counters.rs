//! Counters and the names that are made with them: sticky, and the lowest free one.

use rstest::rstest;

use super::*;
use crate::domain::naming::{NamePart, NameWish};
use crate::domain::node::Flag;

fn counter(name: &str) -> NamePart {
    NamePart::Counter { name: name.into(), start: 1, width: 2 }
}

fn wish(parts: &[NamePart]) -> NameWish {
    NameWish { parts: parts.to_vec() }
}

fn text(text: &str) -> NamePart {
    NamePart::Text(text.to_owned())
}

/// Machine `n` asks with a wish.
fn ask(rack: &mut Rack, n: u8, wish: Option<NameWish>) -> NodeId {
    let mac: &'static str = Box::leak(format!("b4:2e:99:00:00:{n:02x}").into_boxed_str());
    let peer: &'static str = Box::leak(format!("192.0.2.{n}").into_boxed_str());
    let machine = Box1 { uuid: None, macs: vec![mac], peer, body: n };
    let ask = Ask { wish: wish.map(Ok), ..machine.ask() };
    match rack.submit(&Command::Ask(ask)).unwrap().reply {
        Reply::Asked { node, .. } => node,
        other => panic!("{other:?}"),
    }
}

fn name(rack: &Rack, node: NodeId) -> String {
    rack.node(node).name.to_string()
}

#[test]
fn names_count_up_and_a_forgotten_row_frees_its_number() {
    let mut rack = Rack::new();
    let pve = || Some(wish(&[text("pve"), counter("r7")]));
    let rows: Vec<_> = (1..=3).map(|n| ask(&mut rack, n, pve())).collect();
    let names: Vec<_> = rows.iter().map(|row| name(&rack, *row)).collect();
    assert_eq!(names, ["pve01.example.com", "pve02.example.com", "pve03.example.com"]);
    // A machine that asks again, after a reboot or a failed install, keeps its name and uses nothing up.
    assert_eq!(ask(&mut rack, 2, pve()), rows[1]);
    assert_eq!(rack.fleet.next_of(&"r7".into(), 1), 4);
    rack.order(Order::Forget { node: rows[1] }).unwrap();
    let next = ask(&mut rack, 4, pve());
    assert_eq!(name(&rack, next), "pve02.example.com");
    let other = ask(&mut rack, 5, Some(wish(&[text("db"), counter("other"), text(".lab.example")])));
    assert_eq!(name(&rack, other), "db01.lab.example");
}

#[test]
fn a_taken_name_costs_a_number_and_a_restart_none() {
    let mut rack = Rack::new();
    let first = ask(&mut rack, 1, None);
    rack.order(Order::Rename { node: first, name: "pve01.example.com".parse().unwrap() }).unwrap();
    let second = ask(&mut rack, 2, Some(wish(&[text("pve"), counter("r7")])));
    assert_eq!(
        (name(&rack, second).as_str(), &rack.node(second).counters),
        ("pve02.example.com", &[("r7".into(), 2)].into())
    );
    // The index is not stored: it is made anew.
    let stored = serde_json::to_string(&rack.fleet).unwrap();
    rack.fleet = serde_json::from_str(&stored).unwrap();
    assert_eq!(rack.fleet.next_of(&"r7".into(), 2), 3);
}

#[rstest]
#[case(&[text("db")], "`db.example.com` is taken")]
#[case(&[text("-")], "the part `-` starts or ends with `-`")]
#[case(&[text("7"), counter("x")], "the first part `701` is only digits; the installer refuses that")]
fn a_wish_that_cannot_be_granted_is_flagged(#[case] parts: &[NamePart], #[case] why: &str) {
    let mut rack = Rack::new();
    let first = ask(&mut rack, 1, Some(wish(&[text("db")])));
    assert_eq!(name(&rack, first), "db.example.com");
    let row = ask(&mut rack, 2, Some(wish(parts)));
    assert_eq!(name(&rack, row), "pve-0002.example.com");
    assert!(rack.node(row).flags.contains(&Flag::NotAsWished { reason: why.into() }), "{:?}", rack.node(row).flags);
    rack.order(Order::Rename { node: row, name: "x.example.com".parse().unwrap() }).unwrap();
    assert!(rack.node(row).flags.iter().all(|flag| !matches!(flag, Flag::NotAsWished { .. })));
}

#[test]
fn an_answer_takes_the_counters_it_lacks_once() {
    let mut rack = Rack::new();
    let (one, two) = (ask(&mut rack, 1, None), ask(&mut rack, 2, None));
    let take =
        |node| Command::TakeCounters { node, counters: vec![("ip".into(), 10), ("ip".into(), 10), ("vlan".into(), 1)] };
    for node in [one, two, one] {
        rack.submit(&take(node)).unwrap();
    }
    assert_eq!(rack.node(one).counters, [("ip".into(), 10), ("vlan".into(), 1)].into());
    assert_eq!(rack.node(two).counters, [("ip".into(), 11), ("vlan".into(), 2)].into());
    assert_eq!(rack.submit(&take(one)).unwrap().events, []);
}

#[test]
fn a_choice_of_profile_is_a_fact_once() {
    let mut rack = Rack::new();
    let node = ask(&mut rack, 1, None);
    let choose = |profile| Order::ChooseProfile { node, profile };
    let storage = Some(crate::domain::ProfileChoice::Named("storage".parse().unwrap()));
    assert_eq!(rack.order(choose(storage.clone())).unwrap().events.len(), 1);
    assert_eq!(rack.order(choose(storage.clone())).unwrap().events, []);
    assert_eq!(rack.node(node).profile, storage);
    rack.order(choose(None)).unwrap();
    assert_eq!(rack.node(node).profile, None);
}

#[test]
fn a_template_that_makes_no_name_is_told_on_the_row() {
    use crate::domain::node::Flag;
    let mut rack = Rack::new();
    let why = Text::new("`{{ rack }}` is not known");
    let asked = Ask { wish: Some(Err(why.clone())), ..box_a().ask() };
    assert!(rack.fleet.is_stranger(&asked));
    rack.submit(&Command::Ask(asked.clone())).unwrap();
    assert_eq!(name(&rack, NodeId(1)), "pve-07aa.example.com", "it has a name all the same");
    assert!(rack.node(NodeId(1)).flags.contains(&Flag::NotAsWished { reason: why }));
    assert!(!rack.fleet.is_stranger(&asked), "nobody asks the template again");
}

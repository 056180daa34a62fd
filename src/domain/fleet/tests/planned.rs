//! The plan: rows before their machines call, which machine becomes which row, and what a new plan changes.

use std::sync::Arc;

use rstest::rstest;

use super::*;
use crate::domain::event::Event;
use crate::domain::fleet::Gate;
use crate::domain::node::Flag;
use crate::domain::plan::{PlanEntry, PlanKey, PlanMatch, words};

fn entry(name: &str, change: impl FnOnce(&mut PlanEntry)) -> Arc<PlanEntry> {
    let mut entry = PlanEntry::new(format!("{name}.example.com").parse().unwrap());
    change(&mut entry);
    Arc::new(entry)
}

fn by_mac(name: &str, mac: &str) -> Arc<PlanEntry> {
    entry(name, |entry| entry.macs = [mac.parse().unwrap()].into())
}

fn by_uuid(name: &str, uuid: &str) -> Arc<PlanEntry> {
    entry(name, |entry| entry.uuid = Some(uuid.parse().unwrap()))
}

impl Rack {
    fn plan(&mut self, entries: &[Arc<PlanEntry>]) -> Vec<Text> {
        match self.submit(&Command::Plan { entries: entries.to_vec() }).unwrap().reply {
            Reply::Planned(held) => held,
            other => panic!("{other:?}"),
        }
    }

    fn named(&self, name: &str) -> &Node {
        self.fleet.named(&format!("{name}.example.com").parse().unwrap()).unwrap()
    }

    fn host(&self, node: NodeId) -> String {
        self.node(node).name.host().to_owned()
    }

    fn names(&self) -> String {
        let mut rows: Vec<_> =
            self.fleet.nodes().map(|node| format!("{}={}", node.name.host(), node.phase.word())).collect();
        rows.sort();
        rows.join(" ")
    }
}

#[test]
fn a_planned_row_waits_for_its_machine_and_gives_it_name_and_address() {
    let mut rack = Rack::new();
    let planned = entry("db-1", |entry| {
        entry.uuid = Some(UUID_A.parse().unwrap());
        entry.macs = [MAC_A.parse().unwrap()].into();
        entry.address = Some([192, 0, 2, 50].into());
    });
    assert_eq!(rack.plan(&[planned, by_mac("db-2", MAC_B)]), []);
    assert_eq!(rack.names(), "db-1=planned db-2=planned");
    let nobody = rack.named("db-2").id;
    let refusal = rack.order(Order::Reject { node: nobody, reason: Text::default() }).unwrap_err();
    assert!(matches!(refusal, Refusal::WrongPhase { .. }), "there is no machine to send away: {refusal}");

    let row = rack.named("db-1").id;
    let (node, verdict) = rack.ask(&box_a());
    assert_eq!(node, row, "no second row");
    assert!(matches!(verdict, Verdict::Hold(_)), "a plan approves nobody");
    assert_eq!(rack.phase(node), "waiting");
    assert_eq!(words(&rack.node(node).plan_match.as_ref().unwrap().by), "UUID, MAC");
    assert_eq!(rack.node(node).flags, [].into());

    rack.approve(node).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&box_a()) else { panic!() };
    assert_eq!(grant.name.as_str(), "db-1.example.com");
    assert_eq!(grant.address.map(|fixed| fixed.address), Some([192, 0, 2, 50].into()));
    assert_eq!(rack.release(&box_a(), &grant, Some("192.0.2.50/24")), Reply::Released);
    assert_eq!(rack.names(), "db-1=installing db-2=planned");
}

#[test]
fn a_plan_that_did_not_change_changes_nothing() {
    let mut rack = Rack::new();
    let plan = [by_mac("db-1", MAC_A), by_uuid("db-2", UUID_B)];
    rack.plan(&plan);
    rack.ask(&box_a());
    let log = rack.log.len();
    rack.plan(&plan);
    rack.ask(&box_a());
    assert_eq!(rack.log.len(), log + 1, "only the machine that asked");
}

#[test]
fn the_machine_that_is_there_takes_the_plan_that_comes() {
    let mut rack = Rack::new();
    let (a, _) = rack.ask(&box_a());
    let installed = rack.install(&box_b());
    rack.plan(&[by_mac("db-1", MAC_A), by_mac("db-2", MAC_B)]);
    assert_eq!(rack.node(a).name.as_str(), "db-1.example.com");
    assert_eq!(rack.fleet.node_count(), 2, "no rows besides");
    // What is installed carries its name.
    assert_eq!(rack.node(installed).name.as_str(), "pve-07bb.example.com");
    let name = "db-2.example.com".parse().unwrap();
    assert!(rack.node(installed).flags.contains(&Flag::PlanName { name }));
}

#[test]
fn rows_change_and_go_with_the_plan_but_machines_stay() {
    let mut rack = Rack::new();
    rack.plan(&[by_mac("db-1", MAC_A), by_mac("db-2", MAC_B), by_mac("db-3", "b4:2e:99:00:00:0c")]);
    let (a, _) = rack.ask(&box_a());
    rack.plan(&[by_mac("db-9", MAC_B)]);
    assert_eq!(rack.names(), "db-1=waiting db-9=planned");
    assert!(rack.node(a).plan.is_none() && rack.node(a).plan_match.is_none());
    // And back again.
    rack.plan(&[by_mac("db-1", MAC_A)]);
    assert_eq!(rack.names(), "db-1=waiting");
    assert!(rack.node(a).plan.is_some());
}

#[test]
fn two_rows_that_change_places_follow_their_machines() {
    let mut rack = Rack::new();
    rack.plan(&[by_mac("db-1", MAC_A), by_mac("db-2", MAC_B)]);
    let (a, _) = rack.ask(&box_a());
    rack.plan(&[by_mac("db-2", MAC_A), by_mac("db-1", MAC_B)]);
    assert_eq!(rack.node(a).plan.as_ref().unwrap().hostname.as_str(), "db-2.example.com");
    assert_eq!(rack.names(), "db-1=planned db-2=waiting", "with their names");
    assert_eq!(rack.node(a).name.as_str(), "db-2.example.com");
    assert!(rack.node(a).plan_match.as_ref().unwrap().against.is_empty());
    judge_names(&rack.fleet);
}

#[test]
fn machines_that_were_mixed_up_change_names_when_the_plan_is_corrected() {
    let mut rack = Rack::new();
    rack.plan(&[by_mac("db-1", MAC_A), by_mac("db-2", MAC_B)]);
    let [(a, _), (b, _)] = [rack.ask(&box_a()), rack.ask(&box_b())];
    rack.plan(&[by_mac("db-1", MAC_B), by_mac("db-2", MAC_A)]);
    assert_eq!((rack.host(a), rack.host(b)), ("db-2".to_owned(), "db-1".to_owned()));
    judge_names(&rack.fleet);
    replays_alike(&rack);
    // What carries its name already keeps it, and so does who would have taken it.
    rack.approve(a).unwrap();
    let grant = rack.served(&box_a());
    assert_eq!(rack.release(&box_a(), &grant, None), Reply::Released);
    rack.plan(&[by_mac("db-1", MAC_A), by_mac("db-2", MAC_B)]);
    assert_eq!((rack.host(a), rack.host(b)), ("db-2".to_owned(), "db-1".to_owned()));
    judge_names(&rack.fleet);
}

#[test]
fn names_that_move_up_one_place_all_move_or_stay_where_the_chain_is_held() {
    const MACS: [&str; 4] = [MAC_A, MAC_B, "b4:2e:99:00:00:0c", "b4:2e:99:00:00:0d"];
    let plan = |from: usize| -> Vec<_> { (0..4).map(|at| by_mac(&format!("db-{}", from + at), MACS[at])).collect() };
    let mut rack = Rack::new();
    rack.plan(&plan(1));
    rack.plan(&plan(2));
    assert_eq!(rack.names(), "db-2=planned db-3=planned db-4=planned db-5=planned");
    // Somebody else has the last name they would move to.
    let (stranger, _) = rack.ask(&Box1 { uuid: Some(UUID_B), macs: vec!["02:00:00:00:00:01"], ..box_b() });
    rack.order(Order::Rename { node: stranger, name: "db-6.example.com".parse().unwrap() }).unwrap();
    rack.plan(&plan(3));
    assert_eq!(rack.names(), "db-2=planned db-3=planned db-4=planned db-5=planned db-6=waiting");
    judge_names(&rack.fleet);
    replays_alike(&rack);
}

#[test]
fn a_row_that_is_forgotten_is_not_planned_under_a_name_somebody_else_has() {
    let mut rack = Rack::new();
    rack.plan(&[by_mac("db-1", MAC_A)]);
    let [(a, _), (b, _)] = [rack.ask(&box_a()), rack.ask(&box_b())];
    rack.order(Order::Rename { node: a, name: "db-9.example.com".parse().unwrap() }).unwrap();
    rack.order(Order::Rename { node: b, name: "db-1.example.com".parse().unwrap() }).unwrap();
    rack.order(Order::Forget { node: a }).unwrap();
    assert_eq!(rack.names(), "db-1=waiting");
    judge_names(&rack.fleet);
    let held = rack.plan(&[by_mac("db-1", MAC_A)]);
    assert!(matches!(&*held, [one] if one.as_str().contains("has that name")), "{held:?}");
}

#[test]
fn a_banned_machine_leaves_its_row_in_the_plan() {
    let mut rack = Rack::new();
    rack.plan(&[by_mac("db-1", MAC_A)]);
    let (node, _) = rack.ask(&box_a());
    rack.order(Order::Ban { node, reason: Text::default() }).unwrap();
    assert_eq!(rack.names(), "db-1=planned");
}

#[test]
fn a_merged_row_takes_its_entry_along_and_brings_it_back() {
    let mut rack = Rack::new();
    let (into, _) = rack.ask(&box_b());
    let before = rack.host(into);
    rack.plan(&[by_mac("db-1", MAC_A)]);
    let (node, _) = rack.ask(&box_a());
    rack.order(Order::Merge { node, into }).unwrap();
    assert_eq!((rack.names().as_str(), rack.host(into).as_str()), ("db-1=waiting", "db-1"));
    let log = rack.log.len();
    rack.plan(&[by_mac("db-1", MAC_A)]);
    assert_eq!(rack.log.len(), log, "the plan has its row");
    // Read again with an address meanwhile, and the two are parted.
    let moved = entry("db-1", |entry| {
        entry.macs = [MAC_A.parse().unwrap()].into();
        entry.address = Some([192, 0, 2, 50].into());
    });
    rack.plan(std::slice::from_ref(&moved));
    rack.order(Order::Undo { node: into }).unwrap();
    assert_eq!((rack.host(node).as_str(), rack.host(into)), ("db-1", before));
    assert_eq!((rack.node(node).plan.as_ref(), rack.node(into).plan.as_ref()), (Some(&moved), None));
    judge_names(&rack.fleet);
    replays_alike(&rack);
}

#[test]
fn of_two_planned_rows_that_are_merged_one_waits_for_its_machine_again() {
    let mut rack = Rack::new();
    rack.plan(&[by_mac("db-1", MAC_A), by_mac("db-2", MAC_B)]);
    let [(a, _), (b, _)] = [rack.ask(&box_a()), rack.ask(&box_b())];
    rack.order(Order::Merge { node: b, into: a }).unwrap();
    assert_eq!(rack.names(), "db-1=waiting db-2=planned");
    rack.order(Order::Undo { node: a }).unwrap();
    assert_eq!(rack.names(), "db-1=waiting db-2=waiting");
    assert_eq!(rack.host(b), "db-2");
    judge_names(&rack.fleet);
    // Where another machine has the entry by now, the row comes back without.
    rack.order(Order::Merge { node: b, into: a }).unwrap();
    let (c, _) = rack.ask(&Box1 { uuid: None, macs: vec!["02:00:00:00:00:01"], peer: "192.0.2.12", body: 9 });
    rack.order(Order::Rename { node: c, name: "db-2.example.com".parse().unwrap() }).unwrap();
    rack.order(Order::Undo { node: a }).unwrap();
    assert!(rack.node(b).plan.is_none() && rack.node(c).plan.is_some());
    judge_names(&rack.fleet);
}

#[test]
fn identifiers_that_contradict_each_other_are_flagged() {
    let mut rack = Rack::new();
    rack.plan(&[by_uuid("db-1", UUID_A), by_mac("db-2", MAC_A)]);
    let (node, _) = rack.ask(&box_a());
    let other = rack.named("db-2").id;
    assert_eq!(rack.node(node).name.as_str(), "db-1.example.com", "a UUID is stronger than a MAC");
    assert!(rack.node(node).flags.contains(&Flag::PlanConflict { other }));

    let mut rack = Rack::new();
    rack.plan(&[entry("db-1", |entry| {
        entry.uuid = Some(UUID_B.parse().unwrap());
        entry.macs = [MAC_A.parse().unwrap()].into();
    })]);
    let (node, _) = rack.ask(&box_a());
    assert!(rack.node(node).flags.contains(&Flag::PlanContradicted { what: "UUID".into() }));
    // Corrected in the plan.
    rack.plan(&[by_mac("db-1", MAC_A)]);
    assert_eq!(rack.node(node).flags, [].into());
}

#[test]
fn a_row_that_is_taken_is_not_taken_twice() {
    let mut rack = Rack::new();
    rack.plan(&[by_uuid("db-1", UUID_A)]);
    let (a, _) = rack.ask(&box_a());
    let twin = Box1 { macs: vec![MAC_B], peer: "192.0.2.11", body: 3, ..box_a() };
    let (b, _) = rack.ask(&twin);
    assert_ne!(a, b);
    assert!(rack.node(b).plan.is_none());
    assert!(rack.node(b).flags.contains(&Flag::PlanConflict { other: a }));
    judge_names(&rack.fleet);
}

#[test]
fn a_machine_that_shows_more_joins_its_row_later() {
    let mut rack = Rack::new();
    let nameless = Box1 { uuid: None, ..box_a() };
    let (node, _) = rack.ask(&nameless);
    rack.plan(&[by_uuid("db-1", UUID_A)]);
    assert_eq!(rack.fleet.node_count(), 2);
    assert_eq!(rack.ask(&box_a()).0, node);
    assert_eq!(rack.names(), "db-1=waiting");
    assert_eq!(rack.node(node).name.as_str(), "db-1.example.com");
}

#[test]
fn the_operator_joins_a_machine_to_a_row_by_its_name() {
    let mut rack = Rack::new();
    rack.plan(&[by_uuid("db-1", UUID_B)]);
    let (node, _) = rack.ask(&box_a());
    rack.order(Order::Rename { node, name: "db-1.example.com".parse().unwrap() }).unwrap();
    assert_eq!(rack.names(), "db-1=waiting");
    let by_hand = PlanMatch { by: [].into(), against: [PlanKey::Uuid].into() };
    assert_eq!(rack.node(node).plan_match, Some(by_hand));
    // It stays joined whatever it shows, and with the plan read again.
    rack.ask(&box_a());
    rack.plan(&[by_uuid("db-1", UUID_B)]);
    assert!(rack.node(node).plan.is_some());
}

#[test]
fn a_forgotten_machine_leaves_its_row_in_the_plan() {
    let mut rack = Rack::new();
    rack.plan(&[by_uuid("db-1", UUID_A)]);
    let row = rack.named("db-1").id;
    assert!(matches!(rack.order(Order::Forget { node: row }), Err(Refusal::InThePlan(_))));
    let (node, _) = rack.ask(&box_a());
    rack.order(Order::Forget { node }).unwrap();
    assert_eq!(rack.names(), "db-1=planned");
    assert_ne!(rack.named("db-1").id, node);
}

#[test]
fn a_name_of_the_old_inventory_becomes_the_plans_and_a_strangers_does_not() {
    let mut rack = Rack::new();
    rack.submit(&Command::Import { entries: vec![("db-1.example.com".parse().unwrap(), "ready".into())] }).unwrap();
    let (stranger, _) = rack.ask(&box_b());
    rack.order(Order::Rename { node: stranger, name: "db-2.example.com".parse().unwrap() }).unwrap();
    let held = rack.plan(&[by_uuid("db-1", UUID_A), by_mac("db-2", "b4:2e:99:00:00:0c")]);
    assert!(rack.named("db-1").plan.is_some());
    assert!(rack.named("db-2").plan.is_none());
    assert!(matches!(&*held, [one] if one.as_str().starts_with("`db-2.example.com` is planned, but m2")), "{held:?}");
}

#[test]
fn an_address_another_node_has_is_told() {
    let mut rack = Rack::new();
    rack.install(&box_a());
    let held = rack.plan(&[entry("db-1", |entry| entry.address = Some([192, 0, 2, 10].into()))]);
    assert!(matches!(&*held, [one] if one.as_str().starts_with("192.0.2.10, planned for")), "{held:?}");
    // Addresses may change places within the plan.
    let address = |last: u8| move |entry: &mut PlanEntry| entry.address = Some([192, 0, 2, last].into());
    rack.plan(&[entry("db-1", address(20)), entry("db-2", address(21))]);
    assert_eq!(rack.plan(&[entry("db-1", address(21)), entry("db-2", address(20))]), []);
}

#[test]
fn the_gate_waits_for_the_planned_nodes() {
    let mut rack = Rack::new();
    rack.plan(&[by_uuid("db-1", UUID_A), by_uuid("db-2", UUID_B)]);
    assert!(matches!(rack.fleet.gate(), Gate::Waits { ready: 0, of: 2, .. }));
    let a = rack.install(&box_a());
    rack.make_ready(a);
    assert!(matches!(rack.fleet.gate(), Gate::Waits { ready: 1, of: 2, .. }));
    let (b, _) = rack.ask(&box_b());
    assert!(matches!(rack.fleet.gate(), Gate::Waits { ready: 1, of: 2, .. }), "one that waits is waited for");
    rack.order(Order::Reject { node: b, reason: Text::default() }).unwrap();
    assert_eq!(rack.fleet.gate(), Gate::Open, "one that was sent away is not");
}

#[rstest]
#[case("inv-7", true)]
#[case("INV-7", true)]
#[case("Default string", false)]
#[case("", false)]
fn an_asset_tag_is_better_than_nothing(#[case] shown: &str, #[case] fits: bool) {
    let mut rack = Rack::new();
    rack.plan(&[entry("db-1", |entry| entry.asset_tag = Some("INV-7".into()))]);
    let mut ask = box_a().ask();
    Arc::make_mut(&mut ask.info).dmi.asset_tag = Some(shown.into());
    rack.submit(&Command::Ask(ask)).unwrap();
    let row = rack.named("db-1");
    assert_eq!(row.request.is_some(), fits);
    assert_eq!(row.flags.contains(&Flag::PlanWeak), fits);
}

#[test]
fn the_log_alone_makes_the_same_rows() {
    let mut rack = Rack::new();
    rack.plan(&[by_uuid("db-1", UUID_A), by_mac("db-2", MAC_B)]);
    rack.ask(&box_a());
    rack.ask(&box_b());
    rack.plan(&[by_mac("db-2", MAC_B)]);
    assert!(rack.log.iter().any(|recorded| matches!(recorded.event, Event::Unplanned { .. })));
    replays_alike(&rack);
}

fn replays_alike(rack: &Rack) {
    let mut replayed = Fleet::new(Policy::default());
    rack.log.iter().for_each(|recorded| replayed.apply(recorded));
    let text = serde_json::to_string(&rack.fleet).unwrap();
    assert_eq!(serde_json::to_string(&replayed).unwrap(), text);
    let stored: Fleet = serde_json::from_str(&text).unwrap();
    assert_eq!(stored.index, rack.fleet.index);
}

fn judge_names(fleet: &Fleet) {
    for node in fleet.nodes() {
        assert_eq!(fleet.named(&node.name).map(|found| found.id), Some(node.id));
    }
}

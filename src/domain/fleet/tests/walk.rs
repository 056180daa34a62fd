//! Walk mode, swaps and edits: who takes which slot, what can be taken back, and that no two nodes ever share one.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::domain::change::{Changes, ProfileWish};
use crate::domain::guard::Withheld;
use crate::domain::node::{Flag, ProfileChoice};
use crate::domain::plan::PlanEntry;
use crate::domain::policy::Auto;
use crate::domain::ticket::Wants;
use crate::domain::walk::{Taken, WalkWish};

fn fqdn(name: &str) -> crate::domain::Fqdn {
    format!("{name}.example.com").parse().unwrap()
}

fn slot(name: &str, rack: &str, slot: &str) -> PlanEntry {
    PlanEntry { rack: Some(rack.into()), slot: Some(slot.into()), ..PlanEntry::new(fqdn(name)) }
}

/// Machine `n`, which nobody knows.
fn boxed(n: u8) -> Box1 {
    const UUIDS: [&str; 6] = [
        "f68d13f3-472b-4f1a-95a7-120b398a0001",
        "f68d13f3-472b-4f1a-95a7-120b398a0002",
        "f68d13f3-472b-4f1a-95a7-120b398a0003",
        "f68d13f3-472b-4f1a-95a7-120b398a0004",
        "f68d13f3-472b-4f1a-95a7-120b398a0005",
        "f68d13f3-472b-4f1a-95a7-120b398a0006",
    ];
    const MACS: [&str; 6] = [
        "b4:2e:99:00:01:01",
        "b4:2e:99:00:01:02",
        "b4:2e:99:00:01:03",
        "b4:2e:99:00:01:04",
        "b4:2e:99:00:01:05",
        "b4:2e:99:00:01:06",
    ];
    const PEERS: [&str; 6] = ["192.0.2.21", "192.0.2.22", "192.0.2.23", "192.0.2.24", "192.0.2.25", "192.0.2.26"];
    let n = usize::from(n);
    Box1 { uuid: Some(UUIDS[n]), macs: vec![MACS[n]], peer: PEERS[n], body: u8::try_from(n).unwrap() }
}

impl Rack {
    fn planned(entries: &[PlanEntry]) -> Self {
        let mut rack = Self::new();
        rack.read_plan(entries);
        rack
    }

    fn read_plan(&mut self, entries: &[PlanEntry]) {
        let entries = entries.iter().cloned().map(Arc::new).collect();
        self.submit(&Command::Plan { entries }).unwrap();
    }

    fn walk(&mut self, wish: WalkWish) -> Result<Decision, Refusal> {
        self.order(Order::Walk { wish })
    }

    fn next(&self) -> Option<String> {
        self.fleet.walk_view().unwrap().next.map(|(name, _)| name.host().to_owned())
    }

    fn name(&self, node: NodeId) -> &str {
        self.node(node).name.host()
    }
}

fn start() -> WalkWish {
    WalkWish::Start { first: None }
}

fn skip(name: &str) -> WalkWish {
    WalkWish::Skip { slot: fqdn(name) }
}

fn back(name: &str) -> WalkWish {
    WalkWish::Back { slot: fqdn(name) }
}

/// Three slots, in no order.
fn three() -> [PlanEntry; 3] {
    [slot("c", "R10", "1"), slot("b", "R2", "11"), slot("a", "R2", "9")]
}

#[test]
fn new_machines_take_the_slots_in_rack_order_and_wait() {
    let mut rack = Rack::planned(&three());
    rack.walk(start()).unwrap();
    assert_eq!(rack.next().as_deref(), Some("a"));
    for (n, (name, next)) in [("a", Some("b")), ("b", Some("c")), ("c", None)].into_iter().enumerate() {
        let (node, verdict) = rack.ask(&boxed(u8::try_from(n).unwrap()));
        assert_eq!((rack.name(node), rack.phase(node)), (name, "waiting"));
        assert!(matches!(verdict, Verdict::Hold(Withheld::Undecided(_))), "walking approves nobody");
        assert_eq!(rack.next().as_deref(), next);
    }
    let (stranger, _) = rack.ask(&boxed(3));
    assert_eq!(rack.name(stranger), "pve-0004", "no slot is left");
    assert_eq!(rack.fleet.node_count(), 4);
    let again = rack.ask(&boxed(0)).0;
    assert_eq!(rack.name(again), "a", "who asks again keeps its slot");
}

#[test]
fn a_slot_is_skipped_and_steps_are_taken_back_one_by_one() {
    let mut rack = Rack::planned(&three());
    rack.walk(start()).unwrap();
    assert_eq!(rack.walk(back("a")).unwrap_err(), Refusal::NothingWalked);
    rack.walk(skip("a")).unwrap();
    let (node, _) = rack.ask(&boxed(0));
    assert_eq!(rack.name(node), "b");
    assert_eq!(
        rack.walk(back("a")).unwrap_err(),
        Refusal::OtherSlot { slot: fqdn("a"), now: fqdn("b") },
        "a machine came meanwhile"
    );
    assert!(matches!(rack.walk(skip("b")), Err(Refusal::OtherSlot { .. })), "as above");

    rack.walk(back("b")).unwrap();
    assert_eq!((rack.name(node), rack.node(node).plan.is_none()), ("pve-0001", true), "it keeps its row and code");
    assert_eq!(rack.next().as_deref(), Some("b"));
    rack.walk(back("a")).unwrap();
    assert_eq!(rack.next().as_deref(), Some("a"));
    assert_eq!(rack.ask(&boxed(0)).0, node);
    assert_eq!(rack.name(node), "pve-0001", "only new machines take slots");
    let (other, _) = rack.ask(&boxed(1));
    assert_eq!(rack.name(other), "a");
    // By hand it still becomes what it should.
    rack.order(Order::Rename { node, name: fqdn("b") }).unwrap();
    assert_eq!((rack.name(node), rack.next().as_deref()), ("b", Some("c")));
}

#[test]
fn who_is_approved_gives_nothing_back() {
    let mut rack = Rack::planned(&three());
    rack.walk(start()).unwrap();
    let (node, _) = rack.ask(&boxed(0));
    rack.approve(node).unwrap();
    assert!(matches!(rack.walk(back("a")), Err(Refusal::WrongPhase { .. })));
    rack.order(Order::Undo { node }).unwrap();
    rack.walk(back("a")).unwrap();
    assert_eq!(rack.next().as_deref(), Some("a"));
    // A machine that is gone has nothing to give back.
    let (node, _) = rack.ask(&boxed(1));
    rack.order(Order::Forget { node }).unwrap();
    assert_eq!(rack.next().as_deref(), Some("a"), "the plan expects it again");
    rack.walk(back("a")).unwrap();
    assert_eq!(rack.fleet.walk().unwrap().steps, []);
}

#[test]
fn who_shows_the_plans_identifiers_keeps_its_own_row() {
    let mut entries = three();
    entries[0].uuid = boxed(5).uuid.map(|uuid| uuid.parse().unwrap());
    let mut rack = Rack::planned(&entries);
    rack.walk(start()).unwrap();
    let (own, _) = rack.ask(&boxed(5));
    assert_eq!((rack.name(own), rack.next().as_deref()), ("c", Some("a")));
    let last = rack.fleet.walk_view().unwrap().last;
    assert_eq!(last, Some((fqdn("c"), Taken::Own(own))), "and that is said");
    assert!(!rack.node(own).is_walked);
    // The last row is for that machine: nobody else is given it.
    rack.walk(skip("a")).unwrap();
    rack.walk(skip("b")).unwrap();
    assert_eq!(rack.next(), None);
}

#[test]
fn a_slot_that_names_another_machine_is_kept_for_it() {
    let mut entries = three();
    entries[2].uuid = boxed(5).uuid.map(|uuid| uuid.parse().unwrap());
    let mut rack = Rack::planned(&entries);
    rack.walk(start()).unwrap();
    let (other, _) = rack.ask(&boxed(0));
    assert_eq!((rack.name(other), rack.next().as_deref()), ("pve-0001", Some("a")));
    assert!(rack.node(other).flags.contains(&Flag::NotTheNext { slot: fqdn("a") }));
    rack.approve(other).unwrap();
    assert!(rack.node(other).flags.is_empty(), "a person has looked");
    let (right, _) = rack.ask(&boxed(5));
    assert_eq!(rack.name(right), "a");
}

#[test]
fn names_count_up_past_those_that_are_taken() {
    let mut rack = Rack::new();
    let (before, _) = rack.ask(&boxed(0));
    rack.order(Order::Rename { node: before, name: fqdn("db-02") }).unwrap();
    let first = Some(fqdn("db-01"));
    rack.walk(WalkWish::Start { first: first.clone() }).unwrap();
    assert_eq!(rack.walk(WalkWish::Start { first }).unwrap_err(), Refusal::WalkGoesOn);
    let names: Vec<_> = (1..4).map(|n| rack.ask(&boxed(n)).0).collect();
    assert_eq!(names.iter().map(|node| rack.name(*node)).collect::<Vec<_>>(), ["db-01", "db-03", "db-04"]);
    rack.walk(skip("db-05")).unwrap();
    assert_eq!(rack.next().as_deref(), Some("db-06"));
    rack.walk(back("db-05")).unwrap();
    rack.walk(back("db-04")).unwrap();
    assert_eq!(rack.next().as_deref(), Some("db-04"));
    rack.walk(WalkWish::Stop).unwrap();
    assert_eq!(rack.walk(WalkWish::Stop).unwrap_err(), Refusal::NoWalk);
    let (stranger, _) = rack.ask(&boxed(4));
    assert_eq!(rack.name(stranger), "pve-0005");
}

#[rstest]
#[case::no_plan(&[], None, Refusal::NothingToWalk)]
#[case::no_number(&[], Some("pve"), Refusal::NoNumber(fqdn("pve")))]
fn a_walk_needs_somewhere_to_go(#[case] plan: &[PlanEntry], #[case] first: Option<&str>, #[case] why: Refusal) {
    let mut rack = Rack::planned(plan);
    assert_eq!(rack.walk(WalkWish::Start { first: first.map(fqdn) }).unwrap_err(), why);
    assert_eq!(rack.walk(skip("x")).unwrap_err(), Refusal::NoWalk);
}

#[test]
fn no_rule_approves_what_a_walk_assigned() {
    let mut rack = Rack::under(Policy { auto: Auto::All, ..Policy::default() });
    rack.read_plan(&three());
    rack.walk(start()).unwrap();
    let (node, _) = rack.ask(&boxed(0));
    assert_eq!(rack.phase(node), "waiting");
    let expires = rack.now + Duration::from_mins(10);
    rack.order(Order::IssueTicket { count: 3, wants: Wants::default(), profile: None, expires }).unwrap();
    rack.ask(&boxed(0));
    assert_eq!(rack.phase(node), "waiting");
    rack.approve(node).unwrap();
    assert!(matches!(rack.ask(&boxed(0)).1, Verdict::Serve(grant) if grant.name == fqdn("a")));
}

/// Two machines with everything that changes hands.
fn pair() -> (Rack, NodeId, NodeId) {
    let mut entries = three();
    entries[2].address = Some([192, 0, 2, 50].into());
    entries[2].profile = Some("storage".parse().unwrap());
    let mut rack = Rack::planned(&entries);
    rack.walk(start()).unwrap();
    let [one, two] = [0, 1].map(|n| rack.ask(&boxed(n)).0);
    rack.order(Order::SetAddress { node: two, address: [192, 0, 2, 60].into() }).unwrap();
    let compute = Some(ProfileChoice::Named("compute".parse().unwrap()));
    rack.order(Order::ChooseProfile { node: two, profile: compute }).unwrap();
    (rack, one, two)
}

#[test]
fn two_machines_change_places_and_back() {
    let (mut rack, one, two) = pair();
    rack.approve(one).unwrap();
    let seen = |rack: &Rack| serde_json::to_value([rack.node(one), rack.node(two)]).unwrap();
    let before = seen(&rack);
    let decided = rack.order(Order::Swap { node: one, other: two }).unwrap();
    assert_eq!(decided.events.len(), 1);
    let [a, b] = [one, two].map(|id| rack.node(id));
    assert_eq!((a.name.host(), b.name.host()), ("b", "a"));
    assert_eq!((a.fixed_address(), b.fixed_address()), (Some([192, 0, 2, 60].into()), Some([192, 0, 2, 50].into())));
    assert_eq!((a.wanted_profile().unwrap().as_str(), b.wanted_profile().unwrap().as_str()), ("compute", "storage"));
    assert_eq!((rack.phase(one), rack.phase(two)), ("approved", "waiting"), "approvals are about machines");
    assert_eq!(rack.fleet.named(&fqdn("a")).unwrap().id, two);
    let (_, Verdict::Serve(grant)) = rack.ask(&boxed(0)) else { panic!("approved") };
    let address = grant.address.map(|fixed| fixed.address);
    assert_eq!((grant.name, address), (fqdn("b"), Some([192, 0, 2, 60].into())));

    rack.order(Order::Swap { node: two, other: one }).unwrap();
    let mut after = seen(&rack);
    for (row, was) in after.as_array_mut().unwrap().iter_mut().zip(before.as_array().unwrap()) {
        assert!(row["revision"].as_u64() > was["revision"].as_u64(), "whoever looked must look again");
        for part in ["revision", "request"] {
            row[part] = was[part].clone();
        }
    }
    assert_eq!(after, before);
}

#[test]
fn a_step_back_finds_whoever_has_the_slot_by_now() {
    let (mut rack, one, two) = pair();
    rack.order(Order::Swap { node: one, other: two }).unwrap();
    rack.walk(back("b")).unwrap();
    assert_eq!((rack.name(one), rack.name(two), rack.next().as_deref()), ("pve-0001", "a", Some("b")));
    // A row that was renamed keeps the plan's row and its name; it gives up the former.
    rack.order(Order::Rename { node: two, name: fqdn("mine") }).unwrap();
    rack.walk(back("a")).unwrap();
    assert_eq!((rack.name(two), rack.node(two).plan.is_none(), rack.next().as_deref()), ("mine", true, Some("a")));
}

#[test]
fn what_cannot_swap_says_why() {
    let (mut rack, one, two) = pair();
    let why = |rack: &mut Rack, node, other| match rack.order(Order::Swap { node, other }) {
        Err(Refusal::CannotSwap(name, why)) => format!("{}: {why}", name.host()),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&mut rack, one, one), "a: it takes two");
    rack.approve(one).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&boxed(0)) else { panic!() };
    rack.release(&boxed(0), &grant, Some("192.0.2.50/24"));
    assert!(why(&mut rack, two, one).starts_with("a: it is installing"));

    let mut entries = three();
    entries[2].uuid = boxed(0).uuid.map(|uuid| uuid.parse().unwrap());
    let mut rack = Rack::planned(&entries);
    let [known, stranger] = [0, 1].map(|n| rack.ask(&boxed(n)).0);
    let why = why(&mut rack, known, stranger);
    assert!(why.starts_with("pve-0002: plan.toml expects a machine with another UUID there"), "{why}");
}

#[test]
fn an_edit_is_all_or_nothing_and_bound_to_what_was_seen() {
    let (mut rack, one, two) = pair();
    let changes = |name: &str| Changes {
        name: Some(fqdn(name)),
        address: Some([192, 0, 2, 77].into()),
        profile: Some(ProfileWish::Without),
        nic: None,
        note: Some("PSU 2 is dark".into()),
    };
    let edit = |name: &str| Order::Edit { node: one, changes: Box::new(changes(name)) };
    let log = rack.log.len();
    assert!(matches!(rack.order(edit("b")), Err(Refusal::NameTaken { by, .. }) if by == two));
    assert_eq!(rack.log.len(), log);
    let revision = rack.node(one).revision;
    let seen = |then| Order::IfSeen { node: one, revision, then: Box::new(then) };
    rack.ask(&boxed(0));
    assert_eq!(rack.node(one).revision, revision, "asking once more is nothing new");
    rack.order(seen(edit("x"))).unwrap();
    let node = rack.node(one);
    assert_eq!((node.name.host(), node.note.as_str()), ("x", "PSU 2 is dark"));
    assert_eq!((node.fixed_address(), &node.profile), (Some([192, 0, 2, 77].into()), &Some(ProfileChoice::Without)));
    let phase = "waiting";
    let changed = Refusal::RowChanged { name: fqdn("x"), phase };
    assert_eq!(rack.order(seen(Order::Forget { node: one })).unwrap_err(), changed);
    let note = Text::default();
    rack.order(Order::SetNote { node: one, note: note.clone() }).unwrap();
    assert!(rack.node(one).note.is_empty());
    assert!(rack.order(Order::SetNote { node: one, note }).unwrap().events.is_empty());
}

#[rstest]
#[case::approved(|rack: &mut Rack, node| drop(rack.approve(node)), true)]
#[case::asked_differently(|rack: &mut Rack, _| drop(rack.ask(&Box1 { body: 99, ..boxed(0) })), true)]
#[case::noted(|rack: &mut Rack, node| drop(rack.order(Order::SetNote { node, note: "x".into() })), false)]
#[case::asked_again(|rack: &mut Rack, _| drop(rack.ask(&boxed(0))), false)]
fn what_makes_a_row_another_matter(#[case] happens: fn(&mut Rack, NodeId), #[case] is_other: bool) {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&boxed(0));
    let revision = rack.node(node).revision;
    happens(&mut rack, node);
    let then = Box::new(Order::Forget { node });
    assert_eq!(rack.order(Order::IfSeen { node, revision, then }).is_err(), is_other);
}

#[test]
fn orders_are_read_as_they_are_written() {
    let changes = Changes {
        name: Some(fqdn("a")),
        profile: Some(ProfileWish::Named("storage".parse().unwrap())),
        ..Changes::default()
    };
    let edit = Order::Edit { node: NodeId(1), changes: Box::new(changes) };
    for order in [
        Order::IfSeen { node: NodeId(1), revision: 7, then: Box::new(edit) },
        Order::Walk { wish: skip("a") },
        Order::Walk { wish: start() },
        Order::Walk { wish: WalkWish::Stop },
        Order::Swap { node: NodeId(1), other: NodeId(2) },
    ] {
        let text = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order, "{text}");
    }
    let short = r#"{"order":"edit","node":1,"changes":{"note":"x"}}"#;
    let Order::Edit { changes, .. } = serde_json::from_str(short).unwrap() else { panic!() };
    assert_eq!(changes.note, Some("x".into()));
}

/// One random step.
#[derive(Clone, Debug)]
enum Step {
    Ask(u8),
    Approve(u8),
    Forget(u8),
    Rename(u8, u8),
    Swap(u8, u8),
    Start(bool),
    Skip,
    Back,
    Stop,
    Plan(u8),
    Install(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let machine = 0..6_u8;
    prop_oneof![
        6 => machine.clone().prop_map(Step::Ask),
        1 => machine.clone().prop_map(Step::Approve),
        1 => machine.clone().prop_map(Step::Forget),
        1 => (machine.clone(), 0..8_u8).prop_map(|(machine, name)| Step::Rename(machine, name)),
        2 => (machine.clone(), machine.clone()).prop_map(|(one, other)| Step::Swap(one, other)),
        2 => any::<bool>().prop_map(Step::Start),
        2 => Just(Step::Skip),
        3 => Just(Step::Back),
        1 => Just(Step::Stop),
        1 => (0..8_u8).prop_map(Step::Plan),
        1 => machine.prop_map(Step::Install),
    ]
}

/// A plan of so many slots; every third names its machine.
fn plan(count: u8) -> Vec<PlanEntry> {
    let row = |n: u8| PlanEntry {
        uuid: (n % 3 == 2).then(|| boxed(n % 6).uuid.unwrap().parse().unwrap()),
        ..slot(&format!("n-{n}"), if n < 4 { "R1" } else { "R2" }, &n.to_string())
    };
    (0..count.min(6)).map(row).collect()
}

fn play(rack: &mut Rack, step: &Step) {
    let row = |rack: &Rack, n: u8| {
        let ask = boxed(n).ask();
        rack.fleet.resolve(&MachineId::of_system(&ask.info), Some(&ask)).node
    };
    let view = rack.fleet.walk_view();
    match *step {
        Step::Ask(n) => drop(rack.ask(&boxed(n))),
        Step::Approve(n) => {
            if let Some(node) = row(rack, n).filter(|node| rack.node(*node).request.is_some()) {
                let _ = rack.approve(node);
            }
        }
        Step::Forget(n) => drop(row(rack, n).map(|node| rack.order(Order::Forget { node }))),
        Step::Rename(n, to) => {
            let name = fqdn(&format!("n-{to}"));
            drop(row(rack, n).map(|node| rack.order(Order::Rename { node, name })));
        }
        Step::Swap(one, other) => {
            if let (Some(node), Some(other)) = (row(rack, one), row(rack, other)) {
                let _ = rack.order(Order::Swap { node, other });
            }
        }
        Step::Start(by_name) => {
            let first = by_name.then(|| fqdn("n-3"));
            let _ = rack.walk(WalkWish::Start { first });
        }
        Step::Skip => {
            if let Some((slot, _)) = view.and_then(|view| view.next) {
                rack.walk(WalkWish::Skip { slot }).unwrap();
            }
        }
        Step::Back => {
            if let Some(slot) = view.and_then(|view| view.back) {
                let _ = rack.walk(WalkWish::Back { slot });
            }
        }
        Step::Stop => drop(rack.walk(WalkWish::Stop)),
        Step::Plan(count) => rack.read_plan(&plan(count)),
        Step::Install(n) => {
            if let (_, Verdict::Serve(grant)) = rack.ask(&boxed(n)) {
                rack.release(&boxed(n), &grant, None);
            }
        }
    }
}

/// No two nodes have one name or one slot, and whoever was walked waited for a person.
fn judge(rack: &Rack) {
    let names: BTreeSet<_> = rack.fleet.nodes().map(|node| &node.name).collect();
    assert_eq!(names.len(), rack.fleet.node_count(), "two nodes with one name");
    let slots: Vec<_> = rack.fleet.nodes().filter_map(|node| node.plan.as_ref()).map(|entry| &entry.hostname).collect();
    assert_eq!(slots.iter().collect::<BTreeSet<_>>().len(), slots.len(), "two nodes in one slot");
    for node in rack.fleet.nodes() {
        assert_eq!(rack.fleet.named(&node.name).map(|found| found.id), Some(node.id), "the index lost a name");
        assert!(node.phase.is_before_answer() || node.approved.is_some() || node.may_be_installed());
    }
    if let Some(view) = rack.fleet.walk_view()
        && let Some((next, _)) = &view.next
    {
        let owner = rack.fleet.named(next);
        assert!(owner.is_none_or(|node| node.is_unclaimed()), "the next slot is somebody's");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, rng_seed: model::seed(), ..ProptestConfig::default() })]

    #[test]
    fn no_two_nodes_ever_share_a_name_or_a_slot(steps in proptest::collection::vec(step(), 1..40)) {
        let mut rack = Rack::planned(&plan(5));
        for step in &steps {
            play(&mut rack, step);
            judge(&rack);
        }
        // The log alone makes the same fleet again, and so does a stored state.
        let mut replayed = Fleet::new(Policy::default());
        rack.log.iter().for_each(|recorded| replayed.apply(recorded));
        let text = serde_json::to_string(&rack.fleet).unwrap();
        prop_assert_eq!(serde_json::to_string(&replayed).unwrap(), text.clone());
        let stored: Fleet = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&stored.index, &rack.fleet.index);
    }
}

//! Rows that are one machine, and rows that are two.

use super::*;
use crate::domain::fleet::{likely_twins, who_stays};
use crate::domain::guard::Withheld;
use crate::domain::node::Flag;

const UUID_C: &str = "f68d13f3-472b-4f1a-95a7-120b398a07cc";

/// Machine A with a new board: another UUID, the same NIC.
fn box_a_rebuilt() -> Box1 {
    Box1 { uuid: Some(UUID_C), body: 9, ..box_a() }
}

fn is_served(rack: &mut Rack, machine: &Box1) -> bool {
    matches!(rack.ask(machine).1, Verdict::Serve(_))
}

/// Asks, is admitted by a rule, and reports.
fn install_by_rule(rack: &mut Rack, machine: &Box1) -> NodeId {
    let grant = rack.served(machine);
    assert_eq!(rack.release(machine, &grant, None), Reply::Released);
    rack.report(grant.node, 0);
    grant.node
}

fn merge(rack: &mut Rack, node: NodeId, into: NodeId) -> Result<Decision, Refusal> {
    rack.order(Order::Merge { node, into })
}

#[test]
fn a_new_board_is_offered_as_the_same_node() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    let (same, _) = rack.ask(&box_a_rebuilt());
    assert_eq!(same, node);
    let changed = |rack: &Rack| rack.node(node).flags.iter().any(|flag| matches!(flag, Flag::UuidChanged { .. }));
    assert!(changed(&rack));
    rack.approve(node).unwrap();
    assert!(!changed(&rack));
    assert_eq!(rack.node(node).machine.uuid, Some(UUID_C.parse().unwrap()), "it is known by the new one now");
    assert!(is_served(&mut rack, &box_a_rebuilt()));
}

#[test]
fn a_used_node_with_a_new_board_is_still_that_node() {
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    let (same, verdict) = rack.ask(&box_a_rebuilt());
    assert_eq!(same, node);
    assert!(matches!(verdict, Verdict::Hold(Withheld::AsksAgain { .. })), "{verdict:?}");
}

#[test]
fn a_merged_row_is_found_by_everything_and_has_lost_its_approvals() {
    let mut rack = Rack::new();
    let (old, _) = rack.ask(&box_a());
    let (new, _) = rack.ask(&box_b());
    rack.approve(old).unwrap();
    rack.approve(new).unwrap();
    merge(&mut rack, new, old).unwrap();
    assert!(rack.fleet.node(new).is_none());
    assert_eq!(
        (rack.phase(old), rack.node(old).request.as_ref().unwrap().stamp.peer),
        ("waiting", [192, 0, 2, 11].into())
    );
    assert!(!is_served(&mut rack, &box_b()) && !is_served(&mut rack, &box_a()));
    assert_eq!((rack.ask(&box_a()).0, rack.ask(&box_b()).0), (old, old));

    // And back: two rows, neither approved.
    rack.order(Order::Undo { node: old }).unwrap();
    assert_eq!((rack.phase(old), rack.phase(new)), ("waiting", "waiting"));
    assert_eq!((rack.ask(&box_a()).0, rack.ask(&box_b()).0), (old, new));
    assert!(rack.node(old).absorbed.is_empty());
}

#[test]
fn merging_never_opens_the_way_to_a_used_node() {
    let mut rack = Rack::new();
    let used = rack.install(&box_a());
    let (fresh, _) = rack.ask(&box_b());
    rack.approve(fresh).unwrap();
    assert!(matches!(merge(&mut rack, used, fresh), Err(Refusal::WrongPhase { .. })), "what is used stays");
    merge(&mut rack, fresh, used).unwrap();
    assert!(!is_served(&mut rack, &box_b()) && !is_served(&mut rack, &box_a()));
    assert!(rack.approve(used).is_err());

    // Parting it wants the name typed, and no rule takes what was parted for new.
    let name = rack.node(used).name.clone();
    assert_eq!(rack.order(Order::Split { node: used, confirm: None }), Err(Refusal::NameMismatch(name.clone())));
    rack.order(Order::Split { node: used, confirm: Some(name.clone()) }).unwrap();
    assert!(rack.node(fresh).flags.contains(&Flag::InstalledBefore { name }));
    assert_eq!((rack.phase(fresh), rack.phase(used)), ("waiting", "installed"));
    assert!(!is_served(&mut rack, &box_a()), "the used one still needs a reinstall");
}

#[test]
fn a_machine_taken_for_another_gets_a_row_of_its_own() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.ask(&box_a_rebuilt());
    rack.order(Order::Split { node, confirm: None }).unwrap();
    let split = NodeId(node.0 + 1);
    assert_eq!(rack.node(split).machine.uuid, Some(UUID_C.parse().unwrap()));
    assert_eq!((rack.ask(&box_a_rebuilt()).0, rack.node(node).request.is_none()), (split, true));
    merge(&mut rack, split, node).unwrap();
    assert_eq!(rack.ask(&box_a_rebuilt()).0, node, "undone by merging");
}

#[test]
fn a_row_with_one_identity_has_nothing_to_split() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    assert!(matches!(rack.order(Order::Split { node, confirm: None }), Err(Refusal::CannotSplit(..))));
    let used = rack.install(&box_b());
    let confirm = Some(rack.node(used).name.clone());
    assert!(matches!(rack.order(Order::Split { node: used, confirm }), Err(Refusal::CannotSplit(..))));
}

#[test]
fn the_console_offers_the_likely_one_first_and_knows_who_stays() {
    let mut rack = Rack::new();
    let (one, _) = rack.ask(&box_a());
    let used = rack.install(&box_b());
    // A card with A's address moved into B.
    rack.ask(&Box1 { macs: vec![MAC_A, MAC_B], ..box_b() });
    assert_eq!(likely_twins(&rack.fleet, rack.node(used)), [one]);
    let (stays, goes) = who_stays(rack.node(one), rack.node(used));
    assert_eq!((stays.id, goes.id), (used, one));
}

#[test]
fn a_parted_row_comes_back_without_what_others_have_by_now() {
    use crate::domain::address::{AddressRules, AddressSource, Pool};
    let pool = Pool::new(&["192.0.2.100-101".parse().unwrap()], &[]);
    let addresses = AddressRules { source: AddressSource::Pool, pool, ..AddressRules::default() };
    let mut rack = Rack::under(Policy { addresses, ..Policy::default() });
    let [a, b] = [box_a(), box_b()].map(|machine| rack.ask(&machine).0);
    rack.approve(b).unwrap();
    assert_eq!(rack.node(b).fixed_address(), Some([192, 0, 2, 100].into()));
    merge(&mut rack, b, a).unwrap();
    let (c, _) = rack.ask(&Box1 { uuid: Some(UUID_C), macs: vec!["b4:2e:99:00:00:0c"], peer: "192.0.2.12", body: 3 });
    rack.approve(c).unwrap();
    assert_eq!(rack.node(c).fixed_address(), Some([192, 0, 2, 100].into()), "it was free");
    rack.order(Order::Undo { node: a }).unwrap();
    assert_eq!(rack.node(b).fixed_address(), None);
    rack.ask(&box_b());
    rack.approve(b).unwrap();
    assert_eq!(rack.node(b).fixed_address(), Some([192, 0, 2, 101].into()));
}

#[test]
fn no_two_rows_share_a_claim_code() {
    use crate::domain::guard::ClaimCode;
    let mut rack = Rack::new();
    let (first, _) = rack.ask(&box_a());
    // As after a flood of strangers whose rows are gone.
    rack.fleet.state.last_node = first.0 + 23_u64.pow(4) - 1;
    let (second, _) = rack.ask(&box_b());
    assert_eq!(second, NodeId(first.0 + 23_u64.pow(4) + 1));
    assert_ne!(ClaimCode::of(first), ClaimCode::of(second));
}

/// Somebody's request with machine A's MAC and that of another one.
fn weld(mac: &'static str) -> Box1 {
    Box1 { uuid: None, macs: vec![MAC_A, mac], peer: "198.51.100.9", body: 66 }
}

#[test]
fn who_asks_in_the_name_of_a_used_node_takes_nobodys_machine_away() {
    let mut rack = Rack::new();
    let used = rack.install(&box_a());
    let (before, _) = rack.ask(&box_b());
    let new = Box1 { uuid: Some(UUID_C), macs: vec!["b4:2e:99:00:00:0c"], peer: "192.0.2.12", body: 3 };
    for mac in [MAC_B, new.macs[0]] {
        let (node, verdict) = rack.ask(&weld(mac));
        assert_eq!(node, used, "it is known by what it has in common");
        assert!(matches!(verdict, Verdict::Hold(Withheld::AsksAgain { .. })), "{verdict:?}");
    }
    assert_eq!(rack.node(used).machine, MachineId::of_system(&box_a().ask().info), "and learns nothing");
    for (shown, was) in [(box_b(), Some(before)), (new, None)] {
        let (node, verdict) = rack.ask(&shown);
        assert!(node != used && was.is_none_or(|was| was == node));
        assert!(matches!(verdict, Verdict::Hold(Withheld::Undecided(_))), "{verdict:?}");
        rack.approve(node).unwrap();
        assert!(is_served(&mut rack, &shown));
    }
}

#[test]
fn no_rule_takes_what_was_shown_with_a_used_node_for_new() {
    use crate::domain::policy::Auto;
    let mut rack = Rack::under(Policy { auto: Auto::All, ..Policy::default() });
    // Nothing but MACs tells these apart. A second card is seen with a node, then alone.
    let used = install_by_rule(&mut rack, &Box1 { uuid: None, ..box_a() });
    assert_eq!(rack.ask(&weld(MAC_B)).0, used);
    let alone = Box1 { uuid: None, ..box_b() };
    let (node, verdict) = rack.ask(&alone);
    assert!(matches!(verdict, Verdict::Hold(Withheld::Undecided(_))), "{verdict:?}");
    assert!(rack.node(node).flags.contains(&Flag::AskedAs { other: used }));
    // It asks again without that card, and the word is over.
    rack.ask(&Box1 { uuid: None, ..box_a() });
    assert!(is_served(&mut rack, &alone));
    assert!(!rack.node(node).flags.contains(&Flag::AskedAs { other: used }));
}

#[test]
fn a_used_node_with_another_card_is_known_by_it_once_a_reinstall_is_allowed() {
    const NEW_CARD: &str = "b4:2e:99:00:00:0f";
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    let both = Box1 { macs: vec![MAC_A, NEW_CARD], body: 9, ..box_a() };
    assert_eq!(rack.ask(&both).0, node);
    assert!(!rack.node(node).machine.macs.contains(&NEW_CARD.parse().unwrap()));
    rack.allow_reinstall(node).unwrap();
    assert!(rack.node(node).machine.macs.contains(&NEW_CARD.parse().unwrap()));
    assert!(is_served(&mut rack, &both));
    let only_new = Box1 { macs: vec![NEW_CARD], body: 10, ..box_a() };
    assert_eq!(rack.ask(&only_new).0, node, "also without the old one");
}

#[test]
fn an_approval_is_for_what_the_machine_shows_then() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.ask(&weld(MAC_B));
    rack.ask(&box_a());
    assert_eq!(rack.ask(&Box1 { uuid: None, ..box_b() }).0, node, "nobody has said which machine it is");
    rack.ask(&box_a());
    rack.approve(node).unwrap();
    assert_eq!(rack.node(node).machine, MachineId::of_system(&box_a().ask().info));
    assert_ne!(rack.ask(&box_b()).0, node);
    assert!(is_served(&mut rack, &box_a()), "and nobody voided it");
}

#[test]
fn a_row_is_known_by_so_many_macs_and_found_by_each_request_that_shows_one() {
    use crate::domain::facts::Link;
    use crate::domain::machine::MOST_MACS;
    use std::sync::Arc;
    // A host full of virtual functions, whose addresses sort before those of its cards.
    let many = |from: u8, cards: &[&str]| {
        let mut ask = box_a().ask();
        let made_up = (0..200).map(|number| format!("02:00:00:00:{from:02x}:{number:02x}").parse().unwrap());
        let macs: Vec<_> = made_up.chain(cards.iter().map(|mac| mac.parse().unwrap())).collect();
        let links = macs.iter().map(|mac| Link { name: "eno1".into(), mac: *mac }).collect();
        Arc::make_mut(&mut ask.info).links = links;
        ask.stamp.macs = macs.into_iter().collect();
        ask
    };
    let mut rack = Rack::new();
    let row = |rack: &mut Rack, ask: Ask| match rack.submit(&Command::Ask(ask)).unwrap().reply {
        Reply::Asked { node, .. } => node,
        other => panic!("{other:?}"),
    };
    let node = row(&mut rack, many(0, &[MAC_A]));
    let macs = |rack: &Rack| rack.node(node).machine.macs.clone();
    assert_eq!(macs(&rack).len(), MOST_MACS);
    assert!(macs(&rack).contains(&MAC_A.parse().unwrap()), "what is burnt in comes first");
    for other in 1..6 {
        assert_eq!(row(&mut rack, many(other, &[MAC_A])), node);
        assert_eq!(macs(&rack).len(), MOST_MACS);
    }
    // What is taken for it counts before what was known.
    let replaced = many(9, &[MAC_A, MAC_B]);
    assert_eq!(row(&mut rack, replaced), node);
    rack.approve(node).unwrap();
    assert!(macs(&rack).contains(&MAC_B.parse().unwrap()) && macs(&rack).len() == MOST_MACS);
    assert_eq!(rack.ask(&box_a()).0, node);
}

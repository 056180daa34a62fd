//! Addresses and NICs: the pool, what goes before it, and what keeps a machine from being answered.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::domain::address::{AddressRules, AddressSource, NicRule, Pool};
use crate::domain::fleet::PoolOutlook;
use crate::domain::guard::Withheld;
use crate::domain::node::Flag;

fn pool(ranges: &[&str]) -> Pool {
    Pool::new(&ranges.iter().map(|range| range.parse().unwrap()).collect::<Vec<_>>(), &[])
}

fn rules(source: AddressSource) -> AddressRules {
    AddressRules {
        source,
        gateway: Some([192, 0, 2, 1].into()),
        dns: Some([192, 0, 2, 101].into()),
        pool: pool(&["192.0.2.100-103"]),
        ..AddressRules::default()
    }
}

fn under(addresses: AddressRules) -> Rack {
    Rack::under(Policy { addresses, ..Policy::default() })
}

fn machine(index: u8) -> Box1 {
    const UUIDS: [&str; 4] =
        [UUID_A, UUID_B, "f68d13f3-472b-4f1a-95a7-120b398a07cc", "f68d13f3-472b-4f1a-95a7-120b398a07dd"];
    const MACS: [&str; 4] = [MAC_A, MAC_B, "b4:2e:99:00:00:0c", "b4:2e:99:00:00:0d"];
    const PEERS: [&str; 4] = ["192.0.2.10", "192.0.2.11", "192.0.2.102", "192.0.2.13"];
    let at = usize::from(index);
    Box1 { uuid: Some(UUIDS[at]), macs: vec![MACS[at]], peer: PEERS[at], body: index }
}

impl Rack {
    fn serve(&mut self, machine: &Box1) -> Option<IpAddr> {
        let (_, Verdict::Serve(grant)) = self.ask(machine) else { return None };
        let address = grant.address.map_or(machine.peer.parse().unwrap(), |fixed| fixed.address);
        assert_eq!(self.release(machine, &grant, Some(&format!("{address}/24"))), Reply::Released);
        Some(address)
    }
}

#[test]
fn the_pool_gives_the_lowest_free_address_once_and_for_good() {
    let mut rack = under(rules(AddressSource::Pool));
    // .101 is the resolver, .102 the address another machine asks from.
    let [a, b, c] = [0, 1, 2].map(|index| rack.ask(&machine(index)).0);
    assert_eq!(rack.fleet.pool_outlook(), Some(PoolOutlook { free: 2, wanted: 3 }));
    for node in [a, b] {
        let foreseen = rack.fleet.fixed_on_approval(rack.node(node)).unwrap();
        rack.approve(node).unwrap();
        assert_eq!(rack.node(node).fixed(), foreseen, "a preview says what comes");
    }
    assert_eq!(rack.node(a).fixed_address(), Some([192, 0, 2, 100].into()));
    assert_eq!(rack.node(b).fixed_address(), Some([192, 0, 2, 103].into()));
    // The one that sits on .102 may have it.
    assert_eq!(rack.fleet.next_free(Some(c)), Some([192, 0, 2, 102].into()));
    assert_eq!(rack.fleet.next_free(None), None);
    // Retries, lost answers and reboots keep it.
    for _ in 0..2 {
        assert_eq!(rack.serve(&machine(0)), Some([192, 0, 2, 100].into()));
    }
    rack.order(Order::Forget { node: a }).unwrap();
    let (a, _) = rack.ask(&machine(0));
    rack.approve(a).unwrap();
    assert_eq!(rack.node(a).fixed_address(), Some([192, 0, 2, 100].into()), "freed when the row was forgotten");
}

#[test]
fn an_empty_pool_is_said_before_and_at_the_approval() {
    let mut rack = under(AddressRules { pool: pool(&["192.0.2.100"]), ..rules(AddressSource::Pool) });
    let (a, _) = rack.ask(&machine(0));
    rack.approve(a).unwrap();
    let (b, _) = rack.ask(&machine(1));
    assert!(rack.node(b).flags.iter().any(|flag| matches!(flag, Flag::CannotAnswer { .. })));
    assert!(matches!(rack.fleet.fixed_on_approval(rack.node(b)), Err(Refusal::PoolEmpty(_))));
    assert!(matches!(rack.approve(b), Err(Refusal::PoolEmpty(_))));
    rack.order(Order::SetAddress { node: b, address: [192, 0, 2, 77].into() }).unwrap();
    rack.approve(b).unwrap();
    assert_eq!(rack.serve(&machine(1)), Some([192, 0, 2, 77].into()));
}

#[test]
fn an_approval_under_other_rules_still_gets_an_address_of_the_pool() {
    let mut rack = under(rules(AddressSource::Requester));
    let (node, _) = rack.ask(&machine(0));
    rack.approve(node).unwrap();
    rack.fleet.set_policy(Policy { addresses: rules(AddressSource::Pool), ..Policy::default() });
    assert_eq!(rack.serve(&machine(0)), Some([192, 0, 2, 100].into()));
}

#[test]
fn the_operators_address_goes_into_the_answer() {
    let mut rack = under(rules(AddressSource::Pool));
    let (node, _) = rack.ask(&machine(0));
    let set = |address: [u8; 4]| Order::SetAddress { node, address: address.into() };
    assert!(matches!(rack.order(set([192, 0, 2, 1])), Err(Refusal::BadAddress { .. })), "the gateway's");
    assert!(matches!(rack.order(set([198, 51, 100, 1])), Err(Refusal::BadAddress { .. })), "outside");
    rack.approve(node).unwrap();
    let (_, Verdict::Serve(old)) = rack.ask(&machine(0)) else { panic!() };
    rack.order(set([192, 0, 2, 77])).unwrap();
    let reply = rack.release(&machine(0), &old, Some("192.0.2.100/24"));
    let Reply::Rerender(renewed) = reply else { panic!("{reply:?}") };
    assert_eq!(renewed.address.map(|fixed| fixed.address), Some([192, 0, 2, 77].into()));
    assert_eq!(rack.fleet.next_free(None), Some([192, 0, 2, 100].into()), "the pool has its own back");
    assert_eq!(rack.serve(&machine(0)), Some([192, 0, 2, 77].into()));
}

#[test]
fn without_a_planned_address_nobody_is_approved_where_the_plan_rules() {
    let mut rack = under(rules(AddressSource::Plan));
    let (node, _) = rack.ask(&machine(0));
    assert!(matches!(rack.approve(node), Err(Refusal::NoPlannedAddress(_))));
}

#[rstest]
#[case::routable("192.0.2.10", None)]
#[case::elsewhere("198.51.100.7", None)]
#[case::link_local("169.254.3.4", Some("BAD ADDRESS 169.254.3.4 - check DHCP, see console"))]
#[case::link_local_v6("fe80::1", Some("BAD ADDRESS fe80::1 - check DHCP, see console"))]
#[case::other_family("2001:db8::7", Some("BAD ADDRESS 2001:db8::7 - check DHCP, see console"))]
#[case::nat("192.0.2.1", Some("BAD ADDRESS 192.0.2.1 - check DHCP, see console"))]
fn an_address_that_cannot_be_kept_is_said_when_the_machine_asks(
    #[case] peer: &'static str,
    #[case] screen: Option<&str>,
) {
    let mut rack = under(rules(AddressSource::Requester));
    let asking = Box1 { peer, ..machine(0) };
    let (node, _) = rack.ask(&asking);
    let said = rack.node(node).flags.iter().any(|flag| matches!(flag, Flag::CannotAnswer { .. }));
    assert_eq!(said, screen.is_some());
    rack.approve(node).unwrap();
    let (_, verdict) = rack.ask(&asking);
    let told = match verdict {
        Verdict::Hold(why) => Some(why.screen()),
        _ => None,
    };
    assert_eq!(told.as_deref(), screen);
    // With DHCP it does not matter.
    rack.fleet.set_policy(Policy { addresses: rules(AddressSource::Dhcp), ..Policy::default() });
    assert!(matches!(rack.ask(&asking).1, Verdict::Serve(_)));
    assert_eq!(rack.node(node).flags, [].into());
}

#[test]
fn which_of_several_nics_is_asked_of_the_operator() {
    let mut rack = under(rules(AddressSource::Requester));
    let far = Box1 { macs: vec![MAC_A, MAC_B], ..machine(0) };
    let ask = || Ask { asking_mac: None, ..far.ask() };
    let asked = |rack: &mut Rack| match rack.submit(&Command::Ask(ask())).unwrap().reply {
        Reply::Asked { node, verdict } => (node, verdict),
        other => panic!("{other:?}"),
    };
    let (node, _) = asked(&mut rack);
    assert!(rack.node(node).flags.contains(&Flag::ChooseNic));
    rack.approve(node).unwrap();
    let (_, Verdict::Hold(why @ Withheld::ChooseNic(_))) = asked(&mut rack) else { panic!() };
    assert!(why.screen().ends_with("choose NIC in console"));
    let choose = |mac: &str| Order::ChooseNic { node, mac: mac.parse().unwrap() };
    assert!(matches!(rack.order(choose("b4:2e:99:00:00:99")), Err(Refusal::NoSuchNic { .. })));
    rack.order(choose(MAC_B)).unwrap();
    assert_eq!(rack.node(node).flags, [].into());
    // The held request is looked at again by this.
    let stamp = rack.stamp(node);
    let Some(Verdict::Serve(grant)) = rack.fleet.judge(node, &stamp, rack.now) else { panic!() };
    assert_eq!(grant.nic, Some(MAC_B.parse().unwrap()));
    assert!(matches!(asked(&mut rack).1, Verdict::Serve(_)));
}

#[rstest]
#[case(NicRule::Asking { or_vendor: true })]
#[case(NicRule::Vendor)]
#[case(NicRule::Given)]
fn where_the_nic_is_told_otherwise_nobody_is_asked(#[case] nic: NicRule) {
    let mut rack = under(AddressRules { nic, ..rules(AddressSource::Requester) });
    let ask = Ask { asking_mac: None, ..Box1 { macs: vec![MAC_A, MAC_B], ..machine(0) }.ask() };
    rack.submit(&Command::Ask(ask)).unwrap();
    assert_eq!(rack.fleet.nodes().next().unwrap().flags, [].into());
}

#[test]
fn a_lease_given_out_again_is_flagged() {
    let mut rack = under(rules(AddressSource::Requester));
    let a = rack.install(&machine(0));
    let second = Box1 { peer: machine(0).peer, ..machine(1) };
    let (b, _) = rack.ask(&second);
    assert!(rack.node(b).flags.contains(&Flag::LeaseReused { of: a }));
    assert!(rack.node(b).flags.contains(&Flag::AddressTaken { by: a }));
    rack.approve(b).unwrap();
    assert!(matches!(rack.ask(&second).1, Verdict::Hold(Withheld::AddressTaken(_))));
}

/// One random step of a rack with a small pool.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(u8),
    Approve(u8),
    Set(u8, u8),
    Forget(u8),
    Plan(u8),
    Source(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_u8).prop_map(Step::Ask),
        4 => (0..4_u8).prop_map(Step::Approve),
        1 => (0..4_u8, 98..105_u8).prop_map(|(machine, last)| Step::Set(machine, last)),
        1 => (0..4_u8).prop_map(Step::Forget),
        1 => any::<u8>().prop_map(Step::Plan),
        1 => (0..4_u8).prop_map(Step::Source),
    ]
}

fn play(rack: &mut Rack, step: Step) {
    let row = |rack: &Rack, index: u8| {
        let ask = machine(index).ask();
        rack.fleet.resolve(&MachineId::of_system(&ask.info), Some(&ask)).node
    };
    match step {
        Step::Ask(index) => {
            let machine = machine(index);
            if let (_, Verdict::Serve(grant)) = rack.ask(&machine) {
                let address = grant.address.map_or(machine.peer.parse().unwrap(), |fixed| fixed.address);
                rack.release(&machine, &grant, Some(&format!("{address}/24")));
            }
        }
        Step::Approve(index) => {
            if let Some(node) = row(rack, index) {
                let _ = rack.approve(node);
            }
        }
        Step::Set(index, last) => {
            if let Some(node) = row(rack, index) {
                let _ = rack.order(Order::SetAddress { node, address: [192, 0, 2, last].into() });
            }
        }
        Step::Forget(index) => {
            if let Some(node) = row(rack, index) {
                let _ = rack.order(Order::Forget { node });
            }
        }
        Step::Plan(bits) => {
            let entries = (0..4_u8).filter(|index| bits & (1 << index) != 0).map(|index| {
                let mut entry = crate::domain::PlanEntry::new(format!("db-{index}.example.com").parse().unwrap());
                entry.uuid = machine(index).uuid.map(|uuid| uuid.parse().unwrap());
                entry.address = (bits & (16 << index) != 0).then(|| [192, 0, 2, 100 + index].into());
                std::sync::Arc::new(entry)
            });
            rack.submit(&Command::Plan { entries: entries.collect() }).unwrap();
        }
        Step::Source(which) => {
            let sources = [AddressSource::Requester, AddressSource::Pool, AddressSource::Plan, AddressSource::Pool];
            let addresses = rules(sources[usize::from(which)]);
            rack.fleet.set_policy(Policy { addresses, ..Policy::default() });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn no_two_nodes_are_answered_with_one_address(steps in proptest::collection::vec(step(), 1..80)) {
        let mut rack = under(rules(AddressSource::Pool));
        for step in steps {
            play(&mut rack, step);
            let answered = rack.fleet.nodes().filter_map(|node| node.answers.as_ref()?.address);
            let mut seen = BTreeSet::new();
            for address in answered {
                prop_assert!(seen.insert(address.addr()), "two answers with {address}");
            }
            // What the floor leaves out is really taken.
            let rules = &rack.fleet.policy.addresses;
            let free = rules.pool.from(None).find(|address| {
                !rack.fleet.index.is_taken(*address, None) && rules.judge(*address).is_ok()
            });
            prop_assert_eq!(rack.fleet.next_free(None), free);
            let named: BTreeSet<_> = rack.fleet.nodes().map(|node| &node.name).collect();
            prop_assert_eq!(named.len(), rack.fleet.node_count());
        }
        let text = serde_json::to_string(&rack.fleet).unwrap();
        let stored: Fleet = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&stored.index, &rack.fleet.index);
    }
}

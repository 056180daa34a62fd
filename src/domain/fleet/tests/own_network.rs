//! Machines whose own layers say otherwise of their network: the pool, what keeps them from being answered, and the
//! address in their answer.

use rstest::rstest;

use super::*;
use crate::domain::address::{AddressRules, AddressSource, OwnAddress, Pool, Unfit};
use crate::domain::guard::Withheld;
use crate::domain::node::{Flag, ProfileChoice};

fn rack(source: AddressSource) -> Rack {
    let addresses = AddressRules {
        source,
        gateway: Some([192, 0, 2, 1].into()),
        dns: Some([192, 0, 2, 53].into()),
        own: [[192, 0, 2, 2].into()].into(),
        pool: Pool::new(&["192.0.2.100".parse().unwrap()], &[]),
        ..AddressRules::default()
    };
    Rack::under(Policy { addresses, ..Policy::default() })
}

fn own(address: Option<OwnAddress>) -> OwnNetwork {
    OwnNetwork { address, ..OwnNetwork::default() }
}

const DHCP: OwnNetwork = OwnNetwork { dhcp: Some(true), address: None, filter: None, gateway: None, dns: None };

impl Rack {
    fn ask_with(&mut self, machine: &Box1, own: OwnNetwork) -> (NodeId, Verdict) {
        match self.submit(&Command::Ask(Ask { own, ..machine.ask() })).unwrap().reply {
            Reply::Asked { node, verdict } => (node, verdict),
            other => panic!("{other:?}"),
        }
    }

    /// Asks, is approved, asks again, and wants an answer with this address released.
    fn released(&mut self, machine: &Box1, own: OwnNetwork, address: Option<&str>) -> (NodeId, Reply) {
        let (node, _) = self.ask_with(machine, own);
        self.approve(node).unwrap();
        let (_, Verdict::Serve(grant)) = self.ask_with(machine, own) else { panic!("not served") };
        let release = Release { own, ..self.release_of(machine, &grant, address) };
        (node, self.submit(&Command::Release(release)).unwrap().reply)
    }
}

#[rstest]
#[case::template(own(Some(OwnAddress::Template)), Some("192.0.2.66/24"))]
#[case::dhcp(DHCP, None)]
fn the_pool_keeps_its_addresses_where_a_machine_needs_none(#[case] own: OwnNetwork, #[case] address: Option<&str>) {
    let mut rack = rack(AddressSource::Pool);
    let (node, reply) = rack.released(&box_a(), own, address);
    assert_eq!(reply, Reply::Released);
    assert_eq!(rack.node(node).fixed_address(), None);
    assert_eq!(rack.fleet.pool_outlook().map(|outlook| outlook.free), Some(1));
}

#[test]
fn a_machine_that_takes_dhcp_back_gets_an_address_of_the_pool() {
    let mut rack = rack(AddressSource::Dhcp);
    let mut policy = Policy::clone(&rack.fleet.policy);
    policy.addresses.otherwise.source = AddressSource::Pool;
    rack.fleet.set_policy(policy);
    let from_answer = OwnNetwork { dhcp: Some(false), ..OwnNetwork::default() };
    let (node, reply) = rack.released(&box_a(), from_answer, Some("192.0.2.100/24"));
    assert_eq!((reply, rack.node(node).fixed_address()), (Reply::Released, Some([192, 0, 2, 100].into())));
}

#[test]
fn by_dhcp_or_by_its_own_address_nobody_misses_one_in_the_plan() {
    for own in [DHCP, own(Some(OwnAddress::Override))] {
        let mut rack = rack(AddressSource::Plan);
        let (node, _) = rack.ask_with(&box_a(), own);
        assert_eq!(rack.node(node).flags, [].into());
        rack.approve(node).unwrap();
        assert!(matches!(rack.ask_with(&box_a(), own).1, Verdict::Serve(_)));
    }
}

#[test]
fn a_filter_of_its_own_layers_frees_it_from_the_choice_of_a_nic() {
    let mut rack = rack(AddressSource::Requester);
    let two = Box1 { macs: vec![MAC_A, MAC_B], ..box_a() };
    let ask = |own| Ask { asking_mac: None, own, ..two.ask() };
    rack.submit(&Command::Ask(ask(OwnNetwork::default()))).unwrap();
    let node = rack.fleet.nodes().next().unwrap().id;
    assert!(rack.node(node).flags.contains(&Flag::ChooseNic));
    let filtered = OwnNetwork { filter: Some(true), ..OwnNetwork::default() };
    rack.submit(&Command::Ask(ask(filtered))).unwrap();
    assert_eq!(rack.node(node).flags, [].into());
    rack.approve(node).unwrap();
    let served = rack.submit(&Command::Ask(ask(filtered))).unwrap().reply;
    assert!(matches!(served, Reply::Asked { verdict: Verdict::Serve(_), .. }));
}

#[test]
fn another_profile_is_judged_when_its_answer_is_made() {
    let mut rack = rack(AddressSource::Plan);
    let (node, _) = rack.ask_with(&box_a(), DHCP);
    rack.approve(node).unwrap();
    let stamp = rack.stamp(node);
    assert!(matches!(rack.fleet.judge(node, &stamp, rack.now), Some(Verdict::Serve(_))));
    rack.order(Order::ChooseProfile { node, profile: Some(ProfileChoice::Without) }).unwrap();
    assert_eq!(rack.node(node).request.as_ref().unwrap().own, None);
    let Some(Verdict::Serve(grant)) = rack.fleet.judge(node, &stamp, rack.now) else { panic!("not known yet") };
    let reply = rack.release(&box_a(), &grant, Some("192.0.2.10/24"));
    assert!(matches!(reply, Reply::Withheld(Withheld::NoPlannedAddress(_))), "{reply:?}");
}

#[rstest]
#[case::gateway("192.0.2.1/24", Unfit::Gateway)]
#[case::resolver("192.0.2.53/24", Unfit::Dns)]
#[case::console("192.0.2.2/24", Unfit::Own)]
#[case::elsewhere("198.51.100.7/24", Unfit::Outside)]
#[case::network("192.0.2.0/24", Unfit::Network)]
fn no_answer_leaves_with_an_address_that_will_not_do(#[case] address: &str, #[case] why: Unfit) {
    for own in [own(Some(OwnAddress::Template)), own(Some(OwnAddress::Override))] {
        let mut rack = rack(AddressSource::Requester);
        let (node, reply) = rack.released(&box_a(), own, Some(address));
        let Reply::Withheld(Withheld::BadAddress { why: told, .. }) = reply else { panic!("{reply:?}") };
        assert_eq!(told, why);
        assert!(rack.node(node).flags.iter().any(|flag| matches!(flag, Flag::CannotAnswer { .. })));
    }
}

#[test]
fn an_address_beside_its_own_gateway_will_do() {
    let mut rack = rack(AddressSource::Requester);
    let elsewhere = OwnNetwork { gateway: Some([198, 51, 100, 1].into()), ..own(Some(OwnAddress::Template)) };
    let set = |node, last| Order::SetAddress { node, address: [198, 51, 100, last].into() };
    let (node, _) = rack.ask_with(&box_b(), elsewhere);
    assert!(matches!(rack.order(set(node, 1)), Err(Refusal::BadAddress { .. })), "its gateway's");
    rack.order(set(node, 9)).unwrap();
    assert_eq!(rack.released(&box_a(), elsewhere, Some("198.51.100.7/24")).1, Reply::Released);
}

#[test]
fn the_plans_address_does_not_count_behind_an_override() {
    let mut rack = rack(AddressSource::Requester);
    let mut entry = crate::domain::PlanEntry::new("db-1.example.com".parse().unwrap());
    entry.uuid = UUID_A.parse().ok();
    // The gateway's: refused, if it counted.
    entry.address = Some([192, 0, 2, 1].into());
    rack.submit(&Command::Plan { entries: vec![std::sync::Arc::new(entry)] }).unwrap();
    let (_, reply) = rack.released(&box_a(), own(Some(OwnAddress::Override)), Some("192.0.2.77/24"));
    assert_eq!(reply, Reply::Released);
}

#[test]
fn a_plan_that_names_another_profile_makes_what_was_said_unknown() {
    let mut rack = rack(AddressSource::Plan);
    let entry = |profile: Option<&str>| {
        let mut entry = crate::domain::PlanEntry::new("db-1.example.com".parse().unwrap());
        entry.uuid = UUID_A.parse().ok();
        entry.profile = profile.map(|name| name.parse().unwrap());
        Command::Plan { entries: vec![std::sync::Arc::new(entry)] }
    };
    rack.submit(&entry(Some("by-dhcp"))).unwrap();
    let (node, _) = rack.ask_with(&box_a(), DHCP);
    let own = |rack: &Rack| rack.node(node).request.as_ref().unwrap().own;
    rack.submit(&entry(Some("by-dhcp"))).unwrap();
    assert_eq!(own(&rack), Some(DHCP), "nothing is new");
    rack.submit(&entry(None)).unwrap();
    assert_eq!(own(&rack), None);
    rack.ask_with(&box_a(), DHCP);
    rack.submit(&Command::Plan { entries: Vec::new() }).unwrap();
    assert_eq!(own(&rack), None);
}

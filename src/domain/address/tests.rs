use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn range(text: &str) -> AddressRange {
    text.parse().unwrap()
}

fn pool(ranges: &[&str], exclude: &[&str]) -> Pool {
    let read = |texts: &[&str]| texts.iter().map(|text| range(text)).collect::<Vec<_>>();
    Pool::new(&read(ranges), &read(exclude))
}

fn shown(pool: &Pool) -> String {
    pool.ranges().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case("192.0.2.10-192.0.2.99", "192.0.2.10-192.0.2.99")]
#[case(" 192.0.2.10 - 192.0.2.99 ", "192.0.2.10-192.0.2.99")]
#[case("192.0.2.10-99", "192.0.2.10-192.0.2.99")]
#[case("192.0.2.64/30", "192.0.2.64-192.0.2.67")]
#[case("192.0.2.7", "192.0.2.7")]
#[case("::ffff:192.0.2.7", "192.0.2.7")]
#[case("2001:db8::10-2001:db8::1f", "2001:db8::10-2001:db8::1f")]
fn ranges_are_read(#[case] given: &str, #[case] expected: &str) {
    assert_eq!(range(given).to_string(), expected);
}

#[rstest]
#[case("")]
#[case("192.0.2.99-192.0.2.10")]
#[case("192.0.2.10-2001:db8::1")]
#[case("192.0.2.10-300")]
#[case("192.0.2.0/33")]
#[case("a-b")]
fn nonsense_is_no_range(#[case] given: &str) {
    assert!(given.parse::<AddressRange>().is_err());
}

#[rstest]
#[case(&["192.0.2.10-20"], &[], "192.0.2.10-192.0.2.20", 11)]
#[case(&["192.0.2.10-20"], &["192.0.2.10-12", "192.0.2.15", "192.0.2.20"], "192.0.2.13-192.0.2.14 192.0.2.16-192.0.2.19", 6)]
#[case(&["192.0.2.10-20"], &["192.0.2.0/24"], "", 0)]
#[case(&["192.0.2.15-30", "192.0.2.10-20"], &[], "192.0.2.10-192.0.2.30", 21)]
#[case(&["0.0.0.0-0.0.0.3"], &["0.0.0.0"], "0.0.0.1-0.0.0.3", 3)]
#[case(&["2001:db8::/64", "192.0.2.1-2"], &[], "192.0.2.1-192.0.2.2 2001:db8::-2001:db8::ffff:ffff:ffff:ffff", (1 << 64) + 2)]
#[case(&["::/0"], &["::1"], ":: ::2-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", u128::MAX)]
fn exclusions_are_taken_out(#[case] ranges: &[&str], #[case] exclude: &[&str], #[case] left: &str, #[case] size: u128) {
    let pool = pool(ranges, exclude);
    assert_eq!((shown(&pool).as_str(), pool.size()), (left, size));
}

#[test]
fn addresses_come_lowest_first_from_the_floor_on() {
    let pool = pool(&["192.0.2.30-31", "192.0.2.10-12"], &[]);
    let from = |floor: Option<&str>| {
        let floor = floor.map(|floor| floor.parse().unwrap());
        pool.from(floor).map(|address| address.to_string().rsplit_once('.').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(from(None), ["10", "11", "12", "30", "31"]);
    assert_eq!(from(Some("192.0.2.12")), ["12", "30", "31"]);
    assert_eq!(from(Some("192.0.2.20")), ["30", "31"]);
    assert_eq!(from(Some("192.0.2.32")), [""; 0]);
}

#[rstest]
#[case("192.0.2.11", None)]
#[case("169.254.1.1", Some(Unfit::LinkLocal))]
#[case("fe80::1", Some(Unfit::LinkLocal))]
#[case("255.255.255.255", Some(Unfit::NotAHost))]
#[case("::", Some(Unfit::NotAHost))]
#[case("192.0.2.1", Some(Unfit::Gateway))]
#[case("192.0.2.53", Some(Unfit::Dns))]
#[case("192.0.2.2", Some(Unfit::Own))]
#[case("192.0.2.0", Some(Unfit::Network))]
#[case("192.0.2.255", Some(Unfit::Network))]
#[case("192.0.3.7", Some(Unfit::Outside))]
#[case("2001:db8::7", Some(Unfit::Family))]
fn what_cannot_be_a_nodes_address_is_said(#[case] address: &str, #[case] why: Option<Unfit>) {
    let rules = AddressRules {
        gateway: Some([192, 0, 2, 1].into()),
        dns: Some([192, 0, 2, 53].into()),
        own: [[192, 0, 2, 2].into()].into(),
        ..AddressRules::default()
    };
    assert_eq!(rules.judge(address.parse().unwrap()).err(), why);
}

#[test]
fn the_servers_of_a_machines_own_layers_count() {
    let rules = AddressRules { gateway: Some([192, 0, 2, 1].into()), ..AddressRules::default() };
    let own = OwnNetwork {
        gateway: Some([198, 51, 100, 1].into()),
        dns: Some([198, 51, 100, 53].into()),
        ..OwnNetwork::default()
    };
    let judged =
        |address: &str, mask: &str| rules.judge_for(&own, address.parse().unwrap(), mask.parse().unwrap()).err();
    assert_eq!(judged("198.51.100.7", "24"), None);
    assert_eq!(judged("198.51.100.53", "24"), Some(Unfit::Dns));
    assert_eq!(judged("192.0.2.7", "24"), Some(Unfit::Outside));
    assert_eq!(judged("192.0.2.7", "32"), None, "its gateway is elsewhere");
}

#[test]
fn a_machines_own_layers_go_before_what_counts_for_all() {
    let own = |dhcp, filter| OwnNetwork { dhcp, filter, ..OwnNetwork::default() };
    let pool = Otherwise { source: AddressSource::Pool, nic: NicRule::Vendor };
    let rules =
        AddressRules { source: AddressSource::Dhcp, nic: NicRule::Given, otherwise: pool, ..AddressRules::default() };
    let said = |own: OwnNetwork| (rules.source_of(&own), rules.nic_of(&own));
    assert_eq!(said(own(None, None)), (AddressSource::Dhcp, NicRule::Given));
    assert_eq!(said(own(Some(false), Some(false))), (AddressSource::Pool, NicRule::Vendor));
    let rules = AddressRules { source: AddressSource::Plan, ..AddressRules::default() };
    assert_eq!(rules.source_of(&own(Some(true), None)), AddressSource::Dhcp);
    assert_eq!(rules.nic_of(&own(None, Some(true))), NicRule::Given);
}

#[test]
fn ipv6_networks_work_alike() {
    let rules = AddressRules {
        gateway: Some("2001:db8::1".parse().unwrap()),
        mask: "64".parse().unwrap(),
        ..AddressRules::default()
    };
    let judged = |address: &str| rules.judge(address.parse().unwrap()).err();
    assert_eq!(judged("2001:db8::7"), None);
    assert_eq!(judged("2001:db8::"), Some(Unfit::Network));
    assert_eq!(judged("2001:db8::ffff:ffff:ffff:ffff"), None);
    assert_eq!(judged("2001:db8:1::7"), Some(Unfit::Outside));
}

proptest! {
    #[test]
    fn a_pool_is_its_ranges_without_its_exclusions(
        ranges in proptest::collection::vec((0_u8..60, 0_u8..20), 0..5),
        exclude in proptest::collection::vec((0_u8..60, 0_u8..20), 0..5),
    ) {
        let made = |parts: &[(u8, u8)]| -> Vec<AddressRange> {
            let of = |(first, more): &(u8, u8)| range(&format!("192.0.2.{first}-{}", first + more));
            parts.iter().map(of).collect()
        };
        let (ranges, exclude) = (made(&ranges), made(&exclude));
        let pool = Pool::new(&ranges, &exclude);
        let within = |of: &[AddressRange], address| of.iter().any(|range| range.contains(address));
        let all = (0..=255).map(|last| IpAddr::from([192, 0, 2, last]));
        let expected: Vec<_> = all.filter(|address| within(&ranges, *address) && !within(&exclude, *address)).collect();
        prop_assert_eq!(pool.from(None).collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(pool.size(), expected.len() as u128);
    }

    #[test]
    fn no_text_panics(given in any::<String>()) {
        let _ = given.parse::<AddressRange>();
    }
}

//! What the plan and the operator give a node, between and above the files.

use rstest::rstest;

use super::layers::{base, layer, profile, row};
use super::{SMALL, inputs};
use crate::answer::{Context, Files, Given, NicChoice, Offer, RenderError, fill, render};
use crate::domain::address::{Fixed, FixedBy, OwnAddress, OwnNetwork};
use crate::domain::{Generation, MacAddr};

const TEMPLATE: &str = "[network]\ncidr = \"10.20.0.{{ 60 + 6 }}/24\"\n";
const OVERRIDE: &str = "[network]\ncidr = \"10.20.0.77/24\"\n";

fn fixed(by: FixedBy, last: u8) -> Given {
    let address = [10, 20, 0, last].into();
    Given { fixed: Some(Fixed { address, by }), mask: "24".parse().unwrap(), ..Given::default() }
}

/// How the answer explains `setting`, and what its files say of the network.
fn explained(
    setting: &str,
    (profile_text, own): (&str, &str),
    given: &Given,
    offer: Offer,
) -> Result<(String, OwnNetwork), RenderError> {
    let (base, profile) = (base(SMALL), profile("p", profile_text));
    let files = Files { base: &base, profile: Some(profile.overlay()), own: Some(layer(own)) };
    let (overlay, network) = files.with(given)?;
    let overlay = fill(overlay, &Context::new(None, None, std::collections::BTreeMap::new())).unwrap();
    let inputs = crate::answer::Inputs { address: Some(offer), ..inputs(Generation::V9_2) };
    Ok((row(&render(&overlay, &inputs)?.overlay, setting), network))
}

#[rstest]
#[case::requester("", "", None, "\"10.20.0.31/24\" < the address it asked from, and `machine_net_mask`")]
#[case::pool("", "", Some((FixedBy::Pool, 40)), "\"10.20.0.40/24\" < `pool` and `machine_net_mask`")]
#[case::template_before_pool(TEMPLATE, "", Some((FixedBy::Pool, 40)), "\"10.20.0.66/24\" < profiles/p.toml:2")]
#[case::plan("", "", Some((FixedBy::Plan, 50)), "\"10.20.0.50/24\" < plan.toml, and `machine_net_mask`")]
#[case::plan_before_template(
    TEMPLATE, "", Some((FixedBy::Plan, 50)),
    "\"10.20.0.50/24\" < plan.toml, and `machine_net_mask` | \"10.20.0.{{ 60 + 6 }}/24\" < profiles/p.toml:2"
)]
#[case::override_before_plan(
    "", OVERRIDE, Some((FixedBy::Plan, 50)),
    "\"10.20.0.77/24\" < o.toml:2 | \"10.20.0.50/24\" < plan.toml, and `machine_net_mask`"
)]
#[case::operator_before_all(
    TEMPLATE, OVERRIDE, Some((FixedBy::Operator, 60)),
    "\"10.20.0.60/24\" < the address given to it, and `machine_net_mask` | \"10.20.0.77/24\" < o.toml:2 | \
     \"10.20.0.{{ 60 + 6 }}/24\" < profiles/p.toml:2"
)]
fn an_address_is_that_of_the_strongest_and_says_whose_it_is(
    #[case] profile: &str,
    #[case] own: &str,
    #[case] by: Option<(FixedBy, u8)>,
    #[case] expected: &str,
) {
    let given = by.map(|(by, last)| fixed(by, last)).unwrap_or_default();
    let offer = match by {
        Some((FixedBy::Pool, last)) => Offer::Pool([10, 20, 0, last].into()),
        _ => Offer::Asked([10, 20, 0, 31].into()),
    };
    let (row, _) = explained("network.cidr", (profile, own), &given, offer).unwrap();
    assert_eq!(row, expected);
}

#[test]
fn an_address_that_is_given_has_no_effect_with_dhcp() {
    let dhcp = "[network]\nsource = \"from-dhcp\"\n";
    let given = Given { nic: Some(MacAddr([2, 0, 0, 0, 0, 9])), ..fixed(FixedBy::Operator, 60) };
    for files in [(dhcp, ""), ("", dhcp)] {
        let offer = Offer::Asked([10, 20, 0, 31].into());
        let (row, network) = explained("network.source", files, &given, offer).unwrap();
        assert!(row.starts_with("\"from-dhcp\" < "), "{row}");
        assert_eq!(network.dhcp, Some(true));
    }
}

#[test]
fn the_operators_nic_replaces_every_filter() {
    let filter = "[network]\nfilter.INTERFACE = \"en*\"\nfilter.ID_BUS = \"pci\"\n";
    let offer = Offer::Asked([10, 20, 0, 31].into());
    let chosen = Given { nic: Some(MacAddr([2, 0, 0, 0, 0, 9])), ..Given::default() };
    let (mac, network) = explained("network.filter.ID_NET_NAME_MAC", (filter, ""), &chosen, offer).unwrap();
    assert_eq!(mac, "\"*020000000009\" < the interface chosen for it");
    assert_eq!(network.filter, Some(true));
    let (old, _) = explained("network.filter.INTERFACE", (filter, ""), &chosen, offer).unwrap();
    assert_eq!(old, "gone | \"en*\" < profiles/p.toml:2");
    let (kept, _) = explained("network.filter.INTERFACE", (filter, ""), &Given::default(), offer).unwrap();
    assert_eq!(kept, "\"en*\" < profiles/p.toml:2");
    assert!(matches!(inputs(Generation::V9_2).nic, Some(NicChoice::Mac(_))), "which is not used then");
}

#[test]
fn what_files_say_of_the_network_is_told_where_it_is_not_the_base_answers() {
    let said = |profile: &str, own: &str| {
        explained("network.dns", (profile, own), &Given::default(), Offer::Asked([10, 20, 0, 31].into())).unwrap().1
    };
    assert_eq!(said("", ""), OwnNetwork::default());
    assert_eq!(said(TEMPLATE, "").address, Some(OwnAddress::Template));
    assert_eq!(said(TEMPLATE, OVERRIDE).address, Some(OwnAddress::Override));
    let own = said("[network]\ngateway = \"10.20.0.9\"\n", "[network]\ndns = \"10.20.0.8\"\n");
    assert_eq!((own.gateway, own.dns), ("10.20.0.9".parse().ok(), "10.20.0.8".parse().ok()));
}

#[test]
fn a_given_address_that_fits_nowhere_is_refused_with_its_origin() {
    let offer = Offer::Asked([10, 20, 0, 31].into());
    let own = "[network]\ncidr = \"169.254.0.1/16\"\n";
    let error = explained("network.cidr", ("", own), &Given::default(), offer).unwrap_err();
    assert_eq!(error.to_string(), "`169.254.0.1` (o.toml:2) cannot be the node's address: it is link-local");
    let v6 = Fixed { address: "2001:db8::7".parse().unwrap(), by: FixedBy::Plan };
    let given = Given { fixed: Some(v6), ..Given::default() };
    let error = explained("network.cidr", ("", ""), &given, offer).unwrap_err();
    assert!(error.to_string().contains("does not fit the IPv6 address"), "{error}");
}

#[rstest]
#[case("[network]\ncidr = \"10.20.0.0/24\"\n", "`10.20.0.0/24` is the address of a whole network")]
#[case(
    "[first-boot]\nsource = \"from-url\"\nurl = \"deploy.example.com\"\n",
    "`first-boot.url` is no address that can be called"
)]
fn what_an_installer_takes_to_its_harm_is_not_sent(#[case] own: &str, #[case] why: &str) {
    let offer = Offer::Asked([10, 20, 0, 31].into());
    let error = explained("network.cidr", ("", own), &Given::default(), offer).unwrap_err();
    let told = error.to_string();
    assert!(told.starts_with("the answer would strand the machine: ") && told.contains(why), "{told}");
}

//! The Setup tab: every way of telling machines where to ask, and the self-test.

use crossterm::event::KeyCode;

use super::stage::*;
use super::{Scene, Stage};
use crate::client::SelfTest;
use crate::tui::action::Msg;
use crate::tui::fixture::*;
use crate::tui::model::Model;
use crate::tui::update::update;

pub(super) const SCENES: &[Scene] = &[
    ("setup", |stage| way(stage, 0)),
    ("setup_end", |stage| {
        let mut model = way(stage, 0);
        press(&mut model, KeyCode::End);
        model
    }),
    ("setup_dns_dnsmasq", |stage| way(stage, 1)),
    ("setup_dns_unbound", |stage| way(stage, 2)),
    ("setup_dns_bind", |stage| way(stage, 3)),
    ("setup_dhcp_dnsmasq", |stage| way(stage, 4)),
    ("setup_dhcp_kea", |stage| way(stage, 5)),
    ("setup_dhcp_isc", |stage| way(stage, 6)),
    ("setup_netboot", |stage| way(stage, 7)),
    ("setup_tokens", |stage| {
        let mut rack = Rack::new();
        rack.service.require_token = true;
        keys(stage.open(&rack), "4")
    }),
    ("setup_plain_http", |stage| {
        let mut rack = Rack::new();
        rack.service.url = "http://192.0.2.1:8443".to_owned();
        rack.service.fingerprint = None;
        keys(stage.open(&rack), "4")
    }),
    ("setup_not_served", |stage| {
        let mut rack = Rack::new();
        rack.service.url.clear();
        keys(stage.open(&rack), "4")
    }),
    ("setup_testing", |stage| keys(way(stage, 0), "t")),
    ("setup_tested", |stage| {
        let mut model = keys(way(stage, 0), "t");
        let passed = ["connected to 192.0.2.1:8443", "the certificate is the one shown here"];
        let passed = passed.iter().map(ToString::to_string).collect();
        update(&mut model, Msg::Tested(SelfTest { passed, failed: None }));
        model
    }),
    ("setup_test_failed", |stage| {
        let mut model = keys(way(stage, 0), "t");
        let failed = "nothing answers at 192.0.2.1:8443 within 5 s: a firewall, or an address of another host";
        update(&mut model, Msg::Tested(SelfTest { passed: Vec::new(), failed: Some(failed.to_owned()) }));
        model
    }),
];

/// The tab with this way in front.
fn way(stage: &Stage, number: usize) -> Model {
    let mut model = keys(stage.open(&Rack::new()), "4");
    for _ in 0..number {
        press(&mut model, KeyCode::Right);
    }
    model
}

#[test]
fn every_way_has_a_scene() {
    assert_eq!(SCENES.iter().filter(|(name, _)| name.starts_with("setup_d")).count(), crate::tui::setup::COUNT - 2);
}

//! Deadlines and estimates that come from this fleet's own installs.

use std::sync::Arc;

use super::*;
use crate::domain::fleet::clock::LegProgress;

const MODEL: &str = "PowerEdge R650";

impl Rack {
    /// Machine `n` of one model asks and gets its answer.
    fn answered(&mut self, n: u8) -> NodeId {
        let mut ask = box_a().ask();
        let info = Arc::make_mut(&mut ask.info);
        info.dmi =
            Dmi { model: Some(MODEL.into()), serial: Some(format!("SERIAL-{n}").as_str().into()), ..Dmi::default() };
        info.links.clear();
        let macs = std::collections::BTreeSet::new();
        ask.stamp = Stamp { peer: [192, 0, 2, n].into(), macs, body: DocumentHash::of(&[n]) };
        let Reply::Asked { node, .. } = self.submit(&Command::Ask(ask.clone())).unwrap().reply else { panic!() };
        self.approve(node).unwrap();
        let release = Release {
            node,
            stamp: ask.stamp,
            name: self.node(node).name.clone(),
            address: None,
            document: DocumentHash::of(&[n, 1]),
            secret: secret(node, 0),
            vendor_unseen: false,
            granted: (None, None),
            profile: None,
            left_out: None,
            own: OwnNetwork::default(),
        };
        assert_eq!(self.submit(&Command::Release(release)).unwrap().reply, Reply::Released);
        node
    }

    /// Three machines that take `minutes` to install and `boot` to boot.
    fn taught(minutes: u64, boot: u64) -> Self {
        let mut rack = Self::new();
        for n in 1..=3 {
            let node = rack.answered(n);
            rack.pass(Duration::from_mins(minutes));
            rack.report(node, 0);
            rack.pass(Duration::from_mins(boot));
            rack.make_ready(node);
        }
        rack
    }
}

#[test]
fn an_overdue_install_is_told_in_the_models_own_time() {
    let mut rack = Rack::taught(6, 3);
    let node = rack.answered(9);
    rack.pass(Duration::from_mins(3));
    let half = rack.fleet.progress(rack.node(node), rack.now);
    assert_eq!(half, Some(LegProgress { percent: 50, seconds_left: 180 }));
    rack.pass(Duration::from_mins(7));
    rack.tick();
    assert_eq!(rack.phase(node), "installing", "10 min: within 6 and a half more and a minute");
    rack.pass(Duration::from_secs(1));
    rack.tick();
    let reason = rack.node(node).phase.reason().unwrap().to_string();
    assert_eq!(reason, "answered 10 min ago, no report; this model usually takes 6: look at its screen");
    rack.report(node, 0);
    assert_eq!(rack.phase(node), "installed", "a late report heals");
}

#[test]
fn an_overdue_boot_is_told_too_and_another_model_has_the_configured_time() {
    let mut rack = Rack::taught(6, 3);
    let node = rack.answered(9);
    rack.report(node, 0);
    let silent = |what: &str| Sighting::Silent { what: what.into() };
    rack.submit(&Command::Probe { node, sighting: silent("refused") }).unwrap();
    rack.pass(Duration::from_mins(6));
    rack.submit(&Command::Probe { node, sighting: silent("refused") }).unwrap();
    let reason = rack.node(node).phase.reason().unwrap().to_string();
    assert_eq!(reason, "not reached within 6 min; this model usually takes 3: refused");
    rack.make_ready(node);

    let (other, _) = rack.ask(&box_b());
    rack.approve(other).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&box_b()) else { panic!("not served") };
    rack.release(&box_b(), &grant, None);
    rack.pass(Duration::from_mins(44));
    rack.tick();
    assert_eq!((rack.phase(other), rack.fleet.progress(rack.node(other), rack.now)), ("installing", None));
}

#[test]
fn what_was_learnt_is_stored_and_replayed() {
    let rack = Rack::taught(6, 3);
    let mut replayed = Fleet::new(Policy::default());
    rack.log.iter().for_each(|recorded| replayed.apply(recorded));
    let stored: Fleet = serde_json::from_str(&serde_json::to_string(&rack.fleet).unwrap()).unwrap();
    assert!(rack.fleet.state.times.len() == 1);
    assert_eq!((&replayed.state.times, &stored.state.times), (&rack.fleet.state.times, &rack.fleet.state.times));
}

#[rstest::rstest]
#[case::no_address(None, "address is not known")]
#[case::a_key_nobody_trusted(Some("192.0.2.10/24"), "then trust it")]
fn a_boot_that_nobody_can_see_the_end_of_has_a_deadline(#[case] address: Option<&str>, #[case] words: &str) {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let grant = rack.served(&box_a());
    assert_eq!(rack.release(&box_a(), &grant, address), Reply::Released);
    rack.order(Order::MarkInstalled { node }).unwrap();
    if address.is_some() {
        let seen: HostKey = KEY.parse().unwrap();
        rack.submit(&Command::Probe { node, sighting: Sighting::OtherKey { seen } }).unwrap();
    }
    rack.pass(Policy::default().boot_deadline);
    rack.tick();
    assert_eq!(rack.phase(node), "installed");
    rack.pass(Duration::from_mins(3));
    rack.tick();
    let Phase::Unreachable { reason } = &rack.node(node).phase else { panic!("{:?}", rack.node(node).phase) };
    assert!(reason.as_str().contains(words), "{reason}");
    // Looked for all the same, once it can be.
    let address = [192, 0, 2, 10].into();
    rack.order(Order::SetAddress { node, address }).unwrap();
    let seen: HostKey = KEY.parse().unwrap();
    let fingerprint = seen.fingerprint();
    rack.submit(&Command::Probe { node, sighting: Sighting::OtherKey { seen } }).unwrap();
    rack.order(Order::TrustHostKey { node, fingerprint }).unwrap();
    rack.make_ready(node);
}

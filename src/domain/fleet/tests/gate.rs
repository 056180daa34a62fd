//! When a run starts by itself, and when it does not.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::domain::event::Event;
use crate::domain::fleet::{Gate, Missing};
use crate::domain::options::{RunOptions, RunReason};
use crate::domain::policy::StartRule;
use crate::domain::run::Run;

const COUNTDOWN: Duration = Duration::from_secs(10);

impl Rack {
    /// A machine that is approved, installed, and ready.
    fn ready(&mut self, machine: &Box1) -> NodeId {
        let node = self.install(machine);
        self.make_ready(node);
        node
    }

    fn waits(&self) -> (usize, usize) {
        match self.fleet.gate() {
            Gate::Waits { ready, of, .. } => (ready, of),
            other => panic!("{other:?}"),
        }
    }

    fn run(&self) -> Arc<Run> {
        Arc::clone(self.fleet.active_run().unwrap())
    }

    /// Box b asks, is approved and becomes ready, whatever it was before.
    fn late_b(&mut self, node: NodeId) {
        let Verdict::Serve(grant) = self.ask(&box_b()).1 else { panic!("not served") };
        self.release(&box_b(), &grant, Some("192.0.2.11/24"));
        self.report(node, 0);
        self.make_ready(node);
    }
}

#[test]
fn it_waits_for_every_approved_node_and_fires_once_for_a_set() {
    let mut rack = Rack::new();
    let a = rack.ready(&box_a());
    let (b, _) = rack.ask(&box_b());
    rack.approve(b).unwrap();
    assert_eq!(rack.waits(), (1, 2));
    assert!(rack.tick().events.is_empty());
    rack.order(Order::Forget { node: b }).unwrap();
    let stranger = rack.ask(&box_b()).0;
    assert_eq!(rack.phase(stranger), "waiting");
    assert!(matches!(rack.tick().reply, Reply::Queued(_)), "a waiting stranger does not block the gate");
    assert_eq!((rack.run().why(), rack.run().by.clone()), ("every approved node is ready", Some(Origin::System)));
    assert!(rack.tick().events.is_empty(), "one run at a time");
    rack.end_run(RunOutcome::Succeeded, &[(a, HostResult::Configured)]);
    assert_eq!(rack.phase(a), "configured");
    assert!(rack.tick().events.is_empty(), "the set was run");
    // A late node gets a run of its own.
    rack.approve(stranger).unwrap();
    rack.late_b(stranger);
    rack.tick();
    assert_eq!(rack.run().nodes.keys().copied().collect::<Vec<_>>(), [stranger]);
    assert_eq!(rack.run().reason, RunReason::Late);
}

#[test]
fn it_counts_what_is_expected_and_can_be_shut() {
    let mut rack = Rack::under(Policy { expect: Some(2), ..Policy::default() });
    rack.ready(&box_a());
    assert_eq!(rack.waits(), (1, 2));
    let mut by_hand = Rack::under(Policy { start: StartRule::ByHand, ..Policy::default() });
    by_hand.ready(&box_a());
    assert!(by_hand.tick().events.is_empty());
    assert_eq!(by_hand.order(Order::HoldGate { hold: true }).unwrap_err(), Refusal::GateByHand);
    assert_eq!(by_hand.order(Order::GoWithout).unwrap_err(), Refusal::GateByHand);
    by_hand.order(Order::Run { nodes: vec![], options: Box::default() }).unwrap();
    let again = by_hand.order(Order::Run { nodes: vec![], options: Box::default() });
    assert!(matches!(again, Err(Refusal::RunActive(_))));
}

#[test]
fn it_counts_down_and_starts_once_also_over_a_restart() {
    let mut rack = Rack::counting(Policy::default());
    let a = rack.ready(&box_a());
    assert_eq!(rack.fleet.gate(), Gate::Open);
    let until = rack.now + COUNTDOWN;
    assert_eq!(rack.tick().events, [Event::GateCounting { until, nodes: BTreeSet::from([a]) }]);
    assert_eq!(rack.fleet.gate().words(rack.now), "starts in 10 s, Esc holds");
    rack.pass(Duration::from_secs(9));
    assert!(rack.tick().events.is_empty());
    // The engine is stopped and started again.
    let stored = serde_json::to_value(&rack.fleet).unwrap();
    rack.fleet = serde_json::from_value(stored).unwrap();
    rack.pass(Duration::from_secs(1));
    assert!(matches!(rack.tick().reply, Reply::Queued(_)));
    assert_eq!(rack.fleet.countdown(), None);
    rack.end_run(RunOutcome::Cancelled, &[]);
    assert_eq!(rack.phase(a), "ready");
    let stored = serde_json::to_value(&rack.fleet).unwrap();
    rack.fleet = serde_json::from_value(stored).unwrap();
    assert!(rack.tick().events.is_empty(), "never twice for one set");
    assert_eq!(rack.fleet.gate(), Gate::Done { ready: 1, is_held: false });
    assert_eq!(rack.fleet.gate().to_string(), "1 ready, not configured");
}

#[test]
fn a_node_that_comes_in_between_starts_the_countdown_anew() {
    let mut rack = Rack::counting(Policy::default());
    rack.ready(&box_a());
    rack.tick();
    let (b, _) = rack.ask(&box_b());
    rack.approve(b).unwrap();
    assert_eq!(rack.tick().events, [Event::GateStopped]);
    rack.late_b(b);
    assert!(matches!(&*rack.tick().events, [Event::GateCounting { nodes, .. }] if nodes.len() == 2));
    rack.pass(COUNTDOWN);
    rack.tick();
    assert_eq!(rack.run().nodes.len(), 2);
}

#[test]
fn a_node_that_boots_is_not_said_to_be_out_of_reach() {
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    let host = rack.node(node).name.host().to_owned();
    assert_eq!(rack.fleet.gate().short(rack.now), format!("0/1: {host} booting"));
    rack.pass(Duration::from_mins(3));
    assert_eq!(rack.fleet.gate().short(rack.now), format!("0/1: {host} booting for 3 min"));
    let phase = Phase::Unreachable { reason: Text::new("refused") };
    let missing = Missing { name: rack.node(node).name.clone(), phase, since: rack.node(node).since, has_called: true };
    assert_eq!(missing.words(rack.now), format!("{host} not reached for 3 min"));
}

#[test]
fn it_is_held_until_it_is_released() {
    let mut rack = Rack::counting(Policy::default());
    rack.ready(&box_a());
    rack.tick();
    rack.order(Order::HoldGate { hold: true }).unwrap();
    rack.pass(COUNTDOWN * 2);
    assert!(rack.tick().events.is_empty());
    assert_eq!(rack.fleet.gate(), Gate::Held { ready: 1 });
    assert!(rack.order(Order::HoldGate { hold: true }).unwrap().events.is_empty(), "it is held already");
    rack.order(Order::HoldGate { hold: false }).unwrap();
    assert!(matches!(&*rack.tick().events, [Event::GateCounting { .. }]), "the whole countdown again");
}

#[test]
fn a_hold_shows_while_nodes_are_missing_and_when_all_is_done() {
    let mut rack = Rack::new();
    let a = rack.ready(&box_a());
    let (b, _) = rack.ask(&box_b());
    rack.approve(b).unwrap();
    rack.order(Order::HoldGate { hold: true }).unwrap();
    let gate = rack.fleet.gate();
    assert!(matches!(gate, Gate::Waits { ready: 1, of: 2, is_held: true, .. }), "{gate:?}");
    assert_eq!(gate.short(rack.now), "1 of 2 ready, held");
    assert!(gate.words(rack.now).starts_with("1 of 2 ready, held · "), "{}", gate.words(rack.now));
    // By hand all the same; what comes later is held.
    rack.order(Order::Forget { node: b }).unwrap();
    rack.order(Order::Run { nodes: vec![a], options: Box::default() }).unwrap();
    rack.end_run(RunOutcome::Succeeded, &[(a, HostResult::Configured)]);
    assert_eq!(rack.fleet.gate(), Gate::Done { ready: 0, is_held: true });
    assert_eq!(rack.fleet.gate().to_string(), "all done, held");
}

#[test]
fn going_on_as_seen_is_refused_where_others_are_ready_or_missing() {
    let mut rack = Rack::new();
    let a = rack.ready(&box_a());
    let (b, _) = rack.ask(&box_b());
    rack.approve(b).unwrap();
    let seen = |rack: &Rack| {
        let [ready, missing] = rack.fleet.going().map(|nodes| nodes.into_keys().collect());
        Order::GoAsSeen { ready, missing }
    };
    let before = seen(&rack);
    assert_eq!(before, Order::GoAsSeen { ready: [a].into(), missing: [b].into() });
    rack.late_b(b);
    assert_eq!(rack.order(before).unwrap_err(), Refusal::GateChanged);
    let now = seen(&rack);
    rack.order(now).unwrap();
    assert_eq!(rack.run().nodes.len(), 2);
}

#[test]
fn it_goes_without_the_missing_and_they_get_a_run_of_their_own() {
    let mut rack = Rack::under(Policy { expect: Some(3), ..Policy::default() });
    assert_eq!(rack.order(Order::GoWithout).unwrap_err(), Refusal::NothingReady);
    let a = rack.ready(&box_a());
    let (b, _) = rack.ask(&box_b());
    rack.approve(b).unwrap();
    rack.pass(Duration::from_mins(19));
    assert_eq!(rack.fleet.gate().words(rack.now), "1 of 3 ready · pve-07bb has not asked for 19 min · 1 more");
    assert_eq!(rack.fleet.gate().short(rack.now), "1/3: pve-07bb has not asked for 19 min, +1");
    rack.order(Order::GoWithout).unwrap();
    assert_eq!((rack.run().nodes.len(), rack.run().reason), (1, RunReason::WithoutMissing));
    assert!(matches!(rack.order(Order::GoWithout), Err(Refusal::RunActive(_))));
    rack.end_run(RunOutcome::Succeeded, &[(a, HostResult::Configured)]);
    assert!(rack.tick().events.is_empty(), "nobody came");
    rack.late_b(b);
    rack.tick();
    assert_eq!(rack.run().nodes.keys().copied().collect::<Vec<_>>(), [b]);
}

#[test]
fn going_on_without_the_missing_is_about_these_only() {
    let mut rack = Rack::under(Policy { expect: Some(2), ..Policy::default() });
    let a = rack.ready(&box_a());
    let (b, _) = rack.ask(&box_b());
    rack.approve(b).unwrap();
    rack.order(Order::GoWithout).unwrap();
    rack.end_run(RunOutcome::Succeeded, &[(a, HostResult::Configured)]);
    assert_eq!(rack.fleet.gate(), Gate::Done { ready: 0, is_held: false });

    // The next part of the rack: more are expected, and the one that was given up is approved once more.
    rack.fleet.set_policy(Policy { expect: Some(3), ..Policy::default() });
    assert_eq!(rack.waits(), (1, 3));
    rack.fleet.set_policy(Policy { expect: Some(2), ..Policy::default() });
    rack.order(Order::Reject { node: b, reason: Text::default() }).unwrap();
    rack.approve(b).unwrap();
    assert_eq!(rack.waits(), (1, 2));
}

#[test]
fn each_node_runs_as_soon_as_it_is_ready() {
    let mut rack = Rack::under(Policy { start: StartRule::EachNode, expect: Some(9), ..Policy::default() });
    let (b, _) = rack.ask(&box_b());
    rack.approve(b).unwrap();
    let a = rack.ready(&box_a());
    rack.tick();
    assert_eq!(rack.run().nodes.keys().copied().collect::<Vec<_>>(), [a]);
}

#[test]
fn nodes_that_come_one_after_the_other_do_not_put_each_off() {
    let mut rack = Rack::counting(Policy { start: StartRule::EachNode, ..Policy::default() });
    let (b, _) = rack.ask(&box_b());
    rack.approve(b).unwrap();
    let a = rack.ready(&box_a());
    let until = rack.now + COUNTDOWN;
    rack.tick();
    rack.pass(Duration::from_secs(9));
    rack.late_b(b);
    assert_eq!(rack.tick().events, [Event::GateCounting { until, nodes: BTreeSet::from([a, b]) }]);
    rack.pass(Duration::from_secs(1));
    assert!(matches!(rack.tick().reply, Reply::Queued(_)));
    assert_eq!((rack.run().nodes.len(), rack.run().why()), (2, "as soon as it was ready"));
}

#[test]
fn a_rack_that_is_installed_anew_does_not_come_later() {
    let mut rack = Rack::new();
    let a = rack.ready(&box_a());
    rack.tick();
    rack.end_run(RunOutcome::Succeeded, &[(a, HostResult::Configured)]);
    rack.order(Order::Forget { node: a }).unwrap();
    rack.ready(&box_a());
    rack.tick();
    assert_eq!(rack.run().reason, RunReason::Plain);
}

#[test]
fn a_run_that_only_looks_moves_nobody() {
    let mut rack = Rack::under(Policy { start: StartRule::ByHand, ..Policy::default() });
    let a = rack.ready(&box_a());
    let options = |change: fn(&mut RunOptions)| {
        let mut options = RunOptions::default();
        change(&mut options);
        Box::new(options)
    };
    rack.order(Order::Run { nodes: vec![a], options: options(|o| o.check = true) }).unwrap();
    let run = rack.run().id;
    rack.submit(&Command::RunStarted { run }).unwrap();
    assert_eq!(rack.phase(a), "ready", "nothing changes on it");
    rack.end_run(RunOutcome::Succeeded, &[(a, HostResult::Configured)]);
    assert_eq!(rack.phase(a), "ready");
    // Some tasks are no whole configuration, but a failure is one.
    let tagged = || options(|o| o.tags = vec!["cluster".to_owned()]);
    rack.order(Order::Run { nodes: vec![a], options: tagged() }).unwrap();
    rack.end_run(RunOutcome::Succeeded, &[(a, HostResult::Configured)]);
    assert_eq!(rack.phase(a), "ready");
    assert_eq!(rack.order(Order::RunFailed { options: Box::default() }).unwrap_err(), Refusal::NothingFailed);
    rack.order(Order::Run { nodes: vec![a], options: tagged() }).unwrap();
    let failed = || HostResult::Failed { reason: Text::new("no quorum") };
    rack.end_run(RunOutcome::Failed { reason: Text::new("1 of 1") }, &[(a, failed())]);
    assert_eq!(rack.phase(a), "failed");
    rack.order(Order::RunFailed { options: Box::default() }).unwrap();
    assert_eq!(rack.run().reason, RunReason::Failed);
    rack.end_run(RunOutcome::Succeeded, &[(a, HostResult::Configured)]);
    assert_eq!(rack.phase(a), "configured");
    let bad = options(|o| o.tags = vec!["-x".to_owned()]);
    assert!(matches!(rack.order(Order::Run { nodes: vec![], options: bad }), Err(Refusal::BadOption(_))));
}

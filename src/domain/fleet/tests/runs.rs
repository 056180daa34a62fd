//! The clock over runs, and nodes whose run is over.

use super::*;
use crate::domain::effect::Effect;
use crate::domain::id::RunId;
use crate::domain::node::Flag;

/// A rack with one ready node.
fn ready() -> (Rack, NodeId) {
    let mut rack = Rack::under(Policy { start: crate::domain::policy::StartRule::ByHand, ..Policy::default() });
    let node = rack.install(&box_a());
    rack.make_ready(node);
    (rack, node)
}

impl Rack {
    fn start_run(&mut self, node: NodeId) -> RunId {
        self.order(Order::Run { nodes: vec![node], options: Box::default() }).unwrap();
        let run = self.fleet.active_run().unwrap().id;
        self.submit(&Command::RunStarted { run }).unwrap();
        assert_eq!(self.phase(node), "configuring");
        run
    }

    fn finish(&mut self, run: RunId, node: NodeId) {
        let hosts = [(self.node(node).name.clone(), HostResult::Configured)].into();
        self.submit(&Command::RunEnded { run, outcome: RunOutcome::Succeeded, hosts }).unwrap();
        assert_eq!(self.phase(node), "configured");
    }

    fn words_of_run(&self, node: NodeId) -> Option<String> {
        let flag = self.node(node).flags.iter().find(|flag| matches!(flag, Flag::RunsLong { .. }));
        flag.map(ToString::to_string)
    }
}

#[test]
fn a_run_is_measured_by_those_before_it() {
    let (mut rack, node) = ready();
    for _ in 0..3 {
        let run = rack.start_run(node);
        rack.pass(Duration::from_mins(9));
        assert_eq!(rack.tick().effects, []);
        rack.finish(run, node);
    }
    let run = rack.start_run(node);
    // 9 and a half of that more, and a minute.
    rack.pass(Duration::from_secs(870));
    assert_eq!((rack.tick().effects, rack.words_of_run(node)), (vec![], None));
    rack.pass(Duration::from_secs(1));
    let decision = rack.tick();
    assert_eq!(decision.effects, [Effect::FollowRun(run)], "should nobody look after it");
    let words = "configuring for 14 min, usually takes 9: look at the Ansible tab";
    assert_eq!(rack.words_of_run(node).as_deref(), Some(words));
    rack.pass(Duration::from_mins(30));
    assert_eq!(rack.tick().events, [], "said once");
    rack.finish(run, node);
    assert_eq!(rack.words_of_run(node), None, "a run that ends late has ended");
}

#[test]
fn a_first_run_has_the_configured_time_and_one_of_other_tasks_teaches_nothing() {
    let (mut rack, node) = ready();
    for _ in 0..3 {
        let options = Box::new(crate::domain::RunOptions { check: true, ..Default::default() });
        rack.order(Order::Run { nodes: vec![node], options }).unwrap();
        rack.pass(Duration::from_mins(1));
        rack.end_run(RunOutcome::Succeeded, &[]);
    }
    rack.start_run(node);
    rack.pass(Duration::from_hours(1));
    rack.tick();
    assert_eq!(rack.words_of_run(node), None);
    rack.pass(Duration::from_mins(1));
    rack.tick();
    let words = "configuring for 61 min, longer than the 60 of `ansible.deadline`: look at the Ansible tab";
    assert_eq!(rack.words_of_run(node).as_deref(), Some(words));
}

#[test]
fn a_run_that_does_not_begin_is_handed_on_again() {
    let (mut rack, node) = ready();
    rack.order(Order::Run { nodes: vec![node], options: Box::default() }).unwrap();
    let run = rack.fleet.active_run().unwrap().id;
    rack.pass(Duration::from_mins(2));
    assert_eq!(rack.tick().effects, []);
    rack.pass(Duration::from_secs(1));
    assert_eq!(rack.tick().effects, [Effect::StartRun(run)]);
}

/// Only a stored state of another program could say so; still nobody waits for ever.
#[rstest::rstest]
#[case::no_run_is_known(true)]
#[case::its_run_is_over(false)]
fn a_node_whose_run_is_over_does_not_configure_for_ever(#[case] forgotten: bool) {
    let (mut rack, node) = ready();
    let run = rack.start_run(node);
    let mut stored = serde_json::to_value(&rack.fleet).unwrap();
    let runs = &mut stored["runs"];
    if forgotten {
        *runs = serde_json::json!({});
    } else {
        runs[run.0.to_string()]["state"] =
            serde_json::json!({ "state": "ended", "at": rack.now, "outcome": { "outcome": "interrupted" } });
    }
    rack.fleet = serde_json::from_value(stored).unwrap();
    rack.pass(Duration::from_mins(2));
    rack.tick();
    assert_eq!(rack.phase(node), "configuring");
    rack.pass(Duration::from_secs(1));
    rack.tick();
    let reason = rack.node(node).phase.reason().unwrap().as_str();
    assert!(reason.starts_with("the run that configured it ended without a word about it"), "{reason}");
    assert!(rack.node(node).may_run() && rack.node(node).was_configured, "the playbook may run again");
    rack.start_run(node);
}

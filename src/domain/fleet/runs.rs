//! Runs of the playbook: from facts about them to where they and their nodes stand, and the clock over them.
//!
//! A run is bounded by its process, which its runner follows; the clock is for where nobody does, or where the process
//! itself comes to no end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::clock::{Pace, SAMPLES};
use super::decide::is_over;
use super::evolve::enter;
use super::{Fleet, MAX_RUNS};
use crate::domain::event::Event;
use crate::domain::fqdn::Fqdn;
use crate::domain::id::{NodeId, RunId};
use crate::domain::node::{Flag, Node};
use crate::domain::phase::Phase;
use crate::domain::run::{HostResult, Run, RunOutcome, RunState};
use crate::domain::text::Text;

/// A run begins within this time of being asked for; a node does not stay behind its run for longer.
const MOMENT: Duration = Duration::from_mins(2);

impl Fleet {
    /// A run was asked for; what counted down to it is over.
    pub(super) fn queue(&mut self, run: Run) {
        let (id, by_gate) = (run.id, run.by_gate);
        let nodes: Vec<NodeId> = run.nodes.keys().copied().collect();
        self.state.last_run = self.state.last_run.max(id.0);
        self.state.gate.countdown = None;
        self.state.runs.insert(id, Arc::new(run));
        if self.state.runs.len() > MAX_RUNS {
            self.state.runs = self.state.runs.without_min().1;
        }
        for node in nodes {
            self.change(node, |node| {
                node.gated |= by_gate;
                node.last_run = Some(id);
            });
        }
    }

    pub(super) fn start_run(&mut self, run: RunId, at: Timestamp) {
        let stopping = self.run(run).is_some_and(|run| run.is_stopping());
        self.set_run_state(run, RunState::Running { since: at, stopping });
        self.note_phases(run);
        if self.run(run).is_some_and(|run| run.options.check) {
            // It changes nothing, so nobody is being configured.
            return;
        }
        for id in self.nodes_of(run) {
            self.change(id, |node| enter(node, Phase::Configuring, at));
        }
    }

    /// Somebody asked to stop a run.
    pub(super) fn stop_run(&mut self, run: RunId) {
        match self.run(run).map(|run| run.state.clone()) {
            Some(RunState::Queued { .. }) => self.set_run_state(run, RunState::Queued { stopping: true }),
            Some(RunState::Running { since, .. }) => {
                self.set_run_state(run, RunState::Running { since, stopping: true });
            }
            Some(RunState::Ended { .. }) | None => {}
        }
    }

    pub(super) fn end_run(
        &mut self,
        run: RunId,
        outcome: &RunOutcome,
        hosts: &BTreeMap<Fqdn, HostResult>,
        at: Timestamp,
    ) {
        self.set_run_state(run, RunState::Ended { at, outcome: outcome.clone() });
        if let Some(run) = self.state.runs.get_mut(&run) {
            Arc::make_mut(run).hosts.clone_from(hosts);
        }
        let Some(known) = self.run(run).cloned() else { return };
        for (id, name) in &known.nodes {
            let after = phase_after_run(outcome, hosts.get(name), !hosts.is_empty());
            let was_touched = after.is_some() && !matches!(hosts.get(name), Some(HostResult::Untouched { .. }));
            // Some of the tasks succeeded: that is no reason to call a node configured.
            let after = after.filter(|phase| *phase != Phase::Configured || !known.options.is_partial());
            let before = || known.before.get(id).cloned().unwrap_or(Phase::Ready);
            let phase = after.unwrap_or_else(before);
            self.change(*id, |node| {
                if node.phase == Phase::Configuring {
                    node.flags.retain(|flag| !is_long(flag));
                    node.was_configured |= was_touched;
                    enter(node, phase, at);
                }
            });
        }
    }

    fn set_run_state(&mut self, run: RunId, state: RunState) {
        if let Some(run) = self.state.runs.get_mut(&run) {
            Arc::make_mut(run).state = state;
        }
    }

    /// Keeps where the nodes of a run stand.
    fn note_phases(&mut self, run: RunId) {
        let phases: Vec<_> =
            self.nodes_of(run).into_iter().filter_map(|id| Some((id, self.node(id)?.phase.clone()))).collect();
        if let Some(run) = self.state.runs.get_mut(&run) {
            Arc::make_mut(run).before.extend(phases);
        }
    }

    fn nodes_of(&self, run: RunId) -> Vec<NodeId> {
        self.run(run).map(|run| run.nodes.keys().copied().collect()).unwrap_or_default()
    }
}

/// Where a node of a run ends; `None`: nothing was done on it, so that it stands where it stood. Ansible's statistics decide;
/// without them the run's outcome does (ANSIBLE.md §4). `is_told` is whether there is a result of any node.
fn phase_after_run(outcome: &RunOutcome, result: Option<&HostResult>, is_told: bool) -> Option<Phase> {
    match (result, outcome) {
        (Some(result), _) => {
            Some(result.failure().map_or(Phase::Configured, |reason| Phase::Failed { reason: reason.clone() }))
        }
        (None, _) if is_told => None,
        (None, RunOutcome::Failed { reason }) => Some(Phase::Failed { reason: reason.clone() }),
        (None, RunOutcome::Succeeded) => Some(Phase::Configured),
        (None, RunOutcome::NotStarted { .. } | RunOutcome::Cancelled | RunOutcome::Interrupted) => None,
    }
}

impl Fleet {
    /// How long runs that do the same on as many nodes or more usually take, where enough have succeeded.
    #[must_use]
    pub fn run_pace(&self, run: &Run) -> Option<Pace> {
        let is_like =
            |other: &&Arc<Run>| other.nodes.len() >= run.nodes.len() && other.options.does_as_much_as(&run.options);
        let times: Vec<_> = self.runs().rev().filter(is_like).filter_map(|run| run.took()).take(SAMPLES).collect();
        Pace::of(&times)
    }

    /// Whether the run that goes on should have begun, or ended, by now.
    pub(super) fn is_run_late(&self, now: Timestamp) -> bool {
        let Some(run) = self.active_run() else { return false };
        match run.state {
            RunState::Queued { .. } => is_over(now.duration_since(run.queued), MOMENT),
            RunState::Running { since, .. } => {
                let deadline = self.run_pace(run).map_or(self.policy.run_deadline, |pace| pace.deadline());
                is_over(now.duration_since(since), deadline)
            }
            RunState::Ended { .. } => false,
        }
    }

    /// What is to be said of nodes that are being configured: `is_late` is [`Fleet::is_run_late`].
    pub(super) fn overdue_configuring(&self, now: Timestamp, is_late: bool) -> impl Iterator<Item = Event> {
        let run = self.active_run();
        let usual = run.filter(|_| is_late).map(|run| match self.run_pace(run) {
            Some(pace) => format!("usually takes {}", pace.words()),
            None => format!("longer than the {} of `ansible.deadline`", self.policy.run_deadline.as_secs() / 60),
        });
        self.nodes().filter(|node| node.phase == Phase::Configuring).filter_map(move |node| {
            let waited = now.duration_since(node.since);
            if run.is_none_or(|run| node.last_run != Some(run.id)) {
                return is_over(waited, MOMENT).then(|| left_behind(node));
            }
            let usual = usual.as_ref().filter(|_| !node.flags.iter().any(is_long))?;
            let reason = format!("configuring for {} min, {usual}: look at the Ansible tab", waited.as_mins());
            Some(Event::Flagged { node: node.id, flag: Flag::RunsLong { reason: Text::new(&reason) } })
        })
    }
}

fn left_behind(node: &Node) -> Event {
    let reason = "the run that configured it ended without a word about it: look at it, then run the playbook again";
    Event::LeftBehind { node: node.id, reason: Text::new(reason) }
}

/// Whether a flag is about the run that goes on.
fn is_long(flag: &Flag) -> bool {
    matches!(flag, Flag::RunsLong { .. })
}

pub(super) fn leave_behind(node: &mut Node, reason: &Text, at: Timestamp) {
    node.flags.retain(|flag| !is_long(flag));
    node.was_configured = true;
    enter(node, Phase::Failed { reason: reason.clone() }, at);
}

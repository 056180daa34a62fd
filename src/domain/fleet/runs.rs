//! Runs of the playbook: from facts about them to where they and their nodes stand.

use std::sync::Arc;

use super::evolve::enter;
use super::{Fleet, MAX_RUNS};
use crate::domain::event::{Event, Recorded};
use crate::domain::id::{NodeId, RunId};
use crate::domain::phase::Phase;
use crate::domain::run::{HostResult, Run, RunOutcome, RunState};

impl Fleet {
    /// Folds an event about a run in.
    pub(super) fn apply_run(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.event {
            Event::RunQueued { run, nodes, by_gate, options, reason } => {
                self.state.last_run = self.state.last_run.max(run.0);
                self.apply_gate(&Event::GateStopped);
                let queued = Run {
                    by_gate: *by_gate,
                    by: Some(recorded.origin.clone()),
                    reason: *reason,
                    options: options.clone(),
                    ..Run::queued(*run, nodes.clone(), at)
                };
                self.state.runs.insert(*run, Arc::new(queued));
                if self.state.runs.len() > MAX_RUNS {
                    self.state.runs = self.state.runs.without_min().1;
                }
                for id in nodes.keys() {
                    self.change(*id, |node| {
                        node.gated |= by_gate;
                        node.last_run = Some(*run);
                    });
                }
            }
            Event::RunStarted { run } => {
                let stopping = self.run(*run).is_some_and(|run| run.is_stopping());
                self.set_run_state(*run, RunState::Running { since: at, stopping });
                self.note_phases(*run);
                if self.run(*run).is_some_and(|run| run.options.check) {
                    // It changes nothing, so nobody is being configured.
                    return;
                }
                for id in self.nodes_of(*run) {
                    self.change(id, |node| enter(node, Phase::Configuring, at));
                }
            }
            Event::RunStopping { run } => match self.run(*run).map(|run| run.state.clone()) {
                Some(RunState::Queued { .. }) => self.set_run_state(*run, RunState::Queued { stopping: true }),
                Some(RunState::Running { since, .. }) => {
                    self.set_run_state(*run, RunState::Running { since, stopping: true });
                }
                Some(RunState::Ended { .. }) | None => {}
            },
            Event::RunEnded { run, outcome, hosts } => {
                self.set_run_state(*run, RunState::Ended { at, outcome: outcome.clone() });
                if let Some(run) = self.state.runs.get_mut(run) {
                    Arc::make_mut(run).hosts.clone_from(hosts);
                }
                let Some(known) = self.run(*run).cloned() else { return };
                for (id, name) in &known.nodes {
                    let after = phase_after_run(outcome, hosts.get(name), !hosts.is_empty());
                    let was_touched = after.is_some() && !matches!(hosts.get(name), Some(HostResult::Untouched { .. }));
                    // Some of the tasks succeeded: that is no reason to call a node configured.
                    let after = after.filter(|phase| *phase != Phase::Configured || !known.options.is_partial());
                    let before = || known.before.get(id).cloned().unwrap_or(Phase::Ready);
                    let phase = after.unwrap_or_else(before);
                    self.change(*id, |node| {
                        if node.phase == Phase::Configuring {
                            node.was_configured |= was_touched;
                            enter(node, phase, at);
                        }
                    });
                }
            }
            _ => {}
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

//! Looks after nodes between their report and `ready`: does SSH answer, and with the host key that was reported?
//!
//! The report comes before the reboot (DESIGN.md §5.4), and the old system's SSH may still answer then, so an open port
//! proves nothing: only the key exchange does. Nobody logs in here. The task owns its schedule and nothing else; what a
//! sighting means is the fleet's business, and deadlines too: a silence is told at each attempt.

mod sight;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::coordinator::Handle;
use crate::domain::{Command, Node, NodeId, Origin, Phase, Snapshot};
use sight::{Target, look};

/// Fleet changes are gathered for this long before the schedule is made anew.
const PAUSE: Duration = Duration::from_millis(50);

/// How nodes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The nodes' SSH port.
    pub port: u16,
    /// How long one look may take.
    pub timeout: Duration,
    /// Pause after the first look at a node; it doubles from look to look. Some SSH servers count visitors who do not log
    /// in against them, so it must not be much shorter.
    pub first_pause: Duration,
    /// Longest pause between two looks.
    pub longest_pause: Duration,
    /// Looks at the same time.
    pub at_once: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let [timeout, first_pause, longest_pause] = [5, 2, 30].map(Duration::from_secs);
        Self { port: 22, timeout, first_pause, longest_pause, at_once: 64 }
    }
}

/// Looks at every node that is expected to come up, until `shutdown` or until the coordinator has ended.
pub async fn run(handle: Handle, settings: Settings, shutdown: CancellationToken) {
    let mut snapshots = handle.snapshots();
    let mut schedule = Schedule { settings, plans: BTreeMap::new() };
    let mut looks = JoinSet::new();
    loop {
        schedule.reconcile(&snapshots.borrow_and_update(), Instant::now());
        while looks.len() < settings.at_once {
            let Some((node, target)) = schedule.next_due(Instant::now()) else { break };
            looks.spawn(look_and_tell(handle.clone(), node, target, settings));
        }
        let due = if looks.len() < settings.at_once { schedule.earliest() } else { None };
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
            Some(ended) = looks.join_next() => {
                if let Ok(node) = ended {
                    schedule.looked(node, Instant::now());
                }
            }
            () = sleep_until(due) => {}
        }
    }
}

/// Sleeps for ever where nothing is due.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// One look. What was seen of a node that has changed meanwhile (reinstalled, moved, other keys) says nothing about it.
async fn look_and_tell(handle: Handle, node: NodeId, target: Target, settings: Settings) -> NodeId {
    let sighting = look(&target, settings.timeout).await;
    let is_current = handle.snapshot().fleet.node(node).and_then(|row| target_of(row, settings.port)) == Some(target);
    if is_current {
        tracing::debug!(node.id = %node, ?sighting, "looked at `{node}`");
        if let Err(error) = handle.submit(Origin::System, Command::Probe { node, sighting }).await {
            tracing::debug!(node.id = %node, %error, "a sighting of `{node}` was not taken");
        }
    }
    node
}

/// Where and what to look for, if this node is to be looked for at all.
fn target_of(node: &Node, port: u16) -> Option<Target> {
    let is_expected = matches!(node.phase, Phase::Installed | Phase::Booting | Phase::Unreachable { .. });
    let address = node.address.filter(|_| is_expected)?;
    Some(Target { address: SocketAddr::new(address, port), keys: node.host_keys.clone() })
}

/// When to look at whom.
#[derive(Debug)]
struct Schedule {
    settings: Settings,
    plans: BTreeMap<NodeId, Plan>,
}

#[derive(Debug)]
struct Plan {
    target: Target,
    pause: Duration,
    /// When the next look is due; `None` while one is going on.
    due: Option<Instant>,
}

impl Schedule {
    /// Brings the schedule in line with the fleet. A node with another address or other keys is looked at afresh.
    fn reconcile(&mut self, snapshot: &Snapshot, now: Instant) {
        let mut earlier = std::mem::take(&mut self.plans);
        for node in snapshot.fleet.nodes() {
            let Some(target) = target_of(node, self.settings.port) else { continue };
            let plan = earlier.remove(&node.id);
            // A look at the old target may go on; its end finds a plan that is due already and leaves it alone.
            let plan = plan.filter(|plan| plan.target == target);
            let fresh = || Plan { target, pause: self.settings.first_pause, due: Some(now) };
            self.plans.insert(node.id, plan.unwrap_or_else(fresh));
        }
    }

    /// Takes the node that has been due for longest, and notes that it is being looked at.
    fn next_due(&mut self, now: Instant) -> Option<(NodeId, Target)> {
        let due =
            self.plans.iter_mut().filter_map(|(node, plan)| Some((plan.due.filter(|due| *due <= now)?, node, plan)));
        let (_, node, plan) = due.max_by_key(|(due, node, _)| (Reverse(*due), Reverse(**node)))?;
        plan.due = None;
        Some((*node, plan.target.clone()))
    }

    /// When the next look is due.
    fn earliest(&self) -> Option<Instant> {
        self.plans.values().filter_map(|plan| plan.due).min()
    }

    /// A look has ended.
    fn looked(&mut self, node: NodeId, now: Instant) {
        if let Some(plan) = self.plans.get_mut(&node).filter(|plan| plan.due.is_none()) {
            plan.due = Some(now + plan.pause);
            plan.pause = plan.pause.saturating_mul(2).min(self.settings.longest_pause);
        }
    }
}

#[cfg(test)]
mod tests;

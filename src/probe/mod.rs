//! Looks after nodes between their report and the run that configures them: does SSH answer, and with the host key that was
//! reported?
//!
//! The report comes before the reboot (PROTOCOL.md §c), and the old system's SSH may still answer then, so an open port
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
use crate::domain::command::Sighting;
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
    /// Pause between two looks at a node that is ready: whoever waits for the last one must not count one that went off.
    pub ready_pause: Duration,
    /// Looks at the same time.
    pub at_once: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let [timeout, first_pause, longest_pause, ready_pause] = [5, 2, 30, 60].map(Duration::from_secs);
        Self { port: 22, timeout, first_pause, longest_pause, ready_pause, at_once: 64 }
    }
}

/// Looks at every node that is expected to come up, until `shutdown` or until the coordinator has ended.
pub async fn run(handle: Handle, settings: Settings, shutdown: CancellationToken) {
    let mut snapshots = handle.snapshots();
    let mut schedule = Schedule { settings, plans: BTreeMap::new(), is_counting: false };
    let mut looks = JoinSet::new();
    loop {
        schedule.reconcile(&snapshots.borrow_and_update(), Instant::now());
        while looks.len() < settings.at_once {
            let Some((node, target)) = schedule.next_due(Instant::now()) else { break };
            let is_sure = schedule.is_sure(node);
            looks.spawn(look_and_tell(handle.clone(), node, target, settings, is_sure));
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
                if let Ok((node, is_seen)) = ended {
                    schedule.looked(node, is_seen, Instant::now());
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

/// One look, and whether it found the node. What was seen of a node that has changed meanwhile (reinstalled, moved, other
/// keys) says nothing about it.
///
/// A ready node that is missed once may only have been busy: that is told where it is `is_sure`.
async fn look_and_tell(
    handle: Handle,
    node: NodeId,
    target: Target,
    settings: Settings,
    is_sure: bool,
) -> (NodeId, bool) {
    let sighting = look(&target, settings.timeout).await;
    let is_seen = sighting == Sighting::Proven;
    let snapshot = handle.snapshot();
    let row = snapshot.fleet.node(node);
    let is_current = row.and_then(|row| target_of(row, settings.port)) == Some(target);
    let may_be_busy = !is_seen && !is_sure && row.is_some_and(|row| row.phase == Phase::Ready);
    if is_current && !may_be_busy {
        tracing::debug!(node.id = %node, ?sighting, "looked at `{node}`");
        if let Err(error) = handle.submit(Origin::System, Command::Probe { node, sighting }).await {
            tracing::debug!(node.id = %node, %error, "a sighting of `{node}` was not taken");
        }
    }
    (node, is_seen)
}

/// Where and what to look for, if this node is to be looked for at all.
fn target_of(node: &Node, port: u16) -> Option<Target> {
    let address = node.address.filter(|_| node.phase.is_looked_for())?;
    Some(Target { address: SocketAddr::new(address, port), keys: node.host_keys.clone() })
}

/// When to look at whom.
#[derive(Debug)]
struct Schedule {
    settings: Settings,
    plans: BTreeMap<NodeId, Plan>,
    /// Whether a run is about to start by itself.
    is_counting: bool,
}

#[derive(Debug)]
struct Plan {
    target: Target,
    pause: Duration,
    is_ready: bool,
    /// Whether the last look did not find it.
    is_missed: bool,
    /// When the next look is due; `None` while one is going on.
    due: Option<Instant>,
}

impl Schedule {
    /// Brings the schedule in line with the fleet. A node with another address or other keys is looked at afresh.
    fn reconcile(&mut self, snapshot: &Snapshot, now: Instant) {
        let mut earlier = std::mem::take(&mut self.plans);
        // Before a run that starts by itself, every node of it is looked at once more.
        let is_counting = snapshot.fleet.countdown().is_some();
        let hurries = is_counting && !self.is_counting;
        self.is_counting = is_counting;
        for node in snapshot.fleet.nodes() {
            let Some(target) = target_of(node, self.settings.port) else { continue };
            let plan = earlier.remove(&node.id);
            // A look at the old target may go on; its end finds a plan that is due already and leaves it alone.
            let plan = plan.filter(|plan| plan.target == target);
            let is_ready = node.phase == Phase::Ready;
            let pause = self.settings.first_pause;
            let fresh = || Plan { target, pause, is_ready, is_missed: false, due: Some(now) };
            let mut plan = plan.unwrap_or_else(fresh);
            if plan.is_ready != is_ready {
                let first = if is_ready { self.settings.ready_pause } else { pause };
                let due = plan.due.map(|_| now + first);
                plan = Plan { pause, is_ready, is_missed: false, due, ..plan };
            }
            if is_ready && hurries {
                plan.due = plan.due.map(|_| now);
            }
            self.plans.insert(node.id, plan);
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

    /// Whether a look that does not find a node settles the matter.
    fn is_sure(&self, node: NodeId) -> bool {
        self.is_counting || self.plans.get(&node).is_some_and(|plan| plan.is_missed)
    }

    /// The pause between two looks at a ready node: with many of them longer, so that no more than ten a second are looked
    /// at.
    fn ready_pause(&self) -> Duration {
        let ready = self.plans.values().filter(|plan| plan.is_ready).count();
        self.settings.ready_pause.max(Duration::from_millis(100) * u32::try_from(ready).unwrap_or(u32::MAX))
    }

    /// When the next look is due.
    fn earliest(&self) -> Option<Instant> {
        self.plans.values().filter_map(|plan| plan.due).min()
    }

    /// A look has ended.
    fn looked(&mut self, node: NodeId, is_seen: bool, now: Instant) {
        let ready_pause = self.ready_pause();
        if let Some(plan) = self.plans.get_mut(&node).filter(|plan| plan.due.is_none()) {
            plan.is_missed = !is_seen;
            if plan.is_ready && is_seen {
                plan.due = Some(now + ready_pause);
                return;
            }
            plan.due = Some(now + plan.pause);
            plan.pause = plan.pause.saturating_mul(2).min(self.settings.longest_pause);
        }
    }
}

#[cfg(test)]
mod tests;

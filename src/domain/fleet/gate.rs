//! The gate: when a run starts by itself (DESIGN.md §3, last rule).

use std::collections::BTreeMap;

use super::{Decision, Fleet};
use crate::domain::command::Reply;
use crate::domain::effect::Effect;
use crate::domain::event::Event;
use crate::domain::fqdn::Fqdn;
use crate::domain::id::{NodeId, RunId};
use crate::domain::node::Node;
use crate::domain::phase::Phase;
use crate::domain::policy::{StartRule, WebhookAuth};

/// How far the fleet is from a run that starts by itself. `Display` is the header's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Runs start by hand only.
    ByHand,
    /// Waits for nodes.
    Waits {
        /// Nodes that are ready or were configured.
        ready: usize,
        /// Nodes it waits for in all: approved, or expected by the plan.
        of: usize,
    },
    /// Every node is ready and some were not run yet.
    Open,
    /// Every node was run.
    Done,
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByHand => write!(f, "runs start by hand"),
            Self::Waits { ready, of } => write!(f, "{ready} of {of} ready"),
            Self::Open => write!(f, "all ready"),
            Self::Done => write!(f, "all done"),
        }
    }
}

impl Fleet {
    /// How far the fleet is from a run that starts by itself. Waiting machines never block it, so no stranger can.
    #[must_use]
    pub fn gate(&self) -> Gate {
        if self.policy.start == StartRule::ByHand || self.policy.webhook_auth == WebhookAuth::None {
            return Gate::ByHand;
        }
        let (mut wanted, mut settled, mut fresh) = (0, 0, 0);
        for node in self.nodes().filter(|node| is_wanted(node)) {
            wanted += 1;
            settled += usize::from(is_settled(node));
            fresh += usize::from(is_fresh(node));
        }
        let of = wanted.max(self.policy.expect.unwrap_or(0));
        if settled < of || of == 0 {
            Gate::Waits { ready: settled, of }
        } else if fresh > 0 {
            Gate::Open
        } else {
            Gate::Done
        }
    }

    /// Queues a run for the nodes no gate run has included, if the gate is open and no run is going on.
    pub(super) fn decide_gate(&self) -> Decision {
        if self.active_run().is_some() || self.gate() != Gate::Open {
            return Decision::none(Reply::Done);
        }
        let fresh = self.nodes().filter(|node| is_fresh(node)).map(|node| (node.id, node.name.clone())).collect();
        self.queue_run(fresh, true)
    }

    /// A run on exactly these nodes.
    pub(super) fn queue_run(&self, nodes: BTreeMap<NodeId, Fqdn>, by_gate: bool) -> Decision {
        let run = RunId(self.state.last_run + 1);
        Decision {
            events: vec![Event::RunQueued { run, nodes, by_gate }],
            effects: vec![Effect::StartRun(run)],
            reply: Reply::Queued(run),
        }
    }
}

/// Approved, or in the plan and not sent away: the nodes the gate waits for.
fn is_wanted(node: &Node) -> bool {
    node.phase.is_approved() || node.plan.is_some() && matches!(node.phase, Phase::Planned | Phase::Waiting)
}

/// Ready, or done with.
fn is_settled(node: &Node) -> bool {
    matches!(node.phase, Phase::Ready | Phase::Configuring | Phase::Configured | Phase::Failed { .. })
}

/// Ready, and in no run the gate started for this installation.
fn is_fresh(node: &Node) -> bool {
    node.phase == Phase::Ready && node.may_run() && !node.gated
}

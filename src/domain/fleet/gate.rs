//! The gate: when a run starts by itself (docs/ansible.md, "When a run starts").
//!
//! It waits for every node that is wanted: approved, or named by the plan. When all are ready it counts down, and then
//! queues a run for those that no gate run has included. The operator may hold it, or let it go without those that are
//! missing; these get a run of their own when they come. All of that is in events, so that a restart changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Decision, Fleet};
use crate::domain::command::Reply;
use crate::domain::effect::Effect;
use crate::domain::event::Event;
use crate::domain::fqdn::Fqdn;
use crate::domain::id::NodeId;
use crate::domain::node::Node;
use crate::domain::options::{RunOptions, RunReason};
use crate::domain::phase::Phase;
use crate::domain::policy::{StartRule, WebhookAuth};
use crate::domain::refusal::Refusal;

/// Missing nodes named one by one; the others are counted.
const NAMED: usize = 3;

/// What the fleet remembers of the gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct GateState {
    /// The countdown that goes on.
    pub(super) countdown: Option<Countdown>,
    /// Whether the operator holds it.
    pub(super) is_held: bool,
    /// Nodes it does not wait for, by the operator's word, until one of them is approved anew.
    pub(super) waived: BTreeSet<NodeId>,
    /// The number of nodes it does not wait for either: `expect` as it was when it went on without missing ones.
    pub(super) waived_expect: Option<usize>,
}

impl GateState {
    pub(super) fn count_down(&mut self, until: Timestamp, nodes: &BTreeSet<NodeId>) {
        self.countdown = Some(Countdown { until, nodes: nodes.clone() });
    }

    pub(super) fn hold(&mut self) {
        self.countdown = None;
        self.is_held = true;
    }

    pub(super) fn waive(&mut self, nodes: &BTreeSet<NodeId>, expect: Option<usize>) {
        self.is_held = false;
        self.waived_expect = expect;
        self.waived.extend(nodes);
    }

    /// It waits for this node again: somebody, or a rule, has just let it be installed.
    pub(super) fn want(&mut self, node: NodeId) {
        self.waived.remove(&node);
    }
}

/// A run is about to start by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Countdown {
    /// When.
    pub until: Timestamp,
    /// On these nodes.
    pub nodes: BTreeSet<NodeId>,
}

/// A node the gate waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: Fqdn,
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// Whether its machine was ever heard of.
    pub has_called: bool,
}

impl Missing {
    fn of(node: &Node) -> Self {
        let has_called = node.request.is_some() || node.phase.is_installed();
        Self { name: node.name.clone(), phase: node.phase.clone(), since: node.since, has_called }
    }

    /// `pve04 no report for 19 min`.
    #[must_use]
    pub fn words(&self, now: Timestamp) -> String {
        let waited = now.duration_since(self.since);
        let time = match waited.as_mins() {
            ..1 => format!("{} s", waited.as_secs().max(0)),
            minutes => format!("{minutes} min"),
        };
        let host = self.name.host();
        match &self.phase {
            _ if !self.has_called => format!("{host} never called"),
            // Every node takes minutes for either: nothing is amiss yet.
            Phase::Installing if waited.as_mins() < 1 => format!("{host} installing"),
            Phase::Installed | Phase::Booting if waited.as_mins() < 1 => format!("{host} booting"),
            Phase::Installing | Phase::Stalled { .. } => format!("{host} no report for {time}"),
            Phase::Installed | Phase::Booting => format!("{host} booting for {time}"),
            Phase::Unreachable { .. } => format!("{host} not reached for {time}"),
            Phase::Planned | Phase::Waiting => format!("{host} waits for approval"),
            Phase::Approved => format!("{host} has not asked for {time}"),
            phase @ (Phase::Rejected { .. }
            | Phase::Ready
            | Phase::Configuring
            | Phase::Configured
            | Phase::Failed { .. }) => format!("{host} is {}", phase.word()),
        }
    }
}

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
        /// The first of those that are missing.
        missing: Vec<Missing>,
        /// Whether it will not start even when none is missing, because the operator holds it.
        is_held: bool,
    },
    /// It could start and the operator holds it.
    Held {
        /// Nodes that are ready for a run.
        ready: usize,
    },
    /// Every node is ready and some were not run yet.
    Open,
    /// The same, and the run starts at this time.
    Counting {
        /// When.
        until: Timestamp,
    },
    /// No node is left for it to run.
    Done {
        /// Nodes that a run of its was for and that are ready still: it was stopped, or never began. It does not try again.
        ready: usize,
        /// Whether the operator holds it: what comes next will not start either.
        is_held: bool,
    },
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByHand => write!(f, "runs start by hand"),
            Self::Waits { ready, of, .. } => write!(f, "{ready} of {of} ready"),
            Self::Held { ready } => write!(f, "{ready} ready"),
            Self::Open => write!(f, "all ready"),
            Self::Counting { .. } => write!(f, "all ready, starts in a moment"),
            Self::Done { ready: 0, .. } => write!(f, "all done"),
            Self::Done { ready, .. } => write!(f, "{ready} ready, not configured"),
        }?;
        if self.is_held() { write!(f, ", held") } else { Ok(()) }
    }
}

impl Gate {
    /// Whether the operator holds it: nothing starts by itself, whoever is ready.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match self {
            Self::Held { .. } => true,
            Self::Waits { is_held, .. } | Self::Done { is_held, .. } => *is_held,
            Self::ByHand | Self::Open | Self::Counting { .. } => false,
        }
    }

    /// The same in few words: `10/12: pve04 no report for 19 min, +1`.
    #[must_use]
    pub fn short(&self, now: Timestamp) -> String {
        let Self::Waits { ready, of, missing, is_held: false } = self else { return self.to_string() };
        let Some(first) = missing.first() else { return self.to_string() };
        let more = of.saturating_sub(*ready).saturating_sub(1);
        let more = if more > 0 { format!(", +{more}") } else { String::new() };
        format!("{ready}/{of}: {}{more}", first.words(now))
    }

    /// The same with the reasons, as of `now`: `10 of 12 ready · pve04 no report for 19 min · pve11 never called`.
    #[must_use]
    pub fn words(&self, now: Timestamp) -> String {
        match self {
            Self::Waits { ready, of, missing, .. } => {
                let more = of.saturating_sub(*ready).saturating_sub(missing.len());
                let more = (more > 0 && !missing.is_empty()).then(|| format!("{more} more"));
                let parts = missing.iter().map(|node| node.words(now)).chain(more);
                std::iter::once(self.to_string()).chain(parts).collect::<Vec<_>>().join(" · ")
            }
            Self::Counting { until } => {
                let left = until.duration_since(now).as_secs().max(0);
                format!("starts in {left} s, Esc holds")
            }
            Self::ByHand | Self::Held { .. } | Self::Open | Self::Done { .. } => self.to_string(),
        }
    }
}

impl Fleet {
    /// How far the fleet is from a run that starts by itself. Strangers never block it.
    #[must_use]
    pub fn gate(&self) -> Gate {
        let is_shut = self.policy.start == StartRule::ByHand || self.policy.webhook_auth == WebhookAuth::None;
        if is_shut {
            return Gate::ByHand;
        }
        let fresh = self.nodes().filter(|node| is_fresh(node)).count();
        let open = || match (&self.state.gate.countdown, self.state.gate.is_held) {
            (_, true) => Gate::Held { ready: fresh },
            (Some(countdown), false) => Gate::Counting { until: countdown.until },
            (None, false) => Gate::Open,
        };
        if self.policy.start == StartRule::EachNode && fresh > 0 {
            return open();
        }
        let (mut wanted, mut settled) = (0, 0);
        let mut missing = Vec::new();
        for node in self.nodes().filter(|node| self.is_wanted(node)) {
            wanted += 1;
            if is_settled(node) {
                settled += 1;
            } else if missing.len() < NAMED {
                missing.push(Missing::of(node));
            }
        }
        let expected = self.policy.expect.filter(|expect| self.state.gate.waived_expect != Some(*expect));
        let of = wanted.max(expected.unwrap_or(0));
        if settled < of || of == 0 {
            Gate::Waits { ready: settled, of, missing, is_held: self.state.gate.is_held }
        } else if fresh > 0 {
            open()
        } else {
            let ready = self.nodes().filter(|node| node.phase == Phase::Ready && node.gated).count();
            Gate::Done { ready, is_held: self.state.gate.is_held }
        }
    }

    /// The countdown that goes on, if any.
    #[must_use]
    pub fn countdown(&self) -> Option<&Countdown> {
        self.state.gate.countdown.as_ref()
    }

    /// Whether the gate waits for this node: approved or planned, and not waived while it is missing.
    fn is_wanted(&self, node: &Node) -> bool {
        let is_named = node.phase.is_approved() || node.plan.is_some();
        is_named
            && !matches!(node.phase, Phase::Rejected { .. })
            && (is_settled(node) || !self.state.gate.waived.contains(&node.id))
    }

    /// Counts down, or queues a run for the nodes no gate run has included, if the gate is open and no run is going on.
    pub(super) fn decide_gate(&self, now: Timestamp) -> Decision {
        if self.active_run().is_some() {
            return Decision::none(Reply::Done);
        }
        let gate = self.gate();
        let fresh = self.fresh();
        let nodes: BTreeSet<NodeId> = fresh.keys().copied().collect();
        match (gate, &self.state.gate.countdown) {
            (Gate::Open | Gate::Counting { .. }, Some(countdown)) if countdown.nodes == nodes => {
                if now < countdown.until {
                    return Decision::none(Reply::Done);
                }
                self.queue_run(fresh, true, RunOptions::default(), self.gate_reason())
            }
            (Gate::Open | Gate::Counting { .. }, Some(countdown))
                if self.policy.start == StartRule::EachNode && !countdown.nodes.is_disjoint(&nodes) =>
            {
                // One node after the other must not put the first one off for ever.
                Decision::one(Event::GateCounting { until: countdown.until, nodes })
            }
            (Gate::Open | Gate::Counting { .. }, _) => {
                let pause = SignedDuration::try_from(self.policy.countdown).unwrap_or_default();
                if pause.is_zero() {
                    return self.queue_run(fresh, true, RunOptions::default(), self.gate_reason());
                }
                Decision::one(Event::GateCounting { until: now + pause, nodes })
            }
            (Gate::ByHand | Gate::Waits { .. } | Gate::Done { .. } | Gate::Held { .. }, Some(_)) => {
                Decision::one(Event::GateStopped)
            }
            (Gate::ByHand | Gate::Waits { .. } | Gate::Done { .. } | Gate::Held { .. }, None) => {
                Decision::none(Reply::Done)
            }
        }
    }

    /// The nodes a gate run would include.
    fn fresh(&self) -> BTreeMap<NodeId, Fqdn> {
        self.nodes().filter(|node| is_fresh(node)).map(|node| (node.id, node.name.clone())).collect()
    }

    /// Whether a gate run would be the first one of what is installed now, or for those that came later.
    fn gate_reason(&self) -> RunReason {
        match self.policy.start {
            StartRule::EachNode => RunReason::Each,
            StartRule::WhenReady | StartRule::ByHand if self.nodes().any(|node| node.gated) => RunReason::Late,
            StartRule::WhenReady | StartRule::ByHand => RunReason::Plain,
        }
    }

    /// Holds the gate, or lets it go on.
    pub(super) fn decide_hold(&self, hold: bool) -> Result<Decision, Refusal> {
        if self.gate() == Gate::ByHand {
            return Err(Refusal::GateByHand);
        }
        if self.state.gate.is_held == hold {
            return Ok(Decision::none(Reply::Done));
        }
        Ok(Decision::one(if hold { Event::GateHeld } else { Event::GateReleased }))
    }

    /// Whom going on without the missing nodes would run now, and whom it would no longer wait for.
    #[must_use]
    pub fn going(&self) -> [BTreeMap<NodeId, Fqdn>; 2] {
        let missing = self.nodes().filter(|node| self.is_wanted(node) && !is_settled(node));
        [self.fresh(), missing.map(|node| (node.id, node.name.clone())).collect()]
    }

    /// The same as [`Fleet::decide_go`], where it is about these nodes.
    pub(super) fn decide_go_as_seen(
        &self,
        ready: &BTreeSet<NodeId>,
        missing: &BTreeSet<NodeId>,
    ) -> Result<Decision, Refusal> {
        let decision = self.decide_go()?;
        let [run, without] = self.going();
        if run.keys().eq(ready) && without.keys().eq(missing) { Ok(decision) } else { Err(Refusal::GateChanged) }
    }

    /// Runs on the nodes that are ready and stops waiting for the others.
    pub(super) fn decide_go(&self) -> Result<Decision, Refusal> {
        if let Some(run) = self.active_run() {
            return Err(Refusal::RunActive(run.id));
        }
        if self.gate() == Gate::ByHand {
            return Err(Refusal::GateByHand);
        }
        let [fresh, missing] = self.going();
        if fresh.is_empty() {
            return Err(Refusal::NothingReady);
        }
        let waived = Event::GateWaived { nodes: missing.into_keys().collect(), expect: self.policy.expect };
        let mut decision = self.queue_run(fresh, true, RunOptions::default(), RunReason::WithoutMissing);
        decision.events.insert(0, waived);
        Ok(decision)
    }

    /// A run on exactly these nodes.
    pub(super) fn queue_run(
        &self,
        nodes: BTreeMap<NodeId, Fqdn>,
        by_gate: bool,
        options: RunOptions,
        reason: RunReason,
    ) -> Decision {
        let run = self.next_run();
        Decision {
            events: vec![Event::RunQueued { run, nodes, by_gate, options: Box::new(options), reason }],
            effects: vec![Effect::StartRun(run)],
            reply: Reply::Queued(run),
        }
    }
}

/// Ready, or done with.
fn is_settled(node: &Node) -> bool {
    matches!(node.phase, Phase::Ready | Phase::Configuring | Phase::Configured | Phase::Failed { .. })
}

/// Ready, and in no run the gate started for this installation.
fn is_fresh(node: &Node) -> bool {
    node.phase == Phase::Ready && node.may_run() && !node.gated
}

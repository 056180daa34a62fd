//! The fleet: all nodes, runs and unmatched reports, and the rules by which wishes become facts.
//!
//! `decide` (in `decide.rs` and its neighbours) never changes anything; [`Fleet::apply`] never fails. Cloning is cheap:
//! the maps share structure, so a clone per batch is the coordinator's transaction and a clone per publication the
//! readers' snapshot.

mod address;
mod ask;
pub mod clock;
mod counters;
mod decide;
mod edit;
mod evolve;
mod gate;
mod identity;
mod index;
mod machines;
mod order;
mod plan;
mod planned;
mod room;
mod rules;
mod runs;
mod swap;
#[cfg(test)]
mod tests;
mod tokens;
mod walk;

use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::command::Reply;
use super::effect::Effect;
use super::event::Event;
use super::facts::Report;
use super::fqdn::Fqdn;
use super::guard::ClaimCode;
use super::id::{BanId, DocumentHash, NodeId, ReportId, RunId, SecretHash, TicketId};
use super::node::Node;
use super::policy::Policy;
use super::run::{Run, RunState};
use super::snapshot::Undecided;
use super::text::Text;
use super::ticket::{Ban, Former, Ticket};
use super::token::{Token, TokenName};
use super::walk::Walk;
use index::Index;

pub use address::PoolOutlook;
#[cfg(test)]
pub(crate) use evolve::empty_row as blank_row;
pub use gate::{Countdown, Gate, Missing};
pub use identity::{likely_twins, who_stays};

/// Rows the table holds at most; a flood of strangers stops here.
pub const MAX_NODES: usize = 50_000;

/// Unmatched reports kept at most; the oldest one of the address that sent most of them gives way.
pub const MAX_UNMATCHED: usize = 1_000;

/// Runs remembered in the table; older ones stay in the event log and on disk.
const MAX_RUNS: usize = 200;

/// What a command leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Facts to store and apply, in order.
    pub events: Vec<Event>,
    /// What to do once they are stored.
    pub effects: Vec<Effect>,
    /// What to tell the asker.
    pub reply: Reply,
}

impl Decision {
    fn none(reply: Reply) -> Self {
        Self { events: Vec::new(), effects: Vec::new(), reply }
    }

    fn one(event: Event) -> Self {
        Self { events: vec![event], effects: Vec::new(), reply: Reply::Done }
    }
}

/// A report nobody could match; shown as a row of its own until the operator adopts or dismisses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// Its number.
    pub id: ReportId,
    /// When it came.
    pub at: Timestamp,
    /// From where.
    pub peer: IpAddr,
    /// Digest of the stored body.
    pub document: DocumentHash,
    /// What it said.
    pub report: Report,
}

/// All nodes, runs and unmatched reports.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "State")]
pub struct Fleet {
    #[serde(flatten)]
    state: State,
    #[serde(skip)]
    index: Index,
    #[serde(skip)]
    policy: Arc<Policy>,
    /// No address of the pool below this one is free.
    #[serde(skip)]
    pool_floor: Option<IpAddr>,
    /// Decisions that can still be taken back (ADR 18).
    #[serde(skip)]
    undecided: OrdMap<NodeId, Undecided>,
}

/// What is stored of a fleet; the index is made anew, and the policy is for whoever loads it to set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    nodes: OrdMap<NodeId, Arc<Node>>,
    unmatched: OrdMap<ReportId, Arc<Unmatched>>,
    runs: OrdMap<RunId, Arc<Run>>,
    last_node: u64,
    last_report: u64,
    last_run: u64,
    #[serde(default)]
    gate: gate::GateState,
    #[serde(default)]
    tokens: OrdMap<TokenName, Arc<Token>>,
    #[serde(default)]
    tickets: OrdMap<TicketId, Arc<Ticket>>,
    #[serde(default)]
    last_ticket: u64,
    #[serde(default)]
    bans: OrdMap<BanId, Arc<Ban>>,
    #[serde(default)]
    last_ban: u64,
    /// What this fleet has taught about time, by hardware model.
    #[serde(default)]
    times: OrdMap<Text, Arc<clock::Times>>,
    /// Machines that may be installed and whose rows were dropped, by the rows they had.
    #[serde(default)]
    former: OrdMap<NodeId, Arc<Former>>,
    /// The walk that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    walk: Option<Arc<Walk>>,
}

impl From<State> for Fleet {
    fn from(state: State) -> Self {
        let mut index = Index::default();
        state.nodes.values().for_each(|node| index.insert(node));
        state.former.iter().for_each(|(row, former)| index.former_mut().insert(*row, &former.machine));
        Self { state, index, policy: Arc::default(), pool_floor: None, undecided: OrdMap::new() }
    }
}

impl Fleet {
    /// An empty fleet under `policy`.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(policy), ..Self::default() }
    }

    /// Puts other rules into force.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = Arc::new(policy);
        self.pool_floor = None;
    }

    /// The rules in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// All nodes, oldest first.
    #[must_use]
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = &Arc<Node>> {
        self.state.nodes.values()
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.state.nodes.len()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.state.nodes.get(&id)
    }

    /// Numbers for new rows: never given before, and such that no two rows there are share a claim code.
    fn new_rows(&self) -> impl Iterator<Item = NodeId> {
        let is_alone = |row: &NodeId| !ClaimCode::sharing(*row).any(|other| self.state.nodes.contains_key(&other));
        (self.state.last_node + 1..).map(NodeId).filter(is_alone)
    }

    /// The number of the next row.
    fn new_row(&self) -> NodeId {
        // There is always a next one; numbers do not run out.
        self.new_rows().next().unwrap_or(NodeId(u64::MAX))
    }

    /// The node with this host name.
    #[must_use]
    pub fn named(&self, name: &Fqdn) -> Option<&Arc<Node>> {
        self.index.named(name).and_then(|id| self.node(id))
    }

    /// Whether a report may come with this secret: it stands in the answer of one of the nodes.
    #[must_use]
    pub fn knows_secret(&self, secret: &SecretHash) -> bool {
        self.index.by_secret(secret).is_some()
    }

    /// Reports that belong to nobody yet, oldest first.
    #[must_use]
    pub fn unmatched(&self) -> impl DoubleEndedIterator<Item = &Arc<Unmatched>> {
        self.state.unmatched.values()
    }

    /// Runs, oldest first.
    #[must_use]
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Arc<Run>> {
        self.state.runs.values()
    }

    /// One run.
    #[must_use]
    pub fn run(&self, id: RunId) -> Option<&Arc<Run>> {
        self.state.runs.get(&id)
    }

    /// The run that is going on.
    #[must_use]
    pub fn active_run(&self) -> Option<&Arc<Run>> {
        self.runs().next_back().filter(|run| run.is_active())
    }

    /// The number that the next run gets.
    #[must_use]
    pub fn next_run(&self) -> RunId {
        RunId(self.state.last_run + 1)
    }

    /// Whether any report has shown a NIC of a vendor that `pattern` accepts.
    pub fn has_seen_vendor(&self, mut accepts: impl FnMut(&str) -> bool) -> bool {
        self.nodes()
            .filter_map(|node| node.report.as_ref())
            .flat_map(|reported| &reported.report.nics)
            .filter_map(|nic| nic.vendor.as_ref())
            .any(|vendor| accepts(vendor.as_str()))
    }

    /// The node, other than `except`, that `address` belongs to.
    #[must_use]
    pub fn owner_of(&self, address: IpAddr, except: NodeId) -> Option<&Arc<Node>> {
        self.index.owners(address).find(|id| *id != except).and_then(|id| self.node(id))
    }

    /// Bodies that rows and unmatched reports refer to.
    pub fn documents(&self) -> impl Iterator<Item = DocumentHash> {
        let of_node = |node: &Node| {
            let asked = node.request.as_ref().map(|asked| asked.stamp.body);
            let answered = node.answers.as_ref().map(|answers| answers.stamp.body);
            let reported = node.report.as_ref().map(|reported| reported.document);
            [asked, answered, reported].into_iter().flatten()
        };
        let absorbed = || self.nodes().flat_map(|node| node.absorbed.iter());
        let before = absorbed().filter_map(|absorbed| Some(absorbed.request.as_ref()?.stamp.body));
        let rows = self.nodes().map(AsRef::as_ref).chain(absorbed().map(|absorbed| &*absorbed.row));
        let unmatched = self.unmatched().map(|unmatched| unmatched.document);
        rows.flat_map(of_node).chain(before).chain(unmatched)
    }

    /// What must be going on, judged from the state alone: after a restart nothing is replayed blindly.
    #[must_use]
    pub fn resume(&self) -> Vec<Effect> {
        let run = self.active_run();
        run.map(|run| match run.state {
            RunState::Queued { .. } => Effect::StartRun(run.id),
            RunState::Running { .. } | RunState::Ended { .. } => Effect::FollowRun(run.id),
        })
        .into_iter()
        .collect()
    }
}

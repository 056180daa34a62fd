//! One execution of the playbook.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::command::Origin;
use super::fqdn::Fqdn;
use super::id::{NodeId, RunId};
use super::options::{RunOptions, RunReason};
use super::phase::Phase;
use super::text::Text;

/// A run and the nodes it is limited to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Nodes it was started for, with the names they had.
    pub nodes: BTreeMap<NodeId, Fqdn>,
    /// Whether the gate started it, and not the operator.
    pub by_gate: bool,
    /// Who asked for it; `None` for runs of releases that did not keep it.
    #[serde(default)]
    pub by: Option<Origin>,
    /// Why there is one.
    #[serde(default)]
    pub reason: RunReason,
    /// What was chosen for it.
    #[serde(default)]
    pub options: Box<RunOptions>,
    /// What came of its nodes, where Ansible told.
    #[serde(default)]
    pub hosts: BTreeMap<Fqdn, HostResult>,
    /// Where its nodes stood when it began.
    #[serde(default)]
    pub before: BTreeMap<NodeId, Phase>,
    /// When it was asked for.
    pub queued: Timestamp,
    /// Where it stands.
    pub state: RunState,
}

/// Life of a run: queued → running → ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RunState {
    /// Its files are being written; its process may be about to begin.
    Queued {
        /// Whether a stop was asked for; then it must not begin.
        #[serde(default)]
        stopping: bool,
    },
    /// Ansible runs.
    Running {
        /// Since when.
        since: Timestamp,
        /// Whether a stop was asked for.
        stopping: bool,
    },
    /// It is over.
    Ended {
        /// When that was learnt.
        at: Timestamp,
        /// How.
        outcome: RunOutcome,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum RunOutcome {
    /// Every node was configured.
    Succeeded,
    /// Ansible ran and something failed.
    Failed {
        /// In words.
        reason: Text,
    },
    /// Nothing was run: Ansible or the playbook could not start.
    NotStarted {
        /// In words, with what to do.
        reason: Text,
    },
    /// The operator stopped it.
    Cancelled,
    /// Its process vanished without a word, as after a power cut.
    Interrupted,
}

impl RunOutcome {
    /// The outcome's one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::NotStarted { .. } => "not started",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// The reason in words, where there is one.
    #[must_use]
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Failed { reason } | Self::NotStarted { reason } => Some(reason),
            Self::Succeeded | Self::Cancelled | Self::Interrupted => None,
        }
    }
}

/// What a run did to one host, from the `stats` event (ANSIBLE.md §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum HostResult {
    /// No task failed for good.
    Configured,
    /// A task failed, or the host was not reached.
    Failed {
        /// Task and message.
        reason: Text,
    },
    /// The same before any task had succeeded: the host is as it was.
    Untouched {
        /// Task and message.
        reason: Text,
    },
}

impl HostResult {
    /// Why it failed, where it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Text> {
        match self {
            Self::Failed { reason } | Self::Untouched { reason } => Some(reason),
            Self::Configured => None,
        }
    }
}

impl Run {
    /// A run that was just asked for.
    #[must_use]
    pub fn queued(id: RunId, nodes: BTreeMap<NodeId, Fqdn>, queued: Timestamp) -> Self {
        Self {
            id,
            nodes,
            by_gate: false,
            by: None,
            reason: RunReason::Plain,
            options: Box::default(),
            hosts: BTreeMap::new(),
            before: BTreeMap::new(),
            queued,
            state: RunState::Queued { stopping: false },
        }
    }

    /// Why there is one, in words.
    #[must_use]
    pub fn why(&self) -> &'static str {
        self.reason.words(self.by_gate)
    }

    /// Seconds from the order to the end of a run that succeeded.
    #[must_use]
    pub fn took(&self) -> Option<u32> {
        let RunState::Ended { at, outcome: RunOutcome::Succeeded } = &self.state else { return None };
        u32::try_from(at.duration_since(self.queued).as_secs()).ok()
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !matches!(self.state, RunState::Ended { .. })
    }

    /// Whether a stop was asked for and the run has not ended yet.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        matches!(self.state, RunState::Queued { stopping: true } | RunState::Running { stopping: true, .. })
    }
}

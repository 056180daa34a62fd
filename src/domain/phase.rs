//! The life of a node (ARCHITECTURE.md, "Life of a node").

use serde::{Deserialize, Serialize};

use super::text::Text;

/// Where a node stands. Every busy phase has a failed twin that carries its reason in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// A row of the plan or of an imported inventory; no machine has called as it.
    Planned,
    /// Asked, and nobody has decided.
    Waiting,
    /// Sent away by the operator.
    Rejected {
        /// The operator's words, possibly none.
        reason: Text,
    },
    /// May be given an answer; none is on its way.
    Approved,
    /// An answer was released to it.
    Installing,
    /// The report is overdue.
    Stalled {
        /// Which leg is overdue and since when.
        reason: Text,
    },
    /// The report came, or the operator says so; it has not rebooted yet.
    Installed,
    /// It is being probed and has not answered as itself yet.
    Booting,
    /// SSH answers with the reported host key.
    Ready,
    /// It did not answer as itself in time.
    Unreachable {
        /// What was tried and seen.
        reason: Text,
    },
    /// The playbook runs on it.
    Configuring,
    /// The playbook succeeded on it.
    Configured,
    /// The playbook failed on it.
    Failed {
        /// Task and message.
        reason: Text,
    },
}

impl Phase {
    /// The phase's one word, for tables, logs and JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Waiting => "waiting",
            Self::Rejected { .. } => "rejected",
            Self::Approved => "approved",
            Self::Installing => "installing",
            Self::Stalled { .. } => "stalled",
            Self::Installed => "installed",
            Self::Booting => "booting",
            Self::Ready => "ready",
            Self::Unreachable { .. } => "unreachable",
            Self::Configuring => "configuring",
            Self::Configured => "configured",
            Self::Failed { .. } => "failed",
        }
    }

    /// The reason a failed twin carries.
    #[must_use]
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Rejected { reason }
            | Self::Stalled { reason }
            | Self::Unreachable { reason }
            | Self::Failed { reason } => Some(reason),
            Self::Planned
            | Self::Waiting
            | Self::Approved
            | Self::Installing
            | Self::Installed
            | Self::Booting
            | Self::Ready
            | Self::Configuring
            | Self::Configured => None,
        }
    }

    /// Whether the operator wants this node in the cluster: the set the gate waits for.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        !matches!(self, Self::Planned | Self::Waiting | Self::Rejected { .. })
    }

    /// Whether the node is known to be installed (reported or marked), so that it belongs in the inventory.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        match self {
            Self::Installed
            | Self::Booting
            | Self::Ready
            | Self::Unreachable { .. }
            | Self::Configuring
            | Self::Configured
            | Self::Failed { .. } => true,
            Self::Planned
            | Self::Waiting
            | Self::Rejected { .. }
            | Self::Approved
            | Self::Installing
            | Self::Stalled { .. } => false,
        }
    }

    /// Whether its installation has no answer yet: nothing carries its name and address, so that both may be changed.
    #[must_use]
    pub fn is_before_answer(&self) -> bool {
        matches!(self, Self::Planned | Self::Waiting | Self::Rejected { .. } | Self::Approved)
    }

    /// Whether there is a machine to send away, and it has no answer yet. A row of the plan has none.
    #[must_use]
    pub fn may_be_rejected(&self) -> bool {
        self.is_before_answer() && *self != Self::Planned
    }

    /// Whether somebody may say that it is installed: it was approved and no report came.
    #[must_use]
    pub fn may_be_marked(&self) -> bool {
        matches!(self, Self::Approved | Self::Installing | Self::Stalled { .. })
    }

    /// Whether it is looked for at its address: between its report and the run that configures it.
    #[must_use]
    pub fn is_looked_for(&self) -> bool {
        matches!(self, Self::Installed | Self::Booting | Self::Unreachable { .. } | Self::Ready)
    }

    /// Whether it may take a report in that came without its secret.
    #[must_use]
    pub fn may_adopt(&self) -> bool {
        self.may_be_marked() || *self == Self::Installed
    }
}

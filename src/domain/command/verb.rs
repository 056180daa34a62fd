//! Decisions that can be taken back for a while.

use serde::{Deserialize, Serialize};

use super::Order;
use crate::domain::id::NodeId;

/// A decision that has an undo window: it lets an answer leave, or sends a machine away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Let it be installed.
    Approve,
    /// Send it away.
    Reject,
    /// Let it be installed once more.
    Reinstall,
}

impl Verb {
    /// What is going to happen to the row, in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Reinstall => "reinstall",
        }
    }

    /// The decision, in one word.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Approve => "approval",
            Self::Reject => "rejection",
            Self::Reinstall => "reinstall",
        }
    }
}

impl Order {
    /// The row and the decision about it, where the order is one that can be taken back for a while.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever lets an answer leave is one of these three")]
    pub fn verb(&self) -> Option<(NodeId, Verb)> {
        match self {
            Self::Approve { node, .. } => Some((*node, Verb::Approve)),
            Self::Reject { node, .. } => Some((*node, Verb::Reject)),
            Self::AllowReinstall { node, .. } => Some((*node, Verb::Reinstall)),
            Self::IfSeen { then, .. } => then.verb(),
            _ => None,
        }
    }

    /// The row of which a decision is taken back, where that is the order.
    #[must_use]
    pub fn undone(&self) -> Option<NodeId> {
        if let Self::IfSeen { then, .. } = self {
            return then.undone();
        }
        let Self::Undo { node } = self else { return None };
        Some(*node)
    }

    /// The order without the condition that its row is as it was seen.
    #[must_use]
    pub fn bare(self) -> Self {
        let Self::IfSeen { then, .. } = self else { return self };
        then.bare()
    }
}

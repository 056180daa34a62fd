//! What comes back for a command.

use jiff::Timestamp;

use crate::domain::guard::{Grant, Verdict, Withheld};
use crate::domain::id::{NodeId, RunId, TicketId};
use crate::domain::text::Text;

/// What comes back for a decided command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done, or nothing to do.
    Done,
    /// The guard's word on an [`Ask`](super::Ask), and the row it is about.
    Asked {
        /// The row.
        node: NodeId,
        /// The guard's word.
        verdict: Verdict,
    },
    /// The answer may be sent.
    Released,
    /// The answer may not be sent now, for this reason.
    Withheld(Withheld),
    /// The name moved while the answer was rendered: render again.
    Rerender(Grant),
    /// A run was queued.
    Queued(RunId),
    /// The plan is in force, but for what stands against the fleet, in words.
    Planned(Vec<Text>),
    /// A ticket was issued.
    Issued(TicketId),
    /// The machine was sent away or is banned: refuse it, and make no row of it.
    Barred(Withheld),
    /// It takes effect then, unless it is taken back; nothing is stored yet.
    Undecided {
        /// When.
        until: Timestamp,
    },
}

/// What comes back for an [`Order`](super::Order): the replies that one can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// Done, or nothing to do.
    Done,
    /// A run was queued.
    Queued(RunId),
    /// A ticket was issued.
    Issued(TicketId),
    /// It takes effect then, unless it is taken back; nothing is stored yet.
    Undecided {
        /// When.
        until: Timestamp,
    },
}

impl TryFrom<Reply> for Ordered {
    type Error = Reply;

    fn try_from(reply: Reply) -> Result<Self, Reply> {
        match reply {
            Reply::Done => Ok(Self::Done),
            Reply::Queued(run) => Ok(Self::Queued(run)),
            Reply::Issued(ticket) => Ok(Self::Issued(ticket)),
            Reply::Undecided { until } => Ok(Self::Undecided { until }),
            other @ (Reply::Asked { .. }
            | Reply::Released
            | Reply::Withheld(_)
            | Reply::Rerender(_)
            | Reply::Planned(_)
            | Reply::Barred(_)) => Err(other),
        }
    }
}

//! The engine's local interface: JSON over HTTP on a Unix socket in the state folder.
//!
//! No management endpoint listens on TCP (ARCHITECTURE.md, "The edges"); who may open the socket (mode 0600) may
//! decide. [`server`] answers, [`client`] asks; both speak the domain's own types, so an attached console will need no
//! others.

pub mod client;
pub mod server;
mod socket;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{Order, Ordered, RunId, TicketId};

pub use socket::{SocketError, find as find_socket};

/// Version in every path: `/v1/…`.
const PREFIX: &str = "/v1";

/// Orders of one person. They are decided in this order, each for itself: one that is refused keeps none of the
/// others from being carried out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrdersRequest {
    /// Login name, for the audit log.
    pub operator: String,
    /// From where, for the audit log.
    #[serde(default)]
    pub from: String,
    /// The orders; the response holds what came of each, in their order.
    pub orders: Vec<Order>,
    /// Whether decisions take effect without their undo window.
    #[serde(default)]
    pub at_once: bool,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum OrderResponse {
    /// Carried out.
    Done {
        /// The run it queued.
        run: Option<RunId>,
    },
    /// Takes effect after the undo window, unless it is taken back.
    Undecided {
        /// When.
        until: Timestamp,
    },
    /// A ticket was issued.
    Issued {
        /// Its number.
        ticket: TicketId,
    },
    /// Refused; nothing changed.
    Refused {
        /// In words that say what to do instead.
        reason: String,
    },
    /// Could not be carried out for the engine's own reasons.
    Failed {
        /// In words.
        reason: String,
    },
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum Answered<T> {
    /// This.
    Done {
        /// The answer.
        value: T,
    },
    /// Nothing, for this reason.
    Refused {
        /// In words.
        reason: String,
    },
}

impl<T> From<Result<T, crate::client::OrderError>> for Answered<T> {
    fn from(result: Result<T, crate::client::OrderError>) -> Self {
        match result {
            Ok(value) => Self::Done { value },
            Err(error) => Self::Refused { reason: error.to_string() },
        }
    }
}

impl From<Result<Ordered, crate::client::OrderError>> for OrderResponse {
    fn from(result: Result<Ordered, crate::client::OrderError>) -> Self {
        match result {
            Ok(Ordered::Queued(run)) => Self::Done { run: Some(run) },
            Ok(Ordered::Issued(ticket)) => Self::Issued { ticket },
            Ok(Ordered::Undecided { until }) => Self::Undecided { until },
            Ok(Ordered::Done) => Self::Done { run: None },
            Err(crate::client::OrderError::Refused(refusal)) => Self::Refused { reason: refusal.to_string() },
            Err(error) => Self::Failed { reason: error.to_string() },
        }
    }
}

//! The read model: everything a console, a script or the API may see, immutable and cheap to clone.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::command::{Origin, Verb};
use super::fleet::Fleet;
use super::ghost::Ghost;
use super::id::NodeId;
use super::plan::ProfileName;
use super::text::Text;

/// The state after some batch of events. Shares its nodes with every other snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// Sequence number of the last event in it.
    pub seq: u64,
    /// When it was made.
    pub at: Timestamp,
    /// Nodes, runs and unmatched reports.
    pub fleet: Fleet,
    /// Rows whose machines are waiting on an open connection right now.
    pub holds: imbl::OrdMap<NodeId, Hold>,
    /// Decisions that can still be taken back, by row.
    #[serde(default)]
    pub undecided: imbl::OrdMap<NodeId, Undecided>,
    /// The listener and what is wrong with the program.
    pub service: Arc<Service>,
}

/// An open request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// When the connection came in.
    pub since: Timestamp,
    /// When it gets the retry answer at the latest.
    pub until: Timestamp,
}

/// A decision inside its undo window: nothing is stored yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// What was decided.
    pub verb: Verb,
    /// Who decided.
    pub origin: Origin,
    /// When it takes effect, unless it is taken back.
    pub until: Timestamp,
}

/// What is being served, and how well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The base URL machines should use, without a path; `https://192.0.2.1:8443`.
    pub url: String,
    /// SHA-256 of the certificate in hex with colons, where TLS is on.
    pub fingerprint: Option<String>,
    /// How the playbook is called.
    #[serde(default)]
    pub caller: Caller,
    /// The playbook's tasks that a run may begin at, by name and in order; empty until Ansible was asked.
    #[serde(default)]
    pub tasks: Vec<Text>,
    /// How many requests can be held at once with the file descriptors allowed.
    pub capacity: usize,
    /// What the operator should know: each with what to do.
    pub problems: Vec<Problem>,
    /// Whether a machine must show a token.
    #[serde(default)]
    pub require_token: bool,
    /// The profiles there are, by name.
    #[serde(default)]
    pub profiles: Vec<ProfileName>,
    /// Clients that could not even ask or were turned away, the latest first.
    #[serde(default)]
    pub ghosts: Vec<Ghost>,
}

/// Something wrong with the program or its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

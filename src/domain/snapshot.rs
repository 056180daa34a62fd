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
use super::policy::Policy;
use super::text::Text;

/// The state after some batch of events. Shares its nodes with every other snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Told", into = "Told")]
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
    pub undecided: imbl::OrdMap<NodeId, Undecided>,
    /// The listener and what is wrong with the program.
    pub service: Arc<Service>,
}

/// A snapshot as it is told to another process. A fleet is stored without the rules it is under, which are `config`'s;
/// whoever reads a snapshot has no `config`, so they go with it. One without them is another version's and not read.
#[derive(Serialize, Deserialize)]
struct Told {
    seq: u64,
    at: Timestamp,
    policy: Policy,
    fleet: Fleet,
    holds: imbl::OrdMap<NodeId, Hold>,
    #[serde(default)]
    undecided: imbl::OrdMap<NodeId, Undecided>,
    service: Arc<Service>,
}

impl From<Told> for Snapshot {
    fn from(told: Told) -> Self {
        let Told { seq, at, policy, mut fleet, holds, undecided, service } = told;
        fleet.set_policy(policy);
        Self { seq, at, fleet, holds, undecided, service }
    }
}

impl From<Snapshot> for Told {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { seq, at, fleet, holds, undecided, service } = snapshot;
        Self { seq, at, policy: fleet.policy().clone(), fleet, holds, undecided, service }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::address::Pool;
    use crate::domain::event::{Event, Recorded};
    use crate::domain::fleet::Gate;
    use crate::domain::policy::StartRule;

    #[test]
    fn what_is_told_is_under_the_same_rules() {
        let addresses = crate::domain::AddressRules {
            pool: Pool::new(&["192.0.2.10-192.0.2.20".parse().unwrap()], &[]),
            ..crate::domain::AddressRules::default()
        };
        let policy = Policy { start: StartRule::ByHand, expect: Some(7), addresses, ..Policy::default() };
        let mut fleet = Fleet::new(policy.clone());
        let event = Event::GateHeld;
        fleet.apply(&Recorded { seq: 1, at: Timestamp::UNIX_EPOCH, origin: Origin::System, event });
        let (holds, undecided) = Default::default();
        let snapshot = Snapshot { seq: 1, at: Timestamp::UNIX_EPOCH, fleet, holds, undecided, service: Arc::default() };
        let text = serde_json::to_string(&snapshot).unwrap();
        let told: Snapshot = serde_json::from_str(&text).unwrap();
        assert_eq!(told.fleet.policy(), &policy);
        assert_eq!(told.fleet.gate(), Gate::ByHand);
        assert_eq!(serde_json::to_string(&told).unwrap(), text);
        let fleet = serde_json::to_value(&told.fleet).unwrap();
        assert_eq!(fleet.get("policy"), None, "the store has no rules");
        let older = text.replacen("\"policy\"", "\"rules\"", 1);
        assert!(serde_json::from_str::<Snapshot>(&older).is_err(), "none are made up");
    }
}

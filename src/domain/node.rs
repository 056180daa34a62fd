//! A node: a machine with a place in the fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::{Fixed, FixedBy, OwnNetwork};
use super::facts::{HostKey, Product, Report, SystemInfo};
use super::fqdn::Fqdn;
use super::id::{DocumentHash, NodeId, RunId, SecretHash};
use super::mac::MacAddr;
use super::machine::MachineId;
use super::phase::Phase;
use super::plan::{PlanEntry, PlanMatch, ProfileName};
use super::text::Text;
use super::ticket::Admission;
use super::token::TokenName;

pub use super::flag::Flag;

/// One row of the node table. Shared by reference: snapshots hold the same `Arc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any of them may hold")]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// Its host name; unique in the fleet.
    pub name: Fqdn,
    /// What identifies its machine.
    pub machine: MachineId,
    /// What the plan says about it.
    #[serde(default)]
    pub plan: Option<Arc<PlanEntry>>,
    /// How its machine was recognised as that row of the plan; `None` until one was.
    #[serde(default)]
    pub plan_match: Option<PlanMatch>,
    /// Where it stands.
    pub phase: Phase,
    /// Since when it stands there.
    pub since: Timestamp,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// Its last answer request.
    pub request: Option<Asked>,
    /// The request the operator approved.
    pub approved: Option<Stamp>,
    /// How it was approved without a person; `None` where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// Rows that were merged into this one, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<Absorbed>,
    /// Answers released under the present approval.
    pub answers: Option<Answers>,
    /// The system it reported; `None` if it was marked or has not reported.
    pub report: Option<Reported>,
    /// Host keys it must answer with: reported, or accepted by the operator.
    pub host_keys: Vec<HostKey>,
    /// A host key seen on a node that never reported one; no run includes it until the operator accepts it.
    pub unproven: Option<HostKey>,
    /// Where Ansible reaches it.
    pub address: Option<IpAddr>,
    /// The address its answer must carry, where it is neither the plan's nor the one it asks from.
    #[serde(default)]
    pub assigned: Option<Assigned>,
    /// The NIC the operator chose for it.
    #[serde(default)]
    pub nic: Option<MacAddr>,
    /// Whether the operator allowed one more install.
    pub reinstall_allowed: bool,
    /// Whether a run that the gate started has included this installation.
    pub gated: bool,
    /// Whether a run has worked on this installation, so that it may be in a cluster.
    #[serde(default)]
    pub was_configured: bool,
    /// Whether this installation was ready before: what it takes to come back says nothing of how long it boots.
    #[serde(default)]
    pub was_ready: bool,
    /// The last run that included it.
    pub last_run: Option<RunId>,
    /// The profile the operator chose; `None` leaves that to the plan and the profiles' own rules.
    #[serde(default)]
    pub profile: Option<ProfileChoice>,
    /// Values of counters, its own as long as the row is.
    #[serde(default)]
    pub counters: BTreeMap<Text, u64>,
    /// What the operator should know about this row.
    pub flags: BTreeSet<Flag>,
    /// The operator's own note about it.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub note: Text,
    /// Whether walk mode gave it its name, and not its own identifiers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_walked: bool,
    /// Grows whenever the row becomes another matter for whoever decides about it; what an order may be bound to.
    #[serde(default)]
    pub revision: u64,
}

/// A row that was merged into another, and what the other was before: enough to undo it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absorbed {
    /// The row that went.
    pub row: Arc<Node>,
    /// What identified the row that stayed.
    pub machine: MachineId,
    /// Its request.
    pub request: Option<Asked>,
    /// Its name; not known of merges by an earlier release.
    #[serde(default)]
    pub name: Option<Fqdn>,
}

/// The operator's word on a node's profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileChoice {
    /// None, whatever fits.
    Without,
    /// This one, whatever fits.
    Named(ProfileName),
}

/// Identifies the exact request an approval is for (ADR 8): address, MAC set and body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Who asked.
    pub peer: IpAddr,
    /// All MACs it listed.
    pub macs: BTreeSet<MacAddr>,
    /// Digest of the body.
    pub body: DocumentHash,
}

/// An address that was chosen for a node before it installs. It stays the node's until the row is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The address.
    pub address: IpAddr,
    /// Who chose it.
    pub by: AssignedBy,
}

/// Who chose a node's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignedBy {
    /// The operator: goes before everything else.
    Operator,
    /// The pool: gives way to the plan.
    Pool,
}

/// An answer request as last received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// From where, with which MACs and body.
    pub stamp: Stamp,
    /// The NIC the request came through, where that is known.
    pub asking_mac: Option<MacAddr>,
    /// What it said.
    pub info: Arc<SystemInfo>,
    /// How many requests there were, with those that were not stored one by one.
    pub count: u32,
    /// Whether the log has it that a reply told the machine to come back, or sent it away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_told: bool,
    /// The token it came with, which was good then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenName>,
    /// What its layers said of its network then; `None` where that is not known, or no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnNetwork>,
}

/// Answers released under one approval: the guard counts them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// When the first one was released.
    pub first: Timestamp,
    /// When the last one was released.
    pub last: Timestamp,
    /// How many.
    pub count: u32,
    /// The request the last one answered.
    pub stamp: Stamp,
    /// The last one's text.
    pub document: DocumentHash,
    /// The secrets of all of them: a report of any is this node's.
    pub secrets: Vec<SecretHash>,
    /// The static address in the last one; `None` with `from-dhcp`.
    pub address: Option<IpNet>,
    /// What became of the last one.
    pub delivery: Delivery,
    /// The profile it was made with.
    #[serde(default)]
    pub profile: Option<Text>,
    /// Whether the first of them was allowed as a reinstall: until one has surely arrived, the old system is still there.
    #[serde(default)]
    pub over_installed: bool,
    /// Whether the time for repeats is over, whatever the wall clock says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeats_over: bool,
}

impl Answers {
    /// Whether any of them may have reached the machine: not where the only one was lost.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        self.delivery != Delivery::Lost || self.count > 1
    }

    /// Whether `node`, whose answers they are, could still repeat them, for all that no clock says.
    #[must_use]
    pub fn may_repeat(&self, node: &Node) -> bool {
        !self.repeats_over && node.report.is_none() && !node.phase.is_installed()
    }
}

/// What became of a released answer. A machine that may have received one counts as installing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Committed; the write has not been confirmed (after a crash: never will be).
    Released,
    /// The whole answer was written and the connection closed in order.
    Delivered,
    /// The connection broke before the answer was out.
    Lost,
}

/// A report that belongs to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// When it came.
    pub at: Timestamp,
    /// From where (not necessarily the installed address, PROTOCOL.md §c).
    pub peer: IpAddr,
    /// Digest of the stored body.
    pub document: DocumentHash,
    /// What it said.
    pub report: Report,
}

impl Node {
    /// The product its medium installs or it reported.
    #[must_use]
    pub fn product(&self) -> Product {
        let reported = self.report.as_ref().and_then(|reported| reported.report.product);
        reported.or_else(|| self.request.as_ref().map(|asked| asked.info.product)).unwrap_or_default()
    }

    /// The model: what DMI calls the system, else the board.
    #[must_use]
    pub fn model(&self) -> Option<&Text> {
        let asked = self.request.as_ref().map(|asked| &asked.info.dmi);
        let reported = self.report.as_ref().map(|reported| &reported.report.dmi);
        asked.into_iter().chain(reported).find_map(|dmi| dmi.model.as_ref().or(dmi.board_name.as_ref()))
    }

    /// The serial number, trusted or not.
    #[must_use]
    pub fn serial(&self) -> Option<&Text> {
        let asked = self.request.as_ref().map(|asked| &asked.info.dmi);
        let reported = self.report.as_ref().map(|reported| &reported.report.dmi);
        let planned = self.plan.as_ref().filter(|_| asked.is_none()).and_then(|entry| entry.serial.as_ref());
        asked.into_iter().chain(reported).find_map(|dmi| dmi.serial.as_ref()).or(planned)
    }

    /// The address its answer must carry, whatever the configuration says: the operator's, the plan's, or the one the
    /// pool gave it.
    #[must_use]
    pub fn fixed_address(&self) -> Option<IpAddr> {
        self.fixed().map(|fixed| fixed.address)
    }

    /// The same with who gave it.
    #[must_use]
    pub fn fixed(&self) -> Option<Fixed> {
        let assigned = |by| self.assigned.filter(|assigned| assigned.by == by).map(|assigned| assigned.address);
        let planned = self.plan.as_ref().and_then(|entry| entry.address);
        let given = [
            (FixedBy::Operator, assigned(AssignedBy::Operator)),
            (FixedBy::Plan, planned),
            (FixedBy::Pool, assigned(AssignedBy::Pool)),
        ];
        given.into_iter().find_map(|(by, address)| Some(Fixed { address: address?, by }))
    }

    /// What its own layers say of its network; where that is not known, they follow `default.toml`.
    #[must_use]
    pub fn own_network(&self) -> OwnNetwork {
        self.request.as_ref().and_then(|asked| asked.own).unwrap_or_default()
    }

    /// The profile it is to be installed with by the operator's word or the plan's; `None` where the profiles' own rules
    /// decide, or none is to be used.
    #[must_use]
    pub fn wanted_profile(&self) -> Option<&ProfileName> {
        match &self.profile {
            Some(ProfileChoice::Named(name)) => Some(name),
            Some(ProfileChoice::Without) => None,
            None => self.plan.as_ref().and_then(|entry| entry.profile.as_ref()),
        }
    }

    /// Its layers are other ones than when it asked.
    pub(super) fn unlearn_network(&mut self) {
        if let Some(asked) = &mut self.request {
            asked.own = None;
        }
    }

    /// Whether it is a row of the plan whose machine has not called yet.
    #[must_use]
    pub fn is_unclaimed(&self) -> bool {
        self.phase == Phase::Planned && self.plan.is_some() && self.request.is_none()
    }

    /// Its address for the table: as a node, else the one it will have, else that of its last request.
    #[must_use]
    pub fn shown_address(&self) -> Option<IpAddr> {
        let asked = || self.request.as_ref().map(|asked| asked.stamp.peer);
        self.address.or_else(|| self.fixed_address().filter(|_| self.phase.is_before_answer())).or_else(asked)
    }

    /// Whether an answer was released that may have been used, or whose loss leaves what was installed before.
    #[must_use]
    pub fn may_be_installed(&self) -> bool {
        self.report.is_some()
            || self.phase.is_installed()
            || self.answers.as_ref().is_some_and(|answers| answers.over_installed || answers.may_have_arrived())
    }

    /// What became of its last answer, in words.
    #[must_use]
    pub fn answer_fate(&self) -> Option<&'static str> {
        Some(match self.answers.as_ref()?.delivery {
            Delivery::Released if self.report.is_some() => "arrived: it has reported",
            Delivery::Released => "sent, not confirmed",
            Delivery::Delivered => "delivered",
            Delivery::Lost => "lost: the connection broke before it was out",
        })
    }

    /// Whether its last answer may or may not have arrived, as after a crash in the middle of sending it.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        matches!(self.phase, Phase::Installing | Phase::Stalled { .. })
            && self.answers.as_ref().is_some_and(|answers| answers.delivery == Delivery::Released)
    }

    /// Whether what it is to be installed with can still be chosen.
    #[must_use]
    pub fn is_to_be_installed(&self) -> bool {
        self.phase.is_before_answer() && !self.may_be_installed()
    }

    /// Whether it can change places with another one.
    #[must_use]
    pub fn may_swap(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Approved) && !self.may_be_installed()
    }

    /// Whether a run may include it: installed, proven by host key, not busy.
    #[must_use]
    pub fn may_run(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Configured | Phase::Failed { .. }) && !self.host_keys.is_empty()
    }
}

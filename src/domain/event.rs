//! Facts: what happened, as stored and applied. The event table is the audit log.
//!
//! Events hold no secret (ARCHITECTURE.md, "Where state lives"). A variant is never changed once released: a new
//! meaning is a new variant, and [`Event::VERSION`] is stored beside each row.

mod subject;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::command::{Origin, Verb};
use super::facts::{HostKey, Report};
use super::fqdn::Fqdn;
use super::guard::Permission;
use super::id::{BanId, DocumentHash, NodeId, ReportId, RunId, SecretHash, TicketId, TokenHash};
use super::mac::MacAddr;
use super::machine::MachineId;
use super::node::{Asked, Flag, ProfileChoice, Stamp};
use super::options::{RunOptions, RunReason};
use super::plan::{PlanEntry, PlanMatch};
use super::run::{HostResult, RunOutcome};
use super::text::Text;
use super::ticket::{Admission, Closing, Ticket};
use super::token::TokenName;
use super::walk::WalkStep;

/// An event as stored: its place in the order, time and origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// 1, 2, 3 … without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who caused it.
    pub origin: Origin,
    /// What happened.
    pub event: Event,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Event {
    /// A machine nobody knew asked for an answer.
    MachineSeen {
        /// Its new row.
        node: NodeId,
        /// The host name it would get.
        name: Fqdn,
        /// What identifies it.
        machine: MachineId,
        /// Its request.
        asked: Asked,
        /// What is odd about it.
        flags: Vec<Flag>,
    },
    /// A known machine asked again.
    MachineAsked {
        /// Its row.
        node: NodeId,
        /// What it showed this time.
        machine: MachineId,
        /// Its request.
        asked: Asked,
        /// What is odd about it now.
        flags: Vec<Flag>,
    },
    /// The request differs from the approved one: the approval is void.
    ApprovalVoided {
        /// The row.
        node: NodeId,
    },
    /// The operator let it be installed.
    Approved {
        /// The row.
        node: NodeId,
        /// The request that was approved.
        stamp: Stamp,
    },
    /// A rule let it be installed: a ticket, the plan, or `auto = "all"`.
    Admitted {
        /// The row.
        node: NodeId,
        /// The request that was admitted.
        stamp: Stamp,
        /// By what.
        admission: Admission,
    },
    /// Two rows are one machine: one became part of the other and gave up every permission.
    Merged {
        /// The row that stays.
        node: NodeId,
        /// The row that went.
        gone: NodeId,
    },
    /// A merge was undone.
    Unmerged {
        /// The row that had taken the other in.
        node: NodeId,
        /// The row that is back.
        row: NodeId,
        /// Its name now.
        name: Fqdn,
    },
    /// The machine that asked last is another one and has a row of its own now.
    SplitOff {
        /// The row it was taken for.
        node: NodeId,
        /// Its own row.
        row: NodeId,
        /// Its host name.
        name: Fqdn,
        /// What identifies it.
        machine: MachineId,
        /// Its request.
        asked: Asked,
    },
    /// The operator issued a ticket.
    TicketIssued {
        /// All of it.
        ticket: Ticket,
    },
    /// A ticket is no more.
    TicketClosed {
        /// Its number.
        ticket: TicketId,
        /// Why.
        why: Closing,
    },
    /// The operator banned a machine; its row was dropped.
    Banned {
        /// The ban's number.
        ban: BanId,
        /// The row it had.
        node: NodeId,
        /// What it is known by.
        machine: MachineId,
        /// The name its row had.
        name: Fqdn,
        /// In the operator's words.
        reason: Text,
    },
    /// A ban was lifted.
    BanLifted {
        /// Its number.
        ban: BanId,
    },
    /// The operator sent it away.
    Rejected {
        /// The row.
        node: NodeId,
        /// In the operator's words.
        reason: Text,
    },
    /// The operator allowed one more install.
    ReinstallAllowed {
        /// The row.
        node: NodeId,
        /// The request that was allowed.
        stamp: Stamp,
    },
    /// An answer was committed and is about to be written.
    AnswerReleased {
        /// The row.
        node: NodeId,
        /// What permitted it.
        by: Permission,
        /// The request it answers.
        stamp: Stamp,
        /// Its digest.
        document: DocumentHash,
        /// Digest of its webhook secret.
        secret: SecretHash,
        /// The static address in it.
        address: Option<IpNet>,
        /// Whether its NIC filter names a vendor no report has shown.
        vendor_unseen: bool,
        /// The profile it was made with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<Text>,
        /// Settings its installer is too old for, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_out: Option<Text>,
    },
    /// The answer was written out.
    AnswerDelivered {
        /// The row.
        node: NodeId,
        /// Which answer.
        document: DocumentHash,
        /// Digest of its webhook secret, which tells it from another with the same text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<SecretHash>,
    },
    /// The connection broke before the answer was out.
    AnswerLost {
        /// The row.
        node: NodeId,
        /// Which answer.
        document: DocumentHash,
        /// Digest of its webhook secret, which tells it from another with the same text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<SecretHash>,
    },
    /// No more repeats of its answer: the repeat window is over on the monotonic clock, and no report has come.
    RepeatsOver {
        /// The row.
        node: NodeId,
    },
    /// A retry answer was sent instead of an answer.
    RetryServed {
        /// The row.
        node: NodeId,
        /// Why.
        why: Text,
    },
    /// A refusal was sent at the end of the hold, as `when_unapproved = "refuse"` wants it.
    RefusalServed {
        /// The row.
        node: NodeId,
        /// Why.
        why: Text,
    },
    /// A decision was taken back before it took effect.
    TakenBack {
        /// The row.
        node: NodeId,
        /// What had been decided.
        verb: Verb,
    },
    /// An approval, a rejection or a reinstall that nobody had used was taken back.
    Withdrawn {
        /// The row.
        node: NodeId,
    },
    /// A flag was raised.
    Flagged {
        /// The row.
        node: NodeId,
        /// The flag.
        flag: Flag,
    },
    /// A node's report was accepted.
    ReportAccepted {
        /// The row.
        node: NodeId,
        /// From where.
        peer: IpAddr,
        /// Digest of the stored body.
        document: DocumentHash,
        /// What it said.
        report: Report,
        /// Whether a secret or the operator proved it.
        proven: bool,
    },
    /// A report belongs to nobody.
    ReportUnmatched {
        /// Its number.
        report: ReportId,
        /// From where.
        peer: IpAddr,
        /// Digest of the stored body.
        document: DocumentHash,
        /// What it said.
        facts: Report,
    },
    /// An unmatched report was adopted or dismissed.
    ReportSettled {
        /// Its number.
        report: ReportId,
    },
    /// The operator says it is installed.
    MarkedInstalled {
        /// The row.
        node: NodeId,
    },
    /// The host name was changed.
    Renamed {
        /// The row.
        node: NodeId,
        /// The new name.
        name: Fqdn,
    },
    /// The operator chose the profile of its answers.
    ProfileChosen {
        /// The row.
        node: NodeId,
        /// The choice; `None` takes an earlier one back.
        profile: Option<ProfileChoice>,
    },
    /// It was given a value of a counter.
    CounterTaken {
        /// The row.
        node: NodeId,
        /// The counter.
        counter: Text,
        /// The value, which no other row has.
        value: u64,
    },
    /// The operator told where Ansible reaches it.
    AddressSet {
        /// The row.
        node: NodeId,
        /// The address.
        address: IpAddr,
    },
    /// The report is overdue.
    Stalled {
        /// The row.
        node: NodeId,
        /// Which leg.
        reason: Text,
    },
    /// The reported system is being looked for.
    Booting {
        /// The row.
        node: NodeId,
    },
    /// SSH answered with the expected key.
    BecameReady {
        /// The row.
        node: NodeId,
    },
    /// It did not answer as itself in time.
    BecameUnreachable {
        /// The row.
        node: NodeId,
        /// What was tried and seen.
        reason: Text,
    },
    /// It was still being configured when the run that did so was over, and nobody told what came of it.
    LeftBehind {
        /// The row.
        node: NodeId,
        /// In words.
        reason: Text,
    },
    /// What a flag says of a row is so no longer.
    Unflagged {
        /// The row.
        node: NodeId,
        /// The flag.
        flag: Flag,
    },
    /// A key was seen on a node that reported none.
    HostKeySeen {
        /// The row.
        node: NodeId,
        /// The key.
        key: HostKey,
    },
    /// The operator accepted that key.
    HostKeyTrusted {
        /// The row.
        node: NodeId,
        /// The key.
        key: HostKey,
    },
    /// A row was dropped.
    Forgotten {
        /// The row.
        node: NodeId,
    },
    /// A row nobody had decided on was dropped to make room for others (`limits.waiting_rows`).
    GaveWay {
        /// The row.
        node: NodeId,
        /// How many such rows its address had.
        rows: usize,
    },
    /// A name was taken over from an older inventory.
    Imported {
        /// Its new row.
        node: NodeId,
        /// The name.
        name: Fqdn,
        /// The status it had there.
        status: Text,
    },
    /// The plan expects a node.
    Planned {
        /// Its new row.
        node: NodeId,
        /// What the plan says.
        entry: Arc<PlanEntry>,
    },
    /// The plan says something new about a row.
    PlanChanged {
        /// The row.
        node: NodeId,
        /// What it says now.
        entry: Arc<PlanEntry>,
        /// How its machine fits, where it has called.
        found: Option<PlanMatch>,
        /// The name it takes over with that, though another row may have it until that one moves on as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Fqdn>,
    },
    /// A machine was recognised as a row of the plan.
    PlanMatched {
        /// The row.
        node: NodeId,
        /// By what.
        found: PlanMatch,
    },
    /// A machine that has a row already takes over a row of the plan, which is no more.
    PlanJoined {
        /// The machine's row.
        node: NodeId,
        /// The plan's row.
        row: NodeId,
        /// What the plan says.
        entry: Arc<PlanEntry>,
        /// How the machine fits it.
        found: PlanMatch,
    },
    /// The plan no longer has a row; one that no machine has taken is no more.
    Unplanned {
        /// The row.
        node: NodeId,
    },
    /// The pool gave a node its address.
    AddressAssigned {
        /// The row.
        node: NodeId,
        /// The address.
        address: IpAddr,
    },
    /// The operator chose the NIC of a node.
    NicChosen {
        /// The row.
        node: NodeId,
        /// The NIC.
        mac: MacAddr,
    },
    /// Something happened in walk mode.
    Walked {
        /// What.
        step: WalkStep,
    },
    /// Two nodes changed places: name, address, row of the plan and profile.
    Swapped {
        /// One row.
        node: NodeId,
        /// The other.
        other: NodeId,
        /// How the first machine fits its new row of the plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<PlanMatch>,
        /// How the other does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other_found: Option<PlanMatch>,
    },
    /// The operator's note about a node; empty where it was taken away.
    NoteSet {
        /// The row.
        node: NodeId,
        /// The note.
        note: Text,
    },
    /// A run was asked for.
    RunQueued {
        /// Its number.
        run: RunId,
        /// Its nodes.
        nodes: BTreeMap<NodeId, Fqdn>,
        /// Whether the gate asked.
        by_gate: bool,
        /// What was chosen for it.
        #[serde(default, skip_serializing_if = "has_no_options")]
        options: Box<RunOptions>,
        /// Why there is one.
        #[serde(default, skip_serializing_if = "RunReason::is_plain")]
        reason: RunReason,
    },
    /// A run is about to start by itself.
    GateCounting {
        /// When.
        until: Timestamp,
        /// On these nodes.
        nodes: BTreeSet<NodeId>,
    },
    /// It is not, after all: a node was approved, or is no longer ready.
    GateStopped,
    /// The operator keeps runs from starting by themselves.
    GateHeld,
    /// The operator lets them again.
    GateReleased,
    /// The operator lets a run start without these nodes.
    GateWaived {
        /// Those that are missing.
        nodes: BTreeSet<NodeId>,
        /// How many nodes were expected then: until another number is, it does not wait for so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect: Option<usize>,
    },
    /// Ansible runs.
    RunStarted {
        /// The run.
        run: RunId,
    },
    /// The operator asked to stop it.
    RunStopping {
        /// The run.
        run: RunId,
    },
    /// It is over.
    RunEnded {
        /// The run.
        run: RunId,
        /// How.
        outcome: RunOutcome,
        /// Results by host.
        hosts: BTreeMap<Fqdn, HostResult>,
    },
    /// A token was made.
    TokenMade {
        /// Its name.
        name: TokenName,
        /// Digest of its secret.
        hash: TokenHash,
        /// When it ends.
        expires: Option<Timestamp>,
        /// The profile it is for.
        profile: Option<Text>,
    },
    /// A token was revoked.
    TokenRevoked {
        /// Its name.
        name: TokenName,
    },
}

/// Whether a run is a plain one, of which older events say nothing.
fn has_no_options(options: &RunOptions) -> bool {
    options.is_plain()
}

impl Event {
    /// Version of the event vocabulary written by this program.
    pub const VERSION: u32 = 1;
}

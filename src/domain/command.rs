//! Wishes: everything anybody may ask of the fleet, and what it replies.

mod reply;
mod verb;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::{Fixed, OwnNetwork};
use super::change::Changes;
use super::facts::{HostKey, Report, SystemInfo};
use super::fqdn::Fqdn;
use super::id::{BanId, DocumentHash, NodeId, ReportId, RunId, SecretHash, TicketId, TokenHash};
use super::mac::MacAddr;
use super::naming::NameWish;
use super::node::{ProfileChoice, Stamp};
use super::options::RunOptions;
use super::plan::{PlanEntry, ProfileName};
use super::run::{HostResult, RunOutcome};
use super::text::Text;
use super::ticket::Wants;
use super::token::TokenName;
use super::walk::WalkWish;

pub use reply::{Ordered, Reply};
pub use verb::Verb;

/// Who wishes something; stored with every event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A machine, by its address.
    Peer(IpAddr),
    /// A person, by login name; from where is not known.
    Operator(String),
    /// A person, and from where.
    Person(Person),
    /// The program itself: timers, probes, Ansible, imports.
    System,
}

/// Who gives an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Login name.
    pub name: String,
    /// From where: a terminal such as `pts/3`, or `ssh 192.0.2.7`. Empty where it is not known.
    #[serde(default)]
    pub from: String,
}

impl From<String> for Person {
    fn from(name: String) -> Self {
        Self { name, from: String::new() }
    }
}

impl From<Person> for Origin {
    fn from(person: Person) -> Self {
        if person.from.is_empty() { Self::Operator(person.name) } else { Self::Person(person) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(address) => write!(f, "{address}"),
            Self::Operator(name) => write!(f, "{name}"),
            Self::Person(Person { name, from }) => write!(f, "{name}, {from}"),
            Self::System => write!(f, "system"),
        }
    }
}

/// A wish with everything needed to decide on it.
#[derive(Clone, Debug)]
pub enum Command {
    /// A machine asks for its answer.
    Ask(Ask),
    /// A rendered answer asks to be released.
    Release(Release),
    /// A released answer was written, or was not.
    AnswerWritten {
        /// The node.
        node: NodeId,
        /// Which answer.
        document: DocumentHash,
        /// Digest of its webhook secret.
        secret: SecretHash,
        /// Whether all of it went out.
        delivered: bool,
    },
    /// The hold of a request ended and the retry answer was sent.
    RetryServed {
        /// The node.
        node: NodeId,
        /// Why there was no answer.
        why: Text,
    },
    /// A decision was taken back inside its undo window.
    TakenBack {
        /// The row.
        node: NodeId,
        /// What had been decided.
        verb: Verb,
    },
    /// A decision came to nothing at the end of its undo window: the machine asked differently meanwhile.
    Overtaken {
        /// The row.
        node: NodeId,
    },
    /// A decision came to nothing at the end of its undo window: it was refused.
    CameToNothing {
        /// The row.
        node: NodeId,
        /// What had been decided.
        verb: Verb,
        /// Why, in words.
        why: Text,
    },
    /// Requests of one row are open from several addresses.
    SeenFrom {
        /// The row.
        node: NodeId,
        /// An address besides the one that asked last.
        other: IpAddr,
    },
    /// The hold of a request ended and the machine was refused.
    RefusalServed {
        /// The row.
        node: NodeId,
        /// Why.
        why: Text,
    },
    /// The time of a ticket is over on the monotonic clock.
    TicketOver {
        /// Its number.
        ticket: TicketId,
    },
    /// The repeat window of a node's answers is over on the monotonic clock.
    RepeatsOver {
        /// The node.
        node: NodeId,
        /// When the first of them was released.
        first: Timestamp,
    },
    /// An answer could not be made; the machine was told to come back.
    AnswerImpossible {
        /// The node.
        node: NodeId,
        /// Why, in words for the operator.
        why: Text,
    },
    /// An answer needs values of counters.
    TakeCounters {
        /// The node.
        node: NodeId,
        /// The counters and their lowest values.
        counters: Vec<(Text, u64)>,
    },
    /// A report came in.
    Report(Box<ReportIn>),
    /// A probe looked at a node.
    Probe {
        /// The node.
        node: NodeId,
        /// What it saw.
        sighting: Sighting,
    },
    /// The child process of a run is alive.
    RunStarted {
        /// The run.
        run: RunId,
    },
    /// A run is over.
    RunEnded {
        /// The run.
        run: RunId,
        /// How.
        outcome: RunOutcome,
        /// Results of the hosts Ansible named in its statistics.
        hosts: BTreeMap<Fqdn, HostResult>,
    },
    /// Names found in an inventory of an older make.
    Import {
        /// Host name and the status it had.
        entries: Vec<(Fqdn, Text)>,
    },
    /// The plan as it stands now, checked as a whole: no two entries share a name, address or identifier.
    Plan {
        /// All of it.
        entries: Vec<Arc<PlanEntry>>,
    },
    /// Time has passed.
    Tick,
    /// The operator orders something.
    Order(Order),
}

/// An answer request, parsed.
#[derive(Clone, Debug)]
pub struct Ask {
    /// From where, with which MACs and body.
    pub stamp: Stamp,
    /// What it says.
    pub info: Arc<SystemInfo>,
    /// The NIC it came through, where known.
    pub asking_mac: Option<MacAddr>,
    /// The name a template has for it, should it be new, or why it has none.
    pub wish: Option<Result<NameWish, Text>>,
    /// The token it came with. The server has found it good.
    pub token: Option<TokenName>,
    /// What the layers of its answer say of its network.
    pub own: OwnNetwork,
}

/// A rendered answer that asks to be released.
#[derive(Clone, Debug)]
pub struct Release {
    /// The node it is for.
    pub node: NodeId,
    /// The request it answers.
    pub stamp: Stamp,
    /// The host name in it.
    pub name: Fqdn,
    /// The static address in it.
    pub address: Option<IpNet>,
    /// The address and the NIC that its grant named.
    pub granted: (Option<Fixed>, Option<MacAddr>),
    /// What its layers say of its network.
    pub own: OwnNetwork,
    /// Its digest.
    pub document: DocumentHash,
    /// Digest of the webhook secret in it.
    pub secret: SecretHash,
    /// What the operator should know about it: the vendor filter named a vendor no report has shown.
    pub vendor_unseen: bool,
    /// The profile it was made with.
    pub profile: Option<Text>,
    /// Settings its installer is too old for, in words.
    pub left_out: Option<Text>,
}

/// A report, parsed.
#[derive(Clone, Debug)]
pub struct ReportIn {
    /// From where.
    pub peer: IpAddr,
    /// Digest of the stored body.
    pub document: DocumentHash,
    /// What it says.
    pub report: Report,
    /// Digest of the secret it came with.
    pub secret: Option<SecretHash>,
    /// Whether it may move a node by itself. One from an address that is not allowed may not, nor one that we had no
    /// memory for: it says nothing, and would spend the secret.
    pub may_move: bool,
}

/// What a probe saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// No SSH: refused, timed out, no banner.
    Silent {
        /// What was tried, in words.
        what: Text,
    },
    /// SSH with one of the expected keys.
    Proven,
    /// SSH with another key.
    OtherKey {
        /// The key seen.
        seen: HostKey,
    },
}

/// What the operator may order, by key, command line or API. `seen` binds an approval to what was on the screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order", deny_unknown_fields)]
pub enum Order {
    /// Let this machine be installed.
    Approve {
        /// The row.
        node: NodeId,
        /// The request the operator saw.
        seen: Stamp,
    },
    /// Send this machine away.
    Reject {
        /// The row.
        node: NodeId,
        /// Words for the record and the machine's screen.
        reason: Text,
    },
    /// Let an installed node be installed once more: wipes it.
    AllowReinstall {
        /// The row.
        node: NodeId,
        /// The request the operator saw.
        seen: Stamp,
        /// Its host name, typed again.
        confirm: Fqdn,
    },
    /// Take a decision back: inside its undo window, or an approval, rejection or reinstall nobody has used yet.
    Undo {
        /// The row.
        node: NodeId,
    },
    /// Two rows are the same machine.
    Merge {
        /// The row that goes: it was never answered.
        node: NodeId,
        /// The row that stays.
        into: NodeId,
    },
    /// The machine that asked last is another one: undoes a merge, else parts its request from the row.
    Split {
        /// The row.
        node: NodeId,
        /// Its host name typed again, where it may be installed.
        #[serde(default)]
        confirm: Option<Fqdn>,
    },
    /// Approve the next machines that match.
    IssueTicket {
        /// How many.
        count: u32,
        /// Which.
        wants: Wants,
        /// The profile they are installed with.
        #[serde(default)]
        profile: Option<ProfileName>,
        /// When it ends.
        expires: Timestamp,
    },
    /// Take a ticket back. What it has admitted stays approved.
    CancelTicket {
        /// Its number.
        ticket: TicketId,
    },
    /// Refuse this machine from now on, without a row.
    Ban {
        /// The row.
        node: NodeId,
        /// Words for the record and the machine's screen.
        reason: Text,
    },
    /// Lift a ban.
    LiftBan {
        /// Its number.
        ban: BanId,
    },
    /// Give a node another host name.
    Rename {
        /// The row.
        node: NodeId,
        /// The new name.
        name: Fqdn,
    },
    /// Choose the profile of a node's answers.
    ChooseProfile {
        /// The row.
        node: NodeId,
        /// The choice; `None` takes an earlier one back.
        profile: Option<ProfileChoice>,
    },
    /// Tell which NIC of a machine is to be configured.
    ChooseNic {
        /// The row.
        node: NodeId,
        /// One of the machine's NICs.
        mac: MacAddr,
    },
    /// Give a node an address: before it installs the one of its answer, later the one where Ansible reaches it.
    SetAddress {
        /// The row.
        node: NodeId,
        /// The address.
        address: IpAddr,
    },
    /// An unmatched report is this node's.
    Adopt {
        /// The report.
        report: ReportId,
        /// The row.
        node: NodeId,
    },
    /// A node that sends no report is installed.
    MarkInstalled {
        /// The row.
        node: NodeId,
    },
    /// Accept the host key seen on a node that reported none.
    TrustHostKey {
        /// The row.
        node: NodeId,
        /// Fingerprint of the key, as shown.
        fingerprint: String,
    },
    /// Drop a row. A machine that asks again is a stranger.
    Forget {
        /// The row.
        node: NodeId,
    },
    /// Drop an unmatched report.
    DismissReport {
        /// The report.
        report: ReportId,
    },
    /// Run the playbook.
    Run {
        /// On these nodes; empty means on every node that can be.
        nodes: Vec<NodeId>,
        /// What was chosen for it.
        #[serde(default)]
        options: Box<RunOptions>,
    },
    /// Run the playbook on every node that has failed.
    RunFailed {
        /// What was chosen for it.
        #[serde(default)]
        options: Box<RunOptions>,
    },
    /// Keep runs from starting by themselves, or let them again.
    HoldGate {
        /// Whether they are kept from it.
        hold: bool,
    },
    /// Run on the nodes that are ready, and wait for the others no longer: each gets a run when it comes.
    GoWithout,
    /// The same, about exactly these nodes: refused where others are ready or missing by now.
    GoAsSeen {
        /// Those that are run.
        ready: BTreeSet<NodeId>,
        /// Those it no longer waits for.
        missing: BTreeSet<NodeId>,
    },
    /// Stop the run; a second time: at once.
    Cancel,
    /// Let prepared media show a token of this name.
    MakeToken {
        /// The name.
        name: TokenName,
        /// Digest of the secret, which whoever orders this keeps to himself.
        hash: TokenHash,
        /// When it ends.
        expires: Option<Timestamp>,
        /// The profile it is for.
        profile: Option<Text>,
    },
    /// A token is worth nothing from now on.
    RevokeToken {
        /// The name.
        name: TokenName,
    },
    /// Walk mode: begin, pass a slot over, take a step back, stop.
    Walk {
        /// Which of them.
        wish: WalkWish,
    },
    /// Two nodes change places before anything is installed: name, address, row of the plan and profile.
    Swap {
        /// One row.
        node: NodeId,
        /// The other.
        other: NodeId,
    },
    /// Change several things about a node: all of them or none.
    Edit {
        /// The row.
        node: NodeId,
        /// What becomes different.
        changes: Box<Changes>,
    },
    /// Keep a note about a node; an empty one takes it away.
    SetNote {
        /// The row.
        node: NodeId,
        /// The note.
        note: Text,
    },
    /// An order about a row as it was seen, refused where the row is another matter by now.
    IfSeen {
        /// The row.
        node: NodeId,
        /// Its revision on the screen.
        revision: u64,
        /// The order.
        then: Box<Order>,
    },
}

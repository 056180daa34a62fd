//! Why a command is not carried out, in words that say what to do instead.

use std::net::IpAddr;

use super::address::Unfit;
use super::fqdn::Fqdn;
use super::id::{BanId, NodeId, ReportId, TicketId};
use super::mac::MacAddr;
use super::token::TokenName;

/// A wish the fleet does not grant. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such row.
    #[error("there is no node `{0}`; it may have been forgotten")]
    UnknownNode(NodeId),
    /// There is no such unmatched report.
    #[error("there is no unmatched report `{0}`; it may have been adopted or dismissed")]
    UnknownReport(ReportId),
    /// The row moved between look and key press.
    #[error("`{0}` changed while you looked: it asked again, and differently; look again, then decide")]
    ChangedWhileYouLooked(Fqdn),
    /// The row is another matter than it was on the screen.
    #[error("`{name}` changed while you looked: it is {phase} now; look again, then decide")]
    RowChanged {
        /// Its name now.
        name: Fqdn,
        /// Its phase now, one word.
        phase: &'static str,
    },
    /// The gate would run or leave other nodes than those on the screen.
    #[error("other nodes are ready or missing than on your screen; look again, then decide")]
    GateChanged,
    /// No walk goes on.
    #[error("no walk goes on; `w` in the console or `walk start` begins one")]
    NoWalk,
    /// A walk goes on.
    #[error("a walk goes on already; stop it first")]
    WalkGoesOn,
    /// There is nothing to count up.
    #[error("`{0}` has no number in its first part to count up; begin with a name such as `pve-01`")]
    NoNumber(Fqdn),
    /// No row of the plan waits for its machine.
    #[error("no row of the plan waits for its machine; give the first name to count up from instead")]
    NothingToWalk,
    /// Every slot is taken or passed over.
    #[error("no slot is left in this walk: all are taken or skipped; step back, or stop it")]
    WalkIsDone,
    /// Another slot is next, or was the last one.
    #[error("not `{slot}` but `{now}` is the one by now: a machine came, or somebody was faster; look again")]
    OtherSlot {
        /// The slot that was meant.
        slot: Fqdn,
        /// The one it would have been.
        now: Fqdn,
    },
    /// The walk has not taken a step.
    #[error("this walk has not taken a step yet that could be taken back")]
    NothingWalked,
    /// Two nodes cannot change places.
    #[error("`{0}` cannot be swapped: {1}")]
    CannotSwap(Fqdn, String),
    /// It never asked.
    #[error("`{0}` has not asked for an answer yet; boot it from the prepared medium first")]
    NeverAsked(Fqdn),
    /// Already approved.
    #[error("`{0}` is approved already")]
    AlreadyApproved(Fqdn),
    /// It may be installed.
    #[error("`{0}` may be installed already; allow a reinstall instead, which wipes it")]
    NeedsReinstall(Fqdn),
    /// Nothing to reinstall.
    #[error("`{0}` was never installed; approve it instead")]
    NothingToReinstall(Fqdn),
    /// The row cannot be parted.
    #[error("`{0}` cannot be split: {1}")]
    CannotSplit(Fqdn, &'static str),
    /// A ticket that makes no sense.
    #[error("no ticket was issued: {0}")]
    BadTicket(String),
    /// There is no such ticket.
    #[error("there is no ticket `{0}`; it may be used up, over or cancelled")]
    UnknownTicket(TicketId),
    /// There is no such ban.
    #[error("there is no ban `{0}`; it may have been lifted")]
    UnknownBan(BanId),
    /// There is nothing to take back.
    #[error("`{0}` has no decision to take back: none is new, approved and unused, or a rejection")]
    NothingToUndo(Fqdn),
    /// The typed name is not the node's.
    #[error("the name typed is not `{0}`; nothing was changed")]
    NameMismatch(Fqdn),
    /// The host name is another node's.
    #[error("the name `{name}` belongs to `{by}`; choose another one")]
    NameTaken {
        /// The name.
        name: Fqdn,
        /// Its owner.
        by: NodeId,
    },
    /// Renaming came too late.
    #[error("`{0}` carries its name already; a node can be renamed until it installs")]
    TooLateToRename(Fqdn),
    /// The phase does not allow it.
    #[error("`{name}` is {phase}; {hint}")]
    WrongPhase {
        /// The node.
        name: Fqdn,
        /// Its phase, one word.
        phase: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// The address is another node's.
    #[error("the address belongs to `{0}`; choose another one")]
    AddressTaken(Fqdn),
    /// No node can have the address.
    #[error("{address} cannot be a node's address: {why}")]
    BadAddress {
        /// The address.
        address: IpAddr,
        /// What is wrong with it.
        why: Unfit,
    },
    /// The pool is used up.
    #[error("no address of the pool is free for `{0}`; enlarge `pool` in config.toml, or forget nodes")]
    PoolEmpty(Fqdn),
    /// Addresses come from the plan, and it has none there.
    #[error("`{0}` has no address in the plan; give it one first, or add it to plan.toml")]
    NoPlannedAddress(Fqdn),
    /// The machine has no such NIC.
    #[error("`{name}` has no NIC `{mac}`; it has {has}")]
    NoSuchNic {
        /// The node.
        name: Fqdn,
        /// What was chosen.
        mac: MacAddr,
        /// What there is.
        has: String,
    },
    /// The row comes from the plan.
    #[error("`{0}` is in the plan; take it out of plan.toml instead")]
    InThePlan(Fqdn),
    /// The key seen is another one, or none was seen.
    #[error("`{0}` shows no host key with that fingerprint; look at its row again")]
    NoSuchHostKey(Fqdn),
    /// A run is going on.
    #[error("run {0} is going on; wait for it or cancel it first")]
    RunActive(super::id::RunId),
    /// What was chosen for a run makes no sense.
    #[error("{0}")]
    BadOption(String),
    /// There is no gate to hold.
    #[error("runs start by hand only; `start` in [ansible] of config.toml says so, or `webhook_auth` in [server]")]
    GateByHand,
    /// No node has failed.
    #[error("no node has failed")]
    NothingFailed,
    /// No run is going on.
    #[error("no run is going on")]
    NoRun,
    /// No node can be configured.
    #[error("no node is ready: a run needs nodes that answer SSH with the host key they reported")]
    NothingReady,
    /// A selected node cannot be configured.
    #[error("`{name}` is {phase}; only nodes that are ready, configured or failed can be run")]
    NotReady {
        /// The node.
        name: Fqdn,
        /// Its phase.
        phase: &'static str,
    },
    /// The table is full.
    #[error("the table holds {0} rows, which is its limit; forget some of them")]
    Full(usize),
    /// All places for strangers are taken, none by somebody who has more than its share.
    #[error("all {0} places for strangers are taken, none for an hour yet; ban or forget those you do not know")]
    Crowded(usize),
    /// There is such a token.
    #[error("there is a token `{0}` already; choose another name, or revoke it first")]
    TokenExists(TokenName),
    /// There is no such token.
    #[error("there is no token `{0}`; `prox-orchestrator token list` lists them")]
    UnknownToken(TokenName),
    /// Enough is enough.
    #[error("there are {0} tokens, which is the limit; revoke some of them")]
    TooManyTokens(usize),
    /// The configuration makes no host name.
    #[error("`machine_template_name` and `machine_net_dn` make no valid host name; correct config.toml")]
    NoName,
}

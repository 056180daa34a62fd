//! The one guard: may this request be given a disk-wiping answer? (ARCHITECTURE.md, "The guard".)
//!
//! Every path to an answer goes through [`judge`]; nothing else in the program decides this.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::address::{Fixed, Unfit};
use super::fqdn::Fqdn;
use super::id::NodeId;
use super::mac::MacAddr;
use super::node::{Delivery, Flag, Node, Stamp};
use super::phase::Phase;
use super::policy::{Auto, MAX_REPEATS, Policy};
use super::ticket::{Admission, Rule, Ticket};

/// The guard's word on one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Render an answer and ask for its release.
    Serve(Grant),
    /// Keep the request open; at the end of the hold send the retry answer.
    Hold(Withheld),
    /// The operator sent it away: refuse at once.
    Refuse(Withheld),
}

/// Permission to render one answer. Worth nothing by itself: the guard is asked again at release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The node.
    pub node: NodeId,
    /// The host name the answer must carry.
    pub name: Fqdn,
    /// The address it was given; `None` where that is the one the machine asks from, or its own layers give it one.
    pub address: Option<Fixed>,
    /// The NIC it must configure, where the operator chose one.
    pub nic: Option<MacAddr>,
    /// What permits it.
    pub by: Permission,
}

/// What permits an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// The operator's approval of this very request.
    Approval,
    /// A repeat inside the repeat window.
    Repeat,
    /// The operator's permission to install this node once more.
    Reinstall,
}

/// Why no answer is given. `Display` is the operator's sentence; [`Withheld::screen`] the machine's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// Nobody has decided.
    #[error("waits for approval, code {0}")]
    Undecided(ClaimCode),
    /// The request is not the approved one.
    #[error("asks differently than what was approved; look again, then approve code {0}")]
    Changed(ClaimCode),
    /// An answer was released before, and this is not an early repeat.
    #[error("{}", asking_again(name, *minutes, *installed))]
    AsksAgain {
        /// The node's name.
        name: Fqdn,
        /// Whole minutes since its last answer or report.
        minutes: i64,
        /// Whether the node is known to be installed.
        installed: bool,
    },
    /// Banned by the operator.
    #[error("banned by the operator: {0}")]
    Banned(String),
    /// Its address belongs to another node.
    #[error("its address belongs to `{0}`; give one of them another address")]
    AddressTaken(Fqdn),
    /// It is not known which of its NICs to configure.
    #[error("has several NICs and did not show which one it uses; choose one of them")]
    ChooseNic(ClaimCode),
    /// The address it asks from cannot be its own.
    #[error("asks from {address}, which cannot be its address: {why}{}", advice(*.why))]
    BadRequester {
        /// Where it asks from.
        address: IpAddr,
        /// What is wrong with it.
        why: Unfit,
    },
    /// The address chosen for it will not do.
    #[error("was given the address {address}, which will not do: {why}; give it another one")]
    BadAddress {
        /// The address.
        address: IpAddr,
        /// What is wrong with it.
        why: Unfit,
    },
    /// Addresses come from the plan, and it has none there.
    #[error("has no address in the plan; give it one, or add it to plan.toml")]
    NoPlannedAddress(ClaimCode),
    /// The pool is used up.
    #[error("no address of the pool is free; enlarge `pool` in config.toml, or forget nodes")]
    PoolEmpty(ClaimCode),
    /// Rejected by the operator.
    #[error("rejected by the operator: {0}")]
    Rejected(String),
}

impl Withheld {
    /// Whether somebody has decided that it may be installed, and something else stands in the way: it waits for no
    /// decision about itself.
    #[must_use]
    pub fn is_obstacle(&self) -> bool {
        match self {
            Self::AddressTaken(_)
            | Self::ChooseNic(_)
            | Self::BadRequester { .. }
            | Self::BadAddress { .. }
            | Self::NoPlannedAddress(_)
            | Self::PoolEmpty(_) => true,
            Self::Undecided(_) | Self::Changed(_) | Self::AsksAgain { .. } | Self::Banned(_) | Self::Rejected(_) => {
                false
            }
        }
    }

    /// One short ASCII line for the machine's own screen; what matters stands in the first 22 characters
    /// (PROTOCOL.md §d.5).
    #[must_use]
    pub fn screen(&self) -> String {
        match self {
            Self::Undecided(code) | Self::Changed(code) => format!("CODE {code} - approve in console"),
            Self::AsksAgain { name, minutes, installed: true } if *minutes >= STILL_BOOTING => {
                format!("INSTALLED {} AGO as {name} - allow a reinstall in the console", ago(*minutes))
            }
            Self::AsksAgain { name, minutes, installed: true } => {
                format!("INSTALLED {minutes}m AGO as {name} - remove the medium or set the disk first")
            }
            Self::AsksAgain { name, minutes, installed: false } => {
                format!("ANSWERED {} AGO as {name} - allow a reinstall in the console", ago(*minutes))
            }
            Self::AddressTaken(other) => format!("ADDRESS IN USE by {other} - see console"),
            Self::ChooseNic(code) => format!("CODE {code} - choose NIC in console"),
            Self::BadRequester { address, .. } => format!("BAD ADDRESS {address} - check DHCP, see console"),
            Self::BadAddress { address, .. } => format!("ADDRESS {address} UNFIT - see console"),
            Self::NoPlannedAddress(code) => format!("CODE {code} - not in the plan: no address"),
            Self::PoolEmpty(code) => format!("CODE {code} - no address free, see console"),
            Self::Banned(reason) if reason.is_empty() => "BANNED by the operator".to_owned(),
            Self::Banned(reason) => format!("BANNED: {reason}"),
            Self::Rejected(reason) if reason.is_empty() => "REJECTED by the operator".to_owned(),
            Self::Rejected(reason) => format!("REJECTED: {reason}"),
        }
    }
}

/// What to do about a requester's address.
fn advice(why: Unfit) -> &'static str {
    match why {
        Unfit::LinkLocal => "; check its DHCP, or give the node an address",
        Unfit::Family => "; set a gateway that fits, or give the node an address",
        Unfit::Gateway => "; it sits behind NAT: give the node an address",
        Unfit::NotAHost | Unfit::Dns | Unfit::Own | Unfit::Network | Unfit::Outside => "; give the node an address",
    }
}

/// Four characters without look-alikes, shown in the table and on the machine's screen, so that a person can match the
/// two (ARCHITECTURE.md, "Words"). Derived from the row's number, so it never changes and no two rows share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimCode([u8; 4]);

/// No 0/O, 1/I/L, 2/Z, 5/S, 8/B, U/V.
const CLAIM_ALPHABET: &[u8; 23] = b"34679ACDEFGHJKMNPQRTWXY";

/// Letters there are.
const BASE: u64 = CLAIM_ALPHABET.len() as u64;

/// Codes there are.
const CODES: u64 = BASE.pow(4);

impl ClaimCode {
    /// The code of a row. Rows whose numbers differ by a multiple of 279,841 share one; the fleet numbers its rows so
    /// that no two of those it has do.
    #[must_use]
    pub fn of(node: NodeId) -> Self {
        // A multiplier coprime to the space spreads neighbours: codes of one rack do not look alike.
        let mut rest = (node.0 % CODES) * 170_503 % CODES;
        Self([(); 4].map(|()| {
            let digit = usize::try_from(rest % BASE).unwrap_or_default();
            rest /= BASE;
            CLAIM_ALPHABET[digit]
        }))
    }

    /// Earlier rows that would have the same code.
    pub(super) fn sharing(node: NodeId) -> impl Iterator<Item = NodeId> {
        (1..=node.0 / CODES).map(move |times| NodeId(node.0 - times * CODES))
    }
}

impl std::fmt::Display for ClaimCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

/// Decides whether the machine of `node` may be given an answer to the request identified by `stamp`.
#[must_use]
pub fn judge(node: &Node, stamp: &Stamp, now: Timestamp, policy: &Policy) -> Verdict {
    #[cfg(test)]
    let tampered = sabotage::tampered(node, stamp, policy);
    #[cfg(test)]
    let (node, policy) = tampered.as_ref().map_or((node, policy), |(node, policy)| (node, policy));
    let code = ClaimCode::of(node.id);
    match &node.phase {
        Phase::Rejected { reason } => return Verdict::Refuse(Withheld::Rejected(reason.as_str().to_owned())),
        Phase::Planned | Phase::Waiting => return Verdict::Hold(Withheld::Undecided(code)),
        Phase::Approved
        | Phase::Installing
        | Phase::Stalled { .. }
        | Phase::Installed
        | Phase::Booting
        | Phase::Ready
        | Phase::Unreachable { .. }
        | Phase::Configuring
        | Phase::Configured
        | Phase::Failed { .. } => {}
    }
    let (id, name, address, nic) = (node.id, node.name.clone(), node.fixed(), node.nic);
    let serve = |by| Verdict::Serve(Grant { node: id, name: name.clone(), address, nic, by });
    let is_approved_request = node.approved.as_ref() == Some(stamp);
    if node.reinstall_allowed && is_approved_request {
        return serve(Permission::Reinstall);
    }
    if !node.may_be_installed() {
        return if is_approved_request { serve(Permission::Approval) } else { Verdict::Hold(Withheld::Changed(code)) };
    }
    if is_early_repeat(node, stamp, now, policy) {
        return serve(Permission::Repeat);
    }
    Verdict::Hold(asks_again(node, now))
}

/// What may approve a machine without a person.
#[derive(Clone, Debug)]
pub struct Rules<T> {
    /// The tickets that are asked, in this order.
    pub tickets: T,
    /// What the configuration lets in.
    pub auto: Auto,
    /// Whether the plan or a token vouches for the machine.
    pub vouched: bool,
}

/// Whether a machine nobody has decided about is approved without a person, and by what (ADR 19): by a ticket, by
/// the plan, or because the operator wrote `auto = "all"`. Never one that may be installed, never another request than
/// the row shows, and never a row with a flag that a person must look at.
#[must_use]
pub fn admit<'a>(
    node: &Node,
    stamp: &Stamp,
    now: Timestamp,
    mut rules: Rules<impl Iterator<Item = &'a Ticket>>,
) -> Option<Admission> {
    #[cfg(test)]
    let tampered = sabotage::tampered(node, stamp, &Policy::default());
    #[cfg(test)]
    let node = tampered.as_ref().map_or(node, |(node, _)| node);
    let is_new = node.phase == Phase::Waiting && !node.may_be_installed();
    let is_shown = node.request.as_ref().is_some_and(|asked| asked.stamp == *stamp);
    // What walk mode assigned is confirmed by the person who walks.
    if !is_new || !is_shown || node.is_walked || node.flags.iter().any(Flag::needs_a_person) {
        return None;
    }
    if let Some(ticket) = rules.tickets.find(|ticket| ticket.admits(node, now)) {
        return Some(Admission { by: Rule::Ticket(ticket.id), profile: ticket.profile.clone() });
    }
    let by = match rules.auto {
        Auto::Never => return None,
        Auto::Planned => rules.vouched.then_some(Rule::Planned)?,
        Auto::All => Rule::All,
    };
    Some(Admission { by, profile: None })
}

/// A failed install that starts over by itself: no report yet, same address and MACs, soon, and at most twice. A machine
/// that shows no MAC could be any other; one whose answer was lost has nothing to repeat.
fn is_early_repeat(node: &Node, stamp: &Stamp, now: Timestamp, policy: &Policy) -> bool {
    let Some(answers) = &node.answers else { return false };
    let age = now.duration_since(answers.first);
    let shows_a_mac = stamp.macs.iter().any(|mac| mac.is_identifying());
    answers.may_repeat(node)
        && answers.may_have_arrived()
        && shows_a_mac
        && age >= SignedDuration::ZERO
        && age.unsigned_abs() <= policy.repeat_window
        && answers.count <= MAX_REPEATS
        && answers.stamp.peer == stamp.peer
        && answers.stamp.macs == stamp.macs
}

/// Minutes within which an installed node that asks again has most likely only booted its medium once more.
pub const STILL_BOOTING: i64 = 30;

/// The diagnosis of a node that asks although it may be installed (docs/approval.md, "Installed, and asking again").
fn asking_again(name: &Fqdn, minutes: i64, installed: bool) -> String {
    let what = if installed { "installed" } else { "answered" };
    if minutes < STILL_BOOTING {
        format!(
            "{what} {minutes} min ago as {name} and still boots the medium; remove the medium or set the disk first, or \
             allow a reinstall"
        )
    } else {
        format!("{what} {} ago as {name} and asks to be reinstalled; allow it, or remove the medium", ago(minutes))
    }
}

/// `4m`, `3h`, `12d`.
fn ago(minutes: i64) -> String {
    match minutes {
        ..120 => format!("{minutes}m"),
        120..2_880 => format!("{}h", minutes / 60),
        _ => format!("{}d", minutes / 1_440),
    }
}

/// Why a node that may be installed gets no further answer.
#[must_use]
pub fn asks_again(node: &Node, now: Timestamp) -> Withheld {
    let reported = node.report.as_ref().map(|reported| reported.at);
    let answered =
        node.answers.as_ref().filter(|answers| answers.delivery != Delivery::Lost).map(|answers| answers.last);
    let last = reported.or(answered).unwrap_or(node.since);
    Withheld::AsksAgain {
        name: node.name.clone(),
        minutes: now.duration_since(last).as_mins().max(0),
        installed: node.phase.is_installed(),
    }
}

/// Breaks the guard of one thread on purpose, so that the model test can show that it would notice.
#[cfg(test)]
pub(crate) mod sabotage {
    use std::cell::Cell;

    use super::{Node, Policy, Stamp};

    /// Changes what the guard is shown.
    pub(crate) type Tamper = fn(&mut Node, &Stamp, &mut Policy);

    thread_local! {
        static TAMPER: Cell<Option<Tamper>> = const { Cell::new(None) };
    }

    /// The guard is whole again when this is dropped.
    pub(crate) struct Broken(());

    impl Drop for Broken {
        fn drop(&mut self) {
            TAMPER.set(None);
        }
    }

    pub(crate) fn break_guard(tamper: Tamper) -> Broken {
        TAMPER.set(Some(tamper));
        Broken(())
    }

    pub(super) fn tampered(node: &Node, stamp: &Stamp, policy: &Policy) -> Option<(Node, Policy)> {
        let tamper = TAMPER.get()?;
        let (mut node, mut policy) = (node.clone(), policy.clone());
        tamper(&mut node, stamp, &mut policy);
        Some((node, policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn claim_codes_are_distinct_and_readable() {
        let codes: BTreeSet<_> = (0..100_000).map(|id| ClaimCode::of(NodeId(id))).collect();
        assert_eq!(codes.len(), 100_000);
        let code = ClaimCode::of(NodeId(1)).to_string();
        assert_eq!(code.len(), 4);
        assert_ne!(code[..2], ClaimCode::of(NodeId(2)).to_string()[..2]);
    }
}

//! What the operator should know about a row.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::command::Verb;
use super::fqdn::Fqdn;
use super::id::NodeId;
use super::text::Text;

/// Something odd about a row, worth a word. `Display` says what is odd and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "flag")]
pub enum Flag {
    /// No UUID, serial or MAC: the machine cannot be told from others like it.
    #[error("shows no UUID, serial or MAC: it cannot be told from others like it; check which machine it is")]
    NoIdentity,
    /// The UUID is missing or a dummy.
    #[error("its UUID is missing or a maker's dummy: it is known by serial and MACs")]
    UntrustedUuid,
    /// Shares its UUID or serial with another row whose MACs differ.
    #[error("shares its UUID or serial with {other}, but has other MACs: check which machine it is")]
    DuplicateOf {
        /// The other row.
        other: NodeId,
    },
    /// Its identifiers point at several rows.
    #[error("its identifiers also belong to {other}: check both, then forget one")]
    Ambiguous {
        /// One of the others.
        other: NodeId,
    },
    /// Who asked last in the name of a node that may be installed showed one of its MACs, too.
    #[error("who asked last as {other} showed a MAC of it, too: was a card moved? Check which machine it is")]
    AskedAs {
        /// That node.
        other: NodeId,
    },
    /// Asked again after an answer that may have been used: it stays on hold until the operator allows a reinstall.
    #[error("asks again after its answer: remove the medium, or allow a reinstall")]
    AsksAgain,
    /// Asked from another address, with other MACs or another body than what was approved.
    #[error("asked differently than what was approved: look again, then approve")]
    ChangedSinceApproval,
    /// Shows another UUID than before.
    #[error("shows the UUID {shown}, not {known} as before: was its board replaced? Approve it, or split the row")]
    UuidChanged {
        /// The one it was known by.
        known: Uuid,
        /// The one it shows.
        shown: Uuid,
    },
    /// A machine with its identifiers was installed here, and its row was dropped.
    #[error("was installed here before as {name}, whose row was dropped: look what is on its disks, then approve")]
    InstalledBefore {
        /// The name it had.
        name: Fqdn,
    },
    /// Shares its UUID or serial with a banned machine, but not its MACs.
    #[error("shares its UUID or serial with {name}, which is banned, but has other MACs: check which machine it is")]
    LikeBanned {
        /// The name the banned one had.
        name: Fqdn,
    },
    /// What the operator decided was refused when it was to take effect.
    #[error("the {} came to nothing: {why}; decide again", verb.noun())]
    CameToNothing {
        /// What had been decided.
        verb: Verb,
        /// In words.
        why: Text,
    },
    /// A person has taken its approval back.
    #[error("its approval was taken back: no ticket and no rule approves it; decide again")]
    TakenBack,
    /// Requests of it are open from another address too.
    #[error("asks from {other} as well: two machines with one identity, or one with two cables; check which is which")]
    TwoAddresses {
        /// That address.
        other: IpAddr,
    },
    /// Its address belongs to another node.
    #[error("its address belongs to {by}: give one of them another address")]
    AddressTaken {
        /// That node.
        by: NodeId,
    },
    /// It came during a walk, and the plan expects another machine in the next slot.
    #[error("took no slot of the walk: the plan expects another machine as {slot}; check which machine it is")]
    NotTheNext {
        /// That slot.
        slot: Fqdn,
    },
    /// Asks from the address of a node that was installed with it.
    #[error("asks from the address of {of}: DHCP gave it out again; keep nodes' addresses out of the DHCP range")]
    LeaseReused {
        /// That node.
        of: NodeId,
    },
    /// It is not known which of its NICs to configure.
    #[error("it has several NICs and it is not known which one asked: choose one")]
    ChooseNic,
    /// It fits another row of the plan as well.
    #[error("also fits the plan's row {other}: check which machine it is, then correct plan.toml")]
    PlanConflict {
        /// That row.
        other: NodeId,
    },
    /// It fits its row of the plan, but not in everything.
    #[error("fits its row of the plan, but with another {what}: check which machine it is, or correct plan.toml")]
    PlanContradicted {
        /// The identifiers that differ.
        what: Text,
    },
    /// Only an asset tag makes it a row of the plan.
    #[error("fits its row of the plan by asset tag only: check which machine it is")]
    PlanWeak,
    /// The plan gives it another name than it was installed with.
    #[error("the plan calls it {name}; it keeps the name it was installed with")]
    PlanName {
        /// The plan's name.
        name: Fqdn,
    },
    /// The vendor filter of the configuration matched no NIC any report has shown.
    #[error("no report has shown a NIC of the vendor in `machine_net_int`: the installer may find none")]
    VendorUnseen,
    /// Its installer is too old for some settings, which it does well without.
    #[error("its installer is too old for {settings}: left out of its answer")]
    LeftOut {
        /// In words.
        settings: Text,
    },
    /// The template for names gave none that it could have.
    #[error("is not named as the template wishes: {reason}; rename it")]
    NotAsWished {
        /// In words.
        reason: Text,
    },
    /// The answer could not be made, for this reason.
    #[error("no answer can be made: {reason}")]
    CannotAnswer {
        /// In words.
        reason: Text,
    },
    /// It answers SSH with a key it did not report.
    #[error("answers SSH with a key it did not report: old system booted, address clash or swapped cable?")]
    WrongHostKey,
    /// It reported other host keys than the one a person had trusted by then.
    #[error("reported another host key than the one you trusted: compare both with its screen")]
    ReportedOtherKey,
    /// The run that configures it takes longer than such runs do.
    #[error("{reason}")]
    RunsLong {
        /// For how long, what is usual, and what to do.
        reason: Text,
    },
    /// It has no reported host key; the operator must accept the one seen.
    #[error("reported no host key: compare the one seen with its screen, then trust it")]
    Unproven,
    /// The report came without a secret (`webhook_auth = "none"`).
    #[error("its report came without a secret: anybody could have sent it")]
    UnprovenReport,
}

impl Flag {
    /// Whether a person must look before the machine may be approved: no rule does.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::NoIdentity
            | Self::DuplicateOf { .. }
            | Self::Ambiguous { .. }
            | Self::AskedAs { .. }
            | Self::AsksAgain
            | Self::ChangedSinceApproval
            | Self::InstalledBefore { .. }
            | Self::LikeBanned { .. }
            | Self::UuidChanged { .. }
            | Self::LeaseReused { .. }
            | Self::PlanConflict { .. }
            | Self::PlanContradicted { .. }
            | Self::PlanWeak
            | Self::NotTheNext { .. }
            | Self::CameToNothing { .. }
            | Self::TakenBack
            | Self::TwoAddresses { .. } => true,
            Self::UntrustedUuid
            | Self::AddressTaken { .. }
            | Self::NotAsWished { .. }
            | Self::LeftOut { .. }
            | Self::VendorUnseen
            | Self::ChooseNic
            | Self::PlanName { .. }
            | Self::CannotAnswer { .. }
            | Self::WrongHostKey
            | Self::ReportedOtherKey
            | Self::RunsLong { .. }
            | Self::Unproven
            | Self::UnprovenReport => false,
        }
    }
}

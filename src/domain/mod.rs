//! The pure core: what a machine, a node and a run are, and which wishes become facts.
//!
//! Nothing here does I/O, reads a clock, logs or awaits; time arrives as an argument. [`Fleet`] owns the state.
//! [`Fleet::decide`] turns a [`Command`] (a wish) into [`Event`]s (facts) or a [`Refusal`]; [`Fleet::apply`] folds an
//! event in. The coordinator is the only writer; everybody else reads a [`Snapshot`].

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod address;
pub mod caller;
pub mod change;
pub mod command;
pub mod effect;
pub mod event;
#[cfg(test)]
pub(crate) mod event_samples;
pub mod facts;
pub mod flag;
pub mod fleet;
pub mod fqdn;
pub mod ghost;
pub mod grid;
pub mod guard;
pub mod id;
pub mod layout;
pub mod mac;
pub mod machine;
pub mod mask;
pub mod naming;
pub mod node;
pub mod options;
pub mod phase;
pub mod plan;
pub mod play;
pub mod pointer;
pub mod policy;
pub mod refusal;
pub mod run;
pub mod severity;
pub mod siblings;
pub mod snapshot;
pub mod source;
pub mod spelling;
pub mod text;
pub mod ticket;
pub mod token;
pub mod walk;

pub use address::{AddressRules, AddressSource, Fixed, FixedBy, NicRule, OwnAddress, OwnNetwork};
pub use caller::Caller;
pub use change::{Changes, ProfileWish};
pub use command::{Ask, Command, Order, Ordered, Origin, Person, Release, Reply};
pub use effect::Effect;
pub use event::{Event, Recorded};
pub use facts::{Generation, HostKey, Product, Report, SystemInfo};
pub use fleet::{Decision, Fleet};
pub use fqdn::Fqdn;
pub use guard::{Grant, Verdict, Withheld};
pub use id::{BanId, DocumentHash, NodeId, ReportId, RequestId, RunId, SecretHash, TicketId, TokenHash};
pub use mac::MacAddr;
pub use machine::MachineId;
pub use naming::{NamePart, NameWish};
pub use node::{Flag, Node, ProfileChoice, Stamp};
pub use options::{RunOptions, RunReason};
pub use phase::Phase;
pub use plan::{PlanEntry, PlanKey, PlanMatch, ProfileName};
pub use pointer::Pointer;
pub use policy::{Auto, Policy, StartRule, WebhookAuth, WhenUnapproved};
pub use refusal::Refusal;
pub use run::{Run, RunOutcome, RunState};
pub use severity::Severity;
pub use snapshot::Snapshot;
pub use source::Source;
pub use ticket::{Admission, Ticket, Wants};
pub use token::{Token, TokenName};
pub use walk::{WalkStep, WalkView, WalkWish};

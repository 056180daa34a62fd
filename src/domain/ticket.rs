//! Tickets: permissions for machines that have not asked yet; and bans, which are the opposite.
//!
//! A ticket is spent once for each machine, ends by itself, and never reaches a machine that may be installed: whether
//! it admits one is decided by [`guard::admit`](super::guard::admit) alone.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::facts::Product;
use super::fqdn::Fqdn;
use super::id::{BanId, TicketId};
use super::machine::MachineId;
use super::node::Node;
use super::plan::ProfileName;
use super::text::Text;

/// Machines one ticket may admit at most: as many as may wait at once.
pub const MOST_MACHINES: u32 = 10_000;

/// Longest time a ticket may last. What is meant for longer belongs into the plan.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 7);

/// "The next 12 machines whose model matches `PowerEdge R650*`, as profile `compute`, within 2 hours."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its number.
    pub id: TicketId,
    /// Machines it was issued for.
    pub count: u32,
    /// Machines it still admits.
    pub left: u32,
    /// Which machines.
    pub wants: Wants,
    /// The profile they are installed with.
    #[serde(default)]
    pub profile: Option<ProfileName>,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// Which machines a ticket is for: all of what is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wants {
    /// A pattern with `*` and `?` over the whole model name, without regard to case.
    #[serde(default)]
    pub model: Option<Text>,
    /// What the medium installs.
    #[serde(default)]
    pub product: Option<Product>,
}

/// Why a ticket is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// It has admitted all its machines.
    Drained,
    /// Its time is over.
    Expired,
    /// The operator took it back.
    Cancelled,
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drained => "all its machines are approved",
            Self::Expired => "its time is over",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What approved a machine without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A ticket.
    Ticket(TicketId),
    /// `auto = "planned"`: the plan knows it.
    Planned,
    /// `auto = "all"`.
    All,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ticket(ticket) => write!(f, "ticket {ticket}"),
            Self::Planned => f.write_str("the plan"),
            Self::All => f.write_str("`auto = \"all\"`"),
        }
    }
}

/// How a machine got its approval without a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// By what.
    pub by: Rule,
    /// The profile that goes with it.
    #[serde(default)]
    pub profile: Option<ProfileName>,
}

/// A machine that is refused without a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Its number.
    pub id: BanId,
    /// What it is known by: any of this will do.
    pub machine: MachineId,
    /// The name its row had.
    pub name: Fqdn,
    /// In the operator's words.
    pub reason: Text,
    /// When it was banned.
    pub at: Timestamp,
}

/// A machine that may be installed and whose row was dropped: rules without a person never touch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// What it is known by.
    pub machine: MachineId,
    /// The name its row had.
    pub name: Fqdn,
    /// When the row was dropped.
    pub at: Timestamp,
}

impl Wants {
    /// Whether a machine is one of those.
    #[must_use]
    pub fn fits(&self, node: &Node) -> bool {
        let options = glob::MatchOptions { case_sensitive: false, ..glob::MatchOptions::default() };
        let fits_model = self.model.as_ref().is_none_or(|pattern| {
            let pattern = glob::Pattern::new(pattern.as_str());
            let shown = node.model().map_or("", Text::as_str);
            pattern.is_ok_and(|pattern| pattern.matches_with(shown, options))
        });
        fits_model && self.product.is_none_or(|product| product == node.product())
    }

    /// What is wrong with the pattern.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        let Some(pattern) = &self.model else { return Ok(()) };
        glob::Pattern::new(pattern.as_str()).map(drop).map_err(|error| format!("`{pattern}`: {error}"))
    }
}

impl fmt::Display for Wants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.model, self.product) {
            (None, None) => f.write_str("any machine"),
            (Some(model), None) => write!(f, "{model}"),
            (None, Some(product)) => write!(f, "any {} medium", product.short()),
            (Some(model), Some(product)) => write!(f, "{model}, {} medium", product.short()),
        }
    }
}

impl Ticket {
    /// Whether it is still good for `node` at this moment.
    #[must_use]
    pub fn admits(&self, node: &Node, now: Timestamp) -> bool {
        self.left > 0 && now < self.expires && self.wants.fits(node)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}: {}", self.left, self.count, self.wants)?;
        self.profile.as_ref().map_or(Ok(()), |profile| write!(f, ", profile {profile}"))
    }
}

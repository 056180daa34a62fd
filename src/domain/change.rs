//! What can be changed about a node in one order.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::fqdn::Fqdn;
use super::mac::MacAddr;
use super::node::ProfileChoice;
use super::plan::ProfileName;
use super::text::Text;

/// Changes of one node; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    /// Its host name.
    pub name: Option<Fqdn>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its profile.
    pub profile: Option<ProfileWish>,
    /// Which NIC is set up.
    pub nic: Option<MacAddr>,
    /// The operator's note; empty takes it away.
    pub note: Option<Text>,
}

/// The operator's wish about a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileWish {
    /// The plan's, else what the profiles' own rules say.
    #[default]
    ByRules,
    /// None, whatever fits.
    Without,
    /// This one, whatever fits.
    Named(ProfileName),
}

impl ProfileWish {
    /// As it is kept on the node.
    #[must_use]
    pub fn choice(self) -> Option<ProfileChoice> {
        match self {
            Self::ByRules => None,
            Self::Without => Some(ProfileChoice::Without),
            Self::Named(name) => Some(ProfileChoice::Named(name)),
        }
    }
}

impl From<Option<ProfileChoice>> for ProfileWish {
    fn from(choice: Option<ProfileChoice>) -> Self {
        match choice {
            None => Self::ByRules,
            Some(ProfileChoice::Without) => Self::Without,
            Some(ProfileChoice::Named(name)) => Self::Named(name),
        }
    }
}

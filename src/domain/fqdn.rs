//! Host names the installer, Ansible and the file system all accept.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A lower-case host name with a domain, as PROTOCOL.md §b.2 demands of `global.fqdn` (at least two labels, at most
/// 253 characters, labels of letters, digits and inner hyphens, a first label that is not all digits) and ANSIBLE.md §1
/// of an inventory name. It is safe as a file name: it holds no slash and never starts with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Fqdn(String);

impl Fqdn {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first label.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// Everything behind the first dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, domain)| domain)
    }
}

/// Why a text is not a usable host name. Each message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FqdnError {
    /// Nothing was given.
    #[error("the host name is empty")]
    Empty,
    /// Longer than DNS allows.
    #[error("the host name has {0} characters; at most 253 are allowed")]
    TooLong(usize),
    /// No domain.
    #[error("`{0}` has no domain; write it as `{0}.example.com`")]
    NoDomain(String),
    /// Two dots in a row, or one at an end.
    #[error("`{0}` has an empty part: a dot stands at an end or beside another dot")]
    EmptyLabel(String),
    /// A part over 63 characters.
    #[error("the part `{0}` has more than 63 characters")]
    LongLabel(String),
    /// A character outside letters, digits and hyphen.
    #[error("`{character}` in `{name}` is not allowed; use letters, digits and `-`")]
    Character {
        /// The character.
        character: char,
        /// The whole name.
        name: String,
    },
    /// A part starts or ends with a hyphen.
    #[error("the part `{0}` starts or ends with `-`")]
    Hyphen(String),
    /// The installer refuses an all-digit host.
    #[error("the first part `{0}` is only digits; the installer refuses that")]
    Numeric(String),
}

impl FromStr for Fqdn {
    type Err = FqdnError;

    fn from_str(s: &str) -> Result<Self, FqdnError> {
        let shown = || s.chars().take(64).collect::<String>();
        if s.is_empty() {
            return Err(FqdnError::Empty);
        }
        if s.len() > 253 {
            return Err(FqdnError::TooLong(s.len()));
        }
        if let Some(character) = s.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))) {
            return Err(FqdnError::Character { character, name: shown() });
        }
        let name = s.to_ascii_lowercase();
        for label in name.split('.') {
            if label.is_empty() {
                return Err(FqdnError::EmptyLabel(shown()));
            }
            if label.len() > 63 {
                return Err(FqdnError::LongLabel(label.to_owned()));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(FqdnError::Hyphen(label.to_owned()));
            }
        }
        let Some((host, _)) = name.split_once('.') else {
            return Err(FqdnError::NoDomain(name));
        };
        if host.bytes().all(|b| b.is_ascii_digit()) {
            return Err(FqdnError::Numeric(host.to_owned()));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Fqdn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("pve-07aa.example.com", "pve-07aa.example.com")]
    #[case("PVE1.Lab", "pve1.lab")]
    #[case("a1.b", "a1.b")]
    fn good_names_are_lower_cased(#[case] given: &str, #[case] kept: &str) {
        assert_eq!(given.parse::<Fqdn>().unwrap().as_str(), kept);
    }

    #[rstest]
    #[case("")]
    #[case("pve1")]
    #[case("pve1.")]
    #[case(".lab")]
    #[case("pve_1.lab")]
    #[case("-a.lab")]
    #[case("a.lab-")]
    #[case("123.lab")]
    #[case("../x.lab")]
    #[case("a b.lab")]
    #[case("é.lab")]
    fn bad_names_are_refused(#[case] given: &str) {
        assert!(given.parse::<Fqdn>().is_err());
    }

    #[test]
    fn lengths_are_bounded() {
        assert!(format!("{}.lab", "a".repeat(63)).parse::<Fqdn>().is_ok());
        assert!(format!("{}.lab", "a".repeat(64)).parse::<Fqdn>().is_err());
        assert!(format!("a.{}", "b.".repeat(130)).parse::<Fqdn>().is_err());
    }
}

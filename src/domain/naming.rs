//! The host names that templates wish for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::fqdn::{Fqdn, FqdnError};
use super::text::Text;

/// A name with places for counters, whose values the fleet picks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameWish {
    /// Its parts, in order.
    pub parts: Vec<NamePart>,
}

/// Part of a wished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePart {
    /// Characters of a host name.
    Text(String),
    /// A counter's value.
    Counter {
        /// The counter.
        name: Text,
        /// Its lowest value.
        start: u64,
        /// Digits it is filled up to with zeros.
        width: u8,
    },
}

impl NameWish {
    /// The counters in it with their lowest values.
    pub fn counters(&self) -> impl Iterator<Item = (&Text, u64)> {
        self.parts.iter().filter_map(|part| match part {
            NamePart::Counter { name, start, .. } => Some((name, *start)),
            NamePart::Text(_) => None,
        })
    }

    /// The name with these values; `domain` is added where it has none.
    ///
    /// # Errors
    /// Why it is no host name.
    pub fn name(&self, values: &BTreeMap<Text, u64>, domain: &str) -> Result<Fqdn, FqdnError> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                NamePart::Text(text) => name.push_str(text),
                NamePart::Counter { name: counter, start, width } => {
                    let value = values.get(counter).copied().unwrap_or(*start);
                    // Writing to a string cannot fail.
                    let _ = write!(name, "{value:0>width$}", width = usize::from(*width));
                }
            }
        }
        if !name.contains('.') {
            name = format!("{name}.{}", domain.trim_start_matches('.'));
        }
        name.parse()
    }
}

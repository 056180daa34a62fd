//! Walk mode: machines are powered on in rack order, and each new caller takes the next planned slot or name.
//!
//! Which slot is next follows from the fleet and from what was skipped; nothing here approves anybody
//! (docs/adr/0027-walk-mode.md).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fqdn::Fqdn;
use super::id::NodeId;
use super::plan::{PlanEntry, PlanMatch};

/// Names that are tried for one machine; the rest of a sequence that is taken so far is not looked at.
pub const TRIES: usize = 10_000;

/// What the operator wishes of walk mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "walk", deny_unknown_fields)]
pub enum WalkWish {
    /// Begin.
    Start {
        /// The first of the names to count up from; without one the plan's rows are walked.
        #[serde(default)]
        first: Option<Fqdn>,
    },
    /// No machine comes for this slot: go on with the next one.
    Skip {
        /// The slot that is next on the screen.
        slot: Fqdn,
    },
    /// Take the last step back: the machine gives its slot up, or the slot is no longer skipped.
    Back {
        /// The slot of the last step on the screen.
        slot: Fqdn,
    },
    /// Stop.
    Stop,
}

/// What happened in walk mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum WalkStep {
    /// It began.
    Begun {
        /// The first of the names; without one the plan's rows are walked.
        first: Option<Fqdn>,
    },
    /// A new machine took the next slot.
    Took {
        /// The machine's row.
        node: NodeId,
        /// The slot.
        slot: Fqdn,
        /// How it fits the plan's row, where the slot is one.
        found: Option<PlanMatch>,
    },
    /// A slot is passed over.
    Skipped {
        /// The slot.
        slot: Fqdn,
    },
    /// The last step was taken back; no machine had to give anything up.
    Back {
        /// Its slot.
        slot: Fqdn,
    },
    /// The machine of the last step gave its slot up.
    Returned {
        /// The machine's row.
        node: NodeId,
        /// The slot, which is free again.
        slot: Fqdn,
        /// The machine's name now.
        name: Fqdn,
    },
    /// It ended.
    Ended,
}

/// A step as it is remembered while the walk goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// A machine took the slot.
    By(NodeId),
    /// A machine has it by its own identifiers, whatever was next.
    Own(NodeId),
    /// It was passed over.
    Skipped,
}

/// A walk that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// Since when.
    pub since: Timestamp,
    /// The first of the names; without one the plan's rows are walked.
    pub first: Option<Fqdn>,
    /// What was done, oldest first, by the slot's name.
    pub steps: Vec<(Fqdn, Taken)>,
}

/// Where a walk stands, for everybody who shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkView {
    /// The next slot: its name, and where it stands. `None` where all are taken or skipped.
    pub next: Option<(Fqdn, Option<String>)>,
    /// Machines that took a slot.
    pub taken: usize,
    /// Slots that were passed over.
    pub skipped: usize,
    /// Slots that are left, the next one included; `None` where names are counted up without an end.
    pub left: Option<usize>,
    /// The last step.
    pub last: Option<(Fqdn, Taken)>,
    /// The slot that a step back would free.
    pub back: Option<Fqdn>,
}

impl Walk {
    /// A walk that begins.
    #[must_use]
    pub fn new(first: Option<Fqdn>, since: Timestamp) -> Self {
        Self { since, first, steps: Vec::new() }
    }

    /// Slots that are passed over.
    #[must_use]
    pub fn skipped(&self) -> BTreeSet<&Fqdn> {
        self.steps.iter().filter(|(_, taken)| *taken == Taken::Skipped).map(|(slot, _)| slot).collect()
    }

    /// The last step that can be taken back: whoever came by its own identifiers stays.
    #[must_use]
    pub fn last(&self) -> Option<&(Fqdn, Taken)> {
        self.steps.iter().rfind(|(_, taken)| !matches!(taken, Taken::Own(_)))
    }

    /// Forgets the last step about a slot.
    pub(super) fn drop_step(&mut self, slot: &Fqdn) {
        let last = self.steps.iter().rposition(|(other, taken)| other == slot && !matches!(taken, Taken::Own(_)));
        if let Some(last) = last {
            self.steps.remove(last);
        }
    }
}

/// Text as people order it: numbers in it count as numbers, so that `R2` comes before `R10`.
#[must_use]
pub fn natural(text: &str) -> Vec<(u128, String)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let words = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(words);
        let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
        let (number, behind) = behind.split_at(digits);
        // What stands before a number decides first.
        parts.push((0, word.to_ascii_lowercase()));
        if !number.is_empty() {
            parts.push((number.parse().unwrap_or(u128::MAX), String::new()));
        }
        rest = behind;
    }
    parts
}

/// The place of a row of the plan in the walk: by rack and slot, those without one last, then by name.
#[must_use]
pub fn rack_order(entry: &PlanEntry) -> impl Ord + use<> {
    let place = |text: &Option<super::text::Text>| (text.is_none(), text.as_ref().map(|text| natural(text.as_str())));
    (place(&entry.rack), place(&entry.slot), natural(entry.hostname.as_str()))
}

/// The name `steps` after `first`: the last number in its host part counts up, with as many digits at least.
/// `None` where there is no number in it, or no such name.
#[must_use]
pub fn count_up(first: &Fqdn, steps: usize) -> Option<Fqdn> {
    let host = first.host();
    let end = host.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = host[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |last| last + 1);
    let number = host[start..end].parse::<u64>().ok()?.checked_add(u64::try_from(steps).ok()?)?;
    let width = end - start;
    format!("{}{number:0>width$}{}.{}", &host[..start], &host[end..], first.domain()).parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::text::Text;

    #[rstest]
    #[case("pve-01.lab.example", 0, Some("pve-01.lab.example"))]
    #[case("pve-09.lab.example", 1, Some("pve-10.lab.example"))]
    #[case("pve-99.lab.example", 1, Some("pve-100.lab.example"))]
    #[case("r7-n1-pve.example", 2, Some("r7-n3-pve.example"))]
    #[case("pve.lab1.example", 1, None)]
    #[case("pve-18446744073709551615.example", 1, None)]
    #[case("pve-99999999999999999999.example", 0, None)]
    fn names_count_up(#[case] first: &str, #[case] steps: usize, #[case] expected: Option<&str>) {
        let name = count_up(&first.parse().unwrap(), steps);
        assert_eq!(name.as_ref().map(Fqdn::as_str), expected);
    }

    #[test]
    fn racks_and_slots_are_ordered_as_people_count() {
        let row = |name: &str, rack: Option<&str>, slot: Option<&str>| PlanEntry {
            rack: rack.map(Text::new),
            slot: slot.map(Text::new),
            ..PlanEntry::new(format!("{name}.example.com").parse().unwrap())
        };
        let mut rows = [
            row("h", None, None),
            row("g", None, Some("1")),
            row("f", Some("R10"), Some("1")),
            row("e", Some("r2"), None),
            row("d", Some("R2"), Some("U11")),
            row("c", Some("R2"), Some("U9")),
            row("n10", Some("R1"), Some("1")),
            row("n9", Some("R1"), Some("1")),
        ];
        rows.sort_by_key(rack_order);
        let names: Vec<_> = rows.iter().map(|row| row.hostname.host()).collect();
        assert_eq!(names, ["n9", "n10", "c", "d", "e", "f", "g", "h"]);
    }
}

//! The plan: the nodes the operator expects, and by what a machine is recognised as one of them.
//!
//! A plan names and places nodes. It never passes the guard: a machine that fits a row of it waits for approval like
//! any other (ADR 13).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fqdn::Fqdn;
use super::mac::MacAddr;
use super::machine::MachineId;
use super::text::Text;

/// One node the operator expects: how to recognise its machine, and what it shall become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEntry {
    /// The host name it gets; unique in the plan.
    pub hostname: Fqdn,
    /// DMI system serial of its machine.
    #[serde(default)]
    pub serial: Option<Text>,
    /// DMI UUID of its machine.
    #[serde(default)]
    pub uuid: Option<Uuid>,
    /// Link addresses of its machine, one or more.
    #[serde(default)]
    pub macs: BTreeSet<MacAddr>,
    /// Asset tag of its machine.
    #[serde(default)]
    pub asset_tag: Option<Text>,
    /// The address it gets, whatever `[network] address` says.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// The profile it is installed with.
    #[serde(default)]
    pub profile: Option<ProfileName>,
    /// What it is for, in the operator's words.
    #[serde(default)]
    pub role: Option<Text>,
    /// The rack it stands in.
    #[serde(default)]
    pub rack: Option<Text>,
    /// Its place in the rack.
    #[serde(default)]
    pub slot: Option<Text>,
    /// Everything else the plan says about it, by column.
    #[serde(default)]
    pub columns: BTreeMap<String, Text>,
}

/// By what a machine can be recognised as a row of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanKey {
    /// The DMI UUID.
    Uuid,
    /// The DMI system serial.
    Serial,
    /// A link address.
    Mac,
    /// The asset tag: text that people type, so it is the weakest.
    AssetTag,
}

/// How well a machine fits its row of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanMatch {
    /// The identifiers that both have and that are equal. Empty where the operator joined the two by hand.
    #[serde(default)]
    pub by: BTreeSet<PlanKey>,
    /// The identifiers that both have and that differ.
    #[serde(default)]
    pub against: BTreeSet<PlanKey>,
}

/// What a machine shows that the plan may name.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// UUID, serial and MACs, as far as they can be trusted.
    pub machine: &'a MachineId,
    /// The asset tag, unless it is filler.
    pub asset_tag: Option<&'a Text>,
}

impl PlanKey {
    /// Every key, the strongest first.
    pub const ALL: [Self; 4] = [Self::Uuid, Self::Serial, Self::Mac, Self::AssetTag];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Uuid => "UUID",
            Self::Serial => "serial",
            Self::Mac => "MAC",
            Self::AssetTag => "asset tag",
        }
    }
}

/// `UUID, serial`.
#[must_use]
pub fn words(keys: &BTreeSet<PlanKey>) -> String {
    keys.iter().map(|key| key.word()).collect::<Vec<_>>().join(", ")
}

impl PlanMatch {
    /// How good it is, for choosing between rows: fewer contradictions, then more agreement, then the stronger kind.
    #[must_use]
    pub fn rank(&self) -> impl Ord + use<> {
        let strongest = self.by.first().copied();
        (std::cmp::Reverse(self.against.len()), self.by.len(), strongest.map(std::cmp::Reverse))
    }

    /// Whether only text that people type speaks for it.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.by.iter().all(|key| *key == PlanKey::AssetTag)
    }
}

impl PlanEntry {
    /// An entry that says nothing but a name.
    #[must_use]
    pub fn new(hostname: Fqdn) -> Self {
        Self {
            hostname,
            serial: None,
            uuid: None,
            macs: BTreeSet::new(),
            asset_tag: None,
            address: None,
            profile: None,
            role: None,
            rack: None,
            slot: None,
            columns: BTreeMap::new(),
        }
    }

    /// Compares it with what a machine shows. Serials and asset tags are compared without regard to case.
    #[must_use]
    pub fn compare(&self, shown: Shown<'_>) -> PlanMatch {
        let same = |one: &Text, two: &Text| one.as_str().eq_ignore_ascii_case(two.as_str());
        let machine = shown.machine;
        let mut found = PlanMatch::default();
        let mut note = |key, equal| {
            let _ = if equal { found.by.insert(key) } else { found.against.insert(key) };
        };
        if let (Some(planned), Some(seen)) = (self.uuid, machine.uuid) {
            note(PlanKey::Uuid, planned == seen);
        }
        if let (Some(planned), Some(seen)) = (&self.serial, &machine.serial) {
            note(PlanKey::Serial, same(planned, seen));
        }
        if !self.macs.is_empty() && !machine.macs.is_empty() {
            note(PlanKey::Mac, !self.macs.is_disjoint(&machine.macs));
        }
        if let (Some(planned), Some(seen)) = (&self.asset_tag, shown.asset_tag) {
            note(PlanKey::AssetTag, same(planned, seen));
        }
        found
    }

    /// Whether a machine can be recognised by it at all.
    #[must_use]
    pub fn has_identifier(&self) -> bool {
        self.uuid.is_some() || self.serial.is_some() || !self.macs.is_empty() || self.asset_tag.is_some()
    }

    /// `R12/07`, `R12` or `/07`: where it stands; nothing where the plan does not say.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match (&self.rack, &self.slot) {
            (Some(rack), Some(slot)) => Some(format!("{rack}/{slot}")),
            (Some(rack), None) => Some(rack.to_string()),
            (None, Some(slot)) => Some(format!("/{slot}")),
            (None, None) => None,
        }
    }
}

/// The name of a profile, safe as a file name: letters, digits, `-` and `_`, at most 64.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ProfileName(String);

/// A text that is not a profile's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a profile's name; it has letters, digits, `-` and `_`, at most 64 of them")]
pub struct ProfileNameError(String);

impl ProfileName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProfileName {
    type Err = ProfileNameError;

    fn from_str(given: &str) -> Result<Self, ProfileNameError> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if given.is_empty() || given.len() > 64 || !given.bytes().all(is_fine) {
            return Err(ProfileNameError(Text::new(given).as_str().chars().take(64).collect()));
        }
        Ok(Self(given.to_owned()))
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProfileName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn entry() -> PlanEntry {
        PlanEntry {
            serial: Some("abc123".into()),
            uuid: Some(Uuid::from_u128(7)),
            macs: ["b4:2e:99:00:00:01".parse().unwrap(), "b4:2e:99:00:00:02".parse().unwrap()].into(),
            asset_tag: Some("INV-7".into()),
            ..PlanEntry::new("pve-01.example.com".parse().unwrap())
        }
    }

    #[rstest]
    #[case::all(Some(7), Some("ABC123"), Some("b4:2e:99:00:00:02"), Some("inv-7"), "UUID, serial, MAC, asset tag", "")]
    #[case::nothing(None, None, None, None, "", "")]
    #[case::swapped_board(Some(8), Some("abc123"), Some("b4:2e:99:00:00:09"), None, "serial", "UUID, MAC")]
    #[case::weak(None, None, None, Some("INV-7"), "asset tag", "")]
    fn what_speaks_for_and_against_a_row_is_told(
        #[case] uuid: Option<u128>,
        #[case] serial: Option<&str>,
        #[case] mac: Option<&str>,
        #[case] tag: Option<&str>,
        #[case] by: &str,
        #[case] against: &str,
    ) {
        let machine = MachineId {
            uuid: uuid.map(Uuid::from_u128),
            serial: serial.map(Text::new),
            macs: mac.into_iter().map(|mac| mac.parse().unwrap()).collect(),
        };
        let tag = tag.map(Text::new);
        let found = entry().compare(Shown { machine: &machine, asset_tag: tag.as_ref() });
        assert_eq!((words(&found.by).as_str(), words(&found.against).as_str()), (by, against));
        assert_eq!(found.is_weak(), by.is_empty() || by == "asset tag");
    }

    #[test]
    fn the_better_match_ranks_higher() {
        use PlanKey::{AssetTag, Mac, Serial, Uuid};
        let of = |by: &[PlanKey], against: &[PlanKey]| PlanMatch {
            by: by.iter().copied().collect(),
            against: against.iter().copied().collect(),
        };
        let worse_first = [
            of(&[Serial, Mac], &[Uuid]),
            of(&[], &[]),
            of(&[AssetTag], &[]),
            of(&[Mac], &[]),
            of(&[Serial], &[]),
            of(&[Uuid], &[]),
            of(&[Mac, AssetTag], &[]),
            of(&[Uuid, Serial], &[]),
        ];
        assert!(worse_first.is_sorted_by_key(PlanMatch::rank));
    }

    #[rstest]
    #[case("storage", true)]
    #[case("big_iron-2", true)]
    #[case("", false)]
    #[case("../x", false)]
    #[case("a.b", false)]
    fn profile_names_are_file_names(#[case] given: &str, #[case] good: bool) {
        assert_eq!(given.parse::<ProfileName>().is_ok(), good);
    }
}

//! Which machine is which: the identifiers an installer reports, and which of them can be trusted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::facts::{Dmi, Nic, Report, SystemInfo};
use super::mac::MacAddr;
use super::text::Text;

/// UUIDs that board makers ship unchanged, besides the nil and the all-ones one.
const DUMMY_UUIDS: [Uuid; 5] = [
    Uuid::from_u128(0x03000200_0400_0500_0006_000700080009),
    Uuid::from_u128(0x00020003_0004_0005_0006_000700080009),
    Uuid::from_u128(0x12345678_1234_5678_90ab_cddeefaabbcc),
    Uuid::from_u128(0x00000000_0000_0000_0000_000000000001),
    Uuid::from_u128(0x11111111_1111_1111_1111_111111111111),
];

/// Serial numbers that are no serial numbers, compared in lower case.
const DUMMY_SERIALS: [&str; 14] = [
    "default string",
    "to be filled by o.e.m.",
    "to be filled by o.e.m",
    "system serial number",
    "chassis serial number",
    "base board serial number",
    "not specified",
    "not available",
    "not applicable",
    "none",
    "n/a",
    "o.e.m.",
    "123456789",
    "0123456789",
];

/// Asset tags that nobody has set, compared in lower case.
const DUMMY_TAGS: [&str; 7] = [
    "no asset tag",
    "no asset information",
    "asset tag",
    "asset-1234567890",
    "chassis asset tag",
    "base board asset tag",
    "unknown",
];

/// The identity of a physical box: whatever of its UUID, serial and MACs can be trusted (ARCHITECTURE.md, "Which
/// machine is which").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineId {
    /// DMI UUID, unless it is missing, nil, all ones or a maker's dummy.
    pub uuid: Option<Uuid>,
    /// DMI system serial, unless it is filler.
    pub serial: Option<Text>,
    /// Link addresses that can identify.
    pub macs: BTreeSet<MacAddr>,
}

/// MAC addresses a row is known by at most. A rack server has a dozen; of a host full of virtual functions, which shows
/// hundreds, these are enough to know it again.
pub const MOST_MACS: usize = 64;

impl MachineId {
    /// The identity an answer request shows.
    #[must_use]
    pub fn of_system(info: &SystemInfo) -> Self {
        Self::new(&info.dmi, info.links.iter().map(|link| link.mac))
    }

    /// The identity a report shows.
    #[must_use]
    pub fn of_report(report: &Report) -> Self {
        Self::new(&report.dmi, report.nics.iter().map(|nic: &Nic| nic.mac))
    }

    fn new(dmi: &Dmi, macs: impl Iterator<Item = MacAddr>) -> Self {
        Self {
            uuid: dmi.uuid.as_ref().and_then(|raw| trusted_uuid(raw.as_str())),
            serial: dmi.serial.clone().filter(|serial| is_trusted_serial(serial.as_str())),
            macs: macs.filter(|mac| mac.is_identifying()).collect(),
        }
    }

    /// The asset tag of a machine, unless it is filler: no identity, but something a plan can name.
    #[must_use]
    pub fn trusted_tag(dmi: &Dmi) -> Option<&Text> {
        dmi.asset_tag.as_ref().filter(|tag| is_trusted_tag(tag.as_str()))
    }

    /// Whether nothing at all identifies this machine.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uuid.is_none() && self.serial.is_none() && self.macs.is_empty()
    }

    /// Whether both show MACs and share none: then an equal UUID or serial is a maker's duplicate, not the same box.
    #[must_use]
    pub fn has_other_macs_than(&self, other: &Self) -> bool {
        !self.macs.is_empty() && !other.macs.is_empty() && self.macs.is_disjoint(&other.macs)
    }

    /// Whether both share anything that identifies.
    #[must_use]
    pub fn shares_any(&self, other: &Self) -> bool {
        self.shared(other) > 0 || !self.macs.is_disjoint(&other.macs)
    }

    /// Whether `other` is most likely this machine: it shares a MAC, or both UUID and serial, or one of them while no MAC
    /// speaks against it. Else it is a maker's duplicate, or none at all.
    #[must_use]
    pub fn is_likely(&self, other: &Self) -> bool {
        let shared = self.shared(other);
        !self.macs.is_disjoint(&other.macs) || shared > 1 || (shared == 1 && !self.has_other_macs_than(other))
    }

    /// How many of UUID and serial both show alike.
    fn shared(&self, other: &Self) -> u32 {
        let uuid = self.uuid.is_some() && self.uuid == other.uuid;
        let serial = self.serial.is_some() && self.serial == other.serial;
        u32::from(uuid) + u32::from(serial)
    }

    /// Whether this shows everything that `other` shows.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let has_uuid = other.uuid.is_none() || other.uuid == self.uuid;
        let has_serial = other.serial.is_none() || other.serial == self.serial;
        has_uuid && has_serial && other.macs.is_subset(&self.macs)
    }

    /// The digits that tell host names apart: those of the UUID, else of the lowest MAC, else none.
    #[must_use]
    pub fn name_digits(&self) -> Option<String> {
        self.uuid.map(|uuid| uuid.simple().to_string()).or_else(|| self.macs.first().map(|mac| mac.bare()))
    }

    /// Adds what another sighting of the same machine shows, up to [`MOST_MACS`]: addresses that were burnt in come before
    /// those that software made up, for they stay.
    pub fn learn(&mut self, other: &Self) {
        self.uuid = self.uuid.or(other.uuid);
        if self.serial.is_none() {
            self.serial.clone_from(&other.serial);
        }
        let (made_up, burnt_in): (Vec<_>, Vec<_>) =
            other.macs.difference(&self.macs).copied().partition(|mac| mac.is_local());
        let room = MOST_MACS.saturating_sub(self.macs.len());
        self.macs.extend(burnt_in.into_iter().chain(made_up).take(room));
    }

    /// What a person, or a rule, took for this machine: all that it shows, and what was known besides as far as there is
    /// room.
    pub fn take(&mut self, shown: &Self) {
        let known = std::mem::take(self);
        self.learn(shown);
        self.learn(&known);
    }

    /// The same machine, known by no more than a row may be.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        if self.macs.len() > MOST_MACS {
            let all = std::mem::take(&mut self);
            self.learn(&all);
        }
        self
    }
}

/// A UUID that can tell machines apart.
pub(crate) fn trusted_uuid(raw: &str) -> Option<Uuid> {
    Uuid::try_parse(raw).ok().filter(|uuid| !uuid.is_nil() && !uuid.is_max() && !DUMMY_UUIDS.contains(uuid))
}

/// Whether a serial number or asset tag can tell machines apart: not a maker's filler, four characters or more.
pub(crate) fn is_trusted_serial(raw: &str) -> bool {
    let lower = raw.to_ascii_lowercase();
    let mut bytes = lower.bytes();
    let first = bytes.next();
    let all_same = bytes.all(|byte| Some(byte) == first);
    lower.len() >= 4 && !all_same && !DUMMY_SERIALS.contains(&lower.as_str())
}

/// Whether an asset tag is more than filler. People number from 1, so that short ones are fine.
pub(crate) fn is_trusted_tag(raw: &str) -> bool {
    let lower = raw.to_ascii_lowercase();
    !lower.is_empty() && !DUMMY_SERIALS.contains(&lower.as_str()) && !DUMMY_TAGS.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("F68D13F3-472B-4F1A-95A7-120B398A07AA", true)]
    #[case("00000000-0000-0000-0000-000000000000", false)]
    #[case("ffffffff-ffff-ffff-ffff-ffffffffffff", false)]
    #[case("03000200-0400-0500-0006-000700080009", false)]
    #[case("not a uuid", false)]
    #[case("", false)]
    fn uuids_are_trusted_or_not(#[case] raw: &str, #[case] trusted: bool) {
        assert_eq!(trusted_uuid(raw).is_some(), trusted);
    }

    #[rstest]
    #[case("S2HRNX0J403419", true)]
    #[case("Default string", false)]
    #[case("0000000000", false)]
    #[case("", false)]
    #[case("To Be Filled By O.E.M.", false)]
    fn serials_are_trusted_or_not(#[case] raw: &str, #[case] trusted: bool) {
        assert_eq!(is_trusted_serial(raw), trusted);
    }
}

//! What the installer sees of a machine while it evaluates an answer: disks, NICs, their udev properties, the lease.
//!
//! Owns the matching of filters and disk names, quirks included. It must not read answers or open sockets.

use std::collections::BTreeMap;

use glob::Pattern;

use crate::domain::MacAddr;

/// udev properties (`E:` lines) of a device.
pub type Udev = BTreeMap<String, String>;

/// A filter of an answer: udev property to glob.
pub(crate) type Filter = BTreeMap<String, String>;

/// A disk the installer supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskDevice {
    /// Kernel path, such as `/dev/sda`.
    pub path: String,
    /// Capacity in bytes.
    pub size: u64,
    /// udev properties.
    pub udev: Udev,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicDevice {
    /// Interface name, such as `eno1`.
    pub name: String,
    /// Link address.
    pub mac: MacAddr,
    /// udev properties.
    pub udev: Udev,
}

/// Everything about a machine that can decide the fate of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Disks in the order of the installer's own list.
    pub disks: Vec<DiskDevice>,
    /// NICs in kernel order.
    pub nics: Vec<NicDevice>,
    /// Host name from DHCP.
    pub dhcp_host: Option<String>,
    /// Domain from DHCP.
    pub dhcp_domain: Option<String>,
}

/// Why nothing could be selected, in the installer's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MatchError {
    #[error("no filter defined")]
    NoFilter,
    #[error("filter did not match any device")]
    NoDevice,
    #[error("invalid glob in disk selection: {0}")]
    Glob(String),
    #[error("disk in 'disk-selection' not found")]
    NoDisk,
    #[error("No disks found matching selection.")]
    NoDisks,
}

impl Hardware {
    /// The NIC a filter selects: the first in name order of which any one property matches (PROTOCOL.md §b.2).
    pub(crate) fn nic(&self, filter: &Filter) -> Result<&NicDevice, MatchError> {
        let mut nics: Vec<_> = self.nics.iter().collect();
        nics.sort_by(|a, b| a.name.cmp(&b.name));
        first(nics, filter, |nic| &nic.udev)
    }

    /// The one disk an ext4 or xfs installation takes by filter; `filter-match` is ignored there (PROTOCOL.md §b.2).
    pub(crate) fn single_disk(&self, filter: &Filter) -> Result<&DiskDevice, MatchError> {
        first(self.disks.iter(), filter, |disk| &disk.udev)
    }

    /// The first disk whose path ends with `name`; the empty name ends every path (PROTOCOL.md §b.2).
    pub(crate) fn disk_named(&self, name: &str) -> Result<&DiskDevice, MatchError> {
        self.disks.iter().find(|disk| disk.path.ends_with(name)).ok_or(MatchError::NoDisk)
    }

    /// The disks a zfs or btrfs installation takes by name: unknown names are dropped silently (PROTOCOL.md §b.2).
    pub(crate) fn disks_named(&self, names: &[String]) -> Result<Vec<&DiskDevice>, MatchError> {
        let mut found: Vec<&DiskDevice> = Vec::new();
        for disk in names.iter().filter_map(|name| self.disk_named(name).ok()) {
            if !found.iter().any(|known| known.path == disk.path) {
                found.push(disk);
            }
        }
        if found.is_empty() { Err(MatchError::NoDisks) } else { Ok(found) }
    }

    /// The disks a zfs or btrfs installation takes by filter. With `all`, a property that a disk does not have is not a
    /// mismatch, so a misspelt one selects every disk (PROTOCOL.md §b.2).
    pub(crate) fn matching_disks(&self, filter: &Filter, all: bool) -> Result<Vec<&DiskDevice>, MatchError> {
        let patterns = compile(filter)?;
        let takes = |disk: &&DiskDevice| {
            let mut known = patterns.iter().filter_map(|(key, pattern)| Some(pattern.matches(disk.udev.get(*key)?)));
            if all { known.all(|matched| matched) } else { known.any(|matched| matched) }
        };
        let found: Vec<_> = self.disks.iter().filter(takes).collect();
        if found.is_empty() { Err(MatchError::NoDevice) } else { Ok(found) }
    }
}

/// The filter with its globs compiled; one malformed glob fails the whole filter.
fn compile(filter: &Filter) -> Result<Vec<(&str, Pattern)>, MatchError> {
    filter
        .iter()
        .map(|(key, glob)| Ok((key.as_str(), Pattern::new(glob).map_err(|error| MatchError::Glob(error.to_string()))?)))
        .collect()
}

/// The first device of which any one property matches.
fn first<'d, D>(
    devices: impl IntoIterator<Item = &'d D>,
    filter: &Filter,
    udev: impl Fn(&D) -> &Udev,
) -> Result<&'d D, MatchError> {
    if filter.is_empty() {
        return Err(MatchError::NoFilter);
    }
    let patterns = compile(filter)?;
    let matches = |device: &&D| {
        patterns.iter().any(|(key, glob)| udev(device).get(*key).is_some_and(|value| glob.matches(value)))
    };
    devices.into_iter().find(matches).ok_or(MatchError::NoDevice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn udev(pairs: &[(&str, &str)]) -> Udev {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn hardware() -> Hardware {
        let disk = |path: &str, serial: &str| DiskDevice {
            path: path.to_owned(),
            size: 1,
            udev: udev(&[("ID_SERIAL", serial), ("DEVNAME", path)]),
        };
        let nic = |name: &str, last: u8| NicDevice {
            name: name.to_owned(),
            mac: MacAddr([2, 0, 0, 0, 0, last]),
            udev: udev(&[("ID_NET_NAME", name), ("ID_VENDOR_FROM_DATABASE", "Intel Corporation")]),
        };
        Hardware {
            disks: vec![disk("/dev/nvme0n1", "NV1"), disk("/dev/sda", "AA"), disk("/dev/sdb", "AB")],
            nics: vec![nic("enp2s0", 2), nic("eno1", 1)],
            ..Hardware::default()
        }
    }

    #[rstest]
    #[case(&[("ID_NET_NAME", "enp*")], Ok("enp2s0"))]
    #[case(&[("ID_VENDOR_FROM_DATABASE", "Intel*")], Ok("eno1"))]
    #[case(&[("NOPE", "x"), ("ID_NET_NAME", "eno?")], Ok("eno1"))]
    #[case(&[("ID_NET_NAME", "EnO1")], Err(MatchError::NoDevice))]
    #[case(&[], Err(MatchError::NoFilter))]
    fn any_one_property_takes_the_first_nic_in_name_order(
        #[case] filter: &[(&str, &str)],
        #[case] name: Result<&str, MatchError>,
    ) {
        assert_eq!(hardware().nic(&udev(filter)).map(|nic| nic.name.as_str()), name);
    }

    #[test]
    fn all_with_an_unknown_property_takes_every_disk() {
        let hardware = hardware();
        assert_eq!(hardware.matching_disks(&udev(&[("NOPE", "x")]), true).map(|disks| disks.len()), Ok(3));
        assert_eq!(hardware.matching_disks(&udev(&[("NOPE", "x")]), false), Err(MatchError::NoDevice));
        assert_eq!(hardware.matching_disks(&udev(&[("ID_SERIAL", "A*")]), true).map(|disks| disks.len()), Ok(2));
    }

    #[test]
    fn disk_names_are_suffixes() {
        let hardware = hardware();
        assert_eq!(hardware.disk_named("a").map(|disk| disk.path.as_str()), Ok("/dev/sda"));
        assert_eq!(hardware.disk_named("").map(|disk| disk.path.as_str()), Ok("/dev/nvme0n1"));
        assert_eq!(hardware.disk_named("sdz"), Err(MatchError::NoDisk));
        let names = ["sdb".to_owned(), "sdz".to_owned(), "sdb".to_owned()];
        assert_eq!(hardware.disks_named(&names).map(|disks| disks.len()), Ok(1));
        assert!(matches!(hardware.single_disk(&udev(&[("ID_SERIAL", "[a")])), Err(MatchError::Glob(_))));
    }
}

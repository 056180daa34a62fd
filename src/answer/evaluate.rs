//! Which NIC and which disks of a machine an answer takes, found as the installer finds them (PROTOCOL.md §b.2, §b.3).

use glob::Pattern;

use super::hardware::{DiskDevice, Hardware, NicDevice, Udev};
use super::schema::Setting as S;
use super::settings::Settings;
use super::validate::least_disks;
use crate::domain::Fqdn;

/// What an installation would touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The NIC it would give its address to; `None` where that is the one with the lease.
    pub nic: Option<NicDevice>,
    /// The disks it would wipe, in their order; it boots from the first.
    pub disks: Vec<DiskDevice>,
    /// File system and RAID level, `zfs (RAID1)`.
    pub filesystem: String,
    /// Why the last program before the writing would stop all the same: too few disks for the RAID level.
    pub refused: Option<String>,
}

impl Touch {
    /// One line for each thing that would be touched.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let disks = self.disks.iter().map(|disk| match &self.refused {
            None => format!("would wipe {}", disk.words()),
            Some(_) => format!("would choose {}", disk.words()),
        });
        let nic = match &self.nic {
            Some(nic) => format!("would set up {}", nic.words()),
            None => "would set up the interface that has the DHCP lease".to_owned(),
        };
        let refused = self.refused.iter().map(|why| format!("would stop before it writes: {why}"));
        disks.chain(refused).chain([nic]).collect()
    }
}

/// Why an installer stops on this machine, and which setting is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) setting: S,
    pub(super) why: String,
}

/// A filter whose patterns are well-formed.
pub(super) struct Filter<'a>(Vec<(&'a str, Pattern)>);

impl<'a> Filter<'a> {
    /// The filter of `setting`; `None` where there is none, or one of its patterns is malformed.
    pub(super) fn of(settings: &'a Settings, setting: S) -> Option<Self> {
        let entries = settings.table(setting)?.iter();
        entries.map(|(key, glob)| Some((key.as_str(), Pattern::new(glob).ok()?))).collect::<Option<_>>().map(Self)
    }

    /// The properties it asks for.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(key, _)| *key)
    }

    /// Whether any one of the properties matches.
    pub(super) fn any(&self, udev: &Udev) -> bool {
        self.known(udev).any(|matches| matches)
    }

    /// Whether none of the properties that the device has is a mismatch.
    fn all(&self, udev: &Udev) -> bool {
        self.known(udev).all(|matches| matches)
    }

    fn known(&self, udev: &Udev) -> impl Iterator<Item = bool> {
        self.0.iter().filter_map(|(key, glob)| Some(glob.matches(udev.get(*key)?)))
    }
}

/// Finds what the installer would take on this machine. The answer is one the installer can read.
pub(super) fn evaluate(settings: &Settings, hardware: &Hardware) -> Result<Touch, Stop> {
    leased_name(settings, hardware)?;
    let nic = nic(settings, hardware)?;
    let disks = disks(settings, hardware)?;
    let filesystem = settings.text(S::Filesystem).unwrap_or_default();
    let raid = match filesystem {
        "zfs" => settings.text(S::ZfsRaid),
        "btrfs" => settings.text(S::BtrfsRaid),
        _ => None,
    };
    let refused = raid.map(str::to_ascii_lowercase).and_then(|raid| {
        let (least, count) = (least_disks(&raid), disks.len());
        if count < least {
            Some(format!("{raid} needs at least {least} disks, and {count} are chosen"))
        } else if filesystem == "zfs" && raid == "raid10" && count % 2 == 1 {
            Some(format!("{raid} needs an even number of disks, and {count} are chosen"))
        } else {
            None
        }
    });
    let filesystem = match raid {
        Some(raid) => format!("{filesystem} ({})", raid.to_ascii_uppercase()),
        None => filesystem.to_owned(),
    };
    Ok(Touch { nic, disks, filesystem, refused })
}

/// A name from the lease must be one, with the answer's domain before that of the lease.
fn leased_name(settings: &Settings, hardware: &Hardware) -> Result<(), Stop> {
    let (Some(table), Some(lease)) = (settings.table(S::Fqdn), &hardware.dhcp) else { return Ok(()) };
    let stop = |why: String| Err(Stop { setting: S::Fqdn, why });
    let domain = table.get("domain").filter(|domain| !domain.is_empty()).or(lease.domain.as_ref());
    match (&lease.hostname, domain) {
        (None, _) => stop("DHCP gives this machine no host name".to_owned()),
        (_, None) => stop("DHCP gives this machine no domain, and `global.fqdn.domain` is not set".to_owned()),
        (Some(host), Some(domain)) => match format!("{host}.{domain}").parse::<Fqdn>() {
            Ok(_) => Ok(()),
            Err(error) => stop(format!("the name from DHCP cannot be used: {error}")),
        },
    }
}

/// The first NIC in name order of which any one property matches.
fn nic(settings: &Settings, hardware: &Hardware) -> Result<Option<NicDevice>, Stop> {
    let Some(filter) = Filter::of(settings, S::NicFilter) else { return Ok(None) };
    let mut nics: Vec<_> = hardware.nics.iter().filter(|nic| filter.any(&nic.udev)).collect();
    nics.sort_by(|a, b| a.name.cmp(&b.name));
    let why = "`network.filter` matches no interface of this machine".to_owned();
    nics.first().map(|nic| Some((*nic).clone())).ok_or(Stop { setting: S::NicFilter, why })
}

fn disks(settings: &Settings, hardware: &Hardware) -> Result<Vec<DiskDevice>, Stop> {
    let list = settings.texts(S::DiskList).filter(|list| !list.is_empty());
    let (setting, found) = match list {
        Some(list) => (S::DiskList, listed(list, hardware)),
        None => (S::DiskFilter, filtered(settings, hardware)),
    };
    if found.is_empty() {
        let why = format!("`{}` selects no disk of this machine", setting.spec().path);
        return Err(Stop { setting, why });
    }
    Ok(found)
}

/// Names of no disk are left out, and no disk is taken twice.
fn listed(list: &[String], hardware: &Hardware) -> Vec<DiskDevice> {
    let mut found: Vec<DiskDevice> = Vec::new();
    for disk in list.iter().filter_map(|name| named(hardware, name)) {
        if found.iter().all(|other| other.path != disk.path) {
            found.push(disk.clone());
        }
    }
    found
}

/// ext4 and xfs take the first disk of which any one property matches, whatever `filter_match` says.
fn filtered(settings: &Settings, hardware: &Hardware) -> Vec<DiskDevice> {
    let Some(filter) = Filter::of(settings, S::DiskFilter) else { return Vec::new() };
    let is_single = matches!(settings.text(S::Filesystem), Some("ext4" | "xfs"));
    let all = settings.text(S::FilterMatch) == Some("all") && !is_single;
    let takes = |disk: &&DiskDevice| if all { filter.all(&disk.udev) } else { filter.any(&disk.udev) };
    hardware.disks.iter().filter(takes).take(if is_single { 1 } else { usize::MAX }).cloned().collect()
}

/// The first disk whose path ends with `name`.
pub(super) fn named<'h>(hardware: &'h Hardware, name: &str) -> Option<&'h DiskDevice> {
    hardware.disks.iter().find(|disk| disk.path.ends_with(name))
}

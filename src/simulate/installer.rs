//! The verdict of one installer release on one answer and one machine, in the order of checks of PROTOCOL.md §b.4.
//!
//! Pure: the same answer, hardware and release always end the same way. Downloads (`[first-boot]`) and everything after
//! the verdict belong to `life`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::grammar::{Answer, Disks, FileSystem, FirstBoot, Global, HostName, Pinning, Webhook};
use super::hardware::Hardware;
use super::locale::Locale;
use super::release::{AfterStop, Release};
use crate::domain::{Fqdn, MacAddr};

/// How an answer ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The installer starts to write to the disks of this plan.
    Install(Box<InstallPlan>),
    /// It stops before any write.
    Stop(Stop),
}

/// An answer the installer turned down before it wrote anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What stands on the machine's console, without the `ERROR: ` in front.
    pub message: String,
    /// What the machine does next.
    pub after: AfterStop,
}

/// What an accepted answer makes of a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct InstallPlan {
    /// Host name with domain, as given.
    pub fqdn: String,
    /// The management interface, by name.
    pub nic: String,
    /// Its address: that of the answer; `None` keeps the leased one.
    pub address: Option<IpNet>,
    /// Paths of the disks that are wiped; the first one boots.
    pub disks: Vec<String>,
    /// File system in the words of the report, such as `zfs (RAID1)`.
    pub filesystem: String,
    /// Public keys that may log in as root.
    pub ssh_keys: Vec<String>,
    /// Where to report.
    pub webhook: Option<Webhook>,
    /// Whether the machine reboots after a failure.
    pub reboot_on_error: bool,
    /// Whether it powers off instead of rebooting.
    pub power_off: bool,
    /// Whether interface names are pinned; by name where the answer says so.
    pub pinned: Option<Vec<(MacAddr, String)>>,
    /// Why the low-level installer will refuse, before it writes: too few disks for the RAID level, which up to 9.0.4
    /// and for filters nobody checks earlier (PROTOCOL.md §b.2).
    pub raid_problem: Option<String>,
}

/// What a parsed answer wants to have fetched before its checks go on (PROTOCOL.md §b.4, §d.3).
#[derive(Debug)]
pub struct Examination {
    release: Release,
    answer: Answer,
}

impl Examination {
    /// Parses an answer; `json` says that the release reads this reply as JSON.
    pub fn parse(release: Release, body: &[u8], json: bool) -> Result<Self, Stop> {
        match Answer::parse(release, body, json) {
            Ok(answer) => Ok(Self { release, answer }),
            Err(error) => Err(Stop { message: error.to_string(), after: release.after_parse_failure() }),
        }
    }

    /// The first-boot executable, to be had before anything else is checked.
    #[must_use]
    pub fn first_boot(&self) -> Option<&FirstBoot> {
        self.answer.first_boot.as_ref()
    }

    /// The end of an answer whose first-boot executable could not be had: the reboot flag is not written yet.
    #[must_use]
    pub fn without_first_boot(&self, message: String) -> Stop {
        Stop { message, after: self.release.after_parse_failure() }
    }

    /// The checks after the first-boot download.
    #[must_use]
    pub fn finish(&self, hardware: &Hardware, locale: &Locale) -> Outcome {
        match self.check(hardware, locale) {
            Ok(plan) => Outcome::Install(Box::new(plan)),
            Err(reason) => {
                let global = &self.answer.global;
                Outcome::Stop(Stop {
                    message: format!("Installation failed: {reason}"),
                    after: self.release.after_check_failure(global.reboot_on_error, global.power_off),
                })
            }
        }
    }

    fn check(&self, hardware: &Hardware, locale: &Locale) -> Result<InstallPlan, String> {
        let Answer { global, network, disks, webhook, .. } = &self.answer;
        disks.check_shape(self.release)?;
        let fqdn = host_name(&global.fqdn, hardware)?;
        let nic = match &network.manual {
            Some(manual) => hardware.nic(&manual.filter).map_err(|error| error.to_string())?,
            None => hardware.nics.first().ok_or("no network interface found")?,
        };
        check_locale(global, locale)?;
        self.check_disk_list(disks)?;
        self.check_login(global)?;
        if let Some(pinning) = &network.pinning {
            check_pinning(pinning)?;
        }
        let taken = take_disks(disks, hardware)?;
        Ok(InstallPlan {
            fqdn,
            nic: nic.name.clone(),
            address: network.manual.as_ref().and_then(|manual| address(&manual.cidr)),
            filesystem: filesystem_words(disks),
            raid_problem: raid_problem(disks.raid(), taken.len()),
            disks: taken,
            ssh_keys: global.ssh_keys.clone(),
            webhook: webhook.clone(),
            reboot_on_error: global.reboot_on_error,
            power_off: global.power_off,
            pinned: network.pinning.as_ref().filter(|pinning| pinning.enabled).map(|pinning| {
                let named = pinning.mapping.iter();
                named.filter_map(|(mac, name)| Some((mac.parse().ok()?, name.clone()))).collect()
            }),
        })
    }

    /// Duplicates, counts and swap: checked up front from 9.0.5, the even RAID10 from 9.2.6 (PROTOCOL.md §b.2).
    fn check_disk_list(&self, disks: &Disks) -> Result<(), String> {
        if self.release < Release::V9_1 {
            return Ok(());
        }
        if let Some(twice) = disks.list.iter().enumerate().find(|(at, name)| disks.list[..*at].contains(name)) {
            return Err(format!("List of disks contains duplicate device {}", twice.1));
        }
        if !disks.list.is_empty() {
            if let Some(problem) = raid_problem(disks.raid(), disks.list.len()) {
                return Err(problem);
            }
            let odd = disks.list.len() % 2 == 1;
            if disks.filesystem == FileSystem::Zfs
                && disks.raid() == Some("raid10")
                && odd
                && self.release >= Release::V9_2
            {
                return Err(format!("ZFS RAID10 needs an even number of disks, got {}", disks.list.len()));
            }
        }
        match (disks.lvm_hdsize, disks.lvm_swapsize) {
            (Some(hdsize), Some(swapsize)) if swapsize > hdsize / 2.0 => {
                Err(format!("LVM swap size {swapsize} GiB must be less or equal to half of hdsize {hdsize} GiB"))
            }
            _ => Ok(()),
        }
    }

    /// Mail address from 8.2.7, exactly one password, eight bytes from 8.4.0 (PROTOCOL.md §b.2).
    fn check_login(&self, global: &Global) -> Result<(), String> {
        if self.release > Release::V8_2 {
            if !is_mail_address(&global.mailto) {
                return Err(format!("{}: Email does not look like a valid address (user@domain.tld)", global.mailto));
            }
            if global.mailto == "mail@example.invalid" {
                return Err(format!("{}: Invalid (default) email address", global.mailto));
            }
        }
        match (&global.password, &global.password_hashed) {
            (None, None) | (Some(_), Some(_)) => {
                Err("One of `global.root-password` or `global.root-password-hashed` must be set".to_owned())
            }
            (Some(password), None) if self.release >= Release::V8_4 && password.len() < 8 => {
                Err("`global.root-password` must be at least 8 characters long".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// The name of the machine; a table takes it from the lease, and its domain wins over that of the lease.
fn host_name(name: &HostName, hardware: &Hardware) -> Result<String, String> {
    let domain = match name {
        HostName::Given(name) => return Ok(name.clone()),
        HostName::FromDhcp { domain } => domain.as_ref().or(hardware.dhcp_domain.as_ref()),
    };
    let Some(host) = &hardware.dhcp_host else { return Err("no hostname found in DHCP lease".to_owned()) };
    let Some(domain) = domain else { return Err("no domain found in DHCP lease, and none given".to_owned()) };
    let fqdn = format!("{host}.{domain}");
    if fqdn.parse::<Fqdn>().is_ok() { Ok(fqdn) } else { Err(format!("invalid FQDN `{fqdn}`")) }
}

/// Country, then time zone. The bad country is printed back, which is how a retry answer speaks (PROTOCOL.md §d.5).
fn check_locale(global: &Global, locale: &Locale) -> Result<(), String> {
    if !locale.has_country(&global.country) {
        return Err(format!("country code '{}' is not valid", global.country));
    }
    if !locale.has_zone(&global.timezone) {
        return Err(format!("timezone '{}' is not valid", global.timezone));
    }
    Ok(())
}

/// Names of pinned interfaces: 2 to 15 characters, a letter first, unique (PROTOCOL.md §b.2).
fn check_pinning(pinning: &Pinning) -> Result<(), String> {
    if !pinning.enabled {
        return Ok(());
    }
    let mut seen = Vec::new();
    for name in pinning.mapping.values() {
        let base = name.split_once(['.', ':']).map_or(name.as_str(), |(base, number)| {
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) { base } else { "" }
        });
        let good = (2..=15).contains(&name.len())
            && base.starts_with(|c: char| c.is_ascii_alphabetic())
            && base.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good {
            return Err(format!("interface name '{name}' is not valid"));
        }
        if seen.contains(&name) {
            return Err(format!("interface name mapping contains duplicate name '{name}'"));
        }
        seen.push(name);
    }
    Ok(())
}

/// The disks an answer takes.
fn take_disks(disks: &Disks, hardware: &Hardware) -> Result<Vec<String>, String> {
    let single = matches!(disks.filesystem, FileSystem::Ext4 | FileSystem::Xfs);
    let taken = match (&disks.filter, single) {
        (Some(filter), true) => hardware.single_disk(filter).map(|disk| vec![disk]),
        (Some(filter), false) => hardware.matching_disks(filter, disks.match_all),
        (None, true) => hardware.disk_named(disks.list.first().map_or("", String::as_str)).map(|disk| vec![disk]),
        (None, false) => hardware.disks_named(&disks.list),
    };
    match taken {
        Ok(taken) => Ok(taken.into_iter().map(|disk| disk.path.clone()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

/// Fewest disks of a RAID level (PROTOCOL.md §b.2).
fn raid_problem(raid: Option<&str>, count: usize) -> Option<String> {
    let level = raid?;
    let least = match level {
        "raid1" => 2,
        "raid10" | "raidz-2" => 4,
        "raidz-1" => 3,
        "raidz-3" => 5,
        _ => 1,
    };
    (count < least).then(|| format!("{} needs at least {least} disks, got {count}", level.to_ascii_uppercase()))
}

/// `ext4`, `zfs (RAID1)` … (PROTOCOL.md §c.2).
fn filesystem_words(disks: &Disks) -> String {
    let name = match disks.filesystem {
        FileSystem::Ext4 => return "ext4".to_owned(),
        FileSystem::Xfs => return "xfs".to_owned(),
        FileSystem::Zfs => "zfs",
        FileSystem::Btrfs => "btrfs",
    };
    format!("{name} ({})", disks.raid().unwrap_or_default().to_ascii_uppercase())
}

/// `cidr` as address and prefix; a bare address (9.2) is a single host.
fn address(cidr: &str) -> Option<IpNet> {
    cidr.parse().ok().or_else(|| cidr.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The e-mail pattern of the HTML specification (PROTOCOL.md §b.2).
fn is_mail_address(text: &str) -> bool {
    let Some((user, domain)) = text.rsplit_once('@') else { return false };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !user.is_empty()
        && user.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b))
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests;

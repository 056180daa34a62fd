//! Answers that an installer takes and that do harm: each with what it would do (PROTOCOL.md §b.2).

use super::evaluate::{Filter, named};
use super::hardware::Hardware;
use super::problem::{Problem, Severity};
use super::read::Reading;
use super::schema::{Setting, Setting as S};
use super::settings::{Settings, Value};
use super::validate::{HASH_HINT, Target};
use crate::domain::MacAddr;

/// Properties that every disk has; a filter over others may meet disks that lack them.
const ON_EVERY_DISK: [&str; 6] = ["DEVNAME", "DEVPATH", "DEVTYPE", "MAJOR", "MINOR", "SUBSYSTEM"];

/// Everything harmful in `reading` as `target`, on this machine where it is known.
pub(super) fn check(reading: &Reading, target: Target, hardware: Option<&Hardware>) -> Vec<Problem> {
    let mut lint = Lint { reading, settings: &reading.settings, hardware, problems: Vec::new() };
    lint.password(target);
    lint.stranded(target);
    lint.keys();
    lint.nic();
    lint.pinned();
    lint.disk_names();
    lint.disk_filter();
    lint.problems
}

struct Lint<'a> {
    reading: &'a Reading,
    settings: &'a Settings,
    hardware: Option<&'a Hardware>,
    problems: Vec<Problem>,
}

impl Lint<'_> {
    fn push(&mut self, severity: Severity, setting: Setting, message: impl Into<String>, hint: impl Into<String>) {
        let span = self.reading.given.get(&setting).map(|given| given.value.clone());
        self.problems.push(Problem::new(setting.spec().path, span, message).weigh(severity).hint(hint));
    }

    fn danger(&mut self, setting: Setting, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Danger, setting, message, hint);
    }

    /// The answer is stored and sent: a hash gives less away. Installers up to 8.2.6 know no hash.
    fn password(&mut self, target: Target) {
        if self.settings.has(S::RootPassword) && target.knows(S::RootPasswordHashed.spec().since) {
            let message = "the root password stands here in plain text, and whoever gets the answer can read it";
            self.danger(S::RootPassword, message, format!("use `root_password_hashed`; {HASH_HINT}"));
        }
    }

    /// A failed report leaves an installed machine in a debug shell (PROTOCOL.md §c.1). The program sets this itself.
    fn stranded(&mut self, target: Target) {
        let reboots = self.settings.get(S::RebootOnError) == Some(&Value::Flag(true));
        if target != Target::Base && self.settings.has(S::WebhookUrl) && !reboots {
            let message =
                "if the report fails, the installed machine stays in a debug shell until somebody walks to it";
            let setting = if self.settings.has(S::RebootOnError) { S::RebootOnError } else { S::WebhookUrl };
            self.danger(setting, message, "set `reboot_on_error = true` in `[global]`");
        }
    }

    /// The installer puts any text into root's `authorized_keys`.
    fn keys(&mut self) {
        for key in self.settings.texts(S::RootSshKeys).into_iter().flatten() {
            if key.contains("PRIVATE KEY") {
                let message = "a private key stands here, and whoever gets the answer can read it";
                self.danger(S::RootSshKeys, message, "replace the key pair; the line of the `.pub` file belongs here");
            } else if !is_key_line(key) {
                let message = "an entry is no public SSH key: nobody can log in with it";
                self.push(Severity::Warning, S::RootSshKeys, message, "take the line of a `.pub` file");
            }
        }
    }

    /// Names for interfaces that this machine does not have; the installer says a word, and goes on.
    fn pinned(&mut self) {
        let Some(hardware) = self.hardware else { return };
        let known: Vec<_> =
            hardware.nics.iter().filter_map(|nic| nic.mac.as_deref()?.parse::<MacAddr>().ok()).collect();
        if known.len() < hardware.nics.len() {
            return;
        }
        for (mac, name) in self.settings.table(S::PinningMapping).into_iter().flatten() {
            if mac.parse().is_ok_and(|mac| !known.contains(&mac)) {
                let message = format!("this machine has no interface `{mac}`: nothing is named `{name}`");
                self.push(Severity::Warning, S::PinningMapping, message, "compare it with the machine's interfaces");
            }
        }
    }

    fn nic(&mut self) {
        let Some(filter) = Filter::of(self.settings, S::NicFilter) else { return };
        let hint = "match one interface by its address, such as `ID_NET_NAME_MAC = \"*b42e99acadb4\"`";
        if let Some(hardware) = self.hardware {
            let mut names: Vec<_> =
                hardware.nics.iter().filter(|nic| filter.any(&nic.udev)).map(|nic| &*nic.name).collect();
            names.sort_unstable();
            if let [first, _, ..] = *names {
                let message = format!(
                    "it matches {} interfaces, {}: the first by name, `{first}`, would get the address",
                    names.len(),
                    names.join(", ")
                );
                self.danger(S::NicFilter, message, hint);
            }
        } else if filter.keys().count() > 1 {
            let message = "any one of these properties is enough: the first interface by name that has one is taken";
            self.push(Severity::Warning, S::NicFilter, message, hint);
        }
    }

    fn disk_names(&mut self) {
        for name in self.settings.texts(S::DiskList).into_iter().flatten() {
            let taken = self.hardware.map(|hardware| named(hardware, name));
            let would = match taken {
                Some(Some(disk)) => format!(": it would take {}", disk.words()),
                _ => String::new(),
            };
            if name.is_empty() {
                let message = format!("an empty disk name selects the first disk{would}");
                self.danger(S::DiskList, message, "name the disk");
            } else if !name.starts_with("/dev/") && !is_kernel_name(name) {
                let message =
                    format!("`{name}` is no whole name: the first disk whose path ends with it is taken{would}");
                self.danger(S::DiskList, message, "write the whole name, such as `sda` or `nvme0n1`");
            } else if matches!(taken, Some(None)) && !matches!(self.settings.text(S::Filesystem), Some("ext4" | "xfs"))
            {
                let message = format!("this machine has no disk `{name}`; it is left out without a word");
                self.push(Severity::Warning, S::DiskList, message, "name the disks that are there");
            }
        }
    }

    fn disk_filter(&mut self) {
        let single = matches!(self.settings.text(S::Filesystem), Some("ext4" | "xfs"));
        let all = self.settings.text(S::FilterMatch) == Some("all");
        let Some(filter) = Filter::of(self.settings, S::DiskFilter) else { return };
        if single {
            if all && filter.keys().count() > 1 {
                let message = "ext4 and xfs ignore this: the first disk of which any one property matches is wiped";
                self.danger(S::FilterMatch, message, "leave one property that only the meant disk has");
            }
            self.first_of_several(&filter);
        } else if all && filter.keys().next().is_none() {
            self.danger(
                S::DiskFilter,
                "an empty filter with `filter_match = \"all\"` selects every disk",
                "name a property",
            );
        } else if all {
            self.lacking(&filter);
        }
    }

    fn first_of_several(&mut self, filter: &Filter<'_>) {
        let Some(hardware) = self.hardware else { return };
        let matching: Vec<_> = hardware.disks.iter().filter(|disk| filter.any(&disk.udev)).collect();
        if let [first, _, ..] = *matching {
            let message = format!("{} disks match; the first is wiped: {}", matching.len(), first.words());
            self.danger(S::DiskFilter, message, "match one disk, by its `ID_SERIAL`");
        }
    }

    /// With `all`, a property that a disk lacks is not a mismatch.
    fn lacking(&mut self, filter: &Filter<'_>) {
        let hint = "see that every disk has the property and its name is right, or use `filter_match = \"any\"`";
        let Some(hardware) = self.hardware else {
            if let Some(key) = filter.keys().find(|key| !ON_EVERY_DISK.contains(key)) {
                let message = format!(
                    "with `all`, a disk without the property `{key}` is taken too; misspelt, it takes every disk"
                );
                self.danger(S::FilterMatch, message, hint);
            }
            return;
        };
        for key in filter.keys() {
            let lacking = hardware.disks.iter().filter(|disk| !disk.udev.contains_key(key)).count();
            if lacking > 0 {
                let message = if lacking == hardware.disks.len() {
                    format!("no disk has the property `{key}`, and with `all` it therefore excludes none")
                } else {
                    format!("{lacking} disks lack the property `{key}`, and with `all` it does not exclude them")
                };
                self.danger(S::DiskFilter, message, hint);
            }
        }
    }
}

/// Whether `text` has a key type and a key, as the line of a `.pub` file and of `authorized_keys` has.
fn is_key_line(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let is_type = |word: &str| ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|prefix| word.starts_with(prefix));
    words.any(is_type) && words.next().is_some_and(|key| key.starts_with("AAAA"))
}

/// Whether `name` is a whole name that the kernel gives a disk.
fn is_kernel_name(name: &str) -> bool {
    let letters = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase());
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let lettered = ["sd", "vd", "xvd", "hd"].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(letters));
    let numbered = ["mmcblk", "md", "dasd", "pmem"].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(digits));
    let nvme = name.strip_prefix("nvme").and_then(|rest| rest.split_once('n'));
    // Behind a RAID controller: `cciss/c0d0`.
    lettered || numbered || nvme.is_some_and(|(one, two)| digits(one) && digits(two)) || name.starts_with("cciss/")
}

#[cfg(test)]
mod tests {
    use super::is_kernel_name;

    #[test]
    fn whole_names_are_those_of_the_kernel() {
        for name in ["sda", "sdaa", "vdb", "nvme0n1", "mmcblk0", "cciss/c0d0"] {
            assert!(is_kernel_name(name), "{name}");
        }
        for name in ["a", "da", "sd", "nvme0", "0n1", "1", "SDA", "n1"] {
            assert!(!is_kernel_name(name), "{name}");
        }
    }
}

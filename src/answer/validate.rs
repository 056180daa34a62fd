//! The installer's rules about values, beyond spelling and type (PROTOCOL.md §b.2).
//!
//! The strictest release decides: one file starts machines of every generation.

use std::net::IpAddr;

use super::problem::Problem;
use super::read::Reading;
use super::schema::{Setting, Setting as S};
use super::settings::Settings;
use crate::domain::MacAddr;

/// Adds to `reading` every rule its settings break. What the program fills in itself (name, address, NIC) may be missing.
pub(super) fn check(reading: &mut Reading) {
    let mut check = Check { reading: &*reading, problems: Vec::new() };
    check.global();
    check.network();
    check.pinning();
    check.disks();
    check.disk_count();
    check.first_boot();
    let problems = check.problems;
    reading.problems.extend(problems);
}

struct Check<'a> {
    reading: &'a Reading,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn settings(&self) -> &Settings {
        &self.reading.settings
    }

    /// Reports `message` at the place of `setting`.
    fn wrong(&mut self, setting: Setting, message: impl Into<String>, hint: impl Into<String>) {
        let span = self.reading.spans.get(&setting).cloned();
        self.problems.push(Problem::new(setting.spec().path, span, message).hint(hint));
    }

    /// Reports `setting` as missing, unless it is there with a wrong type.
    fn require(&mut self, setting: Setting, hint: &str) {
        if !self.reading.spans.contains_key(&setting) {
            self.wrong(setting, format!("`{}` is missing", setting.spec().path), hint);
        }
    }

    /// Whether the setting is in the file, whatever its type.
    fn given(&self, setting: Setting) -> bool {
        self.reading.spans.contains_key(&setting)
    }

    fn global(&mut self) {
        self.require(S::Country, "add a country code such as `country = \"at\"`");
        self.require(S::Keyboard, "add a layout such as `keyboard = \"en-us\"`");
        self.require(S::Mailto, "add the address that gets the machines' mail");
        self.require(S::Timezone, "add a zone such as `timezone = \"UTC\"`");
        if let Some(country) = self.settings().text(S::Country)
            && !(country.len() == 2 && country.bytes().all(|b| b.is_ascii_lowercase()))
        {
            let message = format!("`{country}` is not a country code of two lower-case letters");
            self.wrong(S::Country, message, "such as `at`");
        }
        if let Some(mailto) = self.settings().text(S::Mailto)
            && (!is_mail_address(mailto) || mailto == "mail@example.invalid")
        {
            let message = format!("the installer refuses `{mailto}` as a mail address");
            self.wrong(S::Mailto, message, "write an address such as `admin@example.com`");
        }
        if let Some(zone) = self.settings().text(S::Timezone)
            && !is_zone(zone)
        {
            let message = format!("`{zone}` is not a time zone the installer knows");
            self.wrong(S::Timezone, message, "write a zone such as `Europe/Vienna`, or `UTC`");
        }
        self.password();
    }

    fn password(&mut self) {
        match (self.given(S::RootPassword), self.given(S::RootPasswordHashed)) {
            (false, false) => {
                let message = "`global.root_password_hashed` or `global.root_password` is missing";
                self.wrong(S::RootPasswordHashed, message, "`mkpasswd --method=yescrypt` makes a hash");
            }
            (true, true) => {
                let message = "both `global.root_password` and `global.root_password_hashed` are given";
                self.wrong(S::RootPassword, message, "keep the hash");
            }
            _ => {}
        }
        if self.settings().text(S::RootPassword).is_some_and(|password| password.len() < 8) {
            self.wrong(S::RootPassword, "the root password has fewer than 8 bytes", "choose a longer one");
        }
        if self.settings().text(S::RootPasswordHashed).is_some_and(str::is_empty) {
            self.wrong(S::RootPasswordHashed, "the hash is empty", "`mkpasswd --method=yescrypt` makes a hash");
        }
    }

    fn network(&mut self) {
        let from_answer = self.settings().text(S::Source) == Some("from-answer");
        if !from_answer && (self.settings().has(S::Source) || !self.given(S::Source)) {
            for setting in [S::Cidr, S::Dns, S::Gateway, S::NicFilter] {
                if self.given(setting) {
                    let message = format!("`{}` is not allowed with `source = \"from-dhcp\"`", setting.spec().path);
                    self.wrong(setting, message, "remove it, or set `source = \"from-answer\"`");
                }
            }
        }
        for setting in [S::Dns, S::Gateway] {
            if let Some(text) = self.settings().text(setting)
                && text.parse::<IpAddr>().is_err()
            {
                let message = format!("`{text}` is not an IP address");
                self.wrong(setting, message, "write one address such as `192.0.2.1`");
            }
        }
        self.globs(S::NicFilter);
    }

    /// Patterns the installer cannot read stop it.
    fn globs(&mut self, setting: Setting) {
        let patterns = self.settings().table(setting).into_iter().flatten();
        let bad: Vec<_> =
            patterns.filter_map(|(key, pattern)| Some((key.clone(), glob::Pattern::new(pattern).err()?))).collect();
        for (key, error) in bad {
            let message = format!("the pattern of `{}.{key}` is malformed: {}", setting.spec().path, error.msg);
            self.wrong(setting, message, "`*`, `?` and `[a-z]` are special; write `[[]` for a bracket");
        }
    }

    fn pinning(&mut self) {
        if !self.given(S::PinningMapping) {
            return;
        }
        self.require(S::PinningEnabled, "add `enabled = true`");
        let mut problems = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        let mut macs = std::collections::BTreeSet::new();
        for (mac, name) in self.settings().table(S::PinningMapping).into_iter().flatten() {
            match mac.parse::<MacAddr>() {
                Ok(parsed) if !macs.insert(parsed) => problems.push(format!("`{mac}` is mapped twice")),
                Ok(_) if mac.contains(':') => {}
                _ => problems.push(format!("`{mac}` is not a MAC address such as `b4:2e:99:ac:ad:b4`")),
            }
            if !is_nic_name(name) {
                problems.push(format!("`{name}` is not an interface name of 2 to 15 letters, digits and `_`"));
            } else if !names.insert(name.as_str()) {
                problems.push(format!("the interface name `{name}` is given twice"));
            }
        }
        for message in problems {
            self.wrong(S::PinningMapping, message, "map each MAC address to one name such as `lan0`");
        }
    }

    fn disks(&mut self) {
        self.require(S::Filesystem, "add `filesystem = \"ext4\"`, `xfs`, `zfs` or `btrfs`");
        let filter_empty = self.settings().table(S::DiskFilter).is_some_and(std::collections::BTreeMap::is_empty);
        match (self.given(S::DiskList), self.given(S::DiskFilter) && !filter_empty) {
            (false, false) => {
                let message = "`disk-setup.disk_list` or `disk-setup.filter` is missing";
                self.wrong(S::DiskList, message, "name the disks, such as `disk_list = [\"sda\"]`");
            }
            (true, true) => {
                let message = "both `disk-setup.disk_list` and `disk-setup.filter` are given";
                self.wrong(S::DiskList, message, "keep one of the two");
            }
            _ => {}
        }
        self.globs(S::DiskFilter);
        let Some(filesystem) = self.settings().text(S::Filesystem).map(str::to_owned) else { return };
        let own = match &*filesystem {
            "zfs" => "zfs",
            "btrfs" => "btrfs",
            _ => "lvm",
        };
        for &setting in Setting::ALL {
            let table = setting.spec().path.strip_prefix("disk-setup.").and_then(|rest| rest.split_once('.'));
            if let Some((table, _)) = table
                && table != own
                && self.given(setting)
            {
                let message = format!("`{}` does not go with `filesystem = \"{filesystem}\"`", setting.spec().path);
                self.wrong(setting, message, format!("remove it, or use the `{own}` settings"));
            }
        }
        match own {
            "zfs" => self.require(S::ZfsRaid, "add `zfs.raid = \"raid1\"` or another level"),
            "btrfs" => self.require(S::BtrfsRaid, "add `btrfs.raid = \"raid1\"` or another level"),
            _ => self.swap(),
        }
    }

    fn swap(&mut self) {
        let sizes = (self.settings().number(S::LvmSwapsize), self.settings().number(S::LvmHdsize));
        if let (Some(swap), Some(disk)) = sizes
            && swap > disk / 2.0
        {
            self.wrong(S::LvmSwapsize, "the swap is larger than half of `lvm.hdsize`", "make it smaller");
        }
    }

    /// The rules about an explicit list; what a filter finds only the machine knows.
    fn disk_count(&mut self) {
        let Some(list) = self.settings().texts(S::DiskList) else { return };
        let mut sorted: Vec<_> = list.iter().map(|name| name.trim_start_matches("/dev/")).collect();
        sorted.sort_unstable();
        let (count, twice) = (list.len(), sorted.windows(2).any(|pair| pair[0] == pair[1]));
        if list.iter().any(|name| name.trim().is_empty()) {
            self.wrong(S::DiskList, "an empty disk name selects the first disk", "name the disk");
        }
        if twice {
            self.wrong(S::DiskList, "a disk is named twice", "name each disk once");
        }
        let raid = self.settings().text(S::ZfsRaid).or_else(|| self.settings().text(S::BtrfsRaid)).map(str::to_owned);
        match (self.settings().text(S::Filesystem), raid) {
            (Some(filesystem @ ("ext4" | "xfs")), _) if count != 1 => {
                let message = format!("{filesystem} goes on exactly one disk, and {count} are named");
                self.wrong(S::DiskList, message, "name one disk");
            }
            (Some("zfs" | "btrfs"), Some(raid)) => {
                let least = least_disks(&raid);
                if count < least {
                    let message = format!("{raid} needs at least {least} disks, and {count} are named");
                    self.wrong(S::DiskList, message, "name more disks, or choose another level");
                } else if raid == "raid10" && count % 2 == 1 {
                    let message = format!("raid10 needs an even number of disks, and {count} are named");
                    self.wrong(S::DiskList, message, "name one more, or one less");
                }
            }
            _ => {}
        }
    }

    fn first_boot(&mut self) {
        let all = [S::FirstBootSource, S::FirstBootOrdering, S::FirstBootUrl, S::FirstBootFingerprint];
        if all.into_iter().any(|setting| self.given(setting)) {
            self.require(S::FirstBootSource, "add `source = \"from-url\"` or `\"from-iso\"`");
        }
        if self.settings().text(S::FirstBootSource) == Some("from-url") {
            self.require(S::FirstBootUrl, "add the address of the script");
        }
    }
}

/// Fewest disks of an explicit list (checked by the installer from 9.0.5).
fn least_disks(raid: &str) -> usize {
    match raid {
        "raid1" => 2,
        "raidz-1" => 3,
        "raid10" | "raidz-2" => 4,
        "raidz-3" => 5,
        _ => 1,
    }
}

/// The HTML specification's pattern for an e-mail address, which the installer uses from 8.2.7.
fn is_mail_address(text: &str) -> bool {
    let Some((user, host)) = text.rsplit_once('@') else { return false };
    let user_ok = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !user.is_empty() && user.bytes().all(user_ok) && host.split('.').all(label_ok)
}

/// `UTC`, or the shape of a `zone.tab` name. The zones themselves are in the installer's own table.
fn is_zone(text: &str) -> bool {
    let part_ok =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b));
    text == "UTC" || (text.contains('/') && !text.starts_with("Etc/") && text.split('/').all(part_ok))
}

/// A pinned interface name: a letter, then letters, digits and `_`, with an optional `.N` or `:N`.
fn is_nic_name(text: &str) -> bool {
    let (stem, suffix) = text.split_once(['.', ':']).map_or((text, None), |(stem, suffix)| (stem, Some(suffix)));
    (2..=15).contains(&text.len())
        && stem.starts_with(|c: char| c.is_ascii_alphabetic())
        && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && suffix.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

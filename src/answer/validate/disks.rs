//! `[disk-setup]` and `[first-boot]` (PROTOCOL.md §b.2).

use super::{Check, Severity};
use crate::answer::installer::Installer;
use crate::answer::schema::{Kind, Setting, Setting as S};

/// Tables of one file system's options each.
const OPTIONS: [&str; 3] = ["zfs", "lvm", "btrfs"];

impl Check<'_> {
    pub(super) fn disks(&mut self) {
        self.require(S::Filesystem, "add `filesystem = \"ext4\"`, `xfs`, `zfs` or `btrfs`");
        self.selection();
        self.globs(S::DiskFilter);
        self.numbers();
        self.swap();
        let Some(filesystem) = self.settings().text(S::Filesystem) else { return };
        let own = options_of(filesystem);
        for table in OPTIONS.into_iter().filter(|table| *table != own) {
            self.foreign_options(table, own, filesystem);
        }
        self.raid_level(own);
        self.count(filesystem);
    }

    /// A list or a filter. An empty list is none; an empty filter is none from 9.0.5.
    fn selection(&mut self) {
        let listed = match self.settings().texts(S::DiskList) {
            Some(list) => !list.is_empty(),
            None => self.given(S::DiskList),
        };
        let empty = self.settings().table(S::DiskFilter).is_some_and(std::collections::BTreeMap::is_empty);
        let filtered = self.given(S::DiskFilter) && !(empty && self.target.knows(Installer::V9_0_5));
        match (listed, filtered) {
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
    }

    /// Options of another file system than the chosen one.
    fn foreign_options(&mut self, table: &str, own: &str, filesystem: &str) {
        let prefix = format!("disk-setup.{table}");
        if !self.has_table(&prefix) {
            return;
        }
        let hint = format!("remove it, or use the `{own}` settings");
        let of_table =
            |setting: &&Setting| setting.spec().path.strip_prefix(&*prefix).is_some_and(|rest| rest.starts_with('.'));
        let mut named = false;
        for &setting in Setting::ALL.iter().filter(of_table) {
            if self.given(setting) {
                let message = format!("`{}` does not go with `filesystem = \"{filesystem}\"`", setting.spec().path);
                self.wrong(setting, message, hint.clone());
                named = true;
            }
        }
        if !named {
            self.wrong(S::Filesystem, format!("`{prefix}` does not go with `filesystem = \"{filesystem}\"`"), hint);
        }
    }

    /// The level and its case: lower case up to 8.2.6, `RAIDZ-n` and lower-case others up to 8.3.2, then either.
    fn raid_level(&mut self, own: &str) {
        let setting = match own {
            "zfs" => S::ZfsRaid,
            "btrfs" => S::BtrfsRaid,
            _ => return,
        };
        self.require(setting, &format!("add `{own}.raid = \"raid1\"` or another level"));
        let Some(level) = self.settings().text(setting) else { return };
        if self.is_base() || self.target.knows(Installer::V8_3_3) {
            return;
        }
        let lower = level.to_ascii_lowercase();
        let is_upper = lower.starts_with("raidz") && self.target.knows(Installer::V8_2_7);
        let right = if is_upper { level.to_ascii_uppercase() } else { lower };
        if level != right {
            let message = format!("installers before 8.3.3 know `{level}` only as `{right}`");
            self.wrong(setting, message, format!("write `{right}` for them"));
        }
    }

    /// Sizes and counts nobody can mean; the installer asks for numbers only.
    fn numbers(&mut self) {
        for &setting in Setting::ALL.iter().filter(|setting| setting.spec().kind == Kind::Number) {
            if self.settings().number(setting).is_some_and(|number| !number.is_finite() || number < 0.0) {
                let message = format!("`{}` must be a number of GiB that is not negative", setting.spec().path);
                self.unwise(setting, message, "such as `32`");
            }
        }
        for setting in [S::ZfsHdsize, S::LvmHdsize, S::BtrfsHdsize] {
            if self.settings().number(setting).is_some_and(|number| (0.0..2.0).contains(&number)) {
                let message = format!("`{}` is too small for an installation", setting.spec().path);
                self.push(Severity::Warning, setting, message, "GiB, 2 or more; without it all of the disk is used");
            }
        }
        let ranges = [(S::ZfsAshift, 9.0, 16.0), (S::ZfsCopies, 1.0, 3.0), (S::ZfsArcMax, 64.0, f64::INFINITY)];
        for (setting, least, most) in ranges {
            if self.settings().number(setting).is_some_and(|number| !(least..=most).contains(&number)) {
                let message = format!("`{}` is outside of what ZFS works with", setting.spec().path);
                let hint = if most.is_finite() { format!("{least} to {most}") } else { format!("{least} or more") };
                self.push(Severity::Warning, setting, message, hint);
            }
        }
    }

    fn swap(&mut self) {
        let sizes = (self.settings().number(S::LvmSwapsize), self.settings().number(S::LvmHdsize));
        if let (Some(swap), Some(disk)) = sizes
            && swap > disk / 2.0
            && self.target.knows(Installer::V9_0_5)
        {
            self.wrong(S::LvmSwapsize, "the swap is larger than half of `lvm.hdsize`", "make it smaller");
        }
    }

    /// The rules about an explicit list; what a filter finds only the machine knows.
    fn count(&mut self, filesystem: &str) {
        let Some(list) = self.settings().texts(S::DiskList) else { return };
        let count = list.len();
        if matches!(filesystem, "ext4" | "xfs") && count > 1 {
            let message = format!("{filesystem} goes on exactly one disk, and {count} are named");
            self.wrong(S::DiskList, message, "name one disk");
        }
        if self.is_base() && list.iter().any(|name| name.trim().is_empty()) {
            self.wrong(S::DiskList, "an empty disk name selects the first disk", "name the disk");
        }
        self.links(list);
        self.duplicates(list);
        if count > 0 {
            self.raid_count(filesystem, count);
        }
    }

    /// Names are compared with the ends of the kernel's paths; links such as `/dev/disk/by-id/…` are never looked at.
    fn links(&mut self, list: &[String]) {
        let is_link = |name: &&String| name.starts_with("/dev/disk/") || name.starts_with("/dev/mapper/");
        let Some(link) = list.iter().find(is_link) else { return };
        let hint = "use a `filter` over `ID_SERIAL` or `ID_PATH`";
        let message = format!("`{link}` names no disk: links are never looked at");
        if list.iter().all(|name| is_link(&name)) {
            self.wrong(S::DiskList, message, hint);
        } else {
            self.push(Severity::Warning, S::DiskList, message, hint);
        }
    }

    /// The installer compares from 9.0.5 and takes `sda` and `/dev/sda` for two names.
    fn duplicates(&mut self, list: &[String]) {
        let is_repeated = |same: fn(&str) -> &str| {
            let mut names: Vec<_> = list.iter().map(|name| same(name)).collect();
            names.sort_unstable();
            names.windows(2).any(|pair| pair[0] == pair[1])
        };
        if is_repeated(|name| name) && self.target.knows(Installer::V9_0_5) {
            self.wrong(S::DiskList, "a disk is named twice", "name each disk once");
        } else if is_repeated(|name| name.trim_start_matches("/dev/")) {
            self.unwise(S::DiskList, "a disk is named twice", "name each disk once");
        }
    }

    fn raid_count(&mut self, filesystem: &str, count: usize) {
        let setting = if filesystem == "zfs" { S::ZfsRaid } else { S::BtrfsRaid };
        let Some(raid) = self.settings().text(setting).map(str::to_ascii_lowercase) else { return };
        if !matches!(filesystem, "zfs" | "btrfs") {
            return;
        }
        let least = least_disks(&raid);
        if count < least {
            let message = format!("{raid} needs at least {least} disks, and {count} are named");
            let hint = "name more disks, or choose another level";
            if self.target.knows(Installer::V9_0_5) {
                self.wrong(S::DiskList, message, hint);
            } else {
                self.unwise(S::DiskList, format!("{message}: it stops before it writes"), hint);
            }
        } else if raid == "raid10" && count % 2 == 1 {
            let message = format!("raid10 needs an even number of disks, and {count} are named");
            let hint = "name one more, or one less";
            if filesystem == "zfs" && self.target.knows(Installer::V9_2_6) {
                self.wrong(S::DiskList, message, hint);
            } else {
                self.unwise(S::DiskList, message, hint);
            }
        }
    }

    pub(super) fn first_boot(&mut self) {
        if !self.has_table("first-boot") {
            return;
        }
        self.require(S::FirstBootSource, "add `source = \"from-url\"` or `\"from-iso\"`");
        if self.settings().text(S::FirstBootSource) == Some("from-url") {
            self.require(S::FirstBootUrl, "add the address of the script");
            self.address(S::FirstBootUrl, S::FirstBootFingerprint);
        }
    }
}

/// The table with the options of a file system.
fn options_of(filesystem: &str) -> &'static str {
    match filesystem {
        "zfs" => "zfs",
        "btrfs" => "btrfs",
        _ => "lvm",
    }
}

/// Fewest disks of a RAID level, in lower case; an explicit list is counted by the installer from 9.0.5.
pub(in crate::answer) fn least_disks(raid: &str) -> usize {
    match raid {
        "raid1" => 2,
        "raidz-1" => 3,
        "raid10" | "raidz-2" => 4,
        "raidz-3" => 5,
        _ => 1,
    }
}

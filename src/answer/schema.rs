//! The settings of an answer file: spelling, type, and since when every installer accepts them (PROTOCOL.md §b.2).

use super::installer::Installer;

/// Keyboard layouts the installers know (closed list since 8.2.4).
const KEYBOARDS: &[&str] = &[
    "de", "de-ch", "dk", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "jp", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "se", "si", "tr",
];

/// The type of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A string, or a table of strings (`global.fqdn`).
    TextOrTable,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// One of these RAID levels, in lower or in upper case.
    Raid(&'static [&'static str]),
    /// A list of strings.
    Texts,
    /// A table whose values are strings.
    Table,
    /// `true` or `false`.
    Flag,
    /// A whole number, not negative.
    Whole,
    /// A number, of which the installer asks nothing else.
    Number,
}

/// What to do with a setting that is too new for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooNew {
    /// The machine is installed well without it; it is left out and said so.
    LeaveOut,
    /// The result would not be what the operator asked for; nothing is rendered.
    Refuse,
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// All of it.
    Open,
    /// Scheme and host of a URL, whose path may hold a secret.
    Host,
    /// Nothing.
    Secret,
}

/// All there is to know about a setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    /// Where it stands, dotted, in the "one text for all" spelling of PROTOCOL.md §b.1.
    pub(super) path: &'static str,
    /// The other spelling of its last part, which installers accept from 8.4.0.
    pub(super) alias: Option<&'static str>,
    /// Type of its value.
    pub(super) kind: Kind,
    /// The first installer that knows it.
    pub(super) since: Installer,
    /// What to do where it is too new.
    pub(super) too_new: TooNew,
    /// How much of it may be shown.
    pub(super) show: Show,
}

const fn v(major: u8, minor: u8, patch: u8) -> Installer {
    Installer::new(major, minor, patch)
}

const fn spec(path: &'static str, kind: Kind) -> Spec {
    Spec { path, alias: None, kind, since: v(8, 2, 2), too_new: LeaveOut, show: Show::Open }
}

impl Spec {
    const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    const fn since(mut self, since: Installer, too_new: TooNew) -> Self {
        self.since = since;
        self.too_new = too_new;
        self
    }

    const fn show(mut self, show: Show) -> Self {
        self.show = show;
        self
    }
}

/// Defines the settings and the table of their specs in the order in which they are written.
macro_rules! settings {
    ($($name:ident = $spec:expr;)*) => {
        /// A setting of the answer file. The order is that of the written answer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) enum Setting { $($name),* }

        impl Setting {
            /// Every setting.
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];

            /// What is known about it.
            pub(super) fn spec(self) -> &'static Spec {
                match self { $(Self::$name => const { &$spec }),* }
            }
        }
    };
}

use Kind::{Choice, Flag, Number, Raid, Table, Text, TextOrTable, Texts, Whole};
use TooNew::{LeaveOut, Refuse};

settings! {
    Country = spec("global.country", Text);
    Keyboard = spec("global.keyboard", Choice(KEYBOARDS));
    Fqdn = spec("global.fqdn", TextOrTable);
    Mailto = spec("global.mailto", Text);
    Timezone = spec("global.timezone", Text);
    RootPassword = spec("global.root_password", Text).alias("root-password").show(Show::Secret);
    RootPasswordHashed = spec("global.root_password_hashed", Text).alias("root-password-hashed").since(v(8, 2, 7), Refuse)
        .show(Show::Secret);
    RootSshKeys = spec("global.root_ssh_keys", Texts).alias("root-ssh-keys");
    RebootOnError = spec("global.reboot_on_error", Flag).alias("reboot-on-error");
    RebootMode = spec("global.reboot_mode", Choice(&["reboot", "power-off"])).alias("reboot-mode").since(v(8, 4, 3), LeaveOut);
    SubscriptionKey = spec("global.subscription_key", Text).alias("subscription-key").since(v(9, 2, 0), LeaveOut)
        .show(Show::Secret);

    Source = spec("network.source", Choice(&["from-dhcp", "from-answer"]));
    Cidr = spec("network.cidr", Text);
    Dns = spec("network.dns", Text);
    Gateway = spec("network.gateway", Text);
    NicFilter = spec("network.filter", Table);
    PinningEnabled = spec("network.interface-name-pinning.enabled", Flag).since(v(9, 1, 0), LeaveOut);
    PinningMapping = spec("network.interface-name-pinning.mapping", Table).since(v(9, 1, 0), LeaveOut);

    Filesystem = spec("disk-setup.filesystem", Choice(&["ext4", "xfs", "zfs", "btrfs"]));
    DiskList = spec("disk-setup.disk_list", Texts).alias("disk-list");
    DiskFilter = spec("disk-setup.filter", Table);
    FilterMatch = spec("disk-setup.filter_match", Choice(&["any", "all"])).alias("filter-match");
    ZfsRaid = spec("disk-setup.zfs.raid", Raid(&["raid0", "raid1", "raid10", "raidz-1", "raidz-2", "raidz-3"]));
    ZfsAshift = spec("disk-setup.zfs.ashift", Whole);
    ZfsArcMax = spec("disk-setup.zfs.arc_max", Whole).alias("arc-max");
    ZfsChecksum = spec("disk-setup.zfs.checksum", Choice(&["on", "fletcher4", "sha256"]));
    ZfsCompress = spec("disk-setup.zfs.compress", Choice(&["on", "off", "lzjb", "lz4", "zle", "gzip", "zstd"]));
    ZfsCopies = spec("disk-setup.zfs.copies", Whole);
    ZfsHdsize = spec("disk-setup.zfs.hdsize", Number);
    LvmHdsize = spec("disk-setup.lvm.hdsize", Number);
    LvmSwapsize = spec("disk-setup.lvm.swapsize", Number);
    LvmMaxroot = spec("disk-setup.lvm.maxroot", Number);
    LvmMaxvz = spec("disk-setup.lvm.maxvz", Number);
    LvmMinfree = spec("disk-setup.lvm.minfree", Number);
    BtrfsRaid = spec("disk-setup.btrfs.raid", Raid(&["raid0", "raid1", "raid10"]));
    BtrfsHdsize = spec("disk-setup.btrfs.hdsize", Number);
    BtrfsCompress = spec("disk-setup.btrfs.compress", Choice(&["on", "off", "zlib", "lzo", "zstd"])).since(v(8, 2, 7), LeaveOut);

    WebhookUrl = spec("post-installation-webhook.url", Text).since(v(8, 2, 7), Refuse).show(Show::Host);
    WebhookFingerprint = spec("post-installation-webhook.cert_fingerprint", Text).alias("cert-fingerprint")
        .since(v(8, 2, 7), Refuse);
    // The secret that is in the URL too: installers that know it echo it in the report's body, where no proxy logs it.
    WebhookToken = spec("post-installation-webhook.auth_token", Text).alias("auth-token").since(v(9, 2, 0), LeaveOut)
        .show(Show::Secret);

    FirstBootSource = spec("first-boot.source", Choice(&["from-url", "from-iso"])).since(v(8, 3, 0), Refuse);
    FirstBootOrdering = spec("first-boot.ordering", Choice(&["before-network", "network-online", "fully-up"]))
        .since(v(8, 3, 0), Refuse);
    FirstBootUrl = spec("first-boot.url", Text).since(v(8, 3, 0), Refuse).show(Show::Host);
    // 8.3 takes only kebab-case here, unlike in the webhook section.
    FirstBootFingerprint = spec("first-boot.cert-fingerprint", Text).alias("cert_fingerprint").since(v(8, 3, 0), Refuse);
}

/// What a key inside a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A setting.
    Setting(Setting),
    /// A table of settings.
    Table,
    /// Nothing an installer knows.
    Unknown,
}

impl Setting {
    /// The key `name` inside the table `prefix` (dotted; empty for the document).
    pub(super) fn step(prefix: &str, name: &str) -> Step {
        for &setting in Self::ALL {
            let Some(rest) = setting.below(prefix) else { continue };
            match rest.split_once('.') {
                None if rest == name || setting.spec().alias == Some(name) => return Step::Setting(setting),
                Some((table, _)) if table == name => return Step::Table,
                _ => {}
            }
        }
        Step::Unknown
    }

    /// Every key that may stand in the table `prefix`, in both spellings.
    pub(super) fn keys_in(prefix: &str) -> impl Iterator<Item = &'static str> {
        Self::ALL
            .iter()
            .filter_map(move |setting| Some((setting.below(prefix)?, setting.spec().alias)))
            .flat_map(|(rest, alias)| match rest.split_once('.') {
                Some((table, _)) => [Some(table), None],
                None => [Some(rest), alias],
            })
            .flatten()
    }

    /// The rest of the path below the table `prefix`.
    fn below(self, prefix: &str) -> Option<&'static str> {
        let path = self.spec().path;
        if prefix.is_empty() { Some(path) } else { path.strip_prefix(prefix)?.strip_prefix('.') }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_lead_to_one_setting_and_sections_have_one() {
        assert_eq!(Setting::step("global", "root-password"), Step::Setting(Setting::RootPassword));
        assert_eq!(Setting::step("global", "root_password"), Step::Setting(Setting::RootPassword));
        assert_eq!(Setting::step("disk-setup.zfs", "arc-max"), Step::Setting(Setting::ZfsArcMax));
        assert_eq!(Setting::step("", "disk-setup"), Step::Table);
        assert_eq!(Setting::step("", "disk_setup"), Step::Unknown);
        assert_eq!(Setting::step("network", "interface_name_pinning"), Step::Unknown);
        assert_eq!(Setting::step("glob", "al"), Step::Unknown);
    }

    #[test]
    fn settings_of_one_table_stand_together() {
        let tables: Vec<_> = Setting::ALL.iter().map(|s| s.spec().path.split_once('.').unwrap().0).collect();
        let mut seen = tables.clone();
        seen.dedup();
        assert_eq!(seen, ["global", "network", "disk-setup", "post-installation-webhook", "first-boot"]);
    }
}

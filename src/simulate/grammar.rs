//! The answer file as each release parses it (PROTOCOL.md §b.2): tables, required keys, closed lists, shape checks.
//!
//! Owns the step "TOML/serde" of PROTOCOL.md §b.4. It must not look at the machine; that is `installer`.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::fields::{Fields, Key, ParseError, Spelling, bad, key};
use super::hardware::Filter;
use super::locale::KEYBOARDS;
use super::release::Release;
use crate::domain::Fqdn;

const ROOT: [Key; 5] = [
    key("global"),
    key("network"),
    key("disk-setup"),
    key("post-installation-webhook").since(Release::V8_3),
    key("first-boot").since(Release::V8_3),
];
const GLOBAL: [Key; 11] = [
    key("country"),
    key("fqdn"),
    key("keyboard"),
    key("mailto"),
    key("timezone"),
    key("root-password").spelled(Spelling::Snake),
    key("root-password-hashed").spelled(Spelling::Snake).since(Release::V8_3),
    key("reboot-on-error").spelled(Spelling::Snake),
    key("reboot-mode").spelled(Spelling::Snake).since(Release::V8_4),
    key("root-ssh-keys").spelled(Spelling::Snake),
    key("subscription-key").spelled(Spelling::Snake).since(Release::V9_2),
];
const NETWORK: [Key; 6] = [
    key("source"),
    key("cidr"),
    key("dns"),
    key("gateway"),
    key("filter"),
    key("interface-name-pinning").since(Release::V9_1),
];
const DISKS: [Key; 7] = [
    key("filesystem"),
    key("disk-list").spelled(Spelling::Snake),
    key("filter"),
    key("filter-match").spelled(Spelling::Snake),
    key("zfs"),
    key("lvm"),
    key("btrfs"),
];
const ZFS: [Key; 7] = [
    key("raid"),
    key("ashift"),
    key("arc-max").spelled(Spelling::Snake),
    key("checksum"),
    key("compress"),
    key("copies"),
    key("hdsize"),
];
const LVM: [Key; 5] = [key("hdsize"), key("swapsize"), key("maxroot"), key("maxvz"), key("minfree")];
const BTRFS: [Key; 3] = [key("raid"), key("hdsize"), key("compress").since(Release::V8_3)];
const WEBHOOK: [Key; 3] = [
    key("url"),
    key("cert-fingerprint").spelled(Spelling::Snake),
    key("auth-token").spelled(Spelling::Snake).since(Release::V9_2),
];
const FIRST_BOOT: [Key; 4] =
    [key("source"), key("ordering"), key("url"), key("cert-fingerprint").spelled(Spelling::Kebab)];

/// An answer a release can parse. What it asks for may still be impossible on a machine.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) global: Global,
    pub(super) network: Network,
    pub(super) disks: Disks,
    pub(super) webhook: Option<Webhook>,
    pub(super) first_boot: Option<FirstBoot>,
}

#[derive(Clone, Debug)]
pub(super) struct Global {
    pub(super) country: String,
    pub(super) fqdn: HostName,
    pub(super) mailto: String,
    pub(super) timezone: String,
    pub(super) password: Option<String>,
    pub(super) password_hashed: Option<String>,
    pub(super) ssh_keys: Vec<String>,
    pub(super) reboot_on_error: bool,
    pub(super) power_off: bool,
}

/// `global.fqdn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostName {
    Given(String),
    FromDhcp { domain: Option<String> },
}

#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) manual: Option<Manual>,
    pub(super) pinning: Option<Pinning>,
}

#[derive(Clone, Debug)]
pub(super) struct Manual {
    /// Address with prefix, as given.
    pub(super) cidr: String,
    pub(super) filter: Filter,
}

#[derive(Clone, Debug)]
pub(super) struct Pinning {
    pub(super) enabled: bool,
    pub(super) mapping: Filter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileSystem {
    Ext4,
    Xfs,
    Zfs,
    Btrfs,
}

#[derive(Clone, Debug)]
pub(super) struct Disks {
    pub(super) filesystem: FileSystem,
    pub(super) list: Vec<String>,
    pub(super) filter: Option<Filter>,
    pub(super) match_all: bool,
    /// Lower-case RAID level of the zfs or btrfs table.
    pub(super) zfs_raid: Option<String>,
    pub(super) btrfs_raid: Option<String>,
    /// Which of the tables `zfs`, `lvm` and `btrfs` are given.
    pub(super) options: Vec<&'static str>,
    pub(super) lvm_hdsize: Option<f64>,
    pub(super) lvm_swapsize: Option<f64>,
}

/// `[post-installation-webhook]`: where an installed machine reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where the report goes.
    pub url: String,
    /// SHA-256 of the certificate, as given.
    pub fingerprint: Option<String>,
    /// `auth-token`, sent as `token` in the report's body (9.2).
    pub token: Option<String>,
}

/// `[first-boot]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstBoot {
    /// An executable inside the medium; a simulated medium has none.
    FromIso,
    /// An executable fetched by GET before anything is checked.
    FromUrl {
        /// Where from.
        url: String,
        /// SHA-256 of the certificate, as given.
        fingerprint: Option<String>,
    },
}

impl Answer {
    /// Parses a reply: TOML, or JSON where the release reads it (`json`).
    pub(super) fn parse(release: Release, body: &[u8], json: bool) -> Result<Self, ParseError> {
        let text = std::str::from_utf8(body).map_err(|_| ParseError("answer file is not valid UTF-8".to_owned()))?;
        let mut root: Value = if json {
            serde_json::from_str(text).map_err(|error| ParseError(error.to_string()))?
        } else {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            toml_edit::de::from_str(text).map_err(|error| ParseError(error.message().to_owned()))?
        };
        if json {
            drop_nulls(&mut root);
        }
        let Some(root) = root.as_object() else { return bad("answer is not a table") };
        let fields = Fields::open(root, &ROOT, release)?;
        let required = |name: &str| match fields.table(name)? {
            Some(table) => Ok(table),
            None => bad(format!("missing field `{name}`")),
        };
        let answer = Self {
            global: Global::read(required("global")?, release)?,
            network: Network::read(required("network")?, release)?,
            disks: Disks::read(required("disk-setup")?, release)?,
            webhook: fields
                .table("post-installation-webhook")?
                .map(|table| Webhook::read(table, release))
                .transpose()?,
            first_boot: fields.table("first-boot")?.map(|table| FirstBoot::read(table, release)).transpose()?,
        };
        if release < Release::V9_2 {
            // Up to 9.1.7 the shape of the disk table is checked while parsing (PROTOCOL.md §b.4).
            answer.disks.check_shape(release).map_err(ParseError)?;
        }
        Ok(answer)
    }
}

/// `null` stands for an absent key in a JSON answer (PROTOCOL.md §a.6).
fn drop_nulls(value: &mut Value) {
    if let Value::Object(table) = value {
        table.retain(|_, value| !value.is_null());
        table.values_mut().for_each(drop_nulls);
    }
}

impl Global {
    fn read(table: &Map<String, Value>, release: Release) -> Result<Self, ParseError> {
        let fields = Fields::open(table, &GLOBAL, release)?;
        fields.text("subscription-key")?;
        if fields.one_of("keyboard", &KEYBOARDS)?.is_none() {
            return bad("missing field `keyboard`");
        }
        let password = fields.text("root-password")?;
        if release == Release::V8_2 && password.is_none() {
            return bad("missing field `root_password`");
        }
        Ok(Self {
            country: fields.required_text("country")?,
            fqdn: HostName::read(fields.get("fqdn"), release)?,
            mailto: fields.required_text("mailto")?,
            timezone: fields.required_text("timezone")?,
            password,
            password_hashed: fields.text("root-password-hashed")?,
            ssh_keys: fields.texts("root-ssh-keys")?,
            reboot_on_error: fields.flag("reboot-on-error")?.unwrap_or(false),
            power_off: fields.one_of("reboot-mode", &["reboot", "power-off"])?.as_deref() == Some("power-off"),
        })
    }
}

impl HostName {
    fn read(value: Option<&Value>, release: Release) -> Result<Self, ParseError> {
        let words = if release < Release::V8_4 {
            "invalid FQDN"
        } else {
            "either a fully-qualified domain name or extendend configuration for usage with DHCP must be specified"
        };
        match value {
            None => bad("missing field `fqdn`"),
            Some(Value::String(name)) if name.parse::<Fqdn>().is_ok() => Ok(Self::Given(name.clone())),
            Some(Value::Object(table)) if release >= Release::V8_4 => {
                let read = || {
                    let fields = Fields::open(table, &[key("source"), key("domain")], release)?;
                    fields.one_of("source", &["from-dhcp"])?;
                    fields.text("domain")
                };
                let domain = read().map_err(|_: ParseError| ParseError(words.to_owned()))?;
                // An empty domain counts as unset from 9.0.5.
                Ok(Self::FromDhcp { domain: domain.filter(|domain| release < Release::V9_1 || !domain.is_empty()) })
            }
            Some(_) => bad(words),
        }
    }
}

impl Network {
    fn read(table: &Map<String, Value>, release: Release) -> Result<Self, ParseError> {
        let fields = Fields::open(table, &NETWORK, release)?;
        let source = fields.one_of("source", &["from-dhcp", "from-answer"])?;
        if source.is_none() && release >= Release::V9_2 {
            return bad("missing field `source`");
        }
        let cidr = fields.text("cidr")?;
        let pinning = fields.table("interface-name-pinning")?.map(|table| Pinning::read(table, release)).transpose()?;
        for address in ["dns", "gateway"] {
            if fields.text(address)?.is_some_and(|given| given.parse::<IpAddr>().is_err()) {
                return bad("invalid IP address syntax");
            }
        }
        if cidr.as_deref().is_some_and(|cidr| !is_cidr(cidr, release)) {
            return bad("invalid CIDR");
        }
        let filter = fields.filter("filter")?;
        if source.as_deref() != Some("from-answer") {
            if fields.has_any(&["cidr", "dns", "gateway", "filter"]) {
                return bad("Fields 'cidr', 'dns', 'gateway' and 'filter' cannot be set for 'from-dhcp'");
            }
            return Ok(Self { manual: None, pinning });
        }
        if let Some(missing) = ["cidr", "dns", "gateway"].into_iter().find(|name| !fields.has_any(&[name])) {
            return bad(format!("Field '{missing}' must be set."));
        }
        // In 9.2 a missing filter is found only when it is to be matched; in 9.1 an empty one counts as missing.
        let filter = match filter {
            None if release < Release::V9_2 => return bad("Field 'filter' must be set."),
            Some(filter) if filter.is_empty() && release == Release::V9_1 => return bad("Field 'filter' must be set."),
            filter => filter.unwrap_or_default(),
        };
        Ok(Self { manual: cidr.map(|cidr| Manual { cidr, filter }), pinning })
    }
}

/// Address/prefix; 9.2 takes a bare address as well (PROTOCOL.md §b.2).
fn is_cidr(text: &str, release: Release) -> bool {
    match text.split_once('/') {
        None => release >= Release::V9_2 && text.parse::<IpAddr>().is_ok(),
        Some((address, prefix)) => {
            let Ok(address) = address.parse::<IpAddr>() else { return false };
            let most = if address.is_ipv4() { 32 } else { 128 };
            prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most)
        }
    }
}

impl Pinning {
    fn read(table: &Map<String, Value>, release: Release) -> Result<Self, ParseError> {
        let fields = Fields::open(table, &[key("enabled"), key("mapping")], release)?;
        let Some(enabled) = fields.flag("enabled")? else { return bad("missing field `enabled`") };
        Ok(Self { enabled, mapping: fields.filter("mapping")?.unwrap_or_default() })
    }
}

impl Disks {
    fn read(table: &Map<String, Value>, release: Release) -> Result<Self, ParseError> {
        let fields = Fields::open(table, &DISKS, release)?;
        let filesystem = match fields.one_of("filesystem", &["ext4", "xfs", "zfs", "btrfs"])?.as_deref() {
            None => return bad("missing field `filesystem`"),
            Some("ext4") => FileSystem::Ext4,
            Some("xfs") => FileSystem::Xfs,
            Some("zfs") => FileSystem::Zfs,
            Some(_) => FileSystem::Btrfs,
        };
        let (zfs, lvm, btrfs) = (fields.table("zfs")?, fields.table("lvm")?, fields.table("btrfs")?);
        let lvm_fields = lvm.map(|table| read_lvm(table, release)).transpose()?;
        let zfs_raid = zfs.map(|table| read_zfs(table, release)).transpose()?.flatten();
        let btrfs_raid = btrfs.map(|table| read_btrfs(table, release)).transpose()?.flatten();
        let options = ["zfs", "lvm", "btrfs"].into_iter().filter(|name| fields.has_any(&[name])).collect();
        Ok(Self {
            filesystem,
            list: fields.texts("disk-list")?,
            // An empty filter counts as unset from 9.0.5.
            filter: fields.filter("filter")?.filter(|filter| release < Release::V9_1 || !filter.is_empty()),
            match_all: fields.one_of("filter-match", &["any", "all"])?.as_deref() == Some("all"),
            zfs_raid,
            btrfs_raid,
            options,
            lvm_hdsize: lvm_fields.and_then(|(hdsize, _)| hdsize),
            lvm_swapsize: lvm_fields.and_then(|(_, swapsize)| swapsize),
        })
    }

    /// Disk list or filter, options of the right file system, one disk where only one can be (PROTOCOL.md §b.2).
    pub(super) fn check_shape(&self, release: Release) -> Result<(), String> {
        let list = if release < Release::V9_1 { "disk_list" } else { "disk-list" };
        match (self.list.is_empty(), &self.filter) {
            (true, None) => return Err(format!("Need either '{list}' or 'filter' set")),
            (false, Some(_)) => return Err(format!("Cannot use both, '{list}' and 'filter'")),
            _ => {}
        }
        let own = match self.filesystem {
            FileSystem::Ext4 | FileSystem::Xfs => "lvm",
            FileSystem::Zfs => "zfs",
            FileSystem::Btrfs => "btrfs",
        };
        if self.options.iter().any(|given| *given != own) {
            return Err(format!("make sure only '{own}' options are set"));
        }
        match (own, self.raid()) {
            ("lvm", _) if self.list.len() > 1 => Err("make sure to define only one disk for ext4 and xfs".to_owned()),
            ("lvm", _) | (_, Some(_)) => Ok(()),
            (_, None) => Err(format!("{} raid level '{own}.raid' must be set", own.to_ascii_uppercase())),
        }
    }

    /// The RAID level that counts for this file system.
    pub(super) fn raid(&self) -> Option<&str> {
        match self.filesystem {
            FileSystem::Zfs => self.zfs_raid.as_deref(),
            FileSystem::Btrfs => self.btrfs_raid.as_deref(),
            FileSystem::Ext4 | FileSystem::Xfs => None,
        }
    }
}

/// A RAID level in lower case; upper-case names are taken from 8.3.3, mixed case never (PROTOCOL.md §b.2).
fn read_raid(fields: &Fields<'_>, levels: &[&'static str], release: Release) -> Result<Option<String>, ParseError> {
    let upper: Vec<String> = levels.iter().map(|level| level.to_ascii_uppercase()).collect();
    let mut allowed = levels.to_vec();
    if release > Release::V8_2 {
        allowed.extend(upper.iter().map(String::as_str));
    }
    Ok(fields.one_of("raid", &allowed)?.map(|level| level.to_ascii_lowercase()))
}

fn read_zfs(table: &Map<String, Value>, release: Release) -> Result<Option<String>, ParseError> {
    let fields = Fields::open(table, &ZFS, release)?;
    for name in ["ashift", "arc-max", "copies"] {
        fields.whole(name)?;
    }
    fields.number("hdsize")?;
    fields.one_of("checksum", &["on", "fletcher4", "sha256"])?;
    fields.one_of("compress", &["on", "off", "lzjb", "lz4", "zle", "gzip", "zstd"])?;
    read_raid(&fields, &["raid0", "raid1", "raid10", "raidz-1", "raidz-2", "raidz-3"], release)
}

fn read_btrfs(table: &Map<String, Value>, release: Release) -> Result<Option<String>, ParseError> {
    let fields = Fields::open(table, &BTRFS, release)?;
    fields.number("hdsize")?;
    fields.one_of("compress", &["on", "off", "zlib", "lzo", "zstd"])?;
    read_raid(&fields, &["raid0", "raid1", "raid10"], release)
}

/// `hdsize` and `swapsize` in GiB; every other number is only typed.
fn read_lvm(table: &Map<String, Value>, release: Release) -> Result<(Option<f64>, Option<f64>), ParseError> {
    let fields = Fields::open(table, &LVM, release)?;
    for name in ["maxroot", "maxvz", "minfree"] {
        fields.number(name)?;
    }
    Ok((fields.number("hdsize")?, fields.number("swapsize")?))
}

impl Webhook {
    fn read(table: &Map<String, Value>, release: Release) -> Result<Self, ParseError> {
        let fields = Fields::open(table, &WEBHOOK, release)?;
        Ok(Self {
            url: fields.required_text("url")?,
            fingerprint: fields.text("cert-fingerprint")?,
            token: fields.text("auth-token")?,
        })
    }
}

impl FirstBoot {
    fn read(table: &Map<String, Value>, release: Release) -> Result<Self, ParseError> {
        let fields = Fields::open(table, &FIRST_BOOT, release)?;
        fields.one_of("ordering", &["before-network", "network-online", "fully-up"])?;
        let (url, fingerprint) = (fields.text("url")?, fields.text("cert-fingerprint")?);
        match fields.one_of("source", &["from-url", "from-iso"])?.as_deref() {
            None => bad("missing field `source`"),
            Some("from-iso") => Ok(Self::FromIso),
            Some(_) => match url {
                Some(url) => Ok(Self::FromUrl { url, fingerprint }),
                None => bad("first-boot executable source set to URL, but none specified!"),
            },
        }
    }
}

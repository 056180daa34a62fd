//! What machines tell about themselves, typed and cleaned: the answer request's system information and the report.
//!
//! Built only by `wire`; every free text is a [`Text`], so nothing below this line can hurt a terminal.

use std::net::IpAddr;

use base64::Engine as _;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::mac::MacAddr;
use super::text::Text;

/// The product an installer medium installs; also the name of its inventory group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// Proxmox Virtual Environment; assumed where a minimal body names no product.
    #[default]
    Pve,
    /// Proxmox Backup Server.
    Pbs,
    /// Proxmox Mail Gateway.
    Pmg,
    /// Proxmox Datacenter Manager (installer ≥ 8.3.5).
    Pdm,
}

impl Product {
    /// Every product, in the order of the inventory's groups.
    pub const ALL: [Self; 4] = [Self::Pve, Self::Pbs, Self::Pmg, Self::Pdm];

    /// The short name used on the wire and as inventory group.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Pve => "pve",
            Self::Pbs => "pbs",
            Self::Pmg => "pmg",
            Self::Pdm => "pdm",
        }
    }

    /// The product with this short name.
    #[must_use]
    pub fn from_short(short: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.short() == short)
    }
}

/// Ranges of installer releases that look alike to a server (PROTOCOL.md §0), oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Generation {
    /// Up to 8.2.6: no schema object, no webhook.
    #[serde(rename = "8.2")]
    V8_2,
    /// Exactly 8.2.7: `$format-info`; first with a webhook.
    #[serde(rename = "8.2.7")]
    V8_2_7,
    /// 8.2.8 to 8.4.6: `$schema` from ureq 2.
    #[serde(rename = "8.3")]
    V8_3,
    /// 9.0 and 9.1: ureq 3 without JSON in `Accept`.
    #[serde(rename = "9.0")]
    V9_0,
    /// 9.2 and later: JSON in `Accept`, upper-case MACs.
    #[serde(rename = "9.2")]
    V9_2,
}

impl Generation {
    /// Whether this installer knows `[post-installation-webhook]` (from 8.2.7).
    #[must_use]
    pub fn has_webhook(self) -> bool {
        self >= Self::V8_2_7
    }

    /// The range in words, for the detail panel.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::V8_2 => "up to 8.2.6",
            Self::V8_2_7 => "8.2.7",
            Self::V8_3 => "8.2.8 to 8.4",
            Self::V9_0 => "9.0 to 9.1",
            Self::V9_2 => "9.2 or newer",
        }
    }
}

/// The DMI strings of a machine; every one may be missing (PROTOCOL.md §a.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dmi {
    /// `system.uuid` as sent, cleaned.
    pub uuid: Option<Text>,
    /// `system.serial`.
    pub serial: Option<Text>,
    /// `system.name`: the model.
    pub model: Option<Text>,
    /// `system.sku`.
    pub sku: Option<Text>,
    /// `baseboard.serial`.
    pub board_serial: Option<Text>,
    /// `baseboard.name`.
    pub board_name: Option<Text>,
    /// `chassis.serial`.
    pub chassis_serial: Option<Text>,
    /// `chassis.asset_tag`, else `baseboard.asset_tag`.
    pub asset_tag: Option<Text>,
}

/// A network link as the answer request lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Interface name in the live system.
    pub name: Text,
    /// Its address.
    pub mac: MacAddr,
}

/// What an answer request says about its machine (PROTOCOL.md §a.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInfo {
    /// Which installer range speaks.
    pub generation: Generation,
    /// The product its medium installs.
    pub product: Product,
    /// `iso.release`, a hint only.
    pub iso_release: Option<Text>,
    /// DMI strings.
    pub dmi: Dmi,
    /// Links in kernel order.
    pub links: Vec<Link>,
}

/// A disk of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// udev `DEVNAME`.
    pub path: Option<Text>,
    /// udev `ID_MODEL`.
    pub model: Option<Text>,
    /// udev `ID_SERIAL_SHORT`, else `ID_SERIAL`.
    pub serial: Option<Text>,
    /// Bytes the installer used; the same number for every disk (PROTOCOL.md §c.2).
    pub size: Option<u64>,
    /// Whether the system boots from it.
    pub boot: bool,
}

/// A network interface of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// Its address.
    pub mac: MacAddr,
    /// Interface name (schema 1.2), else udev `INTERFACE`.
    pub name: Option<Text>,
    /// Installed address with prefix; on the management NIC only.
    pub address: Option<IpNet>,
    /// Whether it is the management NIC.
    pub management: bool,
    /// udev `ID_VENDOR_FROM_DATABASE`.
    pub vendor: Option<Text>,
    /// udev `ID_NET_DRIVER`.
    pub driver: Option<Text>,
}

/// Processor facts of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Model name.
    pub model: Option<Text>,
    /// Distinct core ids.
    pub cores: Option<u32>,
    /// Logical processors.
    pub cpus: Option<u32>,
    /// Sockets.
    pub sockets: Option<u32>,
}

/// What a report says about the installed system (PROTOCOL.md §c.2). Everything may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Installed host name, as sent.
    pub fqdn: Option<Text>,
    /// Installed product.
    pub product: Option<Product>,
    /// Product package version.
    pub product_version: Option<Text>,
    /// Debian release.
    pub debian_version: Option<Text>,
    /// Kernel release.
    pub kernel: Option<Text>,
    /// `efi` or `bios`.
    pub boot_mode: Option<Text>,
    /// Secure boot, where told.
    pub secure_boot: Option<bool>,
    /// Processor.
    pub cpu: Cpu,
    /// DMI strings.
    pub dmi: Dmi,
    /// Root file system in the installer's words.
    pub filesystem: Option<Text>,
    /// systemd machine id of the installed system.
    pub machine_id: Option<Text>,
    /// Disks.
    pub disks: Vec<Disk>,
    /// Network interfaces.
    pub nics: Vec<Nic>,
    /// SSH host keys of the installed system.
    pub host_keys: Vec<HostKey>,
}

impl Report {
    /// The address the installed system answers on: that of the management NIC, else the first one given.
    #[must_use]
    pub fn management_address(&self) -> Option<IpAddr> {
        let nic = self.nics.iter().find(|nic| nic.management && nic.address.is_some());
        nic.or_else(|| self.nics.iter().find(|nic| nic.address.is_some()))
            .and_then(|nic| nic.address)
            .map(|net| net.addr())
    }
}

/// A public SSH host key, parsed so that it can be written into `known_hosts` as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostKey {
    algorithm: String,
    blob: String,
}

/// A text that is not `algorithm base64 [comment]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an SSH public key of the form `ssh-ed25519 AAAA…`")]
pub struct HostKeyError;

impl HostKey {
    /// Key type, such as `ssh-ed25519`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The key's SHA-256 fingerprint as `ssh-keygen -l` prints it (`SHA256:` + base64 without padding).
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use sha2::Digest as _;
        let raw = base64::engine::general_purpose::STANDARD.decode(&self.blob).unwrap_or_default();
        let digest = sha2::Sha256::digest(raw);
        format!("SHA256:{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest))
    }
}

impl std::str::FromStr for HostKey {
    type Err = HostKeyError;

    fn from_str(line: &str) -> Result<Self, HostKeyError> {
        let mut words = line.split_ascii_whitespace();
        let (Some(algorithm), Some(blob)) = (words.next(), words.next()) else { return Err(HostKeyError) };
        let raw = base64::engine::general_purpose::STANDARD.decode(blob).map_err(|_| HostKeyError)?;
        // RFC 4253 §6.6: the blob starts with its algorithm name as a length-prefixed string.
        let named = raw.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize);
        let inner = named.and_then(|length| raw.get(4..4_usize.checked_add(length)?));
        if inner != Some(algorithm.as_bytes())
            || !algorithm.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b))
        {
            return Err(HostKeyError);
        }
        Ok(Self { algorithm: algorithm.to_owned(), blob: blob.to_owned() })
    }
}

impl std::fmt::Display for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.algorithm, self.blob)
    }
}

impl Serialize for HostKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

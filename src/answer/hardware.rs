//! What an installer sees of a machine: its disks and NICs with their udev properties, read from an earlier report or
//! from a description of the machine.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::text::Text;

/// udev properties of a device, by name.
pub(super) type Udev = BTreeMap<String, String>;

/// Devices of either kind that are kept; the largest storage servers have some hundreds.
const MOST: usize = 4096;

/// A disk, as udev describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskDevice {
    /// Its path, `/dev/sda`.
    pub path: String,
    /// Bytes that the last installation used of it, which a report says of all disks alike (PROTOCOL.md §c.2).
    pub used: Option<u64>,
    pub(super) udev: Udev,
}

/// A network interface, as udev describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicDevice {
    /// Its name in the installer's system, `eno1`.
    pub name: String,
    /// Its address, where the description says it.
    pub mac: Option<String>,
    pub(super) udev: Udev,
}

/// Everything about a machine that can decide the fate of an answer. No list of devices is empty because it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Disks in the installer's order.
    pub disks: Vec<DiskDevice>,
    /// NICs.
    pub nics: Vec<NicDevice>,
    /// What DHCP says, where that is known.
    pub dhcp: Option<Lease>,
}

/// Name and domain from DHCP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Lease {
    /// Host name.
    pub hostname: Option<String>,
    /// Domain.
    pub domain: Option<String>,
}

/// Why a text describes no machine.
#[derive(Debug, thiserror::Error)]
pub enum HardwareError {
    /// Not JSON.
    #[error("it is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Neither of the forms that are read.
    #[error(
        "it describes no disks, or a report's installer could not gather them; give the `report.json` of a node, or `disks` and `nics` with udev properties by name"
    )]
    NoDisks,
}

impl Hardware {
    /// Reads a report (`disks` and `network-interfaces`, each a list with `udev-properties`) or a description of a
    /// machine (`disks` by path, `nics` by name, each with its properties, and `dhcp` with `hostname` and `domain`).
    /// Devices that are not described as they should be are left out.
    ///
    /// # Errors
    ///
    /// [`HardwareError`] where the text is neither, or a report whose devices are not known.
    pub fn parse(json: &[u8]) -> Result<Self, HardwareError> {
        let value: Value = serde_json::from_slice(json)?;
        let dhcp = value.get("dhcp").and_then(|dhcp| Lease::deserialize(dhcp).ok());
        match value.get("disks") {
            Some(Value::Array(disks)) => {
                let nics = value.get("network-interfaces").and_then(Value::as_array);
                let disks: Vec<_> = disks.iter().take(MOST).filter_map(reported_disk).collect();
                let nics: Vec<_> = nics.into_iter().flatten().take(MOST).filter_map(reported_nic).collect();
                // Installers from 9.2.5 on report an empty list where gathering failed (PROTOCOL.md §c.2).
                if disks.is_empty() || nics.is_empty() {
                    Err(HardwareError::NoDisks)
                } else {
                    Ok(Self { disks, nics, dhcp })
                }
            }
            Some(Value::Object(disks)) => {
                let nics = value.get("nics").and_then(Value::as_object);
                let disk = |(path, value): (&String, &Value)| {
                    let used = value.get("size").and_then(Value::as_u64);
                    DiskDevice { path: path.clone(), used, udev: udev(Some(value)) }
                };
                let nic = |(name, value): (&String, &Value)| named_nic(name.clone(), udev(Some(value)), None);
                Ok(Self {
                    disks: disks.iter().take(MOST).map(disk).collect(),
                    nics: nics.into_iter().flatten().take(MOST).map(nic).collect(),
                    dhcp,
                })
            }
            _ => Err(HardwareError::NoDisks),
        }
    }
}

impl DiskDevice {
    /// `/dev/sda (SAMSUNG MZ7KM240, serial S2HRNX0J403550)`.
    #[must_use]
    pub fn words(&self) -> String {
        let property = |name: &str| self.udev.get(name).map(|value| Text::new(value)).filter(|text| !text.is_empty());
        let serial =
            property("ID_SERIAL_SHORT").or_else(|| property("ID_SERIAL")).map(|serial| format!("serial {serial}"));
        // A decimal gigabyte, as on the label.
        let used = self.used.map(|bytes| format!("{} GB at the last installation", bytes / 1_000_000_000));
        let facts: Vec<_> =
            [property("ID_MODEL").map(|model| model.to_string()), serial, used].into_iter().flatten().collect();
        let path = Text::new(&self.path);
        if facts.is_empty() { path.to_string() } else { format!("{path} ({})", facts.join(", ")) }
    }

    /// `ID_MODEL`, made harmless.
    #[must_use]
    pub fn model(&self) -> Option<Text> {
        self.udev.get("ID_MODEL").map(|value| Text::new(value))
    }

    /// `ID_SERIAL_SHORT`, else `ID_SERIAL`, made harmless.
    #[must_use]
    pub fn serial(&self) -> Option<Text> {
        self.udev.get("ID_SERIAL_SHORT").or_else(|| self.udev.get("ID_SERIAL")).map(|value| Text::new(value))
    }
}

impl NicDevice {
    /// `eno1 (Intel Corporation, b4:2e:99:ac:ad:b4)`.
    #[must_use]
    pub fn words(&self) -> String {
        let vendor = self.udev.get("ID_VENDOR_FROM_DATABASE").map(|vendor| Text::new(vendor));
        let mac = self.mac.as_ref().map(|mac| Text::new(mac));
        let facts: Vec<_> = [vendor, mac].into_iter().flatten().map(|text| text.to_string()).collect();
        let name = Text::new(&self.name);
        if facts.is_empty() { name.to_string() } else { format!("{name} ({})", facts.join(", ")) }
    }
}

fn udev(value: Option<&Value>) -> Udev {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn reported_disk(value: &Value) -> Option<DiskDevice> {
    let udev = udev(value.get("udev-properties"));
    let path = udev.get("DEVNAME")?.clone();
    Some(DiskDevice { path, used: value.get("size").and_then(Value::as_u64), udev })
}

/// The name in the installer's system: a pinned name in `name` is that of the installed one.
fn reported_nic(value: &Value) -> Option<NicDevice> {
    let udev = udev(value.get("udev-properties"));
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = udev.get("INTERFACE").cloned().or_else(|| text("name"))?;
    Some(named_nic(name, udev, text("mac")))
}

fn named_nic(name: String, udev: Udev, mac: Option<String>) -> NicDevice {
    let mac = mac.or_else(|| {
        udev.get("ID_NET_NAME_MAC")?
            .strip_prefix("enx")?
            .parse::<crate::domain::MacAddr>()
            .ok()
            .map(|mac| mac.to_string())
    });
    NicDevice { name, mac, udev }
}

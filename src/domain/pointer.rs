//! Where a fact stands in what a machine sends: the JSON pointers of profiles, and the names of templates.
//!
//! The vocabulary is that of the installer's request (PROTOCOL.md §a.2), so that a misspelt pointer is an error where
//! it is written and not a rule that never matches. The values are the typed, cleaned and bounded ones of
//! [`SystemInfo`]: MAC addresses and UUIDs in lower case whatever the installer sends.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::facts::{Product, SystemInfo};
use super::text::Text;

/// A place in an answer request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pointer {
    /// One value of the machine.
    One(Single),
    /// A value of one network link, or of any of them (`*`).
    Link(Option<u16>, LinkPart),
}

/// A value that a machine has once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Single {
    /// `pve`, `pbs`, `pmg` or `pdm`.
    Product,
    /// The product's name in full.
    ProductName,
    /// Release of the medium: a hint only.
    Release,
    /// Model.
    SystemName,
    /// Serial number.
    SystemSerial,
    /// Stock keeping unit.
    SystemSku,
    /// UUID.
    SystemUuid,
    /// Board model.
    BoardName,
    /// Board serial number.
    BoardSerial,
    /// Asset tag: the chassis' one, else the board's; both pointers lead to it.
    BoardAssetTag,
    /// Chassis serial number.
    ChassisSerial,
    /// Asset tag: the chassis' one, else the board's; both pointers lead to it.
    ChassisAssetTag,
}

/// A value that each network link has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkPart {
    /// Its name in the installer's system.
    Name,
    /// Its MAC address, in lower case.
    Mac,
}

impl Single {
    /// Every single value with its pointer.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Product, "/product/product"),
        (Self::ProductName, "/product/fullname"),
        (Self::Release, "/iso/release"),
        (Self::SystemName, "/dmi/system/name"),
        (Self::SystemSerial, "/dmi/system/serial"),
        (Self::SystemSku, "/dmi/system/sku"),
        (Self::SystemUuid, "/dmi/system/uuid"),
        (Self::BoardName, "/dmi/baseboard/name"),
        (Self::BoardSerial, "/dmi/baseboard/serial"),
        (Self::BoardAssetTag, "/dmi/baseboard/asset_tag"),
        (Self::ChassisSerial, "/dmi/chassis/serial"),
        (Self::ChassisAssetTag, "/dmi/chassis/asset_tag"),
    ];

    /// Its value.
    #[must_use]
    pub fn of(self, info: &SystemInfo) -> Option<Cow<'_, str>> {
        fn text(text: Option<&Text>) -> Option<Cow<'_, str>> {
            text.map(|text| text.as_str().into())
        }
        let dmi = &info.dmi;
        match self {
            Self::Product => Some(info.product.short().into()),
            Self::ProductName => Some(full_name(info.product).into()),
            Self::Release => text(info.iso_release.as_ref()),
            Self::SystemName => text(dmi.model.as_ref()),
            Self::SystemSerial => text(dmi.serial.as_ref()),
            Self::SystemSku => text(dmi.sku.as_ref()),
            Self::SystemUuid => dmi.uuid.as_ref().map(|uuid| uuid.as_str().to_ascii_lowercase().into()),
            Self::BoardName => text(dmi.board_name.as_ref()),
            Self::BoardSerial => text(dmi.board_serial.as_ref()),
            Self::ChassisSerial => text(dmi.chassis_serial.as_ref()),
            Self::BoardAssetTag | Self::ChassisAssetTag => text(dmi.asset_tag.as_ref()),
        }
        .filter(|value| !value.is_empty())
    }
}

/// What the installers call their products (PROTOCOL.md §a.2).
fn full_name(product: Product) -> &'static str {
    match product {
        Product::Pve => "Proxmox VE",
        Product::Pbs => "Proxmox Backup Server",
        Product::Pmg => "Proxmox Mail Gateway",
        Product::Pdm => "Proxmox Datacenter Manager",
    }
}

impl Pointer {
    /// Whether its values are compared without regard to case, that is, stand here in lower case.
    #[must_use]
    pub fn is_lower_case(self) -> bool {
        matches!(self, Self::One(Single::SystemUuid) | Self::Link(_, LinkPart::Mac))
    }

    /// Every pointer a person may write, for messages; `0` stands for any number.
    pub fn vocabulary() -> impl Iterator<Item = &'static str> {
        let links = [
            "/network_interfaces/*/mac",
            "/network_interfaces/*/link",
            "/network_interfaces/0/mac",
            "/network_interfaces/0/link",
        ];
        Single::ALL.iter().map(|(_, text)| *text).chain(links)
    }
}

/// A text that points at nothing a machine sends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nothing that a machine sends")]
pub struct PointerError(String);

impl FromStr for Pointer {
    type Err = PointerError;

    /// Reads a JSON pointer (RFC 6901). In the place of a link's number `*` means any of them.
    fn from_str(text: &str) -> Result<Self, PointerError> {
        if let Some((single, _)) = Single::ALL.iter().find(|(_, known)| *known == text) {
            return Ok(Self::One(*single));
        }
        let link = || {
            let (number, part) = text.strip_prefix("/network_interfaces/")?.split_once('/')?;
            let part = match part {
                "link" => LinkPart::Name,
                "mac" => LinkPart::Mac,
                _ => return None,
            };
            let is_index = number.bytes().all(|b| b.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
            match number {
                "*" => Some(Self::Link(None, part)),
                _ if is_index => Some(Self::Link(Some(number.parse().ok()?), part)),
                _ => None,
            }
        };
        link().ok_or_else(|| PointerError(text.chars().filter(|c| !c.is_control()).take(80).collect()))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(single) => {
                let known = Single::ALL.iter().find(|(other, _)| other == single);
                f.write_str(known.map_or("", |(_, text)| text))
            }
            Self::Link(number, part) => {
                let part = if *part == LinkPart::Mac { "mac" } else { "link" };
                match number {
                    Some(number) => write!(f, "/network_interfaces/{number}/{part}"),
                    None => write!(f, "/network_interfaces/*/{part}"),
                }
            }
        }
    }
}

/// Everything a machine shows, each with its pointer: what a profile can be made from, and what templates see.
#[must_use]
pub fn shown(info: &SystemInfo) -> Vec<(Pointer, String)> {
    let singles =
        Single::ALL.iter().filter_map(|(single, _)| Some((Pointer::One(*single), single.of(info)?.into_owned())));
    let links = info.links.iter().zip(0_u16..).flat_map(|(link, number)| {
        let at = |part| Pointer::Link(Some(number), part);
        [(at(LinkPart::Name), link.name.as_str().to_owned()), (at(LinkPart::Mac), link.mac.to_string())]
    });
    singles.chain(links).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/network_interfaces/0/mac", true)]
    #[case("/network_interfaces/12/link", true)]
    #[case("/network_interfaces/*/mac", true)]
    #[case("/network_interfaces/01/mac", false)]
    #[case("/network_interfaces/-/mac", false)]
    #[case("/network_interfaces/70000/mac", false)]
    #[case("/network_interfaces/0", false)]
    #[case("/dmi/system/nam", false)]
    #[case("dmi/system/name", false)]
    #[case("", false)]
    fn pointers_are_read_and_written_back(#[case] text: &str, #[case] known: bool) {
        let read = text.parse::<Pointer>();
        assert_eq!(read.as_ref().ok().map(ToString::to_string), known.then(|| text.to_owned()));
    }

    #[test]
    fn the_vocabulary_is_what_is_read() {
        for text in Pointer::vocabulary() {
            assert_eq!(text.parse::<Pointer>().unwrap().to_string(), text);
        }
    }
}

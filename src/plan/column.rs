//! What a column of somebody's table means: by its name, or as told.

use std::fmt;
use std::str::FromStr;

use crate::config::problem::quoted;

/// What a column says about a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The host name.
    Hostname,
    /// The system serial.
    Serial,
    /// The system UUID.
    Uuid,
    /// One MAC address or several.
    Mac,
    /// The asset tag.
    AssetTag,
    /// The address.
    Address,
    /// The profile.
    Profile,
    /// The role.
    Role,
    /// The rack.
    Rack,
    /// The place in the rack.
    Slot,
    /// Something of the operator's own.
    Column(String),
    /// Nothing that is wanted.
    Ignored,
}

impl Field {
    /// The fields with a meaning, as plan.toml calls them.
    pub const NAMES: [(&'static str, Self); 10] = [
        ("hostname", Self::Hostname),
        ("serial", Self::Serial),
        ("uuid", Self::Uuid),
        ("mac", Self::Mac),
        ("asset_tag", Self::AssetTag),
        ("address", Self::Address),
        ("profile", Self::Profile),
        ("role", Self::Role),
        ("rack", Self::Rack),
        ("slot", Self::Slot),
    ];

    /// What plan.toml calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Column(name) => name,
            Self::Ignored => "-",
            named => Self::NAMES.iter().find(|(_, field)| field == named).map_or("", |(name, _)| name),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names that other tables have for the fields, in their [`key`] form; NetBox's among them. Where a table has several
/// columns for one field, the first of these that is filled counts.
const GUESSES: [(&str, Field); 41] = [
    ("hostname", Field::Hostname),
    ("fqdn", Field::Hostname),
    ("host", Field::Hostname),
    ("name", Field::Hostname),
    ("device", Field::Hostname),
    ("device_name", Field::Hostname),
    ("node", Field::Hostname),
    ("serial", Field::Serial),
    ("serial_number", Field::Serial),
    ("service_tag", Field::Serial),
    ("uuid", Field::Uuid),
    ("system_uuid", Field::Uuid),
    ("smbios_uuid", Field::Uuid),
    ("dmi_uuid", Field::Uuid),
    ("mac", Field::Mac),
    ("macs", Field::Mac),
    ("mac_address", Field::Mac),
    ("mac_addresses", Field::Mac),
    ("primary_mac_address", Field::Mac),
    ("asset_tag", Field::AssetTag),
    ("asset", Field::AssetTag),
    ("inventory_number", Field::AssetTag),
    ("address", Field::Address),
    ("ip", Field::Address),
    ("primary_ip", Field::Address),
    ("ip_address", Field::Address),
    ("primary_ip4", Field::Address),
    ("ipv4_address", Field::Address),
    ("primary_ip6", Field::Address),
    ("ipv6_address", Field::Address),
    ("profile", Field::Profile),
    ("role", Field::Role),
    ("device_role", Field::Role),
    ("rack", Field::Rack),
    ("rack_name", Field::Rack),
    ("slot", Field::Slot),
    ("position", Field::Slot),
    ("position_u", Field::Slot),
    ("rack_position", Field::Slot),
    ("unit", Field::Slot),
    ("u", Field::Slot),
];

/// What a column's name means, and how good a guess that is: the lower the better.
pub(super) fn guess(name: &str) -> (Field, usize) {
    let key = key(name);
    if let Some(free) = name.trim().strip_prefix("columns.") {
        return (Field::Column(self::key(free)), 0);
    }
    let bare = key.strip_prefix("custom_fields_").or(key.strip_prefix("cf_")).unwrap_or(&key);
    let known = GUESSES.iter().position(|(guess, _)| *guess == bare);
    match known {
        Some(at) => (GUESSES[at].1.clone(), at),
        None => (Field::Column(bare.to_owned()), 0),
    }
}

/// A column's name for use in plan.toml and templates: lower case, `_` for everything but letters and digits.
pub(super) fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    // A small letter can be two characters; what came of a key is one.
    for c in name.trim().to_lowercase().chars().take(64) {
        if c.is_alphanumeric() {
            key.push(c);
        } else if !key.is_empty() && !key.ends_with('_') {
            key.push('_');
        }
    }
    key.truncate(key.trim_end_matches('_').len());
    key
}

/// `COLUMN=FIELD`: what a column means, whatever its name suggests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The column's name as the table has it.
    pub column: String,
    /// What it is.
    pub field: Field,
}

/// A text that maps nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// No `=`, or nothing beside it.
    #[error("`{0}` maps nothing; write `COLUMN=FIELD`, such as `--map 'Service Tag=serial'`")]
    Form(String),
    /// No such field.
    #[error(
        "`{0}` is no field; there are hostname, serial, uuid, mac, asset_tag, address, profile, role, rack, slot, \
         `columns.NAME` for one of your own, and `-` to leave the column out"
    )]
    Field(String),
}

impl FromStr for Mapping {
    type Err = MapError;

    fn from_str(given: &str) -> Result<Self, MapError> {
        let parts = given.rsplit_once('=').map(|(column, field)| (column.trim(), field.trim()));
        let (column, field) = parts
            .filter(|(column, field)| !column.is_empty() && !field.is_empty())
            .ok_or_else(|| MapError::Form(quoted(given)))?;
        let named = Field::NAMES.iter().find(|(name, _)| *name == field).map(|(_, field)| field.clone());
        let free = field.strip_prefix("columns.").map(key).filter(|key| !key.is_empty()).map(Field::Column);
        let ignored = (field == "-").then_some(Field::Ignored);
        let field = named.or(free).or(ignored).ok_or_else(|| MapError::Field(quoted(field)))?;
        Ok(Self { column: column.to_owned(), field })
    }
}

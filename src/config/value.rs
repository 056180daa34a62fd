//! From a raw value to a typed one: one function per kind of setting, the same for the file and the environment.
//!
//! Each says why a value will not do and what to write instead. It must not know where a value came from.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::file::Scalar;
use super::model::Choices;
use super::problem::quoted;
use super::url::PublicUrl;
use crate::domain::address::AddressRange;
use crate::domain::mask::Netmask;
use crate::domain::spelling::nearest;

/// A value of some layer, not judged yet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'a> {
    /// From the environment: text that may stand for any type.
    Text(&'a str),
    /// From the file: typed by TOML.
    Typed(&'a Scalar),
}

/// Why a value will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// What is wrong, after the name of the key and a colon.
    pub(crate) reason: String,
    /// What to write; `None` where an example of the key says it best.
    pub(crate) hint: Option<String>,
}

impl Invalid {
    fn new(reason: impl Display) -> Self {
        Self { reason: reason.to_string(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn kind(expected: &str, raw: Raw<'_>) -> Self {
        match raw {
            Raw::Text(text) => Self::new(format!("expected {expected}, found `{}`", quoted(text))),
            Raw::Typed(Scalar::String(text)) => {
                Self::new(format!("expected {expected}, found the text \"{}\"", quoted(text)))
            }
            Raw::Typed(Scalar::Integer(number)) => Self::new(format!("expected {expected}, found the number {number}")),
            Raw::Typed(Scalar::Boolean(flag)) => Self::new(format!("expected {expected}, found `{flag}`")),
            Raw::Typed(Scalar::Strings(_)) => Self::new(format!("expected {expected}, found an array")),
            Raw::Typed(Scalar::Other(kind)) => Self::new(format!("expected {expected}, found {kind}")),
        }
    }
}

type Parsed<T> = Result<T, Invalid>;

/// Text of one line, not empty.
fn text(raw: Raw<'_>) -> Parsed<&str> {
    let text = match raw {
        Raw::Text(text) => text,
        Raw::Typed(Scalar::String(text)) => text.as_str(),
        Raw::Typed(_) => return Err(Invalid::kind("text in quotes", raw)),
    };
    if text.is_empty() {
        return Err(Invalid::new("the text is empty").hint("write a value, or remove the line to get the default"));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::new("control characters and line breaks are not allowed here"));
    }
    Ok(text)
}

pub(crate) fn boolean(raw: Raw<'_>) -> Parsed<bool> {
    match raw {
        Raw::Typed(Scalar::Boolean(flag)) => Ok(*flag),
        Raw::Text("true" | "1" | "yes") => Ok(true),
        Raw::Text("false" | "0" | "no") => Ok(false),
        Raw::Text(_) | Raw::Typed(_) => Err(Invalid::kind("true or false", raw)),
    }
}

fn integer(raw: Raw<'_>, range: &RangeInclusive<u32>) -> Parsed<u32> {
    let number = match raw {
        Raw::Typed(Scalar::Integer(number)) => *number,
        Raw::Text(text) => text.parse().map_err(|_| Invalid::kind("a whole number", raw))?,
        Raw::Typed(_) => return Err(Invalid::kind("a whole number", raw)),
    };
    u32::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let range = format!("write a number from {} to {}", range.start(), range.end());
        Invalid::new(format!("{number} is out of range")).hint(range)
    })
}

/// A number from 1 to `most`.
pub(crate) fn count(most: u32) -> impl Fn(Raw<'_>) -> Parsed<NonZeroU32> {
    move |raw| {
        let number = integer(raw, &(1..=most))?;
        NonZeroU32::new(number).ok_or_else(|| Invalid::new("0 is out of range"))
    }
}

pub(crate) fn port(raw: Raw<'_>) -> Parsed<u16> {
    let number = integer(raw, &(1..=u32::from(u16::MAX)))?;
    u16::try_from(number).map_err(Invalid::new)
}

/// A duration in jiff's friendly format, within `range`.
pub(crate) fn duration(range: RangeInclusive<Duration>) -> impl Fn(Raw<'_>) -> Parsed<Duration> {
    move |raw| {
        if let Raw::Typed(Scalar::Integer(number)) = raw {
            let hint = format!("say what it counts, in quotes: `\"{number}s\"` or `\"{number}m\"`");
            return Err(Invalid::new(format!("{number} has no unit")).hint(hint));
        }
        let text = text(raw)?;
        let signed = text.parse::<jiff::SignedDuration>().map_err(|_| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            let reason = if digits { "has no unit" } else { "is not a duration" };
            let hint = "write a number and a unit, such as `\"45s\"`, `\"15m\"` or `\"1h 30m\"`";
            Invalid::new(format!("`{}` {reason}", quoted(text))).hint(hint)
        })?;
        Duration::try_from(signed).ok().filter(|duration| range.contains(duration)).ok_or_else(|| {
            let (least, most) = (friendly(*range.start()), friendly(*range.end()));
            Invalid::new(format!("`{}` is out of range", quoted(text)))
                .hint(format!("write a duration from {least} to {most}"))
        })
    }
}

/// A duration as a person would write it: `45s`, `1h 30m`.
fn friendly(duration: Duration) -> String {
    jiff::SignedDuration::try_from(duration).map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(choices: Choices<T>) -> impl Fn(Raw<'_>) -> Parsed<T> {
    move |raw| {
        let given = text(raw)?;
        let chosen = choices.iter().find(|(word, _)| *word == given);
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let words = || choices.iter().map(|(word, _)| *word);
            let listed: Vec<_> = words().map(|word| format!("`{word}`")).collect();
            let invalid = Invalid::new(format!("`{}` is not one of {}", quoted(given), listed.join(", ")));
            match nearest(given, words()) {
                Some(word) => invalid.hint(format!("did you mean `\"{word}\"`?")),
                None => invalid,
            }
        })
    }
}

pub(crate) fn mask(raw: Raw<'_>) -> Parsed<Netmask> {
    match raw {
        Raw::Typed(Scalar::Integer(prefix)) => Netmask::try_from(*prefix).map_err(Invalid::new),
        Raw::Typed(Scalar::String(_)) | Raw::Text(_) => text(raw)?.trim().parse().map_err(Invalid::new),
        Raw::Typed(_) => Err(Invalid::kind("a prefix length or a mask", raw)),
    }
}

/// The address of another host.
pub(crate) fn host_address(raw: Raw<'_>) -> Parsed<IpAddr> {
    let given = text(raw)?.trim();
    let address = given.parse::<IpAddr>().map_err(|_| {
        let invalid = Invalid::new(format!("`{}` is not an IP address", quoted(given)));
        if given.contains('/') {
            invalid.hint("write the address alone; the netmask is `machine_net_mask`")
        } else if given.contains([',', ' ']) {
            invalid.hint("the installer takes one address only")
        } else {
            invalid
        }
    })?;
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]) {
        return Err(Invalid::new(format!("`{address}` is not the address of a host")));
    }
    Ok(address)
}

/// The words of a list: an array in the file, in the environment also words between commas.
fn words<'a>(raw: Raw<'a>, expected: &str) -> Parsed<Vec<&'a str>> {
    Ok(match raw {
        Raw::Typed(Scalar::Strings(words)) => words.iter().map(|word| word.trim()).collect(),
        Raw::Typed(Scalar::String(word)) => vec![word.trim()],
        Raw::Text(text) => text
            .trim_matches(['[', ']'])
            .split(',')
            .map(|word| word.trim().trim_matches('"'))
            .filter(|word| !word.is_empty())
            .collect(),
        Raw::Typed(_) => return Err(Invalid::kind(expected, raw)),
    })
}

/// Ranges of addresses.
pub(crate) fn ranges(raw: Raw<'_>) -> Parsed<Vec<AddressRange>> {
    let range = |word: &str| {
        word.parse::<AddressRange>().map_err(|error| {
            Invalid::new(error).hint("write ranges such as `[\"192.0.2.100-192.0.2.199\", \"192.0.2.64/27\"]`")
        })
    };
    words(raw, "an array of address ranges")?.into_iter().map(range).collect()
}

/// Networks, or single addresses.
pub(crate) fn networks(raw: Raw<'_>) -> Parsed<Vec<IpNet>> {
    words(raw, "an array of networks")?.into_iter().map(network).collect()
}

fn network(given: &str) -> Parsed<IpNet> {
    let address = given.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let net = given.parse::<IpNet>().or(address).map_err(|_| {
        let hint = "write networks or addresses, such as `[\"192.0.2.0/24\", \"2001:db8::/64\", \"198.51.100.7\"]`";
        Invalid::new(format!("`{}` is not a network", quoted(given))).hint(hint)
    })?;
    if net.trunc() != net {
        let invalid = Invalid::new(format!("`{net}` names an address within a network"));
        return Err(invalid.hint(format!(
            "write `{}` for the network, or `{}` for the address",
            net.trunc(),
            net.addr()
        )));
    }
    Ok(net)
}

/// A size in bytes: a number with `KiB` or `MiB`, within `range`.
pub(crate) fn size(range: RangeInclusive<usize>) -> impl Fn(Raw<'_>) -> Parsed<usize> {
    move |raw| {
        let given = text(raw)?;
        let units = [("KiB", 1024), ("MiB", 1024 * 1024)];
        let parsed = units.iter().find_map(|(unit, factor)| {
            let number: usize = given.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(*factor)
        });
        let bytes = parsed.ok_or_else(|| {
            let invalid = Invalid::new(format!("`{}` is not a size", quoted(given)));
            invalid.hint("write a whole number and a unit, such as `\"512KiB\"` or `\"8MiB\"`")
        })?;
        if range.contains(&bytes) {
            return Ok(bytes);
        }
        let (least, most) = (range.start() / 1024, range.end() / 1024);
        let invalid = Invalid::new(format!("`{}` is out of range", quoted(given)));
        Err(invalid.hint(format!("write a size from {least}KiB to {most}KiB")))
    }
}

pub(crate) fn listen(raw: Raw<'_>) -> Parsed<SocketAddr> {
    let given = text(raw)?.trim();
    given.parse().map_err(|_| {
        let invalid = Invalid::new(format!("`{}` is not an address with a port", quoted(given)));
        let port = given.strip_prefix(':').unwrap_or(given);
        if port.parse::<u16>().is_ok() {
            invalid.hint(format!("for all IPv4 addresses write `\"0.0.0.0:{port}\"`, for IPv6 too `\"[::]:{port}\"`"))
        } else if let Ok(address) = given.parse::<IpAddr>() {
            invalid.hint(format!("add the port: `\"{}\"`", SocketAddr::new(address, 8443)))
        } else if given.contains("://") {
            invalid.hint("here goes the address to listen on; what machines call is `public_url`")
        } else {
            invalid.hint("write an IP address and a port, such as `\"0.0.0.0:8443\"` or `\"[::]:8443\"`")
        }
    })
}

pub(crate) fn public_url(raw: Raw<'_>) -> Parsed<PublicUrl> {
    text(raw)?.parse::<PublicUrl>().map_err(|error| {
        let hint = error.hint();
        Invalid::new(error).hint(hint)
    })
}

pub(crate) fn path(raw: Raw<'_>) -> Parsed<PathBuf> {
    let given = text(raw)?;
    if given == "~" || given.starts_with("~/") {
        let invalid = Invalid::new("`~` is not expanded here");
        return Err(invalid.hint("write the whole path, such as `/root/...`"));
    }
    Ok(PathBuf::from(given))
}

/// A user name that is safe in an inventory and an SSH command line (ANSIBLE.md §1).
pub(crate) fn user(raw: Raw<'_>) -> Parsed<String> {
    let given = text(raw)?;
    let first = given.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = given.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if !first || !rest || given.len() > 32 {
        let hint = "use at most 32 letters, digits, `_`, `-` and `.`, a letter first";
        return Err(Invalid::new(format!("`{}` is not a user name", quoted(given))).hint(hint));
    }
    Ok(given.to_owned())
}

/// The part of a host name in front of the UUID's digits.
pub(crate) fn prefix(raw: Raw<'_>) -> Parsed<String> {
    let given = text(raw)?;
    if given.contains('.') {
        let hint = "it is the start of the first part of a host name, such as `pve-`; the domain is `machine_net_dn`";
        return Err(Invalid::new(format!("`{}` has a dot in it", quoted(given))).hint(hint));
    }
    Ok(given.to_ascii_lowercase())
}

/// A domain; a dot at its start is the old prototype's way to write it.
pub(crate) fn domain(raw: Raw<'_>) -> Parsed<String> {
    let given = text(raw)?;
    let bare = given.strip_prefix('.').unwrap_or(given);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    if bare.is_empty() {
        return Err(Invalid::new(format!("`{}` is not a domain", quoted(given))));
    }
    Ok(bare.to_ascii_lowercase())
}

/// A glob over the whole value of udev's `ID_VENDOR_FROM_DATABASE` (PROTOCOL.md §b.3).
pub(crate) fn vendor(raw: Raw<'_>) -> Parsed<String> {
    let given = text(raw)?;
    glob::Pattern::new(given).map_err(|error| {
        let invalid = Invalid::new(format!("`{}` is not a pattern: {}", quoted(given), error.msg));
        invalid.hint("`*` stands for anything, `?` for one character, `[ab]` for one of these, `[[]` for a bracket")
    })?;
    Ok(given.to_owned())
}

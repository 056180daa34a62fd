//! MAC addresses, compared without regard to case or separator.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A 6-octet link address. Installers send lower case up to 9.1.7 and upper case from 9.2.0 (PROTOCOL.md §a.2);
/// it is shown and stored in lower case with colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Twelve lower-case hex digits without separators, as in udev's `ID_NET_NAME_MAC` (PROTOCOL.md §b.3).
    #[must_use]
    pub fn bare(self) -> String {
        self.to_string().replace(':', "")
    }

    /// Whether the address can identify a machine: not all zero, not all ones, not a group address.
    #[must_use]
    pub fn is_identifying(self) -> bool {
        self.0 != [0; 6] && self.0[0] & 1 == 0
    }

    /// Whether software made the address up, as for a virtual function: the bit for "locally administered" is set.
    #[must_use]
    pub fn is_local(self) -> bool {
        self.0[0] & 2 != 0
    }
}

/// A text that is not six octets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a MAC address such as `b4:2e:99:ac:ad:b4`")]
pub struct MacError(String);

impl FromStr for MacAddr {
    type Err = MacError;

    fn from_str(s: &str) -> Result<Self, MacError> {
        let error = || MacError(s.chars().take(40).collect());
        let mut octets = [0_u8; 6];
        let mut parts = s.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().ok_or_else(error)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(error());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        if parts.next().is_some() { Err(error()) } else { Ok(Self(octets)) }
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, octet) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { ":" };
            write!(f, "{separator}{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MacAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_separator_do_not_matter() {
        let mac: MacAddr = "B4:2E:99:AC:AD:B4".parse().unwrap();
        assert_eq!(mac, "b4-2e-99-ac-ad-b4".parse().unwrap());
        assert_eq!(mac.to_string(), "b4:2e:99:ac:ad:b4");
        assert_eq!(mac.bare(), "b42e99acadb4");
        for bad in ["", "b4:2e:99:ac:ad", "b4:2e:99:ac:ad:b4:00", "+1:2e:99:ac:ad:b4", "gg:2e:99:ac:ad:b4"] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
        assert!(!MacAddr([0; 6]).is_identifying());
        assert!(!MacAddr([0xff; 6]).is_identifying());
    }
}

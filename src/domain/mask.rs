//! The size of a network, however people write it: `24`, `/24` or `255.255.255.0`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The prefix length of the machines' network, 1 to 128. Whether it fits an address shows only with the address:
/// see [`Netmask::network_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Netmask(u8);

/// Why a text or number is not a netmask, or does not fit an address. Each message says what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetmaskError {
    /// Neither a prefix length nor a dotted mask.
    #[error("`{0}` is not a netmask; write a prefix length such as `24`, or a mask such as `255.255.255.0`")]
    Form(String),
    /// A prefix length outside 1 to 128.
    #[error("a prefix length of {0} is not possible; it is 1 to 32 with IPv4 and 1 to 128 with IPv6")]
    Range(i64),
    /// A dotted mask with a hole in it.
    #[error("`{0}` is not a netmask: its one-bits are not all at the front")]
    Holes(Ipv4Addr),
    /// More than 32 bits with an IPv4 address.
    #[error("a prefix length of {prefix} does not fit the IPv4 address {address}; at most 32 does")]
    TooLong {
        /// The prefix length.
        prefix: u8,
        /// The address it was to go with.
        address: IpAddr,
    },
    /// An IPv4 mask with an IPv6 address: no host's network is that wide.
    #[error("a prefix length of {prefix} does not fit the IPv6 address {address}; set one such as `64`")]
    TooShort {
        /// The prefix length.
        prefix: u8,
        /// The address it was to go with.
        address: IpAddr,
    },
}

impl Netmask {
    /// `255.255.255.0`, the default.
    pub const SLASH_24: Self = Self(24);

    /// The prefix length in bits.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.0
    }

    /// `address` with this prefix length, as `network.cidr` of an answer wants it (host bits kept).
    ///
    /// # Errors
    /// Where an IPv4 address meets a prefix over 32, or an IPv6 address an IPv4 mask.
    pub fn network_of(self, address: IpAddr) -> Result<IpNet, NetmaskError> {
        if address.is_ipv6() && self.0 <= 32 {
            return Err(NetmaskError::TooShort { prefix: self.0, address });
        }
        IpNet::new(address, self.0).map_err(|_| NetmaskError::TooLong { prefix: self.0, address })
    }
}

impl Default for Netmask {
    fn default() -> Self {
        Self::SLASH_24
    }
}

impl TryFrom<i64> for Netmask {
    type Error = NetmaskError;

    fn try_from(prefix: i64) -> Result<Self, NetmaskError> {
        u8::try_from(prefix).ok().filter(|bits| (1..=128).contains(bits)).map(Self).ok_or(NetmaskError::Range(prefix))
    }
}

impl FromStr for Netmask {
    type Err = NetmaskError;

    fn from_str(given: &str) -> Result<Self, NetmaskError> {
        if let Ok(dotted) = given.parse::<Ipv4Addr>() {
            let prefix = ipnet::ipv4_mask_to_prefix(dotted).map_err(|_| NetmaskError::Holes(dotted))?;
            return Self::try_from(i64::from(prefix));
        }
        let digits = given.strip_prefix('/').unwrap_or(given);
        if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NetmaskError::Form(given.chars().take(40).collect()));
        }
        let prefix = digits.parse::<i64>().map_err(|_| NetmaskError::Form(digits.to_owned()))?;
        Self::try_from(prefix)
    }
}

impl fmt::Display for Netmask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl Serialize for Netmask {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0)
    }
}

impl<'de> Deserialize<'de> for Netmask {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("24", 24)]
    #[case("/24", 24)]
    #[case("255.255.255.0", 24)]
    #[case("255.255.254.0", 23)]
    #[case("64", 64)]
    #[case("128", 128)]
    fn every_spelling_is_read(#[case] given: &str, #[case] prefix: u8) {
        assert_eq!(given.parse::<Netmask>().map(Netmask::prefix), Ok(prefix));
    }

    #[rstest]
    #[case("")]
    #[case("/")]
    #[case("//24")]
    #[case("0")]
    #[case("129")]
    #[case("-1")]
    #[case("+24")]
    #[case("255.0.255.0")]
    #[case("0.0.0.0")]
    #[case("255.255.255")]
    #[case("99999999999999999999")]
    fn nonsense_is_refused(#[case] given: &str) {
        assert!(given.parse::<Netmask>().is_err());
    }

    #[test]
    fn a_mask_has_to_fit_the_address() {
        let v4: IpAddr = [192, 0, 2, 11].into();
        assert_eq!(Netmask::SLASH_24.network_of(v4).unwrap().to_string(), "192.0.2.11/24");
        let wide: Netmask = "64".parse().unwrap();
        assert_eq!(wide.network_of(v4), Err(NetmaskError::TooLong { prefix: 64, address: v4 }));
        assert_eq!(wide.network_of("2001:db8::7".parse().unwrap()).unwrap().to_string(), "2001:db8::7/64");
    }

    proptest! {
        #[test]
        fn no_text_panics(given in any::<String>()) {
            if let Ok(mask) = given.parse::<Netmask>() {
                prop_assert!((1..=128).contains(&mask.prefix()));
            }
        }
    }
}

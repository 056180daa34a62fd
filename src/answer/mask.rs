//! The width of the machines' network, as the operator writes it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A network mask: a prefix length (`24`, `/24`) or a dotted IPv4 mask (`255.255.255.0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Netmask {
    prefix: u8,
    dotted: bool,
}

/// Why a text is not a mask, or a mask not one for this address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// Neither a number nor four octets.
    #[error("`{0}` is not a network mask; write `24` or `255.255.255.0`")]
    Malformed(String),
    /// Ones behind zeros.
    #[error("the ones in the network mask `{0}` are not in one piece; a usual one is `255.255.255.0`")]
    Holes(Ipv4Addr),
    /// No network, or more bits than an address has.
    #[error("`/{0}` is no usable prefix length; write 1 to 32 for IPv4, 1 to 128 for IPv6")]
    Range(u32),
    /// An IPv4 mask beside an IPv6 address.
    #[error("the network mask `{mask}` does not fit the address `{address}`; set one for its family")]
    Family {
        /// The mask.
        mask: Netmask,
        /// The address.
        address: IpAddr,
    },
}

impl Netmask {
    /// The prefix length for `address`.
    ///
    /// # Errors
    ///
    /// [`MaskError::Family`] where the mask cannot be one of the address's family.
    pub fn prefix_for(self, address: IpAddr) -> Result<u8, MaskError> {
        let fits = if address.is_ipv4() { self.prefix <= 32 } else { !self.dotted };
        if fits { Ok(self.prefix) } else { Err(MaskError::Family { mask: self, address }) }
    }
}

impl FromStr for Netmask {
    type Err = MaskError;

    fn from_str(s: &str) -> Result<Self, MaskError> {
        let trimmed = s.trim();
        if let Ok(mask) = trimmed.parse::<Ipv4Addr>() {
            let bits = mask.to_bits();
            if bits.leading_ones() + bits.trailing_zeros() != 32 && bits != 0 {
                return Err(MaskError::Holes(mask));
            }
            return Self::of(bits.leading_ones(), true);
        }
        let digits = trimmed.strip_prefix('/').unwrap_or(trimmed);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(MaskError::Malformed(s.chars().take(40).collect()));
        }
        let prefix = digits.parse().map_err(|_| MaskError::Malformed(s.chars().take(40).collect()))?;
        Self::of(prefix, false)
    }
}

impl Netmask {
    fn of(prefix: u32, dotted: bool) -> Result<Self, MaskError> {
        match u8::try_from(prefix) {
            Ok(prefix @ 1..=128) => Ok(Self { prefix, dotted }),
            _ => Err(MaskError::Range(prefix)),
        }
    }
}

impl fmt::Display for Netmask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("24", 24)]
    #[case("/24", 24)]
    #[case(" 255.255.255.0 ", 24)]
    #[case("255.255.255.255", 32)]
    #[case("128.0.0.0", 1)]
    #[case("64", 64)]
    fn masks_are_read(#[case] text: &str, #[case] prefix: u8) {
        assert_eq!(text.parse::<Netmask>().unwrap().prefix, prefix);
    }

    #[rstest]
    #[case("", "`` is not a network mask; write `24` or `255.255.255.0`")]
    #[case("+24", "`+24` is not a network mask; write `24` or `255.255.255.0`")]
    #[case(
        "255.0.255.0",
        "the ones in the network mask `255.0.255.0` are not in one piece; a usual one is `255.255.255.0`"
    )]
    #[case("0", "`/0` is no usable prefix length; write 1 to 32 for IPv4, 1 to 128 for IPv6")]
    #[case("0.0.0.0", "`/0` is no usable prefix length; write 1 to 32 for IPv4, 1 to 128 for IPv6")]
    #[case("129", "`/129` is no usable prefix length; write 1 to 32 for IPv4, 1 to 128 for IPv6")]
    #[case("99999999999", "`99999999999` is not a network mask; write `24` or `255.255.255.0`")]
    fn others_are_refused(#[case] text: &str, #[case] message: &str) {
        assert_eq!(text.parse::<Netmask>().unwrap_err().to_string(), message);
    }

    #[test]
    fn a_mask_belongs_to_a_family() {
        let v4 = "10.0.0.2".parse().unwrap();
        let v6 = "2001:db8::2".parse().unwrap();
        let mask = |text: &str| text.parse::<Netmask>().unwrap();
        assert_eq!(mask("24").prefix_for(v4), Ok(24));
        assert_eq!(mask("64").prefix_for(v6), Ok(64));
        assert!(mask("64").prefix_for(v4).is_err());
        assert!(mask("255.255.255.0").prefix_for(v6).is_err());
    }
}

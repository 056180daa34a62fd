//! Whom a client counts for, where clients are counted.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, or the /64 of an IPv6 one: whoever has one address there has 2^64 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(IpAddr);

impl Source {
    /// Whom `peer` counts for.
    #[must_use]
    pub fn of(peer: IpAddr) -> Self {
        Self(match peer.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        })
    }

    /// The address, or the first one of the network.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = if self.0.is_ipv6() { "/64" } else { "" };
        write!(f, "{}{rest}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("192.0.2.1", "192.0.2.1")]
    #[case("::ffff:192.0.2.1", "192.0.2.1")]
    #[case("2001:db8:0:1::1", "2001:db8:0:1::/64")]
    #[case("2001:db8:0:1:ffff::2", "2001:db8:0:1::/64")]
    #[case("2001:db8:0:2::1", "2001:db8:0:2::/64")]
    fn an_ipv6_network_counts_as_one(#[case] peer: &str, #[case] source: &str) {
        assert_eq!(Source::of(peer.parse().unwrap()).to_string(), source);
    }
}

//! Where nodes get their addresses from: the rules, and the pool.
//!
//! Which address a node has is the fleet's business ([`Fleet`](super::Fleet)); here is what may be given out at all.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::mask::Netmask;

/// Where the address in an answer comes from. A plan row or the operator may name another one for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressSource {
    /// The address the machine asked from.
    #[default]
    Requester,
    /// None: the installer keeps what DHCP gives it.
    Dhcp,
    /// The pool; chosen once, when the machine is approved.
    Pool,
    /// The plan only.
    Plan,
}

/// How the installer is told which NIC to configure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NicRule {
    /// By the MAC the request came through; by the vendor only where that is not known and a vendor is configured.
    Asking {
        /// Whether a vendor is configured.
        or_vendor: bool,
    },
    /// By the configured vendor, whatever NIC asked.
    Vendor,
    /// A filter in the operator's own layers says it.
    Given,
}

impl Default for NicRule {
    fn default() -> Self {
        Self::Asking { or_vendor: false }
    }
}

/// What the layers of one machine's answer say of its network otherwise than `default.toml`: its profile and its
/// override. `None` where they leave that to `default.toml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnNetwork {
    /// Whether the machine keeps what DHCP gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<bool>,
    /// They give it an address, and this is how much that weighs; a template of `default.toml` counts here, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<OwnAddress>,
    /// Whether a filter chooses its NIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<bool>,
    /// Their gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Their name server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<IpAddr>,
}

/// An address that stands in the operator's files; what it is shows when the answer is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnAddress {
    /// By a template of `default.toml` or a profile: gives way to the plan.
    Template,
    /// By the node's override: goes before the plan.
    Override,
}

/// An address that a node was given before it installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The address.
    pub address: IpAddr,
    /// Who gave it.
    pub by: FixedBy,
}

/// Who gave a node its address, the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FixedBy {
    /// The pool.
    Pool,
    /// The plan.
    Plan,
    /// The operator.
    Operator,
}

impl FixedBy {
    /// Whether it counts although the operator's files give the node an address, too.
    #[must_use]
    pub fn goes_before(self, own: OwnAddress) -> bool {
        match own {
            OwnAddress::Template => self >= Self::Plan,
            OwnAddress::Override => self == Self::Operator,
        }
    }
}

/// What counts for a machine whose own layers take back what `default.toml` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Otherwise {
    /// Where its address comes from, if `default.toml` says DHCP.
    pub source: AddressSource,
    /// How its NIC is chosen, if `default.toml` has a filter.
    pub nic: NicRule,
}

/// The rules for addresses and NICs, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRules {
    /// Where addresses come from, as far as a machine's own layers do not say otherwise.
    pub source: AddressSource,
    /// Width of the machines' network.
    pub mask: Netmask,
    /// Their gateway.
    pub gateway: Option<IpAddr>,
    /// Their name server.
    pub dns: Option<IpAddr>,
    /// What may be given out.
    pub pool: Pool,
    /// Addresses of this host.
    pub own: BTreeSet<IpAddr>,
    /// How the NIC is chosen, as far as a machine's own layers do not say otherwise.
    pub nic: NicRule,
    /// What counts behind `default.toml`.
    #[serde(default)]
    pub otherwise: Otherwise,
}

/// Why an address cannot be a node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Unspecified, loopback, broadcast or multicast.
    #[error("it is no machine's address")]
    NotAHost,
    /// Valid on one link only.
    #[error("it is link-local")]
    LinkLocal,
    /// IPv4 beside an IPv6 gateway, or the other way round.
    #[error("the gateway is of the other IP version")]
    Family,
    /// The gateway's.
    #[error("it is the gateway's")]
    Gateway,
    /// The name server's.
    #[error("it is the name server's")]
    Dns,
    /// Ours.
    #[error("it is this console's own")]
    Own,
    /// The first or last address of the machines' network.
    #[error("it is the network's own or its broadcast address")]
    Network,
    /// The gateway cannot be reached from it.
    #[error("it is not in the gateway's network")]
    Outside,
}

impl AddressRules {
    /// The machines' network, where the gateway is known.
    #[must_use]
    pub fn network(&self) -> Option<IpNet> {
        self.gateway.and_then(|gateway| self.mask.network_of(gateway).ok()).map(|net| net.trunc())
    }

    /// Where a machine's address comes from.
    #[must_use]
    pub fn source_of(&self, own: &OwnNetwork) -> AddressSource {
        match own.dhcp {
            Some(true) => AddressSource::Dhcp,
            Some(false) if self.source == AddressSource::Dhcp => self.otherwise.source,
            Some(false) | None => self.source,
        }
    }

    /// How a machine's NIC is chosen.
    #[must_use]
    pub fn nic_of(&self, own: &OwnNetwork) -> NicRule {
        match own.filter {
            Some(true) => NicRule::Given,
            Some(false) if self.nic == NicRule::Given => self.otherwise.nic,
            Some(false) | None => self.nic,
        }
    }

    /// Whether a node can have `address`.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn judge(&self, address: IpAddr) -> Result<(), Unfit> {
        self.judge_for(&OwnNetwork::default(), address, self.mask)
    }

    /// Whether a node with these layers of its own can have `address` in a network of this size.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn judge_for(&self, own: &OwnNetwork, address: IpAddr, mask: Netmask) -> Result<(), Unfit> {
        let gateway = own.gateway.or(self.gateway);
        judge_host(address)?;
        if gateway == Some(address) {
            return Err(Unfit::Gateway);
        }
        if own.dns.or(self.dns) == Some(address) {
            return Err(Unfit::Dns);
        }
        if self.own.contains(&address) {
            return Err(Unfit::Own);
        }
        if gateway.is_some_and(|gateway| gateway.is_ipv4() != address.is_ipv4()) {
            return Err(Unfit::Family);
        }
        match gateway.and_then(|gateway| mask.network_of(gateway).ok()).map(|net| net.trunc()) {
            // A network of one address has its gateway elsewhere.
            Some(network) if network.prefix_len() == network.max_prefix_len() => Ok(()),
            Some(network) if !network.contains(&address) => Err(Unfit::Outside),
            Some(network) if is_edge(network, address) => Err(Unfit::Network),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether any machine can have `address`.
///
/// # Errors
/// Why not, in words.
pub fn judge_host(address: IpAddr) -> Result<(), Unfit> {
    let (link_local, broadcast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4 == Ipv4Addr::BROADCAST),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), false),
    };
    if link_local {
        Err(Unfit::LinkLocal)
    } else if broadcast || address.is_unspecified() || address.is_multicast() {
        Err(Unfit::NotAHost)
    } else {
        Ok(())
    }
}

/// Network and broadcast address of IPv4, subnet-router anycast of IPv6. Networks of two or one have none.
fn is_edge(network: IpNet, address: IpAddr) -> bool {
    let is_tiny = network.max_prefix_len() - network.prefix_len() < 2;
    let is_last = address.is_ipv4() && address == network.broadcast();
    !is_tiny && (address == network.network() || is_last)
}

/// Addresses from `first` to `last`, both of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// A text that is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Not an address, network or pair of addresses.
    #[error("`{0}` is not a range; write `192.0.2.10-192.0.2.99`, `192.0.2.64/26` or a single address")]
    Form(String),
    /// The last one comes before the first, or is of the other family.
    #[error("`{0}` ends before it begins, or in another IP version")]
    Backwards(String),
}

impl AddressRange {
    /// The first address.
    #[must_use]
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// The last address.
    #[must_use]
    pub fn last(self) -> IpAddr {
        self.last
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && (self.first..=self.last).contains(&address)
    }

    fn size(self) -> u128 {
        (bits(self.last) - bits(self.first)).saturating_add(1)
    }

    /// What is left of it without `hole`: nothing, one part or two.
    fn without(self, hole: Self) -> impl Iterator<Item = Self> {
        let meets = self.contains(hole.first) || self.contains(hole.last) || hole.contains(self.first);
        let below = before(hole.first).filter(|_| meets).filter(|last| self.contains(*last));
        let above = after(hole.last).filter(|_| meets).filter(|first| self.contains(*first));
        let below = below.map(|last| Self { last, ..self });
        let above = above.map(|first| Self { first, ..self });
        (!meets).then_some(self).into_iter().chain(below).chain(above)
    }
}

impl FromStr for AddressRange {
    type Err = RangeError;

    fn from_str(given: &str) -> Result<Self, RangeError> {
        let shown = || given.chars().filter(|c| !c.is_control()).take(90).collect();
        let form = || RangeError::Form(shown());
        let address = |text: &str| text.trim().parse::<IpAddr>().map(|address| address.to_canonical());
        if let Ok(single) = address(given) {
            return Ok(Self { first: single, last: single });
        }
        if let Ok(network) = given.trim().parse::<IpNet>() {
            return Ok(Self { first: network.network(), last: network.broadcast() });
        }
        let (first, last) = given.split_once('-').ok_or_else(form)?;
        let first = address(first).map_err(|_| form())?;
        let last = match address(last) {
            Ok(last) => last,
            // `192.0.2.10-99`
            Err(_) => short_last(first, last.trim()).ok_or_else(form)?,
        };
        if first.is_ipv4() != last.is_ipv4() || last < first {
            return Err(RangeError::Backwards(shown()));
        }
        Ok(Self { first, last })
    }
}

fn short_last(first: IpAddr, last: &str) -> Option<IpAddr> {
    let IpAddr::V4(v4) = first else { return None };
    let [a, b, c, _] = v4.octets();
    Some(Ipv4Addr::new(a, b, c, last.parse().ok()?).into())
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// Addresses that may be given to nodes: ranges without exclusions, the lowest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool(Vec<AddressRange>);

impl Pool {
    /// The addresses of `ranges` that are not in `exclude`.
    #[must_use]
    pub fn new(ranges: &[AddressRange], exclude: &[AddressRange]) -> Self {
        let mut left: Vec<AddressRange> = ranges.to_vec();
        for hole in exclude {
            left = left.into_iter().flat_map(|range| range.without(*hole)).collect();
        }
        left.sort_unstable();
        let mut joined: Vec<AddressRange> = Vec::new();
        for range in left {
            match joined.last_mut() {
                Some(last) if last.contains(range.first) => last.last = last.last.max(range.last),
                Some(_) | None => joined.push(range),
            }
        }
        Self(joined)
    }

    /// Its parts, without overlaps.
    #[must_use]
    pub fn ranges(&self) -> &[AddressRange] {
        &self.0
    }

    /// How many addresses it has.
    #[must_use]
    pub fn size(&self) -> u128 {
        self.0.iter().fold(0, |sum, range| range.size().saturating_add(sum))
    }

    /// Whether `address` is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }

    /// Its addresses from `floor` on, or all.
    pub fn from(&self, floor: Option<IpAddr>) -> impl Iterator<Item = IpAddr> {
        let start = move |range: &AddressRange| match floor {
            Some(floor) if floor > range.last => None,
            Some(floor) => Some(range.first.max(floor)),
            None => Some(range.first),
        };
        self.0.iter().filter_map(move |range| Some((start(range)?, range.last))).flat_map(|(first, last)| {
            std::iter::successors(Some(first), |address| after(*address)).take_while(move |address| *address <= last)
        })
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn after(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits().checked_add(1)?).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits().checked_add(1)?).into(),
    })
}

fn before(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits().checked_sub(1)?).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits().checked_sub(1)?).into(),
    })
}

#[cfg(test)]
mod tests;

//! The layers of one node: the operator's files, and between and above them what the plan and the operator give this
//! node alone, its address and its NIC.

use std::net::IpAddr;

use super::overlay::{LayerName, Making, Overlay, Rank, Stated, compose};
use super::render::{NicChoice, RenderError, nic_filter};
use super::schema::Setting;
use super::settings::Value;
use crate::domain::address::{Fixed, FixedBy};
use crate::domain::mask::Netmask;
use crate::domain::{MacAddr, OwnAddress, OwnNetwork};

/// The files a node's answer is made from.
#[derive(Clone, Debug)]
pub struct Files<'a> {
    /// `default.toml`.
    pub base: &'a Overlay,
    /// Its profile.
    pub profile: Option<&'a Overlay>,
    /// Its override.
    pub own: Option<Overlay>,
}

/// What a node is given besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given {
    /// Its address; one of the pool is no layer, since every other word on it goes before the pool's.
    pub fixed: Option<Fixed>,
    /// The NIC the operator chose.
    pub nic: Option<MacAddr>,
    /// Width of its network.
    pub mask: Netmask,
}

impl Files<'_> {
    /// What they say of the network otherwise than `default.toml`.
    #[must_use]
    pub fn network(self) -> OwnNetwork {
        let Self { base, profile, own } = self;
        if profile.is_none() && own.is_none() {
            return otherwise(base, base);
        }
        let own = own.as_ref();
        otherwise(&compose([Some(base), profile, own].into_iter().flatten().cloned()), base)
    }

    /// All layers over each other, and what the files say of the network otherwise than `default.toml`.
    ///
    /// # Errors
    ///
    /// The address does not fit the mask.
    pub fn with(self, given: &Given) -> Result<(Overlay, OwnNetwork), RenderError> {
        let Self { base, profile, own } = self;
        let lower = compose([Some(base), profile].into_iter().flatten().cloned());
        let upper = own.unwrap_or_default();
        if given.is_empty() {
            let files = upper.over(lower);
            let network = otherwise(&files, base);
            return Ok((files, network));
        }
        let files = upper.clone().over(lower.clone());
        let network = otherwise(&files, base);
        if files.uses_dhcp() {
            return Ok((files, network));
        }
        let [plan, address, nic] = given.layers()?;
        Ok((compose([lower, plan, upper, address, nic]), network))
    }
}

impl Given {
    fn is_empty(&self) -> bool {
        self.nic.is_none() && self.fixed.is_none_or(|fixed| fixed.by == FixedBy::Pool)
    }

    /// The plan's layer, and those of the operator; what is not given is an empty one.
    fn layers(&self) -> Result<[Overlay; 3], RenderError> {
        let address = |by: FixedBy, rank: Rank, from: &str| {
            let Some(fixed) = self.fixed.filter(|fixed| fixed.by == by) else { return Ok(Overlay::default()) };
            let network = self.mask.network_of(fixed.address).map_err(RenderError::Mask)?;
            Ok(layer(rank, from, Setting::Cidr, Value::Text(network.to_string())))
        };
        let nic = match self.nic {
            Some(mac) => {
                let filter = Value::Table(nic_filter(&NicChoice::Mac(mac))?);
                layer(Rank::Operator, "the interface chosen for it", Setting::NicFilter, filter)
            }
            None => Overlay::default(),
        };
        Ok([
            address(FixedBy::Plan, Rank::Plan, "plan.toml, and `machine_net_mask`")?,
            address(FixedBy::Operator, Rank::Operator, "the address given to it, and `machine_net_mask`")?,
            nic,
        ])
    }
}

fn layer(rank: Rank, from: &str, setting: Setting, value: Value) -> Overlay {
    Overlay::stated(LayerName { rank, name: from.to_owned() }, [(setting, value)])
}

/// What `files` say of the network otherwise than `base`, which is the lowest of them.
fn otherwise(files: &Overlay, base: &Overlay) -> OwnNetwork {
    fn if_new<T: PartialEq>(now: T, before: &T) -> Option<T> {
        (now != *before).then_some(now)
    }
    let server = |of: fn(&Overlay) -> Option<IpAddr>| if_new(of(files), &of(base)).flatten();
    OwnNetwork {
        dhcp: if_new(files.uses_dhcp(), &base.uses_dhcp()),
        address: files.own_address().map(|stated| match stated.origin.source.rank {
            Rank::Base | Rank::Profile => OwnAddress::Template,
            Rank::Plan | Rank::Override | Rank::Operator | Rank::Program => OwnAddress::Override,
        }),
        filter: if_new(files.has_nic_filter(), &base.has_nic_filter()),
        gateway: server(Overlay::gateway),
        dns: server(Overlay::dns),
    }
}

impl Overlay {
    /// The address of this very node, by a layer above `default.toml` or a template.
    pub(super) fn own_address(&self) -> Option<&Stated> {
        let is_every_machines =
            |stated: &&Stated| stated.origin.source.rank == Rank::Base && stated.making == Making::Plain;
        self.get(Setting::Cidr).filter(|stated| !is_every_machines(stated))
    }
}

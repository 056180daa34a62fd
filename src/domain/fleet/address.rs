//! Addresses and NICs of nodes: what the pool gives, and what keeps a machine from being answered.

use std::net::IpAddr;

use super::Fleet;
use crate::domain::address::{AddressSource, NicRule, Unfit, judge_host};
use crate::domain::event::Event;
use crate::domain::guard::{ClaimCode, Grant, Verdict, Withheld};
use crate::domain::id::NodeId;
use crate::domain::node::{Asked, Flag, Node};
use crate::domain::phase::Phase;
use crate::domain::refusal::Refusal;

/// How far the pool will reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOutlook {
    /// Addresses that can still be given out.
    pub free: u128,
    /// Nodes that will want one: waiting or planned, without an address of their own.
    pub wanted: usize,
}

impl Fleet {
    /// The address the pool would give to `node` now. Addresses of nodes, of the plan and of machines that ask are
    /// skipped.
    #[must_use]
    pub fn next_free(&self, node: Option<NodeId>) -> Option<IpAddr> {
        let rules = &self.policy.addresses;
        let is_free = |address: &IpAddr| !self.index.is_taken(*address, node) && rules.judge(*address).is_ok();
        // Below the floor there is nothing for anybody else, but for a machine the address it has now.
        let own =
            node.and_then(|id| self.node(id)).and_then(|node| node.request.as_ref()).map(|asked| asked.stamp.peer);
        let own = own.filter(|address| rules.pool.contains(*address) && is_free(address));
        own.into_iter().chain(rules.pool.from(self.pool_floor).find(is_free)).min()
    }

    /// How far the pool will reach; `None` where addresses do not come from it.
    #[must_use]
    pub fn pool_outlook(&self) -> Option<PoolOutlook> {
        let rules = &self.policy.addresses;
        if rules.source != AddressSource::Pool {
            return None;
        }
        let taken = self.index.taken().filter(|address| rules.pool.contains(*address) && rules.judge(*address).is_ok());
        let mut unfit: Vec<_> = rules.own.iter().copied().chain(rules.gateway).chain(rules.dns).collect();
        unfit.extend(rules.network().into_iter().flat_map(|network| [network.network(), network.broadcast()]));
        unfit.sort_unstable();
        unfit.dedup();
        let unfit = unfit.into_iter().filter(|address| rules.pool.contains(*address) && rules.judge(*address).is_err());
        let lost = taken.count() + unfit.count();
        let free = rules.pool.size().saturating_sub(u128::try_from(lost).unwrap_or(u128::MAX));
        let wants = |node: &&std::sync::Arc<Node>| {
            let is_to_come = node.phase == Phase::Waiting || node.is_unclaimed();
            is_to_come && node.fixed_address().is_none()
        };
        Some(PoolOutlook { free, wanted: self.nodes().filter(wants).count() })
    }

    /// What an approval brings besides itself: the address of the pool, where the node has none.
    pub(super) fn address_on_approval(&self, node: &Node) -> Result<Option<Event>, Refusal> {
        if node.fixed_address().is_some() {
            return Ok(None);
        }
        match self.policy.addresses.source {
            AddressSource::Requester | AddressSource::Dhcp => Ok(None),
            AddressSource::Plan => Err(Refusal::NoPlannedAddress(node.name.clone())),
            AddressSource::Pool => {
                let address = self.next_free(Some(node.id)).ok_or_else(|| Refusal::PoolEmpty(node.name.clone()))?;
                Ok(Some(Event::AddressAssigned { node: node.id, address }))
            }
        }
    }

    /// The guard's word, and then whether an answer can be made at all: address and NIC.
    pub(super) fn checked(&self, verdict: Verdict, asked: &Asked) -> Verdict {
        let Verdict::Serve(grant) = &verdict else { return verdict };
        let Some(node) = self.node(grant.node) else { return verdict };
        match self.obstacle(node.id, node.fixed_address(), node.nic, asked) {
            Some(why) => Verdict::Hold(why),
            None => verdict,
        }
    }

    /// A permission completed by the pool's address, where one is due that no approval brought: another rule was in
    /// force then. `None` where there is nothing to do.
    pub(super) fn completed(&self, grant: &Grant) -> Option<(Grant, Event)> {
        let node = self.node(grant.node)?;
        if self.policy.addresses.source != AddressSource::Pool || grant.address.is_some() {
            return None;
        }
        let address = self.next_free(Some(node.id))?;
        let grant = Grant { address: Some(address), ..grant.clone() };
        Some((grant, Event::AddressAssigned { node: node.id, address }))
    }

    /// What keeps a machine from being answered, whoever approves it.
    pub(super) fn obstacle(
        &self,
        node: NodeId,
        fixed: Option<IpAddr>,
        nic: Option<crate::domain::mac::MacAddr>,
        asked: &Asked,
    ) -> Option<Withheld> {
        let rules = &self.policy.addresses;
        if rules.source == AddressSource::Dhcp {
            return None;
        }
        let code = ClaimCode::of(node);
        let address = match (fixed, rules.source) {
            (Some(address), _) => {
                if let Err(why) = rules.judge(address) {
                    return Some(Withheld::BadAddress { address, why });
                }
                Some(address)
            }
            (None, AddressSource::Plan) => return Some(Withheld::NoPlannedAddress(code)),
            (None, AddressSource::Pool) => {
                if self.next_free(Some(node)).is_none() {
                    return Some(Withheld::PoolEmpty(code));
                }
                None
            }
            (None, AddressSource::Requester | AddressSource::Dhcp) => {
                let address = asked.stamp.peer;
                if let Err(why) = self.judge_requester(address) {
                    return Some(Withheld::BadRequester { address, why });
                }
                Some(address)
            }
        };
        if let Some(owner) = address.and_then(|address| self.owner_of(address, node)) {
            return Some(Withheld::AddressTaken(owner.name.clone()));
        }
        let is_open = rules.nic == NicRule::Asking { or_vendor: false } && nic.or(asked.asking_mac).is_none();
        // A machine that lists none has none to choose from; the renderer says so.
        (is_open && !asked.info.links.is_empty()).then_some(Withheld::ChooseNic(code))
    }

    /// Whether a machine can keep the address it asks from. Where it lies is DHCP's business.
    fn judge_requester(&self, address: IpAddr) -> Result<(), Unfit> {
        judge_host(address)?;
        match self.policy.addresses.judge(address) {
            Err(why @ (Unfit::Family | Unfit::Gateway)) => Err(why),
            _ => Ok(()),
        }
    }

    /// What the operator should know about address and NIC of a machine that asks.
    pub(super) fn network_flags(
        &self,
        node: NodeId,
        fixed: Option<IpAddr>,
        nic: Option<crate::domain::mac::MacAddr>,
        asked: &Asked,
    ) -> Vec<Flag> {
        let peer = asked.stamp.peer;
        let mut flags = Vec::new();
        let is_installed_there = |owner: &&std::sync::Arc<Node>| {
            let answered = owner.answers.as_ref().and_then(|answers| answers.address);
            answered.is_some_and(|net| net.addr() == peer) || owner.address == Some(peer)
        };
        if let Some(owner) = self.owner_of(peer, node).filter(is_installed_there) {
            flags.push(Flag::LeaseReused { of: owner.id });
        }
        match self.obstacle(node, fixed, nic, asked) {
            Some(Withheld::ChooseNic(_)) => flags.push(Flag::ChooseNic),
            Some(Withheld::AddressTaken(name)) => {
                flags.extend(self.named(&name).map(|owner| Flag::AddressTaken { by: owner.id }));
            }
            Some(why) => flags.push(Flag::CannotAnswer { reason: why.to_string().as_str().into() }),
            None => {}
        }
        flags
    }
}

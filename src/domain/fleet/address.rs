//! Addresses and NICs of nodes: what the pool gives, and what keeps a machine from being answered.

use std::net::IpAddr;

use super::Fleet;
use crate::domain::address::{AddressSource, Fixed, FixedBy, NicRule, OwnNetwork, Unfit, judge_host};
use crate::domain::command::Release;
use crate::domain::event::Event;
use crate::domain::guard::{ClaimCode, Grant, Verdict, Withheld};
use crate::domain::id::NodeId;
use crate::domain::mask::Netmask;
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
            is_to_come && node.fixed().is_none() && self.is_due_from_pool(&node.own_network())
        };
        Some(PoolOutlook { free, wanted: self.nodes().filter(wants).count() })
    }

    /// Whether the pool is to give an address to a machine with these layers, where nobody else does.
    fn is_due_from_pool(&self, own: &OwnNetwork) -> bool {
        own.address.is_none() && self.policy.addresses.source_of(own) == AddressSource::Pool
    }

    /// What an approval brings besides itself: the address of the pool, where the node has none.
    pub(super) fn address_on_approval(&self, node: &Node) -> Result<Option<Event>, Refusal> {
        let fixed = self.fixed_on_approval(node)?.filter(|_| node.fixed().is_none());
        Ok(fixed.map(|Fixed { address, .. }| Event::AddressAssigned { node: node.id, address }))
    }

    /// The address a node would be given by an approval, if it is to have one of its own.
    ///
    /// # Errors
    /// Why it could not be approved.
    pub fn fixed_on_approval(&self, node: &Node) -> Result<Option<Fixed>, Refusal> {
        let own = node.own_network();
        if node.fixed().is_some() || own.address.is_some() {
            return Ok(node.fixed());
        }
        match self.policy.addresses.source_of(&own) {
            AddressSource::Requester | AddressSource::Dhcp => Ok(None),
            AddressSource::Plan => Err(Refusal::NoPlannedAddress(node.name.clone())),
            AddressSource::Pool => {
                let address = self.next_free(Some(node.id)).ok_or_else(|| Refusal::PoolEmpty(node.name.clone()))?;
                Ok(Some(Fixed { address, by: FixedBy::Pool }))
            }
        }
    }

    /// The guard's word, and then whether an answer can be made at all: address and NIC.
    pub(super) fn checked(&self, verdict: Verdict, asked: &Asked) -> Verdict {
        let Verdict::Serve(grant) = &verdict else { return verdict };
        let Some(node) = self.node(grant.node) else { return verdict };
        // What another profile says of its network shows when its answer is made, and is judged then.
        let Some(own) = asked.own else { return verdict };
        match self.obstacle(node.id, node.fixed(), node.nic, asked, &own) {
            Some(why) => Verdict::Hold(why),
            None => verdict,
        }
    }

    /// A permission completed by the pool's address, where one is due that no approval brought: another rule was in
    /// force then. `None` where there is nothing to do.
    pub(super) fn completed(&self, grant: &Grant, own: &OwnNetwork) -> Option<(Grant, Event)> {
        let node = self.node(grant.node)?;
        if grant.address.is_some() || !self.is_due_from_pool(own) {
            return None;
        }
        let address = self.next_free(Some(node.id))?;
        let grant = Grant { address: Some(Fixed { address, by: FixedBy::Pool }), ..grant.clone() };
        Some((grant, Event::AddressAssigned { node: node.id, address }))
    }

    /// What keeps a machine with these layers from being answered, whoever approves it. An address of its own layers is
    /// known when its answer is made: [`Fleet::flaw`].
    pub(super) fn obstacle(
        &self,
        node: NodeId,
        fixed: Option<Fixed>,
        nic: Option<crate::domain::mac::MacAddr>,
        asked: &Asked,
        own: &OwnNetwork,
    ) -> Option<Withheld> {
        let rules = &self.policy.addresses;
        let source = rules.source_of(own);
        if source == AddressSource::Dhcp {
            return None;
        }
        let code = ClaimCode::of(node);
        let counts = |fixed: &Fixed| own.address.is_none_or(|own| fixed.by.goes_before(own));
        let address = match (fixed.filter(counts), own.address, source) {
            (Some(Fixed { address, .. }), _, _) => {
                if let Err(why) = rules.judge_for(own, address, rules.mask) {
                    return Some(Withheld::BadAddress { address, why });
                }
                Some(address)
            }
            (None, Some(_), _) => None,
            (None, None, AddressSource::Plan) => return Some(Withheld::NoPlannedAddress(code)),
            (None, None, AddressSource::Pool) => {
                if self.next_free(Some(node)).is_none() {
                    return Some(Withheld::PoolEmpty(code));
                }
                None
            }
            (None, None, AddressSource::Requester | AddressSource::Dhcp) => {
                let address = asked.stamp.peer;
                if let Err(why) = self.judge_requester(own, address) {
                    return Some(Withheld::BadRequester { address, why });
                }
                Some(address)
            }
        };
        if let Some(owner) = address.and_then(|address| self.owner_of(address, node)) {
            return Some(Withheld::AddressTaken(owner.name.clone()));
        }
        let is_open = rules.nic_of(own) == NicRule::Asking { or_vendor: false } && nic.or(asked.asking_mac).is_none();
        // A machine that lists none has none to choose from; the renderer says so.
        (is_open && !asked.info.links.is_empty()).then_some(Withheld::ChooseNic(code))
    }

    /// What is wrong with the address of a finished answer, wherever it is from.
    pub(super) fn flaw(&self, node: &Node, release: &Release) -> Option<Withheld> {
        let net = release.address?;
        let address = net.addr();
        let mask = Netmask::try_from(i64::from(net.prefix_len())).unwrap_or(self.policy.addresses.mask);
        if address == release.stamp.peer.to_canonical() {
            if let Err(why) = self.judge_requester(&release.own, address) {
                return Some(Withheld::BadRequester { address, why });
            }
        } else if let Err(why) = self.policy.addresses.judge_for(&release.own, address, mask) {
            return Some(Withheld::BadAddress { address, why });
        }
        self.owner_of(address, node.id).map(|owner| Withheld::AddressTaken(owner.name.clone()))
    }

    /// Whether a machine can keep the address it asks from. Where it lies is DHCP's business.
    fn judge_requester(&self, own: &OwnNetwork, address: IpAddr) -> Result<(), Unfit> {
        judge_host(address)?;
        match self.policy.addresses.judge_for(own, address, self.policy.addresses.mask) {
            Err(why @ (Unfit::Family | Unfit::Gateway)) => Err(why),
            _ => Ok(()),
        }
    }

    /// What the operator should know about address and NIC of a machine that asks.
    pub(super) fn network_flags(
        &self,
        node: NodeId,
        fixed: Option<Fixed>,
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
        let obstacle = self.obstacle(node, fixed, nic, asked, &asked.own.unwrap_or_default());
        flags.extend(obstacle.and_then(|why| self.flag_of(&why)));
        flags
    }

    /// How a row shows what keeps it from being answered.
    pub(super) fn flag_of(&self, why: &Withheld) -> Option<Flag> {
        match why {
            Withheld::ChooseNic(_) => Some(Flag::ChooseNic),
            Withheld::AddressTaken(name) => self.named(name).map(|owner| Flag::AddressTaken { by: owner.id }),
            Withheld::BadRequester { .. }
            | Withheld::BadAddress { .. }
            | Withheld::NoPlannedAddress(_)
            | Withheld::PoolEmpty(_) => Some(Flag::CannotAnswer { reason: why.to_string().as_str().into() }),
            Withheld::Undecided(_)
            | Withheld::Changed(_)
            | Withheld::AsksAgain { .. }
            | Withheld::Banned(_)
            | Withheld::Rejected(_) => None,
        }
    }
}

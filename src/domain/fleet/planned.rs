//! From facts about the plan, addresses and NICs to state; the part of `evolve` that is about them.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::Fleet;
use super::evolve::enter;
use super::index::owned_addresses;
use crate::domain::fqdn::Fqdn;
use crate::domain::id::NodeId;
use crate::domain::mac::MacAddr;
use crate::domain::node::{Assigned, AssignedBy, Flag, Node};
use crate::domain::phase::Phase;
use crate::domain::plan::{PlanEntry, PlanMatch, words};

impl Fleet {
    /// A machine was recognised as a row of the plan.
    pub(super) fn match_plan(&mut self, id: NodeId, found: &PlanMatch, at: Timestamp) {
        let is_first = self.node(id).is_some_and(|node| node.phase == Phase::Planned);
        self.change(id, |node| {
            node.plan_match = Some(found.clone());
            note_match(node);
            if node.phase == Phase::Planned {
                enter(node, Phase::Waiting, at);
            }
        });
        if is_first {
            self.note_own(id);
        }
    }

    /// A machine's row took over a row of the plan, which is no more.
    pub(super) fn join_plan(&mut self, id: NodeId, row: NodeId, entry: &Arc<PlanEntry>, found: &PlanMatch) {
        let _ = self.drop_row(row);
        self.take_entry(id, entry, Some(found.clone()), None);
        if !found.by.is_empty() {
            self.note_own(id);
        }
    }

    /// The plan no longer has a row.
    pub(super) fn unplan(&mut self, id: NodeId) {
        if self.node(id).is_some_and(|node| node.is_unclaimed()) {
            let _ = self.drop_row(id);
        } else {
            self.change(id, |node| {
                node.plan = None;
                node.unlearn_network();
                node.plan_match = None;
                note_match(node);
            });
        }
    }

    /// The pool gave a node its address.
    pub(super) fn assign(&mut self, id: NodeId, address: IpAddr) {
        self.change(id, |node| {
            node.assigned = Some(Assigned { address, by: AssignedBy::Pool });
            node.flags.retain(|flag| !is_about_address(flag));
        });
        // The pool gives its lowest free address: all below are taken.
        self.pool_floor = self.pool_floor.max(Some(address));
    }

    /// Gives a row an entry of the plan, and with it its name, while that can still be changed: the one it was decided to
    /// take, else the entry's where that is news and nobody has it.
    pub(super) fn take_entry(
        &mut self,
        id: NodeId,
        entry: &Arc<PlanEntry>,
        found: Option<PlanMatch>,
        takes: Option<&Fqdn>,
    ) {
        let is_free = self.named(&entry.hostname).is_none_or(|other| other.id == id);
        self.change(id, |node| {
            let is_news = node.plan.as_ref().is_none_or(|old| old.hostname != entry.hostname);
            if let Some(name) = takes.or(Some(&entry.hostname).filter(|_| is_news && is_free))
                && node.phase.is_before_answer()
            {
                node.name = name.clone();
            }
            if node.plan.as_ref().and_then(|old| old.profile.as_ref()) != entry.profile.as_ref() {
                node.unlearn_network();
            }
            node.plan = Some(Arc::clone(entry));
            node.plan_match = found;
            node.flags.retain(|flag| !is_about_address(flag) && !matches!(flag, Flag::NotTheNext { .. }));
            note_match(node);
        });
    }

    /// Addresses that a node no longer has can be given out again.
    pub(super) fn lower_floor(&mut self, before: &Node, after: Option<&Node>) {
        let Some(floor) = self.pool_floor else { return };
        let held = |node: &Node| {
            let peer = node.request.as_ref().map(|asked| asked.stamp.peer);
            owned_addresses(node).into_iter().chain(peer).collect::<Vec<IpAddr>>()
        };
        let kept = after.map(held).unwrap_or_default();
        let freed = held(before).into_iter().filter(|address| *address < floor && !kept.contains(address)).min();
        self.pool_floor = Some(freed.unwrap_or(floor));
    }
}

/// The operator's word: the address of the answer before the node installs, where Ansible reaches it at all times.
pub(super) fn set_address(node: &mut Node, address: IpAddr) {
    node.address = Some(address);
    // Whoever answers elsewhere is not meant by it any more.
    node.flags.retain(|flag| !is_about_address(flag) && *flag != Flag::WrongHostKey);
    if node.is_to_be_installed() {
        node.assigned = Some(Assigned { address, by: AssignedBy::Operator });
    }
}

pub(super) fn choose_nic(node: &mut Node, mac: MacAddr) {
    node.nic = Some(mac);
    node.flags.remove(&Flag::ChooseNic);
}

/// Says on the row how well its machine fits the plan.
pub(super) fn note_match(node: &mut Node) {
    node.flags.retain(|flag| !is_about_plan(flag));
    let (Some(entry), Some(found)) = (&node.plan, &node.plan_match) else { return };
    if !found.against.is_empty() {
        node.flags.insert(Flag::PlanContradicted { what: words(&found.against).as_str().into() });
    } else if found.is_weak() && !found.by.is_empty() {
        node.flags.insert(Flag::PlanWeak);
    }
    if node.name != entry.hostname && !node.phase.is_before_answer() {
        node.flags.insert(Flag::PlanName { name: entry.hostname.clone() });
    }
}

/// Flags that follow from how a machine fits the plan.
pub(super) fn is_about_plan(flag: &Flag) -> bool {
    matches!(flag, Flag::PlanContradicted { .. } | Flag::PlanWeak | Flag::PlanName { .. })
}

/// Flags that an address of its own settles.
pub(super) fn is_about_address(flag: &Flag) -> bool {
    matches!(flag, Flag::AddressTaken { .. } | Flag::CannotAnswer { .. })
}

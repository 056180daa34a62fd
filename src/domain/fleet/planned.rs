//! From facts about the plan, addresses and NICs to state; the part of `evolve` that is about them.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::Fleet;
use super::evolve::{empty_row, enter};
use super::index::owned_addresses;
use crate::domain::event::Event;
use crate::domain::fqdn::Fqdn;
use crate::domain::id::NodeId;
use crate::domain::node::{Assigned, AssignedBy, Flag, Node};
use crate::domain::phase::Phase;
use crate::domain::plan::{PlanEntry, PlanMatch, words};

impl Fleet {
    /// Folds in an event about the plan or an address. Other events change nothing here.
    pub(super) fn apply_plan(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Planned { node, entry } => {
                let row = Node {
                    plan: Some(Arc::clone(entry)),
                    phase: Phase::Planned,
                    ..empty_row(*node, entry.hostname.clone(), at)
                };
                self.add_row(row);
            }
            Event::PlanChanged { node, entry, found, name } => {
                self.take_entry(*node, entry, found.clone(), name.as_ref());
            }
            Event::PlanMatched { node, found } => {
                let is_first = self.node(*node).is_some_and(|node| node.phase == Phase::Planned);
                self.change(*node, |node| {
                    node.plan_match = Some(found.clone());
                    note_match(node);
                    if node.phase == Phase::Planned {
                        enter(node, Phase::Waiting, at);
                    }
                });
                if is_first {
                    self.note_own(*node);
                }
            }
            Event::PlanJoined { node, row, entry, found } => {
                let _ = self.drop_row(*row);
                self.take_entry(*node, entry, Some(found.clone()), None);
                if !found.by.is_empty() {
                    self.note_own(*node);
                }
            }
            Event::Unplanned { node } => {
                if self.node(*node).is_some_and(|node| node.is_unclaimed()) {
                    let _ = self.drop_row(*node);
                } else {
                    self.change(*node, |node| {
                        node.plan = None;
                        node.unlearn_network();
                        node.plan_match = None;
                        note_match(node);
                    });
                }
            }
            Event::AddressAssigned { node, address } => {
                self.change(*node, |node| {
                    node.assigned = Some(Assigned { address: *address, by: AssignedBy::Pool });
                    node.flags.retain(|flag| !is_about_address(flag));
                });
                // The pool gives its lowest free address: all below are taken.
                self.pool_floor = self.pool_floor.max(Some(*address));
            }
            Event::NicChosen { node, mac } => self.change(*node, |node| {
                node.nic = Some(*mac);
                node.flags.remove(&Flag::ChooseNic);
            }),
            _ => {}
        }
    }

    /// Gives a row an entry of the plan, and with it its name, while that can still be changed: the one it was decided to
    /// take, else the entry's where that is news and nobody has it.
    fn take_entry(&mut self, id: NodeId, entry: &Arc<PlanEntry>, found: Option<PlanMatch>, takes: Option<&Fqdn>) {
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
    node.flags.retain(|flag| !is_about_address(flag));
    if node.is_to_be_installed() {
        node.assigned = Some(Assigned { address, by: AssignedBy::Operator });
    }
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

//! Where to find a node by anything that identifies it. Derived from the nodes; never stored.

use std::cmp::Reverse;
use std::net::IpAddr;

use imbl::{HashMap, OrdMap, OrdSet};
use uuid::Uuid;

use crate::domain::fqdn::Fqdn;
use crate::domain::id::{NodeId, SecretHash};
use crate::domain::mac::MacAddr;
use crate::domain::node::Node;
use crate::domain::phase::Phase;
use crate::domain::text::Text;

/// Nodes by name, identifier, address and secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    names: HashMap<Fqdn, NodeId>,
    uuids: HashMap<Uuid, OrdSet<NodeId>>,
    serials: HashMap<Text, OrdSet<NodeId>>,
    macs: HashMap<MacAddr, OrdSet<NodeId>>,
    addresses: HashMap<IpAddr, OrdSet<NodeId>>,
    secrets: HashMap<SecretHash, NodeId>,
    counters: HashMap<Text, OrdSet<u64>>,
    /// Rows nobody has decided on, by the address their machine last asked from.
    waiting: OrdMap<IpAddr, OrdSet<NodeId>>,
    waiting_count: usize,
}

impl Index {
    /// Adds everything `node` can be found by.
    pub(super) fn insert(&mut self, node: &Node) {
        self.names.insert(node.name.clone(), node.id);
        self.insert_machine(node);
        self.insert_addresses(node);
        for secret in secrets(node) {
            self.secrets.insert(*secret, node.id);
        }
        self.insert_counters(node);
        self.insert_waiting(node);
    }

    /// Takes everything `node` could be found by away again.
    pub(super) fn remove(&mut self, node: &Node) {
        self.names.remove(&node.name);
        self.remove_machine(node);
        self.remove_addresses(node);
        for secret in secrets(node) {
            self.secrets.remove(secret);
        }
        self.remove_counters(node);
        self.remove_waiting(node);
    }

    /// Follows a node from one state to the next. Most events change nothing, or one thing, that it is found by.
    pub(super) fn update(&mut self, before: &Node, after: &Node) {
        if before.name != after.name {
            self.names.remove(&before.name);
            self.names.insert(after.name.clone(), after.id);
        }
        if before.machine != after.machine {
            self.remove_machine(before);
            self.insert_machine(after);
        }
        if !owned_addresses(before).eq(owned_addresses(after)) {
            self.remove_addresses(before);
            self.insert_addresses(after);
        }
        if before.counters != after.counters {
            self.remove_counters(before);
            self.insert_counters(after);
        }
        if waits_at(before) != waits_at(after) {
            self.remove_waiting(before);
            self.insert_waiting(after);
        }
        // A handful at most.
        for gone in secrets(before).filter(|secret| !secrets(after).any(|other| other == *secret)) {
            self.secrets.remove(gone);
        }
        for new in secrets(after).filter(|secret| !secrets(before).any(|other| other == *secret)) {
            self.secrets.insert(*new, after.id);
        }
    }

    fn insert_machine(&mut self, node: &Node) {
        if let Some(uuid) = node.machine.uuid {
            self.uuids.entry(uuid).or_default().insert(node.id);
        }
        if let Some(serial) = &node.machine.serial {
            self.serials.entry(serial.clone()).or_default().insert(node.id);
        }
        for mac in &node.machine.macs {
            self.macs.entry(*mac).or_default().insert(node.id);
        }
    }

    fn remove_machine(&mut self, node: &Node) {
        if let Some(uuid) = node.machine.uuid {
            take(&mut self.uuids, &uuid, node.id);
        }
        if let Some(serial) = &node.machine.serial {
            take(&mut self.serials, serial, node.id);
        }
        for mac in &node.machine.macs {
            take(&mut self.macs, mac, node.id);
        }
    }

    fn insert_counters(&mut self, node: &Node) {
        for (counter, value) in &node.counters {
            self.counters.entry(counter.clone()).or_default().insert(*value);
        }
    }

    fn remove_counters(&mut self, node: &Node) {
        for (counter, value) in &node.counters {
            if let Some(values) = self.counters.get_mut(counter) {
                values.remove(value);
                if values.is_empty() {
                    self.counters.remove(counter);
                }
            }
        }
    }

    fn insert_addresses(&mut self, node: &Node) {
        for address in owned_addresses(node) {
            self.addresses.entry(address).or_default().insert(node.id);
        }
    }

    fn remove_addresses(&mut self, node: &Node) {
        for address in owned_addresses(node) {
            take(&mut self.addresses, &address, node.id);
        }
    }

    fn insert_waiting(&mut self, node: &Node) {
        if let Some(peer) = waits_at(node) {
            self.waiting.entry(peer).or_default().insert(node.id);
            self.waiting_count += 1;
        }
    }

    fn remove_waiting(&mut self, node: &Node) {
        let Some(peer) = waits_at(node) else { return };
        let Some(rows) = self.waiting.get_mut(&peer) else { return };
        self.waiting_count -= usize::from(rows.remove(&node.id).is_some());
        if rows.is_empty() {
            self.waiting.remove(&peer);
        }
    }

    /// How many rows nobody has decided on.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting_count
    }

    /// The oldest row of the address that has most rows nobody has decided on, and how many it has.
    pub(super) fn most_waiting(&self) -> Option<(NodeId, usize)> {
        let oldest = |rows: &OrdSet<NodeId>| rows.get_min().copied();
        let of_address = self.waiting.values().filter_map(|rows| Some((rows.len(), Reverse(oldest(rows)?))));
        of_address.max().map(|(count, Reverse(node))| (node, count))
    }

    pub(super) fn named(&self, name: &Fqdn) -> Option<NodeId> {
        self.names.get(name).copied()
    }

    pub(super) fn by_secret(&self, secret: &SecretHash) -> Option<NodeId> {
        self.secrets.get(secret).copied()
    }

    pub(super) fn by_uuid(&self, uuid: Uuid) -> impl Iterator<Item = NodeId> {
        self.uuids.get(&uuid).into_iter().flatten().copied()
    }

    pub(super) fn by_serial(&self, serial: &Text) -> impl Iterator<Item = NodeId> {
        self.serials.get(serial).into_iter().flatten().copied()
    }

    pub(super) fn by_mac(&self, mac: MacAddr) -> impl Iterator<Item = NodeId> {
        self.macs.get(&mac).into_iter().flatten().copied()
    }

    /// The lowest value of a counter, from `start` on, that no row has.
    pub(super) fn lowest_free(&self, counter: &Text, start: u64) -> u64 {
        let taken = self.counters.get(counter).into_iter().flat_map(|values| values.range(start..));
        taken
            .zip(start..)
            .take_while(|(value, expected)| *value == expected)
            .last()
            .map_or(start, |(value, _)| value + 1)
    }

    pub(super) fn owners(&self, address: IpAddr) -> impl Iterator<Item = NodeId> {
        self.addresses.get(&address).into_iter().flatten().copied()
    }
}

fn take<K: std::hash::Hash + Eq + Clone>(map: &mut HashMap<K, OrdSet<NodeId>>, key: &K, id: NodeId) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

/// The addresses a node holds: the one Ansible uses and the one put into its answer.
fn owned_addresses(node: &Node) -> impl Iterator<Item = IpAddr> {
    let answered = node.answers.as_ref().and_then(|answers| answers.address).map(|net| net.addr());
    let own = node.address;
    own.into_iter().chain(answered.filter(move |address| Some(*address) != own))
}

/// Where a machine asks from that nobody has decided on.
fn waits_at(node: &Node) -> Option<IpAddr> {
    (node.phase == Phase::Waiting).then(|| node.request.as_ref().map(|asked| asked.stamp.peer)).flatten()
}

fn secrets(node: &Node) -> impl Iterator<Item = &SecretHash> {
    node.answers.iter().flat_map(|answers| &answers.secrets)
}

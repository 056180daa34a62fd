//! Where to find a node by anything that identifies it. Derived from the nodes; never stored.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;

use imbl::{HashMap, OrdSet};
use uuid::Uuid;

use super::machines::{Machines, take};
use crate::domain::fqdn::Fqdn;
use crate::domain::id::{NodeId, SecretHash};
use crate::domain::mac::MacAddr;
use crate::domain::node::{Flag, Node};
use crate::domain::phase::Phase;
use crate::domain::plan::{PlanEntry, Shown};
use crate::domain::source::Source;
use crate::domain::text::Text;

/// Nodes by name, identifier, address and secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    names: HashMap<Fqdn, NodeId>,
    machines: Machines,
    /// What was here before, by the rows it had.
    former: Machines,
    /// Rows that may be installed, by what whoever asked last in their name showed besides what they are known by.
    claimed: HashMap<MacAddr, OrdSet<NodeId>>,
    addresses: HashMap<IpAddr, OrdSet<NodeId>>,
    secrets: HashMap<SecretHash, NodeId>,
    planned: HashMap<Token, OrdSet<NodeId>>,
    peers: HashMap<IpAddr, OrdSet<NodeId>>,
    counters: HashMap<Text, OrdSet<u64>>,
    /// Rows nobody has decided on, by whom their machine counts for.
    waiting: HashMap<Source, OrdSet<NodeId>>,
    /// Those sources: most rows last, and of equals the one with the oldest.
    greedy: OrdSet<(usize, Reverse<NodeId>, Source)>,
    waiting_count: usize,
}

/// Anything a row of the plan can be recognised by; texts in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Token {
    Uuid(Uuid),
    Serial(String),
    Mac(MacAddr),
    AssetTag(String),
}

/// What an entry of the plan can be recognised by.
pub(super) fn tokens(entry: &PlanEntry) -> impl Iterator<Item = Token> {
    let lower = |text: &Text| text.as_str().to_ascii_lowercase();
    let serial = entry.serial.as_ref().map(lower).map(Token::Serial);
    let tag = entry.asset_tag.as_ref().map(lower).map(Token::AssetTag);
    let macs = entry.macs.iter().copied().map(Token::Mac);
    entry.uuid.map(Token::Uuid).into_iter().chain(serial).chain(tag).chain(macs)
}

/// What a machine shows of these.
pub(super) fn shown_tokens(shown: Shown<'_>) -> impl Iterator<Item = Token> {
    let lower = |text: &Text| text.as_str().to_ascii_lowercase();
    let machine = shown.machine;
    let serial = machine.serial.as_ref().map(lower).map(Token::Serial);
    let tag = shown.asset_tag.map(lower).map(Token::AssetTag);
    let macs = machine.macs.iter().copied().map(Token::Mac);
    machine.uuid.map(Token::Uuid).into_iter().chain(serial).chain(tag).chain(macs)
}

impl Index {
    /// Adds everything `node` can be found by.
    pub(super) fn insert(&mut self, node: &Node) {
        self.names.insert(node.name.clone(), node.id);
        self.machines.insert(node.id, &node.machine);
        self.insert_claims(node);
        self.insert_addresses(node);
        self.insert_plan(node);
        for secret in secrets(node) {
            self.secrets.insert(*secret, node.id);
        }
        self.insert_counters(node);
        self.insert_waiting(node);
    }

    /// Takes everything `node` could be found by away again.
    pub(super) fn remove(&mut self, node: &Node) {
        self.remove_name(node);
        self.machines.remove(node.id, &node.machine);
        self.remove_claims(node);
        self.remove_addresses(node);
        self.remove_plan(node);
        for secret in secrets(node) {
            self.secrets.remove(secret);
        }
        self.remove_counters(node);
        self.remove_waiting(node);
    }

    /// Follows a node from one state to the next. Most events change nothing, or one thing, that it is found by.
    pub(super) fn update(&mut self, before: &Node, after: &Node) {
        if before.name != after.name {
            self.remove_name(before);
            self.names.insert(after.name.clone(), after.id);
        }
        if before.machine != after.machine {
            self.machines.remove(before.id, &before.machine);
            self.machines.insert(after.id, &after.machine);
        }
        if !claims(before).eq(claims(after)) {
            self.remove_claims(before);
            self.insert_claims(after);
        }
        if peer(before) != peer(after) || owned_addresses(before) != owned_addresses(after) {
            self.remove_addresses(before);
            self.insert_addresses(after);
        }
        if before.plan != after.plan {
            self.remove_plan(before);
            self.insert_plan(after);
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

    /// Within one decision two rows may change names: the name a row leaves can be another's by then.
    fn remove_name(&mut self, node: &Node) {
        if self.names.get(&node.name) == Some(&node.id) {
            self.names.remove(&node.name);
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

    fn insert_claims(&mut self, node: &Node) {
        for mac in claims(node) {
            self.claimed.entry(mac).or_default().insert(node.id);
        }
    }

    fn remove_claims(&mut self, node: &Node) {
        for mac in claims(node) {
            take(&mut self.claimed, &mac, node.id);
        }
    }

    fn insert_addresses(&mut self, node: &Node) {
        for address in owned_addresses(node) {
            self.addresses.entry(address).or_default().insert(node.id);
        }
        if let Some(peer) = peer(node) {
            self.peers.entry(peer).or_default().insert(node.id);
        }
    }

    fn remove_addresses(&mut self, node: &Node) {
        for address in owned_addresses(node) {
            take(&mut self.addresses, &address, node.id);
        }
        if let Some(peer) = peer(node) {
            take(&mut self.peers, &peer, node.id);
        }
    }

    fn insert_plan(&mut self, node: &Node) {
        for token in node.plan.iter().flat_map(|entry| tokens(entry)) {
            self.planned.entry(token).or_default().insert(node.id);
        }
    }

    fn remove_plan(&mut self, node: &Node) {
        for token in node.plan.iter().flat_map(|entry| tokens(entry)) {
            take(&mut self.planned, &token, node.id);
        }
    }

    fn insert_waiting(&mut self, node: &Node) {
        if let Some(source) = waits_at(node) {
            self.rank(source, |rows| rows.insert(node.id));
            self.waiting_count += 1;
        }
    }

    fn remove_waiting(&mut self, node: &Node) {
        if let Some(source) = waits_at(node) {
            self.rank(source, |rows| rows.remove(&node.id));
            self.waiting_count -= 1;
        }
    }

    /// Changes a source's rows, and its rank.
    fn rank<T>(&mut self, source: Source, change: impl FnOnce(&mut OrdSet<NodeId>) -> T) {
        let rank = |rows: &OrdSet<NodeId>| rows.get_min().map(|oldest| (rows.len(), Reverse(*oldest), source));
        let rows = self.waiting.entry(source).or_default();
        let before = rank(rows);
        change(rows);
        let after = rank(rows);
        if after.is_none() {
            self.waiting.remove(&source);
        }
        if let Some(before) = before {
            self.greedy.remove(&before);
        }
        self.greedy.extend(after);
    }

    /// How many rows nobody has decided on.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting_count
    }

    /// The oldest row of the source that has most rows nobody has decided on, and how many it has.
    pub(super) fn most_waiting(&self) -> Option<(NodeId, usize)> {
        self.greedy.get_max().map(|(count, Reverse(oldest), _)| (*oldest, *count))
    }

    /// How many rows nobody has decided on are of this source.
    pub(super) fn waiting_of(&self, source: Source) -> usize {
        self.waiting.get(&source).map_or(0, OrdSet::len)
    }

    pub(super) fn named(&self, name: &Fqdn) -> Option<NodeId> {
        self.names.get(name).copied()
    }

    pub(super) fn by_secret(&self, secret: &SecretHash) -> Option<NodeId> {
        self.secrets.get(secret).copied()
    }

    /// Rows by what identifies their machines.
    pub(super) fn machines(&self) -> &Machines {
        &self.machines
    }

    /// Dropped rows by what identified their machines.
    pub(super) fn former(&self) -> &Machines {
        &self.former
    }

    /// The same, to be changed.
    pub(super) fn former_mut(&mut self) -> &mut Machines {
        &mut self.former
    }

    /// Rows in whose name somebody asked who showed this MAC, too.
    pub(super) fn claiming(&self, mac: MacAddr) -> impl Iterator<Item = NodeId> {
        self.claimed.get(&mac).into_iter().flatten().copied()
    }

    /// Rows of the plan that name this.
    pub(super) fn planned(&self, token: &Token) -> impl Iterator<Item = NodeId> {
        self.planned.get(token).into_iter().flatten().copied()
    }

    /// Whether `address` belongs to a node, or a machine asked from it last; `except` does not count.
    pub(super) fn is_taken(&self, address: IpAddr, except: Option<NodeId>) -> bool {
        let of = |map: &HashMap<IpAddr, OrdSet<NodeId>>| {
            map.get(&address).is_some_and(|ids| ids.iter().any(|id| Some(*id) != except))
        };
        of(&self.addresses) || of(&self.peers)
    }

    /// Every address that [`is_taken`](Self::is_taken).
    pub(super) fn taken(&self) -> impl Iterator<Item = IpAddr> {
        let only_peers = self.peers.keys().filter(|address| !self.addresses.contains_key(*address));
        self.addresses.keys().chain(only_peers).copied()
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

    /// Whether a row has this value of a counter.
    pub(super) fn has_counter(&self, counter: &Text, value: u64) -> bool {
        self.counters.get(counter).is_some_and(|values| values.contains(&value))
    }

    pub(super) fn owners(&self, address: IpAddr) -> impl Iterator<Item = NodeId> {
        self.addresses.get(&address).into_iter().flatten().copied()
    }
}

/// The addresses a node holds: the one Ansible uses, the one put into its answer, the one chosen for it and the plan's.
pub(super) fn owned_addresses(node: &Node) -> BTreeSet<IpAddr> {
    let answered = node.answers.as_ref().and_then(|answers| answers.address).map(|net| net.addr());
    let assigned = node.assigned.map(|assigned| assigned.address);
    let planned = node.plan.as_ref().and_then(|entry| entry.address);
    [node.address, answered, assigned, planned].into_iter().flatten().collect()
}

/// What a node that may be installed is not known by, although its last request showed it.
fn claims(node: &Node) -> impl Iterator<Item = MacAddr> {
    let request = node.request.iter().filter(|_| node.may_be_installed());
    let shown = request.flat_map(|asked| asked.stamp.macs.difference(&node.machine.macs));
    shown.copied().filter(|mac| mac.is_identifying())
}

/// Where its machine asked from last.
fn peer(node: &Node) -> Option<IpAddr> {
    node.request.as_ref().map(|asked| asked.stamp.peer)
}

/// Whom a machine counts for that nobody has decided on.
fn waits_at(node: &Node) -> Option<Source> {
    // One that is expected is no stranger.
    let is_stranger = node.phase == Phase::Waiting && node.plan.is_none() && !is_in_hand(node);
    is_stranger.then(|| peer(node)).flatten().map(Source::of)
}

/// Whether a person has done something with a row that waits, short of deciding on it.
fn is_in_hand(node: &Node) -> bool {
    node.is_walked
        || !node.absorbed.is_empty()
        || !node.note.is_empty()
        || node.profile.is_some()
        || node.nic.is_some()
        || node.assigned.is_some()
        || node.flags.contains(&Flag::TakenBack)
}

fn secrets(node: &Node) -> impl Iterator<Item = &SecretHash> {
    node.answers.iter().flat_map(|answers| &answers.secrets)
}

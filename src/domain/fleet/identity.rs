//! Which row a machine is, where its identifiers do not say: the operator joins two rows, or parts one.
//!
//! Neither opens a way to a machine that may be installed. A row that is joined to another gives up every permission of
//! both; parting one that may be installed wants its host name typed, and no rule touches the part.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::evolve::{empty_row, enter, withdraw_permissions};
use super::plan::fit_of;
use super::{Decision, Fleet};
use crate::domain::command::Reply;
use crate::domain::event::Event;
use crate::domain::fqdn::Fqdn;
use crate::domain::id::NodeId;
use crate::domain::machine::MachineId;
use crate::domain::node::{Absorbed, Asked, AssignedBy, Flag, Node};
use crate::domain::phase::Phase;
use crate::domain::refusal::Refusal;

impl Fleet {
    /// `node` is the same machine as `into`, and becomes part of it. Only a row that was never answered can go.
    pub(super) fn decide_merge(&self, node: &Node, into: &Node) -> Result<Decision, Refusal> {
        let wrong = |row: &Node, hint| Refusal::WrongPhase { name: row.name.clone(), phase: row.phase.word(), hint };
        if node.id == into.id {
            return Err(wrong(node, "a row cannot be merged with itself"));
        }
        if node.may_be_installed() || !node.phase.is_before_answer() || node.phase == Phase::Planned {
            let hint = if into.may_be_installed() {
                "both may be installed; forget the one that is not"
            } else {
                "it stays; merge the other row into it"
            };
            return Err(wrong(node, hint));
        }
        if matches!(into.phase, Phase::Planned | Phase::Configuring) {
            return Err(wrong(into, "a row can be merged into one that is neither planned nor being configured"));
        }
        let merged = Event::Merged { node: into.id, gone: node.id };
        // Its entry of the plan goes along, or waits for its machine again.
        let entry = match &node.plan {
            Some(_) if into.plan.is_some() => self.planned_again(node),
            Some(entry) => {
                let (entry, found) = (Arc::clone(entry), node.plan_match.clone());
                Some(Event::PlanChanged { node: into.id, entry, found, name: None })
            }
            None => None,
        };
        let events = [merged].into_iter().chain(entry).collect();
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Done })
    }

    /// The machine that asked last as `node` is another one: undoes a merge, else parts the last request from the row.
    pub(super) fn decide_split(&self, node: &Node, confirm: Option<&Fqdn>) -> Result<Decision, Refusal> {
        if node.phase == Phase::Configuring {
            return Err(Refusal::CannotSplit(node.name.clone(), "the playbook runs on it; cancel the run first"));
        }
        if node.may_be_installed() && confirm != Some(&node.name) {
            return Err(Refusal::NameMismatch(node.name.clone()));
        }
        if let Some(absorbed) = node.absorbed.last() {
            return self.decide_unmerge(node, absorbed);
        }
        let asked = node.request.as_ref().ok_or_else(|| Refusal::NeverAsked(node.name.clone()))?;
        let machine = MachineId::of_system(&asked.info);
        let rest = without(&node.machine, &machine);
        let differ = |one: bool, other: bool, equal: bool| one && other && !equal;
        let other_uuid = differ(machine.uuid.is_some(), node.machine.uuid.is_some(), machine.uuid == node.machine.uuid);
        let other_serial =
            differ(machine.serial.is_some(), node.machine.serial.is_some(), machine.serial == node.machine.serial);
        if rest.is_empty() || machine.is_empty() || (node.may_be_installed() && !other_uuid && !other_serial) {
            let why = "the last request shows nothing by which it could be another machine";
            return Err(Refusal::CannotSplit(node.name.clone(), why));
        }
        let fresh = self.new_row();
        let taken = |name: &_| self.named(name).is_some();
        let name = self.policy.derive_name(&machine, fresh.0, taken).ok_or(Refusal::NoName)?;
        Ok(Decision::one(Event::SplitOff { node: node.id, row: fresh, name, machine, asked: asked.clone() }))
    }

    /// Two rows again. The plan has its entry once: the row that comes back takes it from the one it was part of, or from
    /// one that waits under it, and goes without where another machine has it by now, or nobody.
    fn decide_unmerge(&self, node: &Node, absorbed: &Absorbed) -> Result<Decision, Refusal> {
        let row = &absorbed.row;
        let planned = row.plan.as_ref().map(|entry| &entry.hostname);
        let has_it = |other: &&Arc<Node>| other.plan.as_ref().map(|entry| &entry.hostname) == planned;
        let holder = planned.and_then(|_| self.nodes().find(has_it));
        let gives = holder.filter(|holder| holder.id == node.id || holder.is_unclaimed());
        let mut events: Vec<_> = gives.map(|holder| Event::Unplanned { node: holder.id }).into_iter().collect();
        let mut freed = gives.filter(|holder| holder.id != node.id).map(|holder| &holder.name);
        let took_name = gives.is_some_and(|holder| holder.id == node.id) && node.name == row.name;
        if let Some(earlier) = absorbed.name.as_ref().filter(|_| took_name && node.phase.is_before_answer()) {
            let name = self.free_name(earlier, &absorbed.machine, node.id)?;
            events.push(Event::Renamed { node: node.id, name });
            freed = Some(&node.name);
        }
        let is_free = freed == Some(&row.name);
        let name = if is_free { row.name.clone() } else { self.free_name(&row.name, &row.machine, row.id)? };
        events.push(Event::Unmerged { node: node.id, row: row.id, name });
        match gives.and_then(|holder| holder.plan.as_ref()) {
            Some(entry) if row.plan.as_ref() != Some(entry) => {
                let (entry, found) = (Arc::clone(entry), fit_of(row, entry));
                events.push(Event::PlanChanged { node: row.id, entry, found, name: None });
            }
            None if planned.is_some() => events.push(Event::Unplanned { node: row.id }),
            Some(_) | None => {}
        }
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Done })
    }

    fn free_name(&self, wanted: &Fqdn, machine: &MachineId, row: NodeId) -> Result<Fqdn, Refusal> {
        if self.named(wanted).is_none() {
            return Ok(wanted.clone());
        }
        self.policy.derive_name(machine, row.0, |name| self.named(name).is_some()).ok_or(Refusal::NoName)
    }

    /// Two rows are one machine.
    pub(super) fn merge(&mut self, node: NodeId, gone: NodeId, at: Timestamp) {
        let Some(row) = self.drop_row(gone) else { return };
        self.change(node, |into| merge(into, &row, at));
    }

    /// They are two, after all.
    pub(super) fn unmerge(&mut self, node: NodeId, row: NodeId, name: &Fqdn, at: Timestamp) {
        let mut parted = None;
        self.change(node, |into| parted = unmerge(into, row, at));
        if let Some(mut parted) = parted {
            self.give_back(&mut parted);
            self.add_row(Node { name: name.clone(), ..parted });
        }
    }

    /// The machine that asked last as `node` is another one: it has a row of its own.
    pub(super) fn split_off(
        &mut self,
        node: NodeId,
        (row, name): (NodeId, &Fqdn),
        machine: &MachineId,
        asked: &Asked,
        at: Timestamp,
    ) {
        let Some(old) = self.node(node).cloned() else { return };
        self.change(node, |node| {
            node.machine = without(&node.machine, machine);
            node.request = None;
            give_up(node, at);
        });
        let mut flags: BTreeSet<_> = old.flags.iter().filter(|flag| was_here(flag)).cloned().collect();
        if old.may_be_installed() {
            flags.insert(Flag::InstalledBefore { name: old.name.clone() });
        }
        let (machine, request) = (machine.clone(), Some(asked.clone()));
        self.add_row(Node { machine, request, flags, ..empty_row(row, name.clone(), at) });
    }

    /// What a row had of its own was free while it was part of another: it comes back without what others have by now.
    fn give_back(&self, parted: &mut Node) {
        let is_others = |address| self.owner_of(address, parted.id).is_some();
        parted.assigned = parted.assigned.filter(|had| had.by == AssignedBy::Operator && !is_others(had.address));
        parted.counters.retain(|counter, value| !self.index.has_counter(counter, *value));
    }
}

/// What `machine` shows besides `other`.
fn without(machine: &MachineId, other: &MachineId) -> MachineId {
    MachineId {
        uuid: machine.uuid.filter(|uuid| other.uuid != Some(*uuid)),
        serial: machine.serial.clone().filter(|serial| other.serial.as_ref() != Some(serial)),
        macs: machine.macs.difference(&other.macs).copied().collect(),
    }
}

/// Every permission goes: what was approved is not what the row is now.
fn give_up(node: &mut Node, at: Timestamp) {
    withdraw_permissions(node);
    if node.phase == Phase::Approved {
        enter(node, Phase::Waiting, at);
    }
}

fn merge(into: &mut Node, row: &Arc<Node>, at: Timestamp) {
    let absorbed = Absorbed {
        row: Arc::clone(row),
        machine: into.machine.clone(),
        request: into.request.clone(),
        name: Some(into.name.clone()),
    };
    into.absorbed.push(absorbed);
    into.machine.learn(&row.machine);
    let asked_at = |node: &Node| node.request.as_ref().map(|asked| asked.at);
    if asked_at(row) >= asked_at(into) {
        into.request.clone_from(&row.request);
    }
    into.flags
        .retain(|flag| !matches!(flag, Flag::Ambiguous { other } | Flag::DuplicateOf { other } if *other == row.id));
    into.flags.extend(row.flags.iter().filter(|flag| was_here(flag)).cloned());
    give_up(into, at);
}

/// Whether a flag says that the machine may carry data: such a word outlives the row it was said about.
fn was_here(flag: &Flag) -> bool {
    matches!(flag, Flag::InstalledBefore { .. })
}

fn unmerge(into: &mut Node, row: NodeId, at: Timestamp) -> Option<Node> {
    let absorbed = into.absorbed.pop_if(|absorbed| absorbed.row.id == row)?;
    let mut parted = Arc::unwrap_or_clone(absorbed.row);
    if into.request == parted.request {
        into.request = absorbed.request;
    }
    let learnt = without(&into.machine, &parted.machine);
    into.machine = absorbed.machine;
    into.machine.macs.extend(learnt.macs);
    if into.may_be_installed() {
        parted.flags.insert(Flag::InstalledBefore { name: into.name.clone() });
    }
    give_up(into, at);
    withdraw_permissions(&mut parted);
    // All it ever had was an answer that was lost; its address may be another's by now.
    parted.address = None;
    if let Some(answers) = &mut parted.answers {
        answers.address = None;
    }
    enter(&mut parted, Phase::Waiting, at);
    Some(parted)
}

/// The rows `node` is most likely the same machine as: those its flags name, then those that share an identifier.
#[must_use]
pub fn likely_twins(fleet: &Fleet, node: &Node) -> Vec<NodeId> {
    let named = node.flags.iter().filter_map(|flag| {
        let (Flag::Ambiguous { other } | Flag::DuplicateOf { other }) = flag else { return None };
        Some(*other)
    });
    let shares = |other: &&Arc<Node>| other.machine.shares_any(&node.machine);
    let alike = fleet.nodes().filter(shares).map(|other| other.id);
    let mut seen = BTreeSet::from([node.id]);
    named.chain(alike).filter(|id| fleet.node(*id).is_some() && seen.insert(*id)).collect()
}

/// Which of two rows stays when they are merged: the one that may be installed, else the older.
#[must_use]
pub fn who_stays<'a>(one: &'a Node, other: &'a Node) -> (&'a Node, &'a Node) {
    if (one.may_be_installed(), std::cmp::Reverse(one.id)) >= (other.may_be_installed(), std::cmp::Reverse(other.id)) {
        (one, other)
    } else {
        (other, one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_is_what_both_show() {
        let of = |uuid: &str, macs: &[&str]| MachineId {
            uuid: uuid.parse().ok(),
            macs: macs.iter().map(|mac| mac.parse().unwrap()).collect(),
            ..MachineId::default()
        };
        let (one, two) = ("f68d13f3-472b-4f1a-95a7-120b398a07aa", "f68d13f3-472b-4f1a-95a7-120b398a07bb");
        let (a, b) = ("b4:2e:99:00:00:0a", "b4:2e:99:00:00:0b");
        assert_eq!(without(&of(one, &[a, b]), &of(two, &[b])), of(one, &[a]));
        assert!(without(&of(one, &[a]), &of(one, &[a, b])).is_empty());
    }
}

//! What must hold whatever happens: judged by the log alone, and by the fleet after each step.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::event::Event;
use crate::domain::guard::Permission;
use crate::domain::id::TicketId;
use crate::domain::plan::PlanMatch;
use crate::domain::policy::{Auto, MAX_REPEATS};
use crate::domain::ticket::Rule;

/// What an operator's approval still allows.
struct Permit {
    stamp: Stamp,
    first: Option<Timestamp>,
    count: u32,
    lost: bool,
    disks: Disks,
}

/// What a permit's machine had on its disks when it was given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disks {
    /// Nothing of ours.
    Empty,
    /// An answer was released under an earlier approval: then a loss proves nothing.
    Perhaps,
    /// A node that may be installed, allowed to be so once more.
    Used,
}

impl Permit {
    fn of(stamp: &Stamp) -> Self {
        Self { stamp: stamp.clone(), first: None, count: 0, lost: false, disks: Disks::Empty }
    }

    /// Books one answer, or panics where this permit does not cover it.
    fn spend(&mut self, stamp: &Stamp, at: Timestamp, policy: &Policy) {
        assert_eq!(self.stamp.peer, stamp.peer, "answered to another address than approved");
        assert_eq!(self.stamp.macs, stamp.macs, "answered to other MACs than approved");
        let first = *self.first.get_or_insert(at);
        if self.count == 0 || self.lost {
            assert_eq!(self.stamp, *stamp, "answered another request than approved");
        } else {
            assert!(!stamp.macs.is_empty(), "repeated for a machine that could be any other");
            assert!(self.count <= MAX_REPEATS, "repeated too often");
            assert!(at.duration_since(first).unsigned_abs() <= policy.repeat_window, "repeated too late");
        }
        self.count += 1;
        self.lost = false;
    }
}

/// Judges a log without looking at the fleet: every answer must be covered by an approval or a reinstall of that very
/// request, or be an early repeat of one.
pub(super) fn judge_log(log: &[Recorded], policy: &Policy) {
    let mut permits: BTreeMap<NodeId, Permit> = BTreeMap::new();
    let mut reinstalls: BTreeMap<NodeId, Stamp> = BTreeMap::new();
    let mut answered: BTreeSet<NodeId> = BTreeSet::new();
    let mut tickets: BTreeMap<TicketId, (u32, Timestamp)> = BTreeMap::new();
    let mut planned: BTreeMap<NodeId, PlanMatch> = BTreeMap::new();
    for recorded in log {
        match &recorded.event {
            Event::PlanMatched { node, found }
            | Event::PlanJoined { node, found, .. }
            | Event::PlanChanged { node, found: Some(found), .. } => {
                planned.insert(*node, found.clone());
            }
            Event::PlanChanged { node, found: None, .. } | Event::Unplanned { node } => {
                planned.remove(node);
            }
            Event::Approved { node, stamp } => {
                let disks = if answered.contains(node) { Disks::Perhaps } else { Disks::Empty };
                permits.insert(*node, Permit { disks, ..Permit::of(stamp) });
            }
            Event::TicketIssued { ticket } => {
                tickets.insert(ticket.id, (ticket.count, ticket.expires));
            }
            Event::TicketClosed { ticket, .. } => {
                tickets.remove(ticket).expect("a ticket closed twice");
            }
            Event::Admitted { node, stamp, admission } => {
                match admission.by {
                    Rule::Ticket(ticket) => {
                        let (left, expires) = tickets.get_mut(&ticket).expect("admitted by a ticket that is no more");
                        *left = left.checked_sub(1).expect("a ticket was spent too often");
                        assert!(recorded.at < *expires, "a ticket was spent too late");
                    }
                    Rule::All => assert_eq!(policy.auto, Auto::All),
                    Rule::Planned => {
                        assert_eq!(policy.auto, Auto::Planned);
                        let found = planned.get(node).expect("the plan does not know it");
                        assert!(found.by.len() >= 2 && found.against.is_empty(), "vouched for by too little");
                    }
                }
                let disks = if answered.contains(node) { Disks::Perhaps } else { Disks::Empty };
                permits.insert(*node, Permit { disks, ..Permit::of(stamp) });
            }
            Event::Withdrawn { node } => {
                let was_reinstall = reinstalls.remove(node).is_some();
                permits.retain(|id, _| was_reinstall || id != node);
            }
            Event::Merged { node, gone: other } | Event::Unmerged { node, row: other, .. } => {
                permits.remove(other);
                reinstalls.remove(other);
                reinstalls.remove(node);
                // What was answered may be repeated; what was only approved is void.
                permits.retain(|id, permit| id != node || (permit.count > 0 && !permit.lost));
            }
            Event::SplitOff { node, .. } => {
                reinstalls.remove(node);
                permits.retain(|id, permit| id != node || (permit.count > 0 && !permit.lost));
            }
            Event::ReinstallAllowed { node, stamp } => {
                reinstalls.insert(*node, stamp.clone());
            }
            Event::AnswerLost { node, .. } => match permits.get_mut(node) {
                // A reinstall nobody received has wiped nothing: what was allowed is allowed still, and nothing else is.
                Some(permit) if permit.disks == Disks::Used && permit.count == 1 => {
                    reinstalls.insert(*node, permit.stamp.clone());
                    permits.remove(node);
                }
                Some(permit) => permit.lost = permit.count == 1 && permit.disks == Disks::Empty,
                None => {}
            },
            // The last two: whatever was approved before, it is installed now.
            Event::Forgotten { node }
            | Event::Banned { node, .. }
            | Event::Rejected { node, .. }
            | Event::ApprovalVoided { node }
            | Event::ReportAccepted { node, .. }
            | Event::MarkedInstalled { node } => {
                permits.remove(node);
                reinstalls.remove(node);
            }
            Event::AnswerReleased { node, stamp, by, .. } => {
                if *by == Permission::Reinstall {
                    let allowed = reinstalls.remove(node).expect("a reinstall nobody allowed");
                    permits.insert(*node, Permit { disks: Disks::Used, ..Permit::of(&allowed) });
                }
                let permit = permits.get_mut(node).expect("an answer without any permission");
                permit.spend(stamp, recorded.at, policy);
                answered.insert(*node);
            }
            _ => {}
        }
    }
}

pub(super) fn judge_fleet(fleet: &Fleet) {
    let names: BTreeSet<_> = fleet.nodes().map(|node| &node.name).collect();
    assert_eq!(names.len(), fleet.node_count(), "two nodes with one name");
    let mut owners: BTreeMap<IpAddr, NodeId> = BTreeMap::new();
    for node in fleet.nodes().filter(|node| node.answers.is_some()) {
        if let Some(address) = node.answers.as_ref().and_then(|answers| answers.address) {
            assert_eq!(owners.insert(address.addr(), node.id), None, "two nodes with one address");
        }
    }
    for node in fleet.nodes() {
        assert_eq!(fleet.named(&node.name).map(|found| found.id), Some(node.id), "the index lost a name");
        assert!(node.phase.is_before_answer() || node.phase == Phase::Installing || node.may_be_installed());
    }
}

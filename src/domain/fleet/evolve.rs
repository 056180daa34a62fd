//! From facts to state. Never fails: an event about a row that is gone changes nothing.

mod row;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::event::{Event, Recorded};
use crate::domain::fqdn::Fqdn;
use crate::domain::id::NodeId;
use crate::domain::machine::MachineId;
use crate::domain::node::{Delivery, Node, Reported};
use crate::domain::phase::Phase;
use crate::domain::run::Run;
use crate::domain::text::Text;
use crate::domain::ticket::Ban;
use crate::domain::token::Token;

use super::edit::is_another_matter;
use super::planned::{choose_nic, set_address};
use super::runs::leave_behind;
use super::{Fleet, MAX_UNMATCHED, Unmatched};

pub(super) use row::withdraw_permissions;

impl Fleet {
    /// Folds a stored event in.
    #[expect(
        clippy::too_many_lines,
        reason = "a table without a wildcard: whoever adds an event says here what it does"
    )]
    pub fn apply(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        self.learn_time(recorded);
        match &recorded.event {
            Event::MachineSeen { node, name, machine, asked, flags } => {
                let (machine, request) = (machine.clone(), Some(asked.clone()));
                let flags = flags.iter().cloned().collect();
                self.add_row(Node { machine, request, flags, ..empty_row(*node, name.clone(), at) });
            }
            Event::Imported { node, name, .. } => {
                self.add_row(Node { phase: Phase::Planned, ..empty_row(*node, name.clone(), at) });
            }
            Event::Planned { node, entry } => {
                let (plan, phase) = (Some(Arc::clone(entry)), Phase::Planned);
                self.add_row(Node { plan, phase, ..empty_row(*node, entry.hostname.clone(), at) });
            }
            Event::Forgotten { node } | Event::GaveWay { node, .. } => self.forget_row(*node, at),
            Event::PlanChanged { node, entry, found, name } => {
                self.take_entry(*node, entry, found.clone(), name.as_ref());
            }
            Event::PlanMatched { node, found } => self.match_plan(*node, found, at),
            Event::PlanJoined { node, row, entry, found } => self.join_plan(*node, *row, entry, found),
            Event::Unplanned { node } => self.unplan(*node),
            Event::AddressAssigned { node, address } => self.assign(*node, *address),
            Event::NicChosen { node, mac } => self.change(*node, |node| choose_nic(node, *mac)),
            Event::Merged { node, gone } => self.merge(*node, *gone, at),
            Event::Unmerged { node, row, name } => self.unmerge(*node, *row, name, at),
            Event::SplitOff { node, row, name, machine, asked } => {
                self.split_off(*node, (*row, name), machine, asked, at);
            }
            Event::Walked { step } => self.apply_walk(step, at),
            Event::Swapped { node, other, found, other_found } => {
                self.apply_swap([*node, *other], [found.clone(), other_found.clone()]);
            }
            Event::TicketIssued { ticket } => self.keep_ticket(ticket),
            Event::TicketClosed { ticket, .. } => drop(self.state.tickets.remove(ticket)),
            Event::Banned { ban, node, machine, name, reason } => {
                let (machine, name, reason) = (machine.clone(), name.clone(), reason.clone());
                self.keep_ban(Ban { id: *ban, machine, name, reason, at });
                self.forget_row(*node, at);
            }
            Event::BanLifted { ban } => drop(self.state.bans.remove(ban)),
            Event::ReportUnmatched { report, peer, document, facts } => {
                let (id, peer, document, report) = (*report, *peer, *document, facts.clone());
                self.keep_unmatched(Unmatched { id, at, peer, document, report });
            }
            Event::ReportSettled { report } => drop(self.state.unmatched.remove(report)),
            Event::RunQueued { run, nodes, by_gate, options, reason } => {
                let (by, options) = (Some(recorded.origin.clone()), options.clone());
                let queued = Run::queued(*run, nodes.clone(), at);
                self.queue(Run { by_gate: *by_gate, by, reason: *reason, options, ..queued });
            }
            Event::RunStarted { run } => self.start_run(*run, at),
            Event::RunStopping { run } => self.stop_run(*run),
            Event::RunEnded { run, outcome, hosts } => self.end_run(*run, outcome, hosts, at),
            Event::GateCounting { until, nodes } => self.state.gate.count_down(*until, nodes),
            Event::GateStopped => self.state.gate.countdown = None,
            Event::GateHeld => self.state.gate.hold(),
            Event::GateReleased => self.state.gate.is_held = false,
            Event::GateWaived { nodes, expect } => self.state.gate.waive(nodes, *expect),
            Event::TokenMade { name, hash, expires, profile } => {
                let (name, expires, profile) = (name.clone(), *expires, profile.clone());
                self.keep_token(Token { name, hash: *hash, made: at, expires, profile });
            }
            Event::TokenRevoked { name } => drop(self.state.tokens.remove(name)),

            // What is about one row.
            Event::MachineAsked { node, machine, asked, flags } => {
                self.change(*node, |node| row::ask(node, machine, asked, flags));
            }
            Event::ApprovalVoided { node } => self.change(*node, |node| row::void_approval(node, at)),
            Event::Approved { node, stamp } => {
                self.state.gate.want(*node);
                self.change(*node, |node| row::approve(node, stamp, at));
            }
            Event::Admitted { node, stamp, admission } => {
                self.spend(admission.by);
                self.state.gate.want(*node);
                self.change(*node, |node| row::admit(node, stamp, admission, at));
            }
            Event::ReinstallAllowed { node, stamp } => {
                self.state.gate.want(*node);
                self.change(*node, |node| row::allow_reinstall(node, stamp));
            }
            Event::Rejected { node, reason } => self.change(*node, |node| row::reject(node, reason, at)),
            Event::Withdrawn { node } => self.change(*node, |node| row::withdraw(node, at)),
            Event::TakenBack { node, verb } => self.change(*node, |node| row::take_back(node, *verb)),
            Event::AnswerReleased { node, by, stamp, document, secret, address, vendor_unseen, profile, left_out } => {
                let (facts, said) = ((*document, *secret, *address), (*vendor_unseen, left_out.as_ref()));
                self.change(*node, |node| {
                    row::release(node, *by, stamp, facts, profile.as_ref(), at);
                    row::note_answer(node, said);
                });
            }
            Event::AnswerDelivered { node, document, secret } => {
                self.change(*node, |node| row::settle(node, (*document, *secret), Delivery::Delivered, at));
            }
            Event::AnswerLost { node, document, secret } => {
                self.change(*node, |node| row::settle(node, (*document, *secret), Delivery::Lost, at));
            }
            Event::RepeatsOver { node } => self.change(*node, row::end_repeats),
            // Nor does a retry answer or a refusal.
            Event::RetryServed { node, .. } | Event::RefusalServed { node, .. } => self.change(*node, row::tell),
            Event::Flagged { node, flag } => self.change(*node, |node| node.flags.extend([flag.clone()])),
            Event::Unflagged { node, flag } => self.change(*node, |node| row::unflag(node, flag)),
            Event::ReportAccepted { node, peer, document, report, proven } => {
                let reported = Reported { at, peer: *peer, document: *document, report: report.clone() };
                self.change(*node, |node| row::accept_report(node, reported, *proven, at));
            }
            Event::MarkedInstalled { node } => self.change(*node, |node| row::mark_installed(node, at)),
            Event::Renamed { node, name } => self.change(*node, |node| row::rename(node, name)),
            Event::ProfileChosen { node, profile } => {
                self.change(*node, |node| row::choose_profile(node, profile.clone()));
            }
            Event::CounterTaken { node, counter, value } => {
                self.change(*node, |node| row::take_counter(node, counter, *value));
            }
            Event::AddressSet { node, address } => self.change(*node, |node| set_address(node, *address)),
            Event::NoteSet { node, note } => self.change(*node, |node| node.note.clone_from(note)),
            Event::Stalled { node, reason } => {
                self.change(*node, |node| enter(node, Phase::Stalled { reason: reason.clone() }, at));
            }
            Event::Booting { node } => self.change(*node, |node| row::boot(node, at)),
            Event::BecameReady { node } => self.change(*node, |node| row::become_ready(node, at)),
            Event::BecameUnreachable { node, reason } => {
                self.change(*node, |node| row::become_unreachable(node, reason, at));
            }
            Event::HostKeySeen { node, key } => self.change(*node, |node| row::see_key(node, key)),
            Event::HostKeyTrusted { node, key } => self.change(*node, |node| row::trust_key(node, key)),
            Event::LeftBehind { node, reason } => self.change(*node, |node| leave_behind(node, reason, at)),
        }
    }

    /// Changes one node and keeps the index in step.
    pub(super) fn change(&mut self, id: NodeId, change: impl FnOnce(&mut Node)) {
        let Some(shared) = self.state.nodes.get_mut(&id) else { return };
        let before = Arc::clone(shared);
        let node = Arc::make_mut(shared);
        change(node);
        node.revision += u64::from(is_another_matter(&before, node));
        let after = Arc::clone(shared);
        self.index.update(&before, &after);
        self.lower_floor(&before, Some(&after));
    }

    pub(super) fn add_row(&mut self, row: Node) {
        let row = Node { machine: row.machine.clone().bounded(), ..row };
        self.state.last_node = self.state.last_node.max(row.id.0);
        self.index.insert(&row);
        self.state.nodes.insert(row.id, Arc::new(row));
    }

    fn keep_unmatched(&mut self, report: Unmatched) {
        self.state.last_report = self.state.last_report.max(report.id.0);
        self.state.unmatched.insert(report.id, Arc::new(report));
        if self.state.unmatched.len() > MAX_UNMATCHED
            && let Some(gone) = self.unmatched_to_go()
        {
            self.state.unmatched.remove(&gone);
        }
    }
}

pub(crate) fn empty_row(id: NodeId, name: Fqdn, at: Timestamp) -> Node {
    Node {
        id,
        name,
        machine: MachineId::default(),
        plan: None,
        plan_match: None,
        phase: Phase::Waiting,
        since: at,
        first_seen: at,
        request: None,
        approved: None,
        admission: None,
        absorbed: Vec::new(),
        answers: None,
        report: None,
        host_keys: Vec::new(),
        unproven: None,
        address: None,
        assigned: None,
        nic: None,
        reinstall_allowed: false,
        gated: false,
        was_configured: false,
        was_ready: false,
        last_run: None,
        profile: None,
        counters: BTreeMap::new(),
        flags: std::collections::BTreeSet::new(),
        note: Text::default(),
        is_walked: false,
        revision: 0,
    }
}

pub(super) fn enter(node: &mut Node, phase: Phase, at: Timestamp) {
    if node.phase != phase {
        node.phase = phase;
        node.since = at;
    }
}

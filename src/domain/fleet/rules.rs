//! What decides without a person: tickets, the plan, `auto = "all"`; and bans.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Decision, Fleet};
use crate::domain::command::{Origin, Reply};
use crate::domain::event::{Event, Recorded};
use crate::domain::guard::{self, ClaimCode, Permission, Verdict, Withheld};
use crate::domain::id::{BanId, NodeId, TicketId};
use crate::domain::machine::MachineId;
use crate::domain::node::{Node, Stamp};
use crate::domain::plan::ProfileName;
use crate::domain::policy::Auto;
use crate::domain::refusal::Refusal;
use crate::domain::text::Text;
use crate::domain::ticket::{Ban, Closing, Former, LONGEST, MOST_MACHINES, Rule, Ticket, Wants, is_same_machine};

/// Tickets open at once; more is a mistake.
const MOST_TICKETS: usize = 100;

/// Bans kept at once.
const MOST_BANS: usize = 1_000;

/// Machines remembered after their rows were dropped; the oldest gives way.
pub(super) const MOST_FORMER: usize = 10_000;

impl Fleet {
    /// Open tickets, oldest first.
    #[must_use]
    pub fn tickets(&self) -> impl DoubleEndedIterator<Item = &Arc<Ticket>> {
        self.state.tickets.values()
    }

    /// Banned machines, oldest first.
    #[must_use]
    pub fn bans(&self) -> impl DoubleEndedIterator<Item = &Arc<Ban>> {
        self.state.bans.values()
    }

    /// The ban a machine is under.
    pub(super) fn ban_on(&self, machine: &MachineId) -> Option<&Ban> {
        self.bans().find(|ban| is_same_machine(&ban.machine, machine)).map(AsRef::as_ref)
    }

    /// The machine that was installed here before and whose row was dropped.
    pub(super) fn former(&self, machine: &MachineId) -> Option<&Former> {
        self.state.former.values().find(|former| is_same_machine(&former.machine, machine)).map(AsRef::as_ref)
    }

    /// Lets the rules speak about a machine that has just asked, as `decision` leaves it: where one admits it, the
    /// decision says so and the reply is the guard's new word.
    pub(super) fn admit(&self, mut decision: Decision, stamp: &Stamp, now: Timestamp) -> Decision {
        let Reply::Asked { node, .. } = decision.reply else { return decision };
        if self.policy.auto == Auto::Never && self.state.tickets.is_empty() {
            return decision;
        }
        let mut draft = self.clone();
        draft.fold(&decision.events, now);
        let admitted = draft.admission(node, stamp, now);
        if admitted.is_empty() {
            return decision;
        }
        draft.fold(&admitted, now);
        decision.events.extend(admitted);
        if let Some(verdict) = draft.judge(node, stamp, now) {
            decision.reply = Reply::Asked { node, verdict };
        }
        decision
    }

    /// What follows where a rule admits this row: the approval, and the end of a ticket that is used up by it.
    fn admission(&self, node: NodeId, stamp: &Stamp, now: Timestamp) -> Vec<Event> {
        let Some(row) = self.node(node).filter(|row| !self.is_used_elsewhere(row)) else { return Vec::new() };
        let tickets = self.tickets().map(AsRef::as_ref);
        let Some(admission) = guard::admit(row, stamp, now, &self.policy, tickets) else { return Vec::new() };
        let drained = match admission.by {
            Rule::Ticket(ticket) if self.state.tickets.get(&ticket).is_some_and(|ticket| ticket.left <= 1) => {
                Some(Event::TicketClosed { ticket, why: Closing::Drained })
            }
            Rule::Ticket(_) | Rule::Planned | Rule::All => None,
        };
        let admitted = Event::Admitted { node, stamp: stamp.clone(), admission };
        std::iter::once(admitted).chain(drained).collect()
    }

    /// The guard's word, of one who sees the other rows too: what a rule approved is not served while the same machine
    /// may be installed as another row, or as one that was forgotten.
    pub(super) fn guarded(&self, row: &Node, stamp: &Stamp, now: Timestamp) -> Verdict {
        match guard::judge(row, stamp, now, &self.policy) {
            Verdict::Serve(grant)
                if grant.by == Permission::Approval && row.admission.is_some() && self.is_used_elsewhere(row) =>
            {
                Verdict::Hold(Withheld::Undecided(ClaimCode::of(row.id)))
            }
            verdict => verdict,
        }
    }

    /// Whether another row that may be installed, or was and is forgotten, shows an identifier of this one.
    fn is_used_elsewhere(&self, row: &Node) -> bool {
        let machine = &row.machine;
        let by_uuid = machine.uuid.into_iter().flat_map(|uuid| self.index.by_uuid(uuid));
        let by_serial = machine.serial.iter().flat_map(|serial| self.index.by_serial(serial));
        let by_mac = machine.macs.iter().flat_map(|mac| self.index.by_mac(*mac));
        let is_used = |id: NodeId| id != row.id && self.node(id).is_some_and(|other| other.may_be_installed());
        by_uuid.chain(by_serial).chain(by_mac).any(is_used) || self.former(machine).is_some()
    }

    /// Applies events that are not stored yet, to look ahead.
    pub(super) fn fold(&mut self, events: &[Event], at: Timestamp) {
        for event in events {
            self.apply(&Recorded { seq: 0, at, origin: Origin::System, event: event.clone() });
        }
    }

    /// Issues a ticket. Machines that wait at this moment are the first it admits, the oldest before the others.
    pub(super) fn decide_ticket(
        &self,
        (count, wants, profile): (u32, &Wants, Option<&ProfileName>),
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        if self.state.tickets.len() >= MOST_TICKETS {
            return Err(Refusal::BadTicket(format!("{MOST_TICKETS} tickets are open; cancel some first")));
        }
        if count == 0 || count > MOST_MACHINES {
            return Err(Refusal::BadTicket(format!("a ticket is for 1 to {MOST_MACHINES} machines")));
        }
        let lasts = expires.duration_since(now);
        if lasts <= jiff::SignedDuration::ZERO || lasts > LONGEST {
            return Err(Refusal::BadTicket("a ticket lasts a week at most, and not less than a moment".to_owned()));
        }
        wants.check().map_err(Refusal::BadTicket)?;
        let id = TicketId(self.state.last_ticket + 1);
        let (wants, profile) = (wants.clone(), profile.cloned());
        let ticket = Ticket { id, count, left: count, wants, profile, issued: now, expires };
        let mut events = vec![Event::TicketIssued { ticket }];
        let mut draft = self.clone();
        draft.fold(&events, now);
        let waiting: Vec<_> = self.nodes().filter_map(|node| Some((node.id, &node.request.as_ref()?.stamp))).collect();
        for (node, stamp) in waiting {
            if !draft.state.tickets.contains_key(&id) {
                break;
            }
            let admitted = draft.admission(node, stamp, now);
            draft.fold(&admitted, now);
            events.extend(admitted);
        }
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Issued(id) })
    }

    /// Ends a ticket before its time, or at it.
    pub(super) fn decide_close(&self, ticket: TicketId, why: Closing) -> Result<Decision, Refusal> {
        self.state.tickets.get(&ticket).ok_or(Refusal::UnknownTicket(ticket))?;
        Ok(Decision::one(Event::TicketClosed { ticket, why }))
    }

    /// Tickets whose time is over by the wall clock; the coordinator watches the monotonic one.
    pub(super) fn expired_tickets(&self, now: Timestamp) -> impl Iterator<Item = Event> {
        let over = self.tickets().filter(move |ticket| ticket.expires <= now);
        over.map(|ticket| Event::TicketClosed { ticket: ticket.id, why: Closing::Expired })
    }

    /// Sends a machine away for good, and drops its row.
    pub(super) fn decide_ban(&self, node: &Node, reason: &Text) -> Result<Decision, Refusal> {
        let wrong = |hint| Refusal::WrongPhase { name: node.name.clone(), phase: node.phase.word(), hint };
        if !node.phase.may_rename() || node.may_be_installed() || node.request.is_none() {
            return Err(wrong("only a machine that has asked and has no answer yet can be banned"));
        }
        if node.machine.is_empty() {
            return Err(wrong("it shows nothing by which it could be known again; reject it instead"));
        }
        if self.state.bans.len() >= MOST_BANS {
            return Err(wrong("1000 machines are banned, which is the limit; lift some bans first"));
        }
        let id = BanId(self.state.last_ban + 1);
        let event = Event::Banned {
            ban: id,
            node: node.id,
            machine: node.machine.clone(),
            name: node.name.clone(),
            reason: reason.clone(),
        };
        Ok(Decision::one(event))
    }

    /// Lifts a ban: the machine is a stranger when it asks again.
    pub(super) fn decide_unban(&self, ban: BanId) -> Result<Decision, Refusal> {
        self.state.bans.get(&ban).ok_or(Refusal::UnknownBan(ban))?;
        Ok(Decision::one(Event::BanLifted { ban }))
    }
}

impl Fleet {
    /// Folds in what happened to tickets and bans.
    pub(super) fn apply_rule(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::TicketIssued { ticket } => {
                self.state.last_ticket = self.state.last_ticket.max(ticket.id.0);
                self.state.tickets.insert(ticket.id, Arc::new(ticket.clone()));
            }
            Event::TicketClosed { ticket, .. } => {
                self.state.tickets.remove(ticket);
            }
            Event::Banned { ban, node, machine, name, reason } => {
                self.state.last_ban = self.state.last_ban.max(ban.0);
                let (machine, name, reason) = (machine.clone(), name.clone(), reason.clone());
                self.state.bans.insert(*ban, Arc::new(Ban { id: *ban, machine, name, reason, at }));
                self.drop_row(*node);
            }
            Event::BanLifted { ban } => {
                self.state.bans.remove(ban);
            }
            _ => {}
        }
    }

    /// One machine less for a ticket.
    pub(super) fn spend(&mut self, rule: Rule) {
        let Rule::Ticket(ticket) = rule else { return };
        if let Some(ticket) = self.state.tickets.get_mut(&ticket) {
            let ticket = Arc::make_mut(ticket);
            ticket.left = ticket.left.saturating_sub(1);
        }
    }

    /// Drops a row. What may be installed is remembered, so that no rule takes it for a new machine.
    pub(super) fn drop_row(&mut self, node: NodeId) -> Option<Arc<Node>> {
        let gone = self.state.nodes.remove(&node)?;
        self.index.remove(&gone);
        self.lower_floor(&gone, None);
        Some(gone)
    }

    /// Remembers a machine that may be installed.
    pub(super) fn remember(&mut self, gone: &Node, at: Timestamp) {
        if !gone.may_be_installed() || gone.machine.is_empty() {
            return;
        }
        let former = Former { machine: gone.machine.clone(), name: gone.name.clone(), at };
        self.state.former.insert(gone.id, Arc::new(former));
        if self.state.former.len() > MOST_FORMER {
            self.state.former = self.state.former.without_min().1;
        }
    }
}

//! What decides without a person: tickets, the plan, `auto = "all"`; and bans.

use std::sync::Arc;

use imbl::OrdMap;
use jiff::Timestamp;

use super::{Decision, Fleet};
use crate::domain::command::{Origin, Reply, Verb};
use crate::domain::event::{Event, Recorded};
use crate::domain::guard::{self, ClaimCode, Permission, Rules, Verdict, Withheld};
use crate::domain::id::{BanId, NodeId, TicketId};
use crate::domain::machine::MachineId;
use crate::domain::node::{Asked, Flag, Node, Stamp};
use crate::domain::plan::ProfileName;
use crate::domain::policy::Auto;
use crate::domain::refusal::Refusal;
use crate::domain::snapshot::Undecided;
use crate::domain::text::Text;
use crate::domain::ticket::{Ban, Closing, Former, LONGEST, MOST_MACHINES, Rule, Ticket, Wants};

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

    /// The ban a machine is under. A maker's duplicate is another machine, though it shares a UUID or serial.
    pub(super) fn ban_on(&self, machine: &MachineId) -> Option<&Ban> {
        self.bans().find(|ban| ban.machine.is_likely(machine)).map(AsRef::as_ref)
    }

    /// What to say of a machine that is like a banned one, but shows other MACs: a person must look.
    pub(super) fn like_banned(&self, machine: &MachineId) -> Option<Flag> {
        let alike = self.bans().find(|ban| ban.machine.shares_any(machine) && !ban.machine.is_likely(machine))?;
        Some(Flag::LikeBanned { name: alike.name.clone() })
    }

    /// The machine that was installed here before and whose row was dropped, the latest of those that fit.
    pub(super) fn former(&self, machine: &MachineId) -> Option<&Former> {
        let latest = self.index.former().sharing(machine).max()?;
        self.state.former.get(&latest).map(AsRef::as_ref)
    }

    /// What to say of a machine that was installed here before.
    pub(super) fn was_here(&self, machine: &MachineId) -> Option<Flag> {
        self.former(machine).map(|former| Flag::InstalledBefore { name: former.name.clone() })
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
        let admitted = draft.admission(node, stamp, now, None);
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

    /// What follows where a rule admits this row: the approval, and the end of a ticket that is used up by it. `only`
    /// one ticket is asked where one is given, else all rules are.
    fn admission(&self, node: NodeId, stamp: &Stamp, now: Timestamp, only: Option<TicketId>) -> Vec<Event> {
        let Some(row) = self.node(node).filter(|row| !self.is_used_elsewhere(row)) else { return Vec::new() };
        // A person is deciding.
        if self.undecided.contains_key(&node) {
            return Vec::new();
        }
        let tickets = self.tickets().map(AsRef::as_ref).filter(|ticket| only.is_none_or(|only| ticket.id == only));
        let auto = if only.is_some() { Auto::Never } else { self.policy.auto };
        let vouched = self.is_vouched_for(row, now);
        let Some(admission) = guard::admit(row, stamp, now, Rules { tickets, auto, vouched }) else {
            return Vec::new();
        };
        let drained = match admission.by {
            Rule::Ticket(ticket) if self.state.tickets.get(&ticket).is_some_and(|ticket| ticket.left <= 1) => {
                Some(Event::TicketClosed { ticket, why: Closing::Drained })
            }
            Rule::Ticket(_) | Rule::Planned | Rule::All => None,
        };
        let admitted = Event::Admitted { node, stamp: stamp.clone(), admission };
        std::iter::once(admitted).chain(drained).collect()
    }

    /// Whether the plan or a token vouches for a row well enough for `auto = "planned"`. The server found the token
    /// good; it may have been revoked since, or made anew under its name.
    fn is_vouched_for(&self, row: &Node, now: Timestamp) -> bool {
        let planned = row.plan_match.as_ref().is_some_and(|found| found.by.len() >= 2 && found.against.is_empty());
        let is_good = |asked: &Asked| {
            let token = asked.token.as_ref().and_then(|name| self.state.tokens.get(name));
            token.is_some_and(|token| !token.is_expired(now) && token.made <= asked.at)
        };
        planned || row.request.as_ref().is_some_and(is_good)
    }

    /// Which decisions can still be taken back: rules keep off their rows, and a machine that is being sent away is given
    /// nothing meanwhile.
    pub fn set_undecided(&mut self, undecided: OrdMap<NodeId, Undecided>) {
        self.undecided = undecided;
    }

    /// The guard's word, of one who sees more: a machine that is being sent away gets nothing, and what a rule approved is
    /// not served while the same machine may be installed as another row, or as one that was forgotten.
    pub(super) fn guarded(&self, row: &Node, stamp: &Stamp, now: Timestamp) -> Verdict {
        let verdict = guard::judge(row, stamp, now, &self.policy);
        let goes = self.undecided.get(&row.id).is_some_and(|undecided| undecided.verb == Verb::Reject);
        if goes && matches!(verdict, Verdict::Serve(_)) {
            return Verdict::Hold(Withheld::Undecided(ClaimCode::of(row.id)));
        }
        let is_approval = matches!(&verdict, Verdict::Serve(grant) if grant.by == Permission::Approval);
        if is_approval && row.admission.is_some() && self.is_used_elsewhere(row) {
            return Verdict::Hold(Withheld::Undecided(ClaimCode::of(row.id)));
        }
        verdict
    }

    /// Whether another row that may be installed, or was and is forgotten, shows an identifier of this one.
    fn is_used_elsewhere(&self, row: &Node) -> bool {
        let is_used = |id: NodeId| id != row.id && self.node(id).is_some_and(|other| other.may_be_installed());
        self.index.machines().sharing(&row.machine).any(is_used) || self.former(&row.machine).is_some()
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
            let admitted = draft.admission(node, stamp, now, Some(id));
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
        if !node.phase.is_before_answer() || node.may_be_installed() || node.request.is_none() {
            return Err(wrong("only a machine that has asked and has no answer yet can be banned"));
        }
        if node.machine.is_empty() {
            return Err(wrong("it shows nothing by which it could be known again; reject it instead"));
        }
        if self.state.bans.len() >= MOST_BANS {
            return Err(wrong("1000 machines are banned, which is the limit; lift some bans first"));
        }
        let id = BanId(self.state.last_ban + 1);
        let banned = Event::Banned {
            ban: id,
            node: node.id,
            machine: node.machine.clone(),
            name: node.name.clone(),
            reason: reason.clone(),
        };
        let events = [banned].into_iter().chain(self.planned_again(node)).collect();
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Done })
    }

    /// Lifts a ban: the machine is a stranger when it asks again.
    pub(super) fn decide_unban(&self, ban: BanId) -> Result<Decision, Refusal> {
        self.state.bans.get(&ban).ok_or(Refusal::UnknownBan(ban))?;
        Ok(Decision::one(Event::BanLifted { ban }))
    }
}

impl Fleet {
    pub(super) fn keep_ticket(&mut self, ticket: &Ticket) {
        self.state.last_ticket = self.state.last_ticket.max(ticket.id.0);
        self.state.tickets.insert(ticket.id, Arc::new(ticket.clone()));
    }

    pub(super) fn keep_ban(&mut self, ban: Ban) {
        self.state.last_ban = self.state.last_ban.max(ban.id.0);
        self.state.bans.insert(ban.id, Arc::new(ban));
    }

    /// One machine less for a ticket.
    pub(super) fn spend(&mut self, rule: Rule) {
        let Rule::Ticket(ticket) = rule else { return };
        if let Some(ticket) = self.state.tickets.get_mut(&ticket) {
            let ticket = Arc::make_mut(ticket);
            ticket.left = ticket.left.saturating_sub(1);
        }
    }

    /// Drops a row.
    pub(super) fn drop_row(&mut self, node: NodeId) -> Option<Arc<Node>> {
        let gone = self.state.nodes.remove(&node)?;
        self.index.remove(&gone);
        self.lower_floor(&gone, None);
        Some(gone)
    }

    /// Drops a row whose machine may come back. What may carry data is remembered, so that no rule takes it for a new
    /// machine.
    pub(super) fn forget_row(&mut self, node: NodeId, at: Timestamp) {
        let Some(gone) = self.drop_row(node) else { return };
        let earlier = gone.flags.iter().find_map(|flag| {
            let Flag::InstalledBefore { name } = flag else { return None };
            Some(name)
        });
        let Some(name) = Some(&gone.name).filter(|_| gone.may_be_installed()).or(earlier) else { return };
        if gone.machine.is_empty()
            || self
                .former(&gone.machine)
                .is_some_and(|former| former.name == *name && former.machine.covers(&gone.machine))
        {
            return;
        }
        let former = Former { machine: gone.machine.clone(), name: name.clone(), at };
        self.index.former_mut().insert(gone.id, &former.machine);
        self.state.former.insert(gone.id, Arc::new(former));
        if self.state.former.len() > MOST_FORMER
            && let Some((oldest, former)) = self.state.former.get_min().cloned()
        {
            self.index.former_mut().remove(oldest, &former.machine);
            self.state.former.remove(&oldest);
        }
    }
}

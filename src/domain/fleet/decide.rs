//! From wish to facts: every command but the operator's orders.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::clock::Leg;
use super::{Decision, Fleet};
use crate::domain::command::{Command, Reply, ReportIn, Sighting};
use crate::domain::event::Event;
use crate::domain::id::{DocumentHash, NodeId, ReportId, SecretHash};
use crate::domain::machine::MachineId;
use crate::domain::node::{Flag, Node};
use crate::domain::phase::Phase;
use crate::domain::policy::WebhookAuth;
use crate::domain::refusal::Refusal;
use crate::domain::run::RunState;
use crate::domain::text::Text;
use crate::domain::ticket::Closing;

/// Longest time between two looks at a node, and then some.
const SILENCE: Duration = Duration::from_mins(2);

impl Fleet {
    /// Turns a wish into facts, or says why not. Changes nothing.
    ///
    /// # Errors
    /// A [`Refusal`] in words for whoever wished.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Decision, Refusal> {
        match command {
            Command::Ask(ask) => self.decide_ask(ask, now),
            Command::Release(release) => self.decide_release(release, now),
            Command::AnswerWritten { node, document, secret, delivered } => {
                Ok(Self::decide_written(self.existing(*node)?, *document, *secret, *delivered))
            }
            Command::RetryServed { node, why } => {
                let event = Event::RetryServed { node: *node, why: why.clone() };
                Ok(Self::tell_of_reply(self.existing(*node)?, event))
            }
            Command::RefusalServed { node, why } => {
                let event = Event::RefusalServed { node: *node, why: why.clone() };
                Ok(Self::tell_of_reply(self.existing(*node)?, event))
            }
            Command::TakenBack { node, verb } => {
                self.existing(*node)?;
                Ok(Decision::one(Event::TakenBack { node: *node, verb: *verb }))
            }
            Command::Overtaken { node } => Ok(Self::raise(self.existing(*node)?, Flag::ChangedSinceApproval)),
            Command::CameToNothing { node, verb, why } => {
                Ok(Self::raise(self.existing(*node)?, Flag::CameToNothing { verb: *verb, why: why.clone() }))
            }
            Command::SeenFrom { node, other } => {
                Ok(Self::raise(self.existing(*node)?, Flag::TwoAddresses { other: *other }))
            }
            Command::TicketOver { ticket } => self.decide_close(*ticket, Closing::Expired),
            Command::RepeatsOver { node, first } => Ok(Self::decide_repeats_over(self.existing(*node)?, *first)),
            Command::AnswerImpossible { node, why } => {
                Ok(Self::raise(self.existing(*node)?, Flag::CannotAnswer { reason: why.clone() }))
            }
            Command::TakeCounters { node, counters } => Ok(self.decide_counters(self.existing(*node)?, counters)),
            Command::Report(report) => self.decide_report(report, now),
            Command::Probe { node, sighting } => Ok(self.decide_probe(self.existing(*node)?, sighting, now)),
            Command::RunStarted { run } => Ok(match self.run(*run).map(|run| &run.state) {
                Some(RunState::Queued { .. }) => Decision::one(Event::RunStarted { run: *run }),
                Some(RunState::Running { .. } | RunState::Ended { .. }) | None => Decision::none(Reply::Done),
            }),
            Command::RunEnded { run, outcome, hosts } => Ok(match self.run(*run) {
                Some(known) if known.is_active() => {
                    Decision::one(Event::RunEnded { run: *run, outcome: outcome.clone(), hosts: hosts.clone() })
                }
                Some(_) | None => Decision::none(Reply::Done),
            }),
            Command::Import { entries } => Ok(self.decide_import(entries)),
            Command::Plan { entries } => Ok(self.decide_plan(entries)),
            Command::Tick => Ok(self.decide_tick(now)),
            Command::Order(order) => self.decide_order(order, now),
        }
    }

    /// What became of an answer. One whose release was withheld, though its handler never heard so, was none.
    fn decide_written(node: &Node, document: DocumentHash, secret: SecretHash, delivered: bool) -> Decision {
        if node.answers.as_ref().is_none_or(|answers| !answers.secrets.contains(&secret)) {
            return Decision::none(Reply::Done);
        }
        let (node, secret) = (node.id, Some(secret));
        Decision::one(if delivered {
            Event::AnswerDelivered { node, document, secret }
        } else {
            Event::AnswerLost { node, document, secret }
        })
    }

    /// No clock that is set back makes the repeat window longer. A report ends it in any case.
    fn decide_repeats_over(node: &Node, first: Timestamp) -> Decision {
        match &node.answers {
            Some(answers) if answers.first == first && answers.may_repeat(node) => {
                Decision::one(Event::RepeatsOver { node: node.id })
            }
            Some(_) | None => Decision::none(Reply::Done),
        }
    }

    /// A reply is told once for each request that is an event.
    fn tell_of_reply(node: &Node, event: Event) -> Decision {
        match &node.request {
            Some(asked) if asked.is_told => Decision::none(Reply::Done),
            Some(_) | None => Decision::one(event),
        }
    }

    /// Raises a flag, where it is not up.
    fn raise(node: &Node, flag: Flag) -> Decision {
        if node.flags.contains(&flag) {
            return Decision::none(Reply::Done);
        }
        Decision::one(Event::Flagged { node: node.id, flag })
    }

    pub(super) fn existing(&self, id: NodeId) -> Result<&Node, Refusal> {
        self.node(id).map(AsRef::as_ref).ok_or(Refusal::UnknownNode(id))
    }

    /// A report is a fact in any case; the question is whose. Without proof it moves nobody (ADR 7).
    fn decide_report(&self, incoming: &ReportIn, now: Timestamp) -> Result<Decision, Refusal> {
        let by_secret = incoming.secret.and_then(|secret| self.index.by_secret(&secret));
        let owner = match self.policy.webhook_auth {
            WebhookAuth::Secret => by_secret,
            WebhookAuth::None => by_secret.or_else(|| self.claimed_owner(incoming)),
        };
        if let Some(node) = owner.filter(|_| incoming.may_move).and_then(|id| self.node(id)) {
            if node.report.as_ref().is_some_and(|reported| reported.document == incoming.document) {
                return Ok(Decision::none(Reply::Done));
            }
            // A secret is spent by the report it came with; a second, different report is a stranger's.
            if node.report.is_none() {
                return Ok(Decision::one(Event::ReportAccepted {
                    node: node.id,
                    peer: incoming.peer,
                    document: incoming.document,
                    report: incoming.report.clone(),
                    proven: by_secret.is_some(),
                }));
            }
        }
        if self.unmatched().any(|unmatched| unmatched.document == incoming.document) {
            return Ok(Decision::none(Reply::Done));
        }
        self.room_for_report(incoming.peer, now)?;
        Ok(Decision::one(Event::ReportUnmatched {
            report: ReportId(self.state.last_report + 1),
            peer: incoming.peer,
            document: incoming.document,
            facts: incoming.report.clone(),
        }))
    }

    /// Whose report this claims to be: by identifiers, then by host name. Only a node that was given an answer counts.
    fn claimed_owner(&self, incoming: &ReportIn) -> Option<NodeId> {
        let machine = MachineId::of_report(&incoming.report);
        let by_machine = self.resolve(&machine, None).node;
        let name = incoming.report.fqdn.as_ref().and_then(|fqdn| fqdn.as_str().parse().ok());
        let by_name = name.and_then(|name| self.named(&name)).map(|node| node.id);
        by_machine.or(by_name).filter(|id| self.node(*id).is_some_and(|node| node.answers.is_some()))
    }

    fn decide_probe(&self, node: &Node, sighting: &Sighting, now: Timestamp) -> Decision {
        let id = node.id;
        if !node.phase.is_looked_for() {
            return Decision::none(Reply::Done);
        }
        let mut events = Vec::new();
        match sighting {
            Sighting::Proven if node.phase == Phase::Ready => {}
            Sighting::Proven if !node.host_keys.is_empty() => events.push(Event::BecameReady { node: id }),
            Sighting::Proven => {}
            Sighting::Silent { what } => {
                // Whoever had another key there is gone, too.
                if node.flags.contains(&Flag::WrongHostKey) {
                    events.push(Event::Unflagged { node: id, flag: Flag::WrongHostKey });
                }
                events.extend(self.not_yet(node, what.as_str(), now));
            }
            Sighting::OtherKey { seen } if node.host_keys.is_empty() => {
                if node.unproven.as_ref() != Some(seen) {
                    events.push(Event::HostKeySeen { node: id, key: seen.clone() });
                }
            }
            Sighting::OtherKey { seen } => {
                if !node.flags.contains(&Flag::WrongHostKey) {
                    events.push(Event::Flagged { node: id, flag: Flag::WrongHostKey });
                }
                let what = format!(
                    "SSH answers with the key {}, not the reported one: old system booted, address clash or swapped cable?",
                    seen.fingerprint()
                );
                events.extend(self.not_yet(node, &what, now));
            }
        }
        Decision { events, effects: Vec::new(), reply: Reply::Done }
    }

    /// Still booting, overdue by now, or not ready any more.
    fn not_yet(&self, node: &Node, what: &str, now: Timestamp) -> Option<Event> {
        let waited = now.duration_since(node.since);
        match node.phase {
            Phase::Installed | Phase::Ready => Some(Event::Booting { node: node.id }),
            Phase::Booting if is_over(waited, self.deadline(node, Leg::Boot)) => {
                let usual = self.usual(node, Leg::Boot);
                let reason = format!("not reached within {} min{usual}: {what}", waited.as_mins());
                Some(Event::BecameUnreachable { node: node.id, reason: Text::new(&reason) })
            }
            // It is silent in another way by now, or another system answers.
            Phase::Unreachable { ref reason } if !reason.as_str().contains(Text::new(what).as_str()) => {
                Some(Event::BecameUnreachable { node: node.id, reason: Text::new(what) })
            }
            Phase::Planned
            | Phase::Waiting
            | Phase::Rejected { .. }
            | Phase::Approved
            | Phase::Installing
            | Phase::Stalled { .. }
            | Phase::Booting
            | Phase::Unreachable { .. }
            | Phase::Configuring
            | Phase::Configured
            | Phase::Failed { .. } => None,
        }
    }

    fn decide_import(&self, entries: &[(crate::domain::fqdn::Fqdn, Text)]) -> Decision {
        let fresh = entries.iter().filter(|(name, _)| self.named(name).is_none());
        let numbered = self.new_rows().zip(fresh);
        let events = numbered
            .map(|(node, (name, status))| Event::Imported { node, name: name.clone(), status: status.clone() })
            .collect();
        Decision { events, effects: Vec::new(), reply: Reply::Done }
    }

    /// Deadlines first; the gate sees their outcome at the next tick.
    fn decide_tick(&self, now: Timestamp) -> Decision {
        let overdue = self.nodes().filter_map(|node| self.overdue(node, now));
        let is_run_late = self.is_run_late(now);
        let configuring = self.overdue_configuring(now, is_run_late);
        let events: Vec<_> = overdue.chain(configuring).chain(self.expired_tickets(now)).collect();
        let mut decision = if events.is_empty() {
            self.decide_gate(now)
        } else {
            Decision { events, effects: Vec::new(), reply: Reply::Done }
        };
        if is_run_late {
            // Should nobody look after it: whoever does takes no notice.
            decision.effects.extend(self.resume());
        }
        decision
    }

    fn overdue(&self, node: &Node, now: Timestamp) -> Option<Event> {
        let waited = now.duration_since(node.since);
        match node.phase {
            Phase::Installing => is_over(waited, self.deadline(node, Leg::Install)).then(|| {
                let (minutes, usual) = (waited.as_mins(), self.usual(node, Leg::Install));
                let reason = format!("answered {minutes} min ago, no report{usual}: look at its screen");
                Event::Stalled { node: node.id, reason: Text::new(&reason) }
            }),
            Phase::Installed | Phase::Booting => self.overdue_boot(node, waited),
            Phase::Planned
            | Phase::Waiting
            | Phase::Rejected { .. }
            | Phase::Approved
            | Phase::Stalled { .. }
            | Phase::Ready
            | Phase::Unreachable { .. }
            | Phase::Configuring
            | Phase::Configured
            | Phase::Failed { .. } => None,
        }
    }

    /// A boot that no sighting ends: nobody can look at the node, or what was seen of it waits for the operator. One that
    /// is looked at is told by the next silence, which knows more.
    fn overdue_boot(&self, node: &Node, waited: SignedDuration) -> Option<Event> {
        let grace = if node.address.is_some() { SILENCE } else { Duration::ZERO };
        if !is_over(waited, self.deadline(node, Leg::Boot) + grace) {
            return None;
        }
        let minutes = waited.as_mins();
        let reason = match (node.address, &node.unproven) {
            (None, _) => format!("installed {minutes} min ago and its address is not known: set it, to be looked for"),
            (Some(_), Some(_)) if node.host_keys.is_empty() => {
                format!(
                    "SSH has answered, and its host key waits for {minutes} min: compare it with its screen, then trust it"
                )
            }
            (Some(_), _) => format!("not seen for {minutes} min: look at its screen"),
        };
        Some(Event::BecameUnreachable { node: node.id, reason: Text::new(&reason) })
    }
}

impl Fleet {
    /// What a leg usually takes this model, in words that go into a sentence; nothing where it is not known.
    fn usual(&self, node: &Node, leg: Leg) -> String {
        let pace = self.pace(node, leg);
        pace.map(|pace| format!("; this model usually takes {}", pace.words())).unwrap_or_default()
    }
}

pub(super) fn is_over(waited: SignedDuration, limit: Duration) -> bool {
    waited > SignedDuration::ZERO && waited.unsigned_abs() > limit
}

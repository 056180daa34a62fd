//! A batch while it is being decided: the fleet as it will be, what is to be stored, and the replies that wait for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::handle::{HoldRequest, Outcome, Submission, SubmitError};
use crate::domain::{Command, Decision, Effect, Event, Fleet, NodeId, Origin, Recorded, Refusal, Reply};
use crate::store::Batch;

/// A batch while it is being decided.
pub(super) struct Draft {
    pub(super) fleet: Fleet,
    pub(super) batch: Batch,
    pub(super) effects: Vec<Effect>,
    pub(super) replies: Vec<PendingReply>,
    /// Requests that were no event of their own, to be counted with the next one that is.
    pub(super) uncounted: BTreeMap<NodeId, u32>,
    /// Sequence number of the last stored event.
    base_seq: u64,
}

/// Where a reply goes.
pub(super) type ReplyTo = oneshot::Sender<Result<Outcome, SubmitError>>;

/// A reply that waits for the commit.
pub(super) struct PendingReply {
    pub(super) to: ReplyTo,
    pub(super) reply: Reply,
    pub(super) hold: Option<(HoldRequest, crate::domain::Stamp)>,
}

impl Draft {
    pub(super) fn new(fleet: Fleet, base_seq: u64, uncounted: BTreeMap<NodeId, u32>) -> Self {
        Self { fleet, batch: Batch::default(), effects: Vec::new(), replies: Vec::new(), uncounted, base_seq }
    }

    /// Decides on one submission against the fleet as this batch has left it so far; says whether it was not refused.
    pub(super) fn decide(&mut self, submission: Submission) -> bool {
        let Submission { origin, at, command, document, answer, hold, reply: to, .. } = submission;
        let mut decision = match self.fleet.decide(&command, at) {
            Ok(decision) => decision,
            Err(refusal) => {
                let _ = to.send(Err(SubmitError::Refused(refusal)));
                return false;
            }
        };
        self.count(&mut decision);
        if !decision.events.is_empty() {
            self.batch.documents.extend(document);
        }
        if decision.reply == Reply::Released {
            self.batch.answers.extend(answer);
        }
        let reply = self.record(decision, &origin, at);
        let stamp = match command {
            Command::Ask(ask) => Some(ask.stamp),
            _ => None,
        };
        self.replies.push(PendingReply { to, reply, hold: hold.zip(stamp) });
        true
    }

    /// Decides on something nobody waits for.
    ///
    /// # Errors
    /// The refusal; nothing changed.
    pub(super) fn decide_own(&mut self, command: &Command, origin: &Origin) -> Result<(), Refusal> {
        let now = Timestamp::now();
        let decision = self.fleet.decide(command, now)?;
        self.record(decision, origin, now);
        Ok(())
    }

    /// Counts a request that is no event, or those before one that is.
    fn count(&mut self, decision: &mut Decision) {
        let Reply::Asked { node, .. } = decision.reply else { return };
        let asked = decision.events.iter_mut().find_map(|event| match event {
            Event::MachineAsked { asked, .. } => Some(asked),
            _ => None,
        });
        match asked {
            Some(asked) => asked.count = asked.count.saturating_add(self.uncounted.remove(&node).unwrap_or(0)),
            None if self.fleet.node(node).is_some() => *self.uncounted.entry(node).or_insert(0) += 1,
            None => {}
        }
    }

    fn record(&mut self, decision: Decision, origin: &Origin, at: Timestamp) -> Reply {
        for event in decision.events {
            let seq = self.base_seq + self.batch.events.len() as u64 + 1;
            let recorded = Recorded { seq, at, origin: origin.clone(), event };
            self.fleet.apply(&recorded);
            self.batch.events.push(recorded);
        }
        self.effects.extend(decision.effects);
        decision.reply
    }
}

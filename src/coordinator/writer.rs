//! The writer's loop and its one transaction per batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::{error, warn};

use super::handle::{HoldRequest, Message, Outcome, Submission, SubmitError};
use super::held::HeldRequests;
use crate::domain::guard::Verdict;
use crate::domain::snapshot::{Hold, Problem, Service};
use crate::domain::{Command, Effect, Fleet, NodeId, Policy, Recorded, Reply, Snapshot};
use crate::store::{Batch, Loaded, Store};

/// Messages taken into one transaction at most.
const BATCH: usize = 512;

/// Events after which the whole state is stored again, so that a start need not replay more.
const STATE_EVERY: u64 = 50_000;

/// Owner of the fleet and the store.
pub(super) struct Writer {
    store: Store,
    fleet: Fleet,
    seq: u64,
    state_seq: u64,
    held: HeldRequests,
    service: Arc<Service>,
    store_problem: Option<Problem>,
    publish: watch::Sender<Arc<Snapshot>>,
    events: broadcast::Sender<Arc<Recorded>>,
    effects: mpsc::Sender<Effect>,
}

/// A batch while it is being decided.
struct Draft {
    fleet: Fleet,
    batch: Batch,
    effects: Vec<Effect>,
    replies: Vec<PendingReply>,
}

/// A reply that waits for the commit.
struct PendingReply {
    to: oneshot::Sender<Result<Outcome, SubmitError>>,
    reply: Reply,
    hold: Option<(HoldRequest, crate::domain::Stamp)>,
}

/// A reply and where it goes.
type Answered = (oneshot::Sender<Result<Outcome, SubmitError>>, Result<Outcome, SubmitError>);

/// Sends replies. A machine that hung up meanwhile no longer listens; its open request is swept away.
fn reply(answered: Vec<Answered>) {
    for (to, outcome) in answered {
        let _ = to.send(outcome);
    }
}

impl Writer {
    pub(super) fn new(
        store: Store,
        loaded: Loaded,
        publish: watch::Sender<Arc<Snapshot>>,
        events: broadcast::Sender<Arc<Recorded>>,
        effects: mpsc::Sender<Effect>,
    ) -> Self {
        Self {
            store,
            fleet: loaded.fleet,
            seq: loaded.seq,
            state_seq: loaded.seq,
            held: HeldRequests::default(),
            service: Arc::default(),
            store_problem: None,
            publish,
            events,
            effects,
        }
    }

    /// Works until it is told to stop or nobody can send any more.
    pub(super) fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        self.act(self.fleet.resume());
        let mut taken = Vec::with_capacity(BATCH);
        while messages.blocking_recv_many(&mut taken, BATCH) > 0 {
            let stopped = self.turn(taken.drain(..));
            if let Some(done) = stopped {
                self.save_state();
                let _ = done.send(());
                return;
            }
        }
        self.save_state();
    }

    /// One batch. Returns the acknowledgement to give when it was asked to stop.
    fn turn(&mut self, messages: impl Iterator<Item = Message>) -> Option<oneshot::Sender<()>> {
        let mut draft =
            Draft { fleet: self.fleet.clone(), batch: Batch::default(), effects: Vec::new(), replies: Vec::new() };
        let mut stop = None;
        let mut acknowledge = Vec::new();
        let mut release_all = false;
        let mut changed = false;
        let mut is_tick = false;
        for message in messages {
            match message {
                Message::Submit(submission) => {
                    is_tick |= matches!(submission.command, Command::Tick);
                    draft.decide(*submission, self.seq);
                }
                Message::HoldDropped(id) => changed |= self.held.drop_request(id),
                Message::ReleaseAll(done) => {
                    release_all = true;
                    acknowledge.push(done);
                }
                Message::SetService(service, done) => {
                    self.service = service;
                    changed = true;
                    acknowledge.push(done);
                }
                Message::SetPolicy(policy, done) => {
                    // In force from here on, also where this batch cannot be stored.
                    self.fleet.set_policy(Policy::clone(&policy));
                    draft.fleet.set_policy(*policy);
                    changed = true;
                    acknowledge.push(done);
                }
                Message::Stop(done) => stop = Some(done),
            }
        }
        changed |= self.commit(draft);
        if is_tick {
            // Looks at every held request, so not with each batch; those that hang up tell so by themselves.
            changed |= self.held.sweep();
        }
        if release_all {
            self.held.release_all();
            changed = true;
        }
        if changed {
            self.publish();
        }
        for done in acknowledge {
            let _ = done.send(());
        }
        stop
    }

    /// Stores a batch, then applies, publishes, replies and acts; or tells everybody that nothing happened.
    fn commit(&mut self, draft: Draft) -> bool {
        let Draft { fleet, batch, effects, replies } = draft;
        if batch.events.is_empty() {
            // Nothing to store; replies still tell the truth, for the draft is the fleet.
            let outcomes = self.park(replies);
            let has_parked = outcomes.iter().any(|(_, outcome)| matches!(outcome, Ok(Outcome { wake: Some(_), .. })));
            reply(outcomes);
            self.act(effects);
            return has_parked;
        }
        if let Err(problem) = self.store.commit(&batch) {
            error!("nothing of this batch is stored or done: {problem}");
            let why = problem.to_string();
            for pending in replies {
                let _ = pending.to.send(Err(SubmitError::NotStored(why.clone())));
            }
            self.store_problem = Some(Problem {
                what: format!("the store cannot commit: {why}"),
                hint: "free disk space or repair the state folder; machines get the retry answer until then".to_owned(),
            });
            return true;
        }
        self.store_problem = None;
        self.fleet = fleet;
        self.seq += batch.events.len() as u64;
        let outcomes = self.park(replies);
        let now = Timestamp::now();
        let touched: BTreeSet<NodeId> = batch.events.iter().filter_map(|recorded| recorded.event.node()).collect();
        for node in touched {
            self.held.reconsider(node, &self.fleet, now);
        }
        self.publish();
        reply(outcomes);
        for recorded in batch.events {
            // Nobody may be following.
            let _ = self.events.send(Arc::new(recorded));
        }
        self.act(effects);
        if self.seq - self.state_seq >= STATE_EVERY {
            self.save_state();
        }
        true
    }

    /// Puts requests that must wait on the list of held ones; the rest is passed on as it is.
    fn park(&mut self, replies: Vec<PendingReply>) -> Vec<Answered> {
        let park_one = |PendingReply { to, reply, hold }| match (&reply, hold) {
            (Reply::Asked { verdict: Verdict::Hold(_), .. }, Some(_))
                if self.held.len() >= self.service.capacity.max(1) =>
            {
                (to, Err(SubmitError::Busy))
            }
            (Reply::Asked { node, verdict: Verdict::Hold(_) }, Some((hold, stamp))) => {
                let shown = Hold { since: hold.since, until: hold.until };
                let wake = Some(self.held.park(*node, hold.id, stamp, shown));
                (to, Ok(Outcome { reply, wake }))
            }
            _ => (to, Ok(Outcome { reply, wake: None })),
        };
        replies.into_iter().map(park_one).collect()
    }

    fn publish(&self) {
        let mut service = Arc::clone(&self.service);
        if let Some(problem) = &self.store_problem {
            Arc::make_mut(&mut service).problems.insert(0, problem.clone());
        }
        self.publish.send_replace(Arc::new(Snapshot {
            seq: self.seq,
            at: Timestamp::now(),
            fleet: self.fleet.clone(),
            holds: self.held.shown(),
            service,
        }));
    }

    fn act(&self, effects: Vec<Effect>) {
        for effect in effects {
            if let Err(error) = self.effects.try_send(effect) {
                warn!("{effect:?} could not be handed on ({error}); a restart takes it up again");
            }
        }
    }

    /// Stores the whole state, so that the next start replays less. A failure costs time at the next start, no fact.
    fn save_state(&mut self) {
        if self.seq == self.state_seq {
            return;
        }
        match self.store.save_state(&self.fleet, self.seq) {
            Ok(()) => self.state_seq = self.seq,
            Err(problem) => warn!("the state was not condensed; the next start replays its events: {problem}"),
        }
    }
}

impl Draft {
    /// Decides on one submission against the fleet as this batch has left it so far.
    fn decide(&mut self, submission: Submission, base_seq: u64) {
        let Submission { origin, at, command, document, answer, hold, reply: to } = submission;
        let decision = match self.fleet.decide(&command, at) {
            Ok(decision) => decision,
            Err(refusal) => {
                let _ = to.send(Err(SubmitError::Refused(refusal)));
                return;
            }
        };
        if !decision.events.is_empty() {
            self.batch.documents.extend(document);
        }
        if decision.reply == Reply::Released {
            self.batch.answers.extend(answer);
        }
        for event in decision.events {
            let seq = base_seq + self.batch.events.len() as u64 + 1;
            let recorded = Recorded { seq, at, origin: origin.clone(), event };
            self.fleet.apply(&recorded);
            self.batch.events.push(recorded);
        }
        self.effects.extend(decision.effects);
        let stamp = match command {
            Command::Ask(ask) => Some(ask.stamp),
            _ => None,
        };
        self.replies.push(PendingReply { to, reply: decision.reply, hold: hold.zip(stamp) });
    }
}

//! The writer's loop and its one transaction per batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use super::draft::{Draft, PendingReply, ReplyTo};
use super::handle::{Message, Outcome, Submission, SubmitError};
use super::held::HeldRequests;
use super::windows::{FirstAnswer, Window, Windows};
use crate::domain::command::Verb;
use crate::domain::guard::Verdict;
use crate::domain::snapshot::{Problem, Service};
use crate::domain::text::Text;
use crate::domain::{
    Command, Effect, Event, Fleet, NodeId, Origin, Policy, Recorded, Refusal, Reply, Snapshot, Ticket,
};
use crate::store::{Loaded, Store};

/// Messages taken into one transaction at most.
const BATCH: usize = 512;

/// Events after which the whole state is stored again, so that a start need not replay more.
const STATE_EVERY: u64 = 50_000;

/// The same in bytes of stored bodies: with the state those go that no row refers to any more.
const BODIES_EVERY: usize = 64 << 20;

/// The same once nothing has happened for so many ticks …
const CALM: u32 = 5;

/// … where it saves the next start so many events.
const WORTH_IT: u64 = 2_000;

/// Pause before that is tried again which could not be stored: a decision at the end of its undo window, or what a batch
/// has led to.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Owner of the fleet and the store.
pub(super) struct Writer {
    store: Store,
    fleet: Fleet,
    seq: u64,
    state_seq: u64,
    held: HeldRequests,
    windows: Windows,
    /// Requests that were no event of their own since the last one of their row.
    uncounted: BTreeMap<NodeId, u32>,
    /// Bytes of bodies stored since the state was.
    bodies: usize,
    /// Ticks since the last one before which something had happened.
    calm: u32,
    /// The last event there was at the last tick.
    ticked: u64,
    /// What the last batch has led to, to be decided in the next one.
    follow_ups: Vec<Command>,
    /// When that is tried again which could not be stored.
    retry: Option<Instant>,
    service: Arc<Service>,
    store_problem: Option<Problem>,
    publish: watch::Sender<Arc<Snapshot>>,
    events: broadcast::Sender<Arc<Recorded>>,
    effects: mpsc::Sender<Effect>,
}

/// What a batch has taken up, to be put back where it cannot be stored.
#[derive(Default)]
struct Undone {
    /// Decisions whose undo window is over, or that another one overtakes.
    windows: Vec<Window>,
    follow_ups: Vec<Command>,
}

/// A reply and where it goes.
type Answered = (ReplyTo, Result<Outcome, SubmitError>);

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
            windows: Windows::default(),
            uncounted: BTreeMap::new(),
            bodies: 0,
            calm: 0,
            ticked: loaded.seq,
            follow_ups: Vec::new(),
            retry: None,
            service: Arc::default(),
            store_problem: None,
            publish,
            events,
            effects,
        }
    }

    /// Works until it is told to stop or nobody can send any more. `timers` only makes time pass for the wait.
    pub(super) fn run(mut self, timers: &Runtime, mut messages: mpsc::Receiver<Message>) {
        self.act(self.fleet.resume());
        let tickets: Vec<_> = self.fleet.tickets().cloned().collect();
        for ticket in tickets {
            self.watch(&ticket, Timestamp::now());
        }
        self.watch_unreported();
        let mut taken = Vec::with_capacity(BATCH);
        while self.wait(timers, &mut messages, &mut taken) {
            let stopped = self.turn(taken.drain(..));
            if let Some(done) = stopped {
                self.save_state();
                let _ = done.send(());
                return;
            }
        }
        self.save_state();
    }

    /// Waits for messages or the end of an undo window; says whether there is anybody left to work for.
    fn wait(&self, timers: &Runtime, messages: &mut mpsc::Receiver<Message>, taken: &mut Vec<Message>) -> bool {
        let follow_up = (!self.follow_ups.is_empty()).then(|| self.retry.unwrap_or_else(Instant::now));
        let wake = follow_up.into_iter().chain(self.windows.next_end(self.fleet.policy().repeat_window)).min();
        let arrived = messages.recv_many(taken, BATCH);
        timers.block_on(async {
            match wake {
                None => arrived.await > 0,
                Some(wake) => timeout_at(wake, arrived).await.map_or(true, |count| count > 0),
            }
        })
    }

    /// One batch. Returns the acknowledgement to give when it was asked to stop.
    fn turn(&mut self, messages: impl Iterator<Item = Message>) -> Option<oneshot::Sender<()>> {
        let mut draft = Draft::new(self.fleet.clone(), self.seq, std::mem::take(&mut self.uncounted));
        let mut stop = None;
        let mut acknowledge = Vec::new();
        let mut release_all = false;
        let mut is_tick = false;
        let (before, mut has_new_policy) = (self.seq, false);
        let mut undone = Undone { follow_ups: std::mem::take(&mut self.follow_ups), ..Undone::default() };
        for follow_up in &undone.follow_ups {
            // About a row that is gone there is nothing to say.
            let _ = draft.decide_own(follow_up, &Origin::System);
        }
        undone.windows = self.windows.ended(Instant::now(), BATCH);
        draft.fleet.set_undecided(self.windows.shown());
        let mut changed = !undone.windows.is_empty();
        for window in &undone.windows {
            Self::take_effect(window, &mut draft);
        }
        for ticket in self.windows.tickets_over(Instant::now()) {
            // One that was used up or cancelled meanwhile is no more.
            let _ = draft.decide_own(&Command::TicketOver { ticket }, &Origin::System);
        }
        for FirstAnswer { node, at } in
            self.windows.repeats_over(Instant::now(), self.fleet.policy().repeat_window, BATCH)
        {
            // About a row that is gone there is nothing to say.
            let _ = draft.decide_own(&Command::RepeatsOver { node, first: at }, &Origin::System);
        }
        for message in messages {
            match message {
                Message::Submit(submission) => {
                    is_tick |= matches!(submission.command, Command::Tick);
                    changed |= self.submitted(*submission, &mut draft, &mut undone);
                    draft.fleet.set_undecided(self.windows.shown());
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
                    (changed, has_new_policy) = (true, true);
                    acknowledge.push(done);
                }
                Message::Stop(done) => {
                    // Nobody can take them back any more, and nobody has: what was decided stands.
                    for window in self.windows.all() {
                        Self::take_effect(&window, &mut draft);
                        undone.windows.push(window);
                    }
                    stop = Some(done);
                }
            }
        }
        changed = self.commit(draft, undone, changed);
        self.fleet.set_undecided(self.windows.shown());
        // They may be thousands, and nothing else than these frees what they lack.
        if has_new_policy || self.seq != before {
            changed |= self.held.reconsider_obstructed(&self.fleet, Timestamp::now());
        }
        if is_tick {
            self.condense_when_calm();
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

    /// Decides on a submission, or opens or closes an undo window for it. Says whether readers should see a change.
    fn submitted(&mut self, submission: Submission, draft: &mut Draft, undone: &mut Undone) -> bool {
        let length = self.fleet.policy().undo_window;
        match &submission.command {
            Command::Order(order) if order.undone().is_some_and(|node| self.windows.has(node)) => {
                if let Err(refusal) = draft.fleet.is_as_seen(order) {
                    let _ = submission.reply.send(Err(SubmitError::Refused(refusal)));
                    return false;
                }
                let Some(window) = order.undone().and_then(|node| self.windows.close(node)) else { return false };
                self.held.hurry(window.node, Instant::now());
                // It stays taken back also where that cannot be told the log: in doubt no answer leaves.
                let command = Command::TakenBack { node: window.node, verb: window.verb };
                draft.decide(Submission { command, ..submission });
                true
            }
            Command::Order(order) if submission.undoable && !length.is_zero() => {
                let Some((node, verb)) = order.verb() else {
                    draft.decide(submission);
                    return false;
                };
                if let Err(refusal) = draft.fleet.decide(&submission.command, submission.at) {
                    let _ = submission.reply.send(Err(SubmitError::Refused(refusal)));
                    return false;
                }
                // It was as seen when it was ordered; from here on the window is what can stop it.
                let order = order.clone().bare();
                let until = self.windows.open(node, verb, order, submission.origin, length);
                let reply = Reply::Undecided { until };
                draft.replies.push(PendingReply { to: submission.reply, reply, hold: None });
                true
            }
            // A decision without a window overtakes one that has it, unless it is refused.
            Command::Order(order) => {
                let verb = order.verb();
                let before = draft.batch.events.len();
                let is_decided = draft.decide(submission);
                let Some((node, verb)) = verb.filter(|_| is_decided) else {
                    return self.regrouped(before, draft, undone);
                };
                let Some(window) = self.windows.close(node) else { return false };
                // Where it cannot be stored the other one stands again, but none that lets an answer leave which the
                // operator has thought better of.
                if window.verb == verb || window.verb == Verb::Reject {
                    undone.windows.push(window);
                }
                true
            }
            _ => {
                draft.decide(submission);
                false
            }
        }
    }

    /// Whose machines are others now, or stand elsewhere, by what was decided since the event `before`: what could still
    /// be taken back of these rows was meant for what they were. Says whether there was any.
    fn regrouped(&mut self, before: usize, draft: &mut Draft, undone: &mut Undone) -> bool {
        let rows = draft.batch.events.iter().skip(before).flat_map(|recorded| recorded.event.regrouped());
        let windows: Vec<_> = rows.flatten().filter_map(|row| self.windows.close(row)).collect();
        for window in &windows {
            let why = Text::new("its row was merged, parted or moved meanwhile");
            let Window { node, verb, .. } = *window;
            // About a row that is gone there is nothing to say.
            let _ = draft.decide_own(&Command::CameToNothing { node, verb, why }, &Origin::System);
        }
        let are_closed = !windows.is_empty();
        undone.windows.extend(windows);
        are_closed
    }

    /// The undo window is over: what was decided is decided.
    fn take_effect(window: &Window, draft: &mut Draft) {
        let Window { node, verb, order, origin, .. } = window;
        let command = Command::Order(order.clone());
        match draft.decide_own(&command, origin) {
            // Where it was approved already a rule has done so: what was wished for has happened.
            Ok(()) | Err(Refusal::AlreadyApproved(_)) => {}
            Err(Refusal::ChangedWhileYouLooked(name)) => {
                warn!("{name}: the {} came to nothing, for the machine asked differently meanwhile", verb.noun());
                // About a row that is gone there is nothing to say.
                let _ = draft.decide_own(&Command::Overtaken { node: *node }, &Origin::System);
            }
            Err(refusal) => {
                warn!("{node}: the {} came to nothing: {refusal}", verb.noun());
                let why = Text::new(&refusal.to_string());
                // About a row that is gone there is nothing to say.
                let _ = draft.decide_own(&Command::CameToNothing { node: *node, verb: *verb, why }, &Origin::System);
            }
        }
    }

    /// Stores a batch, then applies, publishes, replies and acts; or tells everybody that nothing happened.
    /// `news` says that readers should see a change in any case. Returns whether they must still be shown one.
    fn commit(&mut self, draft: Draft, undone: Undone, news: bool) -> bool {
        let Draft { fleet, batch, effects, replies, uncounted, .. } = draft;
        self.uncounted = uncounted;
        if batch.events.is_empty() {
            // Nothing to store; replies still tell the truth, for the draft is the fleet.
            let outcomes = self.park(replies);
            let has_parked = outcomes.iter().any(|(_, outcome)| matches!(outcome, Ok(Outcome { wake: Some(_), .. })));
            if news || has_parked {
                self.publish();
            }
            reply(outcomes);
            self.act(effects);
            return false;
        }
        if let Err(problem) = self.store.commit(&batch) {
            error!("nothing of this batch is stored or done: {problem}");
            let why = problem.to_string();
            for pending in replies {
                let _ = pending.to.send(Err(SubmitError::NotStored(why.clone())));
            }
            for window in undone.windows {
                self.windows.reopen(window, STORE_PAUSE);
            }
            self.follow_ups = undone.follow_ups;
            self.retry = Some(Instant::now() + STORE_PAUSE);
            self.store_problem = Some(Problem {
                what: format!("the store cannot commit: {why}"),
                hint: "free disk space or repair the state folder; machines get the retry answer until then".to_owned(),
            });
            return true;
        }
        (self.store_problem, self.retry) = (None, None);
        self.fleet = fleet;
        self.seq += batch.events.len() as u64;
        self.bodies += batch.documents.iter().map(|document| document.bytes.len()).sum::<usize>();
        let outcomes = self.park(replies);
        let now = Timestamp::now();
        for recorded in &batch.events {
            if let Event::SplitOff { node, row, asked, .. } = &recorded.event {
                self.held.part(*node, *row, &asked.stamp);
            }
        }
        let touched: BTreeSet<NodeId> = batch.events.iter().filter_map(|recorded| recorded.event.node()).collect();
        let gone = batch.events.iter().filter_map(|recorded| match recorded.event {
            Event::Merged { gone, .. } | Event::Swapped { other: gone, .. } => Some(gone),
            _ => None,
        });
        for node in touched.into_iter().chain(gone) {
            self.held.reconsider(node, &self.fleet, now);
        }
        self.publish();
        reply(outcomes);
        for recorded in batch.events {
            match &recorded.event {
                Event::TicketIssued { ticket } => self.watch(ticket, now),
                Event::AnswerReleased { node, .. } => self.watch_first(*node, recorded.at),
                _ => {}
            }
            // Nobody may be following.
            let _ = self.events.send(Arc::new(recorded));
        }
        self.act(effects);
        if self.seq - self.state_seq >= STATE_EVERY || self.bodies >= BODIES_EVERY {
            self.save_state();
        }
        false
    }

    /// A ticket ends at the earlier of wall and monotonic time, so that no clock that is set back prolongs it.
    fn watch(&mut self, ticket: &Ticket, now: Timestamp) {
        let left = Duration::try_from(ticket.expires.duration_since(now)).unwrap_or_default();
        self.windows.watch(ticket.id, left);
    }

    /// An answer is repeated within the repeat window of the monotonic clock, where that ends before the wall clock's.
    fn watch_first(&mut self, node: NodeId, at: Timestamp) {
        let first = self.fleet.node(node).and_then(|node| node.answers.as_ref()).map(|answers| answers.first);
        if first == Some(at) {
            self.windows.watch_repeats(FirstAnswer { node, at }, Duration::ZERO);
        }
    }

    /// The same for those that were answered before the program started: then there was the wall clock only.
    fn watch_unreported(&mut self) {
        let now = Timestamp::now();
        for node in self.fleet.nodes() {
            let Some(answers) = node.answers.as_ref().filter(|answers| answers.may_repeat(node)) else { continue };
            let ago = Duration::try_from(now.duration_since(answers.first)).unwrap_or_default();
            let ago = ago.min(self.fleet.policy().repeat_window);
            self.windows.watch_repeats(FirstAnswer { node: node.id, at: answers.first }, ago);
        }
    }

    /// Puts requests that must wait on the list of held ones; the rest is passed on as it is.
    fn park(&mut self, replies: Vec<PendingReply>) -> Vec<Answered> {
        let capacity = self.service.capacity;
        let park_one = |PendingReply { to, reply, hold }| match (&reply, hold) {
            (Reply::Asked { node, verdict: Verdict::Hold(why) }, Some((hold, stamp))) => {
                let (node, peer) = (*node, stamp.peer);
                let Ok(wake) = self.held.park(node, stamp, &hold, capacity) else {
                    return (to, Err(SubmitError::Busy));
                };
                self.held.note(node, why);
                let other = self.held.other_peer(node, peer);
                self.follow_ups.extend(other.map(|other| Command::SeenFrom { node, other }));
                (to, Ok(Outcome { reply, wake: Some(wake) }))
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
            undecided: self.windows.shown(),
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

    /// Stores the state some ticks after a burst: a crash in the quiet hours behind it costs the next start nothing.
    fn condense_when_calm(&mut self) {
        let is_quiet = std::mem::replace(&mut self.ticked, self.seq) == self.seq;
        self.calm = if is_quiet { self.calm.saturating_add(1) } else { 0 };
        if self.calm >= CALM && self.seq - self.state_seq >= WORTH_IT {
            self.save_state();
        }
    }

    /// Stores the whole state, so that the next start replays less. A failure costs time at the next start, no fact.
    fn save_state(&mut self) {
        if self.seq == self.state_seq {
            return;
        }
        match self.store.save_state(&self.fleet, self.seq) {
            Ok(()) => (self.state_seq, self.bodies) = (self.seq, 0),
            Err(problem) => warn!("the state was not condensed; the next start replays its events: {problem}"),
        }
    }
}

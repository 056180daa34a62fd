//! How everybody else reaches the coordinator: a cheap clone that sends commands and sees snapshots.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::client::OrderError;
use crate::domain::guard::{Grant, Verdict, Withheld};
use crate::domain::{
    Ask, Command, NodeId, Order, Ordered, Origin, Policy, Refusal, Release, Reply, RequestId, Snapshot,
};
use crate::store::{Document, RedactedAnswer};

/// Why a command came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The fleet said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The queue stayed full.
    #[error("the engine is busy")]
    Busy,
    /// The store could not commit: nothing happened.
    #[error("the store cannot commit: {0}")]
    NotStored(String),
    /// The coordinator has ended.
    #[error("the engine has stopped")]
    Stopped,
    /// The reply is none that this command can have.
    #[error("the engine replied with `{0}`, which is a defect of this program")]
    Misfit(String),
}

impl SubmitError {
    /// Whether the same command may well be taken a little later. How long that is worth waiting for is the asker's to say.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Busy | Self::NotStored(_) => true,
            Self::Refused(_) | Self::Stopped | Self::Misfit(_) => false,
        }
    }

    fn misfit(reply: &Reply) -> Self {
        Self::Misfit(format!("{reply:?}"))
    }
}

impl From<SubmitError> for OrderError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => Self::Refused(refusal),
            SubmitError::Busy => Self::Busy,
            SubmitError::NotStored(why) => Self::NotStored(why),
            SubmitError::Stopped => Self::Stopped,
            SubmitError::Misfit(_) => Self::Other(error.to_string()),
        }
    }
}

/// What becomes of an answer request.
#[derive(Debug)]
pub enum Asked {
    /// Render an answer and release it.
    Serve(Grant),
    /// Keep the connection open and wait on [`Held::wake`].
    Held(Held),
    /// The operator sent it away.
    Refused {
        /// Why.
        why: Withheld,
    },
}

/// What becomes of a rendered answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Rendered {
    /// It is on disk: send it.
    Released,
    /// What it was rendered for has moved: render it again, by this.
    Stale(Grant),
    /// It may not be sent now: the machine shall come back.
    Withheld(Withheld),
    /// It may not be sent: the machine was sent away.
    Refused(Withheld),
}

/// A request that is being held. Dropping it gives its place free.
#[derive(Debug)]
pub struct Held {
    /// The row.
    pub node: NodeId,
    /// Why it waits.
    pub why: Withheld,
    /// Resolves with the guard's next word; an error means that it was pushed out, or that the program is stopping:
    /// send the retry answer.
    pub wake: oneshot::Receiver<Verdict>,
    pub(super) id: RequestId,
    pub(super) release: mpsc::Sender<Message>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Where the queue is full the coordinator finds the closed receiver at its next tick.
        let _ = self.release.try_send(Message::HoldDropped(self.id));
    }
}

/// What goes through the coordinator's queue.
#[derive(Debug)]
pub(super) enum Message {
    Submit(Box<Submission>),
    HoldDropped(RequestId),
    /// Wake every held request: the program is stopping.
    ReleaseAll(oneshot::Sender<()>),
    SetService(Arc<crate::domain::snapshot::Service>, oneshot::Sender<()>),
    SetPolicy(Box<Policy>, oneshot::Sender<()>),
    /// Write a state snapshot and end.
    Stop(oneshot::Sender<()>),
}

/// A command, what to store with it, and where its reply goes.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) origin: Origin,
    pub(super) at: Timestamp,
    pub(super) command: Command,
    pub(super) document: Option<Document>,
    pub(super) answer: Option<RedactedAnswer>,
    /// Set for an answer request that may be held.
    pub(super) hold: Option<HoldRequest>,
    /// Whether it goes through the undo window, if it is an order that has one.
    pub(super) undoable: bool,
    pub(super) reply: oneshot::Sender<Result<Outcome, SubmitError>>,
}

/// What may come with a command.
#[derive(Debug, Default)]
struct Parts {
    document: Option<Document>,
    answer: Option<RedactedAnswer>,
    hold: Option<HoldRequest>,
    undoable: bool,
}

/// An answer request's wish to be held.
#[derive(Debug)]
pub(super) struct HoldRequest {
    pub(super) id: RequestId,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) ends: Instant,
}

/// How long an answer request may be held: the clock's time for people, the monotonic one for the program.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// When its connection was accepted.
    pub since: Timestamp,
    /// When it gets the retry answer.
    pub until: Timestamp,
    /// The same on the monotonic clock.
    pub ends: Instant,
}

impl Patience {
    /// For a connection accepted at `since`, which was `accepted`, that may be held as long as `hold`.
    #[must_use]
    pub fn new(since: Timestamp, accepted: Instant, hold: Duration) -> Self {
        let until = since.saturating_add(hold).unwrap_or(Timestamp::MAX);
        Self { since, until, ends: accepted + hold }
    }
}

/// A reply, with the wake-up of a held request.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) reply: Reply,
    pub(super) wake: Option<oneshot::Receiver<Verdict>>,
}

/// The coordinator, from outside.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) queue: mpsc::Sender<Message>,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) next_request: Arc<std::sync::atomic::AtomicU64>,
}

impl Handle {
    /// The state as it changes.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// The state now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// Submits a command and waits for its reply, which comes after its events are on disk.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn submit(&self, origin: Origin, command: Command) -> Result<Reply, SubmitError> {
        self.send(origin, command, Parts::default()).await.map(|outcome| outcome.reply)
    }

    /// Submits an operator's order. One that lets an answer leave or sends a machine away waits for the undo window,
    /// unless `at_once`.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn order(&self, origin: Origin, order: Order, at_once: bool) -> Result<Ordered, SubmitError> {
        let parts = Parts { undoable: !at_once, ..Parts::default() };
        let outcome = self.send(origin, Command::Order(order), parts).await?;
        outcome.reply.try_into().map_err(|reply| SubmitError::misfit(&reply))
    }

    /// Submits a report with the body to keep.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn report(&self, origin: Origin, command: Command, document: Document) -> Result<Reply, SubmitError> {
        self.send(origin, command, Parts { document: Some(document), ..Parts::default() })
            .await
            .map(|outcome| outcome.reply)
    }

    /// Submits an answer request, to be held as long as `patience` says.
    ///
    /// # Errors
    /// See [`SubmitError`]; the retry answer is due then.
    pub async fn ask(&self, ask: Ask, document: Document, patience: Patience) -> Result<Asked, SubmitError> {
        let id = RequestId(self.next_request.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let origin = Origin::Peer(ask.stamp.peer);
        let Patience { since, until, ends } = patience;
        let hold = Some(HoldRequest { id, since, until, ends });
        let parts = Parts { document: Some(document), hold, ..Parts::default() };
        let outcome = self.send(origin, Command::Ask(ask), parts).await?;
        match (outcome.reply, outcome.wake) {
            (Reply::Asked { verdict: Verdict::Serve(grant), .. }, _) => Ok(Asked::Serve(grant)),
            (Reply::Asked { verdict: Verdict::Refuse(why), .. } | Reply::Barred(why), _) => Ok(Asked::Refused { why }),
            (Reply::Asked { node, verdict: Verdict::Hold(why) }, Some(wake)) => {
                Ok(Asked::Held(Held { node, why, wake, id, release: self.queue.clone() }))
            }
            (reply, _) => Err(SubmitError::misfit(&reply)),
        }
    }

    /// Asks to release a rendered answer.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn release(&self, release: Release, answer: RedactedAnswer) -> Result<Rendered, SubmitError> {
        let origin = Origin::Peer(release.stamp.peer);
        let parts = Parts { answer: Some(answer), ..Parts::default() };
        match self.send(origin, Command::Release(release), parts).await?.reply {
            Reply::Released => Ok(Rendered::Released),
            Reply::Rerender(grant) => Ok(Rendered::Stale(grant)),
            Reply::Withheld(why) => Ok(Rendered::Withheld(why)),
            Reply::Barred(why) => Ok(Rendered::Refused(why)),
            reply => Err(SubmitError::misfit(&reply)),
        }
    }

    /// Tells all readers what is being served and what is wrong; returns once snapshots show it.
    pub async fn set_service(&self, service: crate::domain::snapshot::Service) {
        self.notify(|done| Message::SetService(Arc::new(service), done)).await;
    }

    /// Puts other rules in force for every decision after this; returns once they are.
    pub async fn set_policy(&self, policy: Policy) {
        self.notify(|done| Message::SetPolicy(Box::new(policy), done)).await;
    }

    /// Wakes every held request with an error, so that each sends its retry answer.
    pub async fn release_all(&self) {
        self.notify(Message::ReleaseAll).await;
    }

    /// Ends the coordinator after what is queued before.
    pub async fn stop(&self) {
        self.notify(Message::Stop).await;
    }

    /// Sends a message and waits until it was dealt with, or can no longer be.
    async fn notify(&self, message: impl FnOnce(oneshot::Sender<()>) -> Message) {
        let (done, waiting) = oneshot::channel();
        if self.queue.send(message(done)).await.is_ok() {
            let _ = waiting.await;
        }
    }

    async fn send(&self, origin: Origin, command: Command, parts: Parts) -> Result<Outcome, SubmitError> {
        let Parts { document, answer, hold, undoable } = parts;
        let (reply, waiting) = oneshot::channel();
        let at = Timestamp::now();
        let submission = Submission { origin, at, command, document, answer, hold, undoable, reply };
        let message = Message::Submit(Box::new(submission));
        match self.queue.send_timeout(message, super::QUEUE_PATIENCE).await {
            Ok(()) => waiting.await.map_err(|_| SubmitError::Stopped)?,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(SubmitError::Busy),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(SubmitError::Stopped),
        }
    }
}

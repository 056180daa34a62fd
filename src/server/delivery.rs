//! What became of an answer: whether the whole of it reached the socket.
//!
//! The answer handler says what its reply will mean, the connection sees the bytes leave, and when the connection is
//! over the coordinator is told. This also works where the handler is dropped half-way: what was expected and did not
//! leave is lost.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

use crate::coordinator::Handle;
use crate::domain::text::Text;
use crate::domain::{Command, DocumentHash, NodeId, Origin, SecretHash};

/// How often the coordinator is told before it is left at that: an answer whose fate is unknown counts as used.
const TRIES: u32 = 5;
/// How long to wait between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// What the reply of a connection means to the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// An answer that wipes disks.
    Answer {
        /// Its node.
        node: NodeId,
        /// Its digest.
        document: DocumentHash,
        /// Digest of its webhook secret.
        secret: SecretHash,
    },
    /// A refusal at the end of a hold.
    Refusal {
        /// The node.
        node: NodeId,
        /// Why.
        why: Text,
    },
    /// The retry answer at the end of a hold.
    Retry {
        /// The node.
        node: NodeId,
        /// Why there was no other.
        why: Text,
    },
}

/// The slot of one connection, shared by its handler and its socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery(Arc<Slot>);

#[derive(Debug, Default)]
struct Slot {
    expected: Mutex<Option<Expected>>,
    /// The HTTP layer has taken the whole reply.
    handed: AtomicBool,
    /// The socket has, too.
    flushed: AtomicBool,
}

impl Delivery {
    /// Says what the reply will mean. To be called before a release is asked for, so that an answer that was released
    /// while its handler was dropped is known to be lost.
    pub(super) fn expect(&self, expected: Option<Expected>) {
        *self.0.expected.lock().unwrap_or_else(PoisonError::into_inner) = expected;
    }

    /// A reply body whose way out is watched.
    pub(super) fn body(&self, bytes: impl Into<Bytes>) -> Body {
        Body::new(Watched { bytes: Some(bytes.into()), delivery: self.clone() })
    }

    /// The socket has taken everything that was written so far.
    pub(super) fn flushed(&self) {
        if self.0.handed.load(Ordering::Acquire) {
            self.0.flushed.store(true, Ordering::Release);
        }
    }

    /// The connection is over: what is to be told of it, if anything.
    fn outcome(&self) -> Option<Command> {
        let expected = self.0.expected.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let delivered = self.0.flushed.load(Ordering::Acquire);
        match expected {
            Expected::Answer { node, document, secret } => {
                Some(Command::AnswerWritten { node, document, secret, delivered })
            }
            Expected::Refusal { node, why } => delivered.then_some(Command::RefusalServed { node, why }),
            Expected::Retry { node, why } => delivered.then_some(Command::RetryServed { node, why }),
        }
    }

    /// Tells the coordinator how it ended.
    pub(super) async fn settle(&self, handle: &Handle, origin: Origin) {
        let Some(command) = self.outcome() else { return };
        for left in (0..TRIES).rev() {
            match handle.submit(origin.clone(), command.clone()).await {
                Err(error) if error.may_pass() && left == 0 => {
                    tracing::error!("the delivery of an answer could not be recorded: {error}");
                }
                Err(error) if error.may_pass() => tokio::time::sleep(PAUSE).await,
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// A reply in one piece.
struct Watched {
    bytes: Option<Bytes>,
    delivery: Delivery,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = self.bytes.take().map(|bytes| Ok(Frame::data(bytes)));
        self.delivery.0.handed.store(true, Ordering::Release);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn answer() -> Expected {
        Expected::Answer { node: NodeId(1), document: DocumentHash::of(b"x"), secret: SecretHash::of(b"s") }
    }

    fn is_delivered(delivery: &Delivery) -> Option<bool> {
        match delivery.outcome() {
            Some(Command::AnswerWritten { delivered, .. }) => Some(delivered),
            _ => None,
        }
    }

    #[tokio::test]
    async fn only_a_flush_after_the_body_delivers() {
        let delivery = Delivery::default();
        delivery.expect(Some(answer()));
        delivery.flushed();
        let body = delivery.body("x");
        assert_eq!(body.collect().await.unwrap().to_bytes(), "x");
        assert_eq!(is_delivered(&delivery), Some(false), "taken by the HTTP layer is not enough");
        delivery.expect(Some(answer()));
        delivery.flushed();
        assert_eq!(is_delivered(&delivery), Some(true));
        assert_eq!(is_delivered(&delivery), None, "told once");
    }

    #[test]
    fn a_retry_answer_that_did_not_leave_is_not_worth_a_word() {
        let delivery = Delivery::default();
        delivery.expect(Some(Expected::Retry { node: NodeId(1), why: Text::new("w") }));
        assert!(delivery.outcome().is_none());
    }
}

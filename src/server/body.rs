//! Reading a request body within bounds of size, time and memory.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::limits::{BodyBudget, BodyShare};

/// How much of a body is kept, and how much is read at all. What lies between is thrown away, so that the client gets
/// to read our reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes kept.
    pub(super) keep: usize,
    /// Bytes kept of a body that is longer than that.
    pub(super) keep_of_longer: usize,
    /// Bytes read.
    pub(super) read: usize,
    /// Until when it waits for memory that others have, which does not count as its sender's time. `None`: not at all.
    pub(super) memory: Option<Instant>,
}

impl Bounds {
    /// Enough to see whether a body starts like a JSON object; the rest is read and thrown away.
    pub(super) const GLANCE: Self = Self { keep: 64, keep_of_longer: 64, read: 16 * 1024 * 1024, memory: None };
}

/// Why a body is not there in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Longer than what is kept.
    TooLong,
    /// Not there in time.
    TooSlow,
    /// The client stopped sending, or broke the rules of HTTP.
    Broken,
    /// The memory for all bodies together is spent.
    NoMemory,
}

impl Cut {
    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::TooLong => "the body is too long",
            Self::TooSlow => "the body came too slowly",
            Self::Broken => "the body broke off",
            Self::NoMemory => "too many requests at once",
        }
    }
}

/// A body, or its beginning.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    pub(super) cut: Option<Cut>,
    /// The memory the bytes count for; to be kept as long as they are.
    pub(super) share: BodyShare,
}

impl Received {
    /// Whether this is, or starts like, a JSON object.
    pub(super) fn starts_like_an_object(&self) -> bool {
        self.bytes.trim_ascii_start().first() == Some(&b'{')
    }
}

/// Reads `body` until its end, a bound or `deadline`.
pub(super) async fn read(mut body: Body, bounds: Bounds, mut deadline: Instant, budget: &BodyBudget) -> Received {
    let mut received = Received { bytes: Vec::new(), cut: None, share: budget.share() };
    let mut total = 0_usize;
    // All of it before the first byte: no two that have half of what they need wait for each other.
    if let Some(length) = body.size_hint().exact().and_then(|length| usize::try_from(length).ok())
        && length <= bounds.keep
        && bounds.memory.is_some()
    {
        deadline += wait_for_memory(&mut received, length, bounds).await;
    }
    loop {
        let data = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame.into_data(),
            Ok(None) => return received,
            Ok(Some(Err(_))) => return cut(received, Cut::Broken),
            Err(_) => return cut(received, Cut::TooSlow),
        };
        let Ok(data) = data else { continue };
        total = total.saturating_add(data.len());
        if received.cut.is_none() {
            if total <= bounds.keep {
                deadline += wait_for_memory(&mut received, total, bounds).await;
            }
            keep(&mut received, &data, bounds);
        }
        if total > bounds.read {
            return received;
        }
    }
}

/// Waits, where it may, until there is memory for `length` bytes; [`keep`] says what is to be done where there is none.
/// Returns how long that took.
async fn wait_for_memory(received: &mut Received, length: usize, bounds: Bounds) -> Duration {
    let Some(end) = bounds.memory else { return Duration::ZERO };
    let began = Instant::now();
    received.share.grow_until(length, end).await;
    began.elapsed()
}

/// Notes the first reason: it is the one to be told.
fn cut(mut received: Received, why: Cut) -> Received {
    received.cut.get_or_insert(why);
    received
}

fn keep(received: &mut Received, data: &[u8], bounds: Bounds) {
    let length = received.bytes.len() + data.len();
    if length > bounds.keep {
        received.cut = Some(Cut::TooLong);
        let room = bounds.keep_of_longer.saturating_sub(received.bytes.len());
        received.bytes.extend_from_slice(data.get(..room).unwrap_or(data));
        received.bytes.truncate(bounds.keep_of_longer);
        received.bytes.shrink_to_fit();
    } else if received.share.grow_to(length) {
        received.bytes.extend_from_slice(data);
    } else {
        received.cut = Some(Cut::NoMemory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const BOUNDS: Bounds = Bounds { keep: 8, keep_of_longer: 4, read: 100, memory: None };

    async fn read_chunks(chunks: &[&'static str], budget: &BodyBudget) -> Received {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok::<_, std::io::Error>(*chunk)).collect();
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        read(body, BOUNDS, Instant::now() + Duration::from_mins(1), budget).await
    }

    #[rstest]
    #[case(&[], "", None)]
    #[case(&["{\"a\"", ":1}"], "{\"a\":1}", None)]
    #[case(&["12345678"], "12345678", None)]
    #[case(&["12", "3456789"], "1234", Some(Cut::TooLong))]
    #[case(&["123456", "789", "0"], "1234", Some(Cut::TooLong))]
    #[tokio::test]
    async fn bodies_are_kept_up_to_the_bound(
        #[case] chunks: &[&'static str],
        #[case] kept: &str,
        #[case] cut: Option<Cut>,
    ) {
        let received = read_chunks(chunks, &BodyBudget::of_shares(1)).await;
        assert_eq!((std::str::from_utf8(&received.bytes).unwrap(), received.cut), (kept, cut));
    }

    #[tokio::test]
    async fn a_spent_budget_cuts() {
        let received = read_chunks(&["{}"], &BodyBudget::of_shares(0)).await;
        assert_eq!(received.cut, Some(Cut::NoMemory));
    }

    #[tokio::test]
    async fn a_body_that_may_waits_for_memory_and_pays_no_time_for_it() {
        let budget = BodyBudget::of_shares(1);
        let mut others = budget.share();
        assert!(others.grow_to(1));
        let now = Instant::now();
        let bounds = Bounds { memory: Some(now + Duration::from_mins(1)), ..BOUNDS };
        let deadline = now + Duration::from_millis(20);
        let end = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            drop(others);
        };
        let ((), received) = tokio::join!(end, read(Body::from("{}"), bounds, deadline, &budget));
        assert_eq!((received.bytes.as_slice(), received.cut), (&b"{}"[..], None));
    }

    #[tokio::test]
    async fn memory_that_others_keep_is_waited_for_no_longer_than_allowed() {
        let now = Instant::now();
        let bounds = Bounds { memory: Some(now + Duration::from_millis(20)), ..BOUNDS };
        let budget = BodyBudget::of_shares(0);
        let received = read(Body::from("{}"), bounds, now + Duration::from_mins(1), &budget).await;
        assert_eq!((received.bytes.len(), received.cut), (0, Some(Cut::NoMemory)));
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_cut() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<&'static str, std::io::Error>>());
        let received = read(body, BOUNDS, Instant::now(), &BodyBudget::of_shares(1)).await;
        assert_eq!(received.cut, Some(Cut::TooSlow));
    }
}

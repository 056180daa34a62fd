//! Reading a request body within bounds of size, time and memory.

use axum::body::Body;
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
}

impl Bounds {
    /// Enough to see whether a body starts like a JSON object; the rest is read and thrown away.
    pub(super) const GLANCE: Self = Self { keep: 64, keep_of_longer: 64, read: 16 * 1024 * 1024 };
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
pub(super) async fn read(mut body: Body, bounds: Bounds, deadline: Instant, budget: &BodyBudget) -> Received {
    let mut received = Received { bytes: Vec::new(), cut: None, share: budget.share() };
    let mut total = 0_usize;
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
            keep(&mut received, &data, bounds);
        }
        if total > bounds.read {
            return received;
        }
    }
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
    use std::time::Duration;

    const BOUNDS: Bounds = Bounds { keep: 8, keep_of_longer: 4, read: 100 };

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
    async fn a_body_that_does_not_come_is_cut() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<&'static str, std::io::Error>>());
        let received = read(body, BOUNDS, Instant::now(), &BodyBudget::of_shares(1)).await;
        assert_eq!(received.cut, Some(Cut::TooSlow));
    }
}

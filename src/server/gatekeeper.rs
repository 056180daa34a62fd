//! Who is turned away before a word is read: addresses that are not allowed, tokens that are not good, and those over a
//! limit. Turned away means the retry answer with a word on the machine's screen, never silence (ADR 6).

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use tokio::time::Instant;

use super::connection::ConnInfo;
use super::state::App;
use crate::domain::TokenName;
use crate::domain::ghost::Cause;

/// Longest token read, in bytes. Ours have 76 at most.
const MAX_TOKEN: usize = 256;
/// Bad tokens an address may show in a minute.
const BAD_TOKENS: u32 = 10;

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnedAway {
    /// Its address is not in the allow-list.
    Address,
    /// No good token. One word for every reason: who guesses learns nothing.
    Token,
    /// Its address, or everybody together, has too many requests open.
    Crowd,
}

impl TurnedAway {
    /// The machine's screen; what matters stands in the first 22 characters (PROTOCOL.md §d.5).
    pub(super) fn screen(self) -> &'static str {
        match self {
            Self::Address => "ADDRESS NOT ALLOWED - see console",
            Self::Token => "TOKEN NOT ACCEPTED - see console",
            Self::Crowd => "TOO MANY REQUESTS - retrying",
        }
    }

    /// The status and words for whoever is no machine.
    pub(super) fn refusal(self) -> (StatusCode, &'static str) {
        match self {
            Self::Address => (StatusCode::FORBIDDEN, "your address is not allowed here; ask who runs this console"),
            Self::Token => (StatusCode::UNAUTHORIZED, "this needs a token; ask who runs this console"),
            Self::Crowd => (StatusCode::SERVICE_UNAVAILABLE, "too many requests are open; come again"),
        }
    }
}

/// Judges the head of an answer request: the token it may be known by, if it is to be read at all. Whoever is turned
/// away is on the list of almost-arrivals then.
pub(super) fn admit(app: &App, conn: &ConnInfo, headers: &HeaderMap) -> Result<Option<TokenName>, TurnedAway> {
    admit_address(app, conn, Cause::AddressRefused)?;
    if conn.hurried {
        // Told already, by the accept loop.
        return Err(TurnedAway::Crowd);
    }
    let token = admit_token(app, conn, headers)?;
    if is_too_often(app, conn.peer.ip()) { Err(TurnedAway::Crowd) } else { Ok(token) }
}

/// Counts a request that costs room in the store, and says whether its address has made too many of late.
pub(super) fn is_too_often(app: &App, peer: IpAddr) -> bool {
    let (allowed, now) = (app.kit.borrow().access.limits.requests_per_minute, Instant::now());
    if app.requests.is_reached(peer, allowed, now) {
        app.ghosts.tell(peer, Cause::TooManyRequests, "");
        return true;
    }
    app.requests.count(peer, now);
    false
}

/// Whether the client's address is allowed; `cause` is what it did if not.
pub(super) fn admit_address(app: &App, conn: &ConnInfo, cause: Cause) -> Result<(), TurnedAway> {
    let peer = conn.peer.ip();
    if app.kit.borrow().access.allows(peer) {
        return Ok(());
    }
    app.ghosts.tell(peer, cause, "");
    Err(TurnedAway::Address)
}

fn admit_token(app: &App, conn: &ConnInfo, headers: &HeaderMap) -> Result<Option<TokenName>, TurnedAway> {
    let peer = conn.peer.ip();
    let Some(shown) = shown(headers) else {
        if app.kit.borrow().access.require_token {
            app.ghosts.tell(peer, Cause::TokenMissing, "");
            return Err(TurnedAway::Token);
        }
        return Ok(None);
    };
    if app.failures.is_reached(peer, BAD_TOKENS, Instant::now()) {
        app.ghosts.tell(peer, Cause::TokenThrottled, "");
        return Err(TurnedAway::Token);
    }
    let snapshot = app.handle.snapshot();
    match snapshot.fleet.verify_token(&shown, Timestamp::now()) {
        Ok(token) => Ok(Some(token.name.clone())),
        Err(why) => {
            app.failures.count(peer, Instant::now());
            app.ghosts.tell(peer, Cause::TokenRefused, &why.to_string());
            Err(TurnedAway::Token)
        }
    }
}

/// The token of a request: `Bearer name:secret` from 9.2 on, else the `user:password` of the URL, which installers
/// turn into `Basic` (PROTOCOL.md §a.2). Some text in any case where there is an `Authorization`.
fn shown(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?;
    let words =
        value.to_str().ok().filter(|words| words.len() <= 2 * MAX_TOKEN).and_then(|words| words.split_once(' '));
    let token = match words {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim().to_owned()),
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => {
            STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        }
        _ => None,
    };
    Some(token.filter(|token| token.len() <= MAX_TOKEN).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::none(None, None)]
    #[case::bearer(Some("Bearer rack-a:secret"), Some("rack-a:secret"))]
    #[case::any_case(Some("bearer  rack-a:secret "), Some("rack-a:secret"))]
    #[case::basic(Some("Basic cmFjay1hOnNlY3JldA=="), Some("rack-a:secret"))]
    #[case::bad_base64(Some("Basic cmFjay1hOnNlY3JldA"), Some(""))]
    #[case::not_utf8(Some("Basic //8="), Some(""))]
    #[case::other_scheme(Some("Digest x"), Some(""))]
    #[case::one_word(Some("rack-a:secret"), Some(""))]
    fn both_spellings_of_a_token_are_read(#[case] value: Option<&str>, #[case] expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(shown(&headers).as_deref(), expected);
    }

    #[test]
    fn a_long_token_is_none() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer {}", "x".repeat(MAX_TOKEN + 1)).parse().unwrap());
        assert_eq!(shown(&headers).as_deref(), Some(""));
    }
}

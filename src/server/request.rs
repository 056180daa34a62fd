//! From a raw `POST /answer` to a typed one: body, signs of the installer, the NIC it came through.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::body::{self, Bounds, Cut, Received};
use super::connection::ConnInfo;
use super::gatekeeper::{self, TurnedAway};
use super::neighbours::Neighbours;
use super::reply;
use super::self_test::SELF_TEST_OK;
use super::state::App;
use crate::domain::ghost::Cause;
use crate::domain::text::Text;
use crate::domain::{Ask, DocumentHash, MacAddr, NameWish, OwnNetwork, Stamp, SystemInfo, TokenName};
use crate::store::Document;
use crate::wire::{RequestSigns, system_info};

/// What is longer than allowed is read on, so far, so that the client gets to read our reply; in bytes.
const READ_ON: usize = 16 * 1024 * 1024;

/// Reads and parses an answer request; the document is its body in a canonical form.
///
/// # Errors
/// The reply: the retry answer wherever the body is, or starts like, a JSON object (ADR 6), else why not.
pub(super) async fn read(
    app: &App,
    conn: &ConnInfo,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Ask, Document), Response> {
    let peer = conn.peer.ip();
    let is_self_test = headers.get(header::AUTHORIZATION).is_some_and(|value| app.self_tests.take(value.as_bytes()));
    let token = if is_self_test {
        // This program's own request has no medium, and is good once: nobody is turned away, and nobody is told so.
        None
    } else {
        match gatekeeper::admit(app, conn, headers) {
            Ok(token) => token,
            Err(why) => return Err(turn_away(app, conn, body, why).await),
        }
    };
    let (bounds, time) = bounds(app);
    let received = body::read(body, bounds, conn.accepted + time, &app.budgets.asks).await;
    conn.asked();
    if let Some(cut) = received.cut {
        app.ghosts.tell(peer, Cause::RequestCut, cut.words());
        return Err(cut_short(&received, cut));
    }
    let info = system_info::parse(&received.bytes, &signs(headers)).map_err(|error| {
        app.ghosts.tell(peer, Cause::UnreadableRequest, &error.to_string());
        reply::plain(StatusCode::BAD_REQUEST, &error.to_string())
    })?;
    if is_self_test {
        return Err(reply::retry(SELF_TEST_OK));
    }
    let document = canonical(&received.bytes);
    let macs = info.links.iter().map(|link| link.mac).collect();
    let stamp = Stamp { peer, macs, body: document.hash };
    let asking_mac = asking_mac(&info, peer, &app.neighbours).await;
    let own = own_network(app, token.as_ref(), &info).await;
    let mut ask = Ask { stamp, info: info.into(), asking_mac, wish: None, token, own };
    ask.wish = wish(app, &ask);
    Ok((ask, document))
}

/// How much of a body is read, and for how long.
fn bounds(app: &App) -> (Bounds, Duration) {
    let limits = &app.kit.borrow().access.limits;
    let bounds =
        Bounds { keep: limits.answer_body, keep_of_longer: 1024, read: READ_ON.max(limits.answer_body), memory: None };
    (bounds, limits.body_time)
}

/// The reply to a request that is not looked at: the retry answer with `screen` for a machine, whose body is a JSON
/// object; `None` for whoever is none.
pub(super) async fn glance(app: &App, conn: &ConnInfo, body: Body, screen: &str) -> Option<Response> {
    let (_, time) = bounds(app);
    let received = body::read(body, Bounds::GLANCE, conn.accepted + time, &app.budgets.strangers).await;
    conn.asked();
    received.starts_like_an_object().then(|| reply::retry(screen))
}

async fn turn_away(app: &App, conn: &ConnInfo, body: Body, why: TurnedAway) -> Response {
    let (status, words) = why.refusal();
    glance(app, conn, body, why.screen()).await.unwrap_or_else(|| reply::plain(status, words))
}

/// The name a template has for this machine, or why it has none, where nobody knows the machine yet.
fn wish(app: &App, ask: &Ask) -> Option<Result<NameWish, Text>> {
    let snapshot = app.handle.snapshot();
    if !snapshot.fleet.is_stranger(ask) {
        return None;
    }
    let kit = app.kit.borrow().clone();
    let wished = kit.wish(&snapshot.fleet, ask.token.as_ref(), &ask.info).transpose()?;
    Some(wished.map_err(|why| Text::new(&why.to_string())))
}

/// What the layers of this machine's answer say of its network, as far as it is known which they are.
async fn own_network(app: &App, token: Option<&TokenName>, info: &SystemInfo) -> OwnNetwork {
    let (kit, snapshot) = (app.kit.borrow().clone(), app.handle.snapshot());
    let row = snapshot.fleet.row_of(info);
    kit.network(&snapshot.fleet, row.map(AsRef::as_ref), token, info).await
}

/// The reply to plain HTTP on the TLS port: a machine that got the scheme wrong reboots and says so on its screen; a
/// person is told in words.
pub(super) async fn reply_to_wrong_scheme(app: &App, conn: &ConnInfo, body: Body) -> Response {
    let screen = "USE https:// IN THE URL - this port speaks no http";
    glance(app, conn, body, screen).await.unwrap_or_else(wrong_scheme)
}

/// What a person reads who came by `http://`.
pub(super) fn wrong_scheme() -> Response {
    reply::plain(StatusCode::BAD_REQUEST, "this is an https port: use https:// instead of http:// in the URL")
}

fn cut_short(received: &Received, cut: Cut) -> Response {
    if received.starts_like_an_object() {
        return reply::retry(match cut {
            Cut::TooLong => "REQUEST TOO LONG - see console",
            Cut::TooSlow | Cut::Broken => "REQUEST TOO SLOW - retrying",
            Cut::NoMemory => "SERVER BUSY - retrying",
        });
    }
    let status = match cut {
        Cut::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        Cut::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Cut::Broken => StatusCode::BAD_REQUEST,
        Cut::NoMemory => StatusCode::SERVICE_UNAVAILABLE,
    };
    reply::plain(status, &format!("{}; send one JSON object, as the Proxmox installer does", cut.words()))
}

fn signs(headers: &HeaderMap) -> RequestSigns<'_> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    RequestSigns {
        accept: text(header::ACCEPT),
        user_agent: text(header::USER_AGENT),
        content_type: text(header::CONTENT_TYPE),
    }
}

/// The body with sorted keys: the installer's order differs from boot to boot (PROTOCOL.md §a.2), and an approval binds
/// to the body's digest. What JSON values cannot hold (numbers out of range, deep nesting) is kept as it came.
fn canonical(body: &[u8]) -> Document {
    let text = String::from_utf8_lossy(body);
    let sorted = serde_json::from_str(&text).ok().and_then(|mut value: serde_json::Value| {
        value.sort_all_objects();
        serde_json::to_vec(&value).ok()
    });
    let bytes = sorted.unwrap_or_else(|| text.into_owned().into_bytes());
    Document { hash: DocumentHash::of(&bytes), bytes }
}

/// The NIC the request came through: the only one there is, else the one the kernel knows the peer by, if the machine
/// lists it.
async fn asking_mac(info: &SystemInfo, peer: IpAddr, neighbours: &Neighbours) -> Option<MacAddr> {
    match info.links.as_slice() {
        [] => None,
        [only] => Some(only.mac),
        links => neighbours.mac_of(peer).await.filter(|mac| links.iter().any(|link| link.mac == *mac)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let one = canonical(br#"{"b":{"y":1,"x":[{"d":1,"c":2}]},"a":"\u00e9"}"#);
        let two = canonical(r#" {"a" : "é", "b":{"x":[{"c":2,"d":1}],"y":1}} "#.as_bytes());
        assert_eq!(one, two);
        assert_eq!(one.bytes, r#"{"a":"é","b":{"x":[{"c":2,"d":1}],"y":1}}"#.as_bytes());
        assert_ne!(one, canonical(br#"{"a":1}"#));
    }

    #[test]
    fn what_has_no_canonical_form_is_kept() {
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        for body in [deep.as_str(), r#"{"x":1e999}"#] {
            assert_eq!(canonical(body.as_bytes()).bytes, body.as_bytes());
        }
    }

    #[tokio::test]
    async fn the_asking_nic_is_the_only_one_or_not_known() {
        let parse = |body: &str| system_info::parse(body.as_bytes(), &RequestSigns::default()).unwrap();
        let one = parse(r#"{"network_interfaces":[{"link":"a","mac":"02:00:00:00:00:01"}]}"#);
        let two = parse(
            r#"{"network_interfaces":[{"link":"a","mac":"02:00:00:00:00:01"},{"link":"b","mac":"02:00:00:00:00:02"}]}"#,
        );
        let neighbours = Neighbours::default();
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(asking_mac(&one, peer, &neighbours).await, Some(one.links[0].mac));
        assert_eq!(asking_mac(&two, peer, &neighbours).await, None);
        assert_eq!(asking_mac(&parse("{}"), peer, &neighbours).await, None);
    }

    proptest! {
        #[test]
        fn canonical_bodies_are_stable(body in proptest::collection::vec(any::<u8>(), 0..256)) {
            let once = canonical(&body);
            prop_assert_eq!(canonical(&once.bytes), once);
        }
    }
}

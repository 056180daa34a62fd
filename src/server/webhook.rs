//! `POST /webhook`: the installer's report. One try, and anything but 200 strands a finished node (PROTOCOL.md §c.1),
//! so the reply is 200 whatever came in; judging it is the coordinator's business.
//!
//! The path holds the install's secret: it is never logged.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::ExposeSecret as _;

use super::body::{self, Bounds, Cut, Received};
use super::connection::ConnInfo;
use super::gatekeeper;
use super::reply;
use super::state::App;
use crate::domain::command::ReportIn;
use crate::domain::ghost::Cause;
use crate::domain::{DocumentHash, Report, SecretHash};
use crate::store::Document;
use crate::wire;

const MIB: usize = 1024 * 1024;
/// What is longer than allowed is read on, so far, so that the sender gets to read our reply; in bytes.
const READ_ON: usize = 64 * MIB;
/// No report waits longer for memory, from the accept of its connection: its sender gives up at 60 s (PROTOCOL.md §c.1).
const LONGEST_WAIT: Duration = Duration::from_secs(50);
/// Longest secret taken from a path, in bytes. Ours have 43.
const MAX_SECRET: usize = 256;

/// Takes a report in. Whether its path shows a live secret decides how much of it is read, and out of whose memory: no
/// stranger takes that of a machine which was answered.
pub(super) async fn post(State(app): State<App>, Extension(conn): Extension<ConnInfo>, request: Request) -> Response {
    let peer = conn.peer.ip();
    let from_path = secret_in(request.uri().path()).map(|secret| SecretHash::of(secret.as_bytes()));
    let is_live = from_path.is_some_and(|secret| app.handle.snapshot().fleet.expects_report(&secret));
    let is_allowed = gatekeeper::admit_address(&app, &conn, Cause::ReportRefused).is_ok();
    // What may be a node's is always kept; a stranger's report costs room that a flood must not have.
    let is_welcome = is_live || (is_allowed && !gatekeeper::is_too_often(&app, peer));
    let (keep, time) = {
        let limits = &app.kit.borrow().access.limits;
        (limits.report_body, limits.body_time)
    };
    let of_stranger = keep.min(MIB);
    let (bounds, budget) = match (is_live, is_welcome) {
        (true, _) => {
            let memory = Some(conn.accepted + (2 * time).min(LONGEST_WAIT));
            (Bounds { keep, keep_of_longer: MIB, read: READ_ON, memory }, &app.budgets.reports)
        }
        (false, true) => {
            let (keep, keep_of_longer) = (of_stranger, of_stranger);
            (Bounds { keep, keep_of_longer, read: READ_ON, memory: None }, &app.budgets.strangers)
        }
        (false, false) => (Bounds::GLANCE, &app.budgets.strangers),
    };
    let received = body::read(request.into_body(), bounds, conn.accepted + time, budget).await;
    conn.asked();
    if !is_welcome {
        return reply::plain(StatusCode::OK, "ok");
    }
    let (report, from_body, document) = match read_report(&received) {
        Ok(parsed) => parsed,
        Err(why) => {
            app.ghosts.tell(peer, Cause::UnreadableReport, &why);
            (Report::default(), None, unreadable(&received.bytes))
        }
    };
    // From elsewhere even a good secret moves nobody by itself: the operator may adopt the report.
    let may_move = is_allowed && received.cut != Some(Cut::NoMemory);
    let secret = live_secret(&app, [from_path, from_body]);
    let report = ReportIn { peer, document: document.hash, report, secret, may_move };
    app.reports.take(report, document, received.share).await;
    reply::plain(StatusCode::OK, "ok")
}

/// The secret that counts: the one whose node has not reported, else the one that is a node's, be it in the path or,
/// from 9.2 on, in the body.
fn live_secret(app: &App, given: [Option<SecretHash>; 2]) -> Option<SecretHash> {
    let fleet = &app.handle.snapshot().fleet;
    let find = |is_it: &dyn Fn(&SecretHash) -> bool| given.into_iter().flatten().find(is_it);
    find(&|secret| fleet.expects_report(secret)).or_else(|| find(&|secret| fleet.knows_secret(secret)))
}

/// The reply to a report whose handler panicked: the node is installed all the same.
pub(super) fn after_panic() -> Response {
    tracing::error!("a report was lost by a defect of this program; mark its node as installed by hand");
    reply::plain(StatusCode::OK, "ok")
}

/// What follows `/webhook/`.
fn secret_in(path: &str) -> Option<&str> {
    let secret = path.strip_prefix("/webhook/")?.trim_end_matches('/');
    (1..=MAX_SECRET).contains(&secret.len()).then_some(secret)
}

fn read_report(received: &Received) -> Result<(Report, Option<SecretHash>, Document), String> {
    if let Some(cut) = received.cut {
        return Err(cut.words().to_owned());
    }
    let parsed = wire::report::parse(&received.bytes).map_err(|error| error.to_string())?;
    let secret = parsed.token.map(|token| SecretHash::of(token.expose_secret().as_bytes()));
    let document = Document { hash: DocumentHash::of(&parsed.redacted), bytes: parsed.redacted };
    Ok((parsed.report, secret, document))
}

/// What cannot be read is kept as a JSON document all the same.
fn unreadable(bytes: &[u8]) -> Document {
    let bytes = serde_json::json!({ "unreadable": String::from_utf8_lossy(bytes) }).to_string().into_bytes();
    Document { hash: DocumentHash::of(&bytes), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/webhook", None)]
    #[case("/webhook/", None)]
    #[case("/webhook/abc", Some("abc"))]
    #[case("/webhook/abc/", Some("abc"))]
    fn secrets_are_read_from_the_path(#[case] path: &str, #[case] secret: Option<&str>) {
        assert_eq!(secret_in(path), secret);
        assert_eq!(secret_in(&format!("/webhook/{}", "x".repeat(MAX_SECRET + 1))), None);
    }

    #[test]
    fn unreadable_bytes_become_a_json_document() {
        let document = unreadable(b"\xff\"x");
        let value: serde_json::Value = serde_json::from_slice(&document.bytes).unwrap();
        assert_eq!(value["unreadable"], "\u{fffd}\"x");
        assert_eq!(document.hash, DocumentHash::of(&document.bytes));
    }
}

//! `POST /answer`: ask the coordinator, hold, render, have it released, send.
//!
//! Decides nothing: the guard does, at the ask and again at the release. Whatever fails on the way, the machine gets the
//! retry answer (ADR 6). Refused are those the operator sent away and, by `when_unapproved`, those who waited in vain.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::connection::ConnInfo;
use super::delivery::Expected;
use super::prepare::{self, Impossible, Prepared};
use super::state::App;
use super::{reply, request};
use crate::coordinator::{Asked, Held, Patience, Rendered, SubmitError};
use crate::domain::ghost::Cause;
use crate::domain::text::Text;
use crate::domain::{Ask, Command, Grant, Node, NodeId, Origin, Refusal, Snapshot, Verdict, WhenUnapproved, Withheld};
use crate::store::Document;

/// No hold lasts longer than this from accept (ARCHITECTURE.md, "One try").
const LONGEST_HOLD: Duration = Duration::from_secs(52);
/// Whatever is going on by now, the retry answer leaves: the installer gives up at 60 s (PROTOCOL.md §a.4).
const LAST_MOMENT: Duration = Duration::from_secs(55);
/// How often an answer is rendered anew because its name moved meanwhile.
const RENDERINGS: u32 = 3;
/// How long a reply waits for the row to say why there is no answer.
const NOTE_TIME: Duration = Duration::from_secs(2);

/// Answers a machine. Thousands are held at once: what a request has behind it when it is held is boxed, and gone.
pub(super) async fn post(State(app): State<App>, Extension(conn): Extension<ConnInfo>, request: Request) -> Response {
    let deadline = conn.accepted + LAST_MOMENT;
    // What was released and did not make it is told as lost when the connection ends.
    timeout_at(deadline, Box::pin(answer(Box::pin(Exchange::begin(app, conn, request)))))
        .await
        .unwrap_or_else(|_| reply::retry("SERVER BUSY - retrying"))
}

async fn answer(request: Pin<Box<impl Future<Output = Result<(Exchange, Document), Response>>>>) -> Response {
    let (exchange, document) = match request.await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    exchange.run(document).await
}

/// The reply to a request whose handler panicked.
pub(super) fn after_panic() -> Response {
    tracing::error!("an answer request failed by a defect of this program; the machine was told to come back");
    reply::retry("SERVER ERROR - retrying")
}

/// One answer request.
struct Exchange {
    app: App,
    conn: ConnInfo,
    host: Option<String>,
    ask: Ask,
}

impl Exchange {
    /// Reads the request; the document is its body. Its head goes with the buffer it was read into, of 8 KiB: a hold is
    /// long.
    async fn begin(app: App, conn: ConnInfo, request: Request) -> Result<(Self, Document), Response> {
        let (head, body) = request.into_parts();
        let (ask, document) = request::read(&app, &conn, &head.headers, body).await?;
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
        Ok((Self { app, conn, host, ask }, document))
    }

    async fn run(&self, document: Document) -> Response {
        let hold = self.app.settings.hold.min(LONGEST_HOLD);
        let patience = Patience::new(self.conn.accepted_at, self.conn.accepted, hold);
        match Box::pin(self.app.handle.ask(self.ask.clone(), document, patience)).await {
            Ok(Asked::Serve(grant)) => Box::pin(self.serve(grant)).await,
            Ok(Asked::Held(parked)) => self.hold(parked, patience.ends).await,
            Ok(Asked::Refused { why }) => reply::refused(&why),
            Err(error) => {
                self.app.ghosts.tell(self.ask.stamp.peer, Cause::AskedInVain, &error.to_string());
                reply::retry(screen(&error))
            }
        }
    }

    /// Waits for the operator. Where the client hangs up this is dropped, and the place is free.
    async fn hold(&self, mut held: Held, deadline: Instant) -> Response {
        let mut word = self.wait(&mut held, deadline).await;
        if word.is_none() {
            // Somebody decided just now: the request stays open until nobody can take that back any more.
            let snapshot = self.app.handle.snapshot();
            if snapshot.undecided.contains_key(&self.row(&snapshot, &held)) {
                let end = extended(deadline, self.conn.accepted, snapshot.fleet.policy().undo_window);
                word = self.wait(&mut held, end).await;
            }
        }
        match word {
            Some(Some(Verdict::Serve(grant))) => Box::pin(self.serve(grant)).await,
            Some(Some(Verdict::Refuse(why))) => reply::refused(&why),
            // It gave way to another request, its row went, or we stop: it has not waited in vain, it shall ask again.
            Some(Some(Verdict::Hold(_)) | None) => self.unanswered(&held, false),
            None => self.unanswered(&held, true),
        }
    }

    /// The row that shows the held request: the one it was held for may have been parted since.
    fn row(&self, snapshot: &Snapshot, held: &Held) -> NodeId {
        let shows_it = |row: &&Arc<Node>| row.request.as_ref().is_some_and(|asked| asked.stamp == self.ask.stamp);
        snapshot.fleet.row_of(&self.ask.info).filter(shows_it).map_or(held.node, |row| row.id)
    }

    /// The guard's next word, or that there will be none; `None` where neither came in time.
    async fn wait(&self, held: &mut Held, deadline: Instant) -> Option<Option<Verdict>> {
        tokio::select! {
            biased;
            verdict = &mut held.wake => Some(verdict.ok()),
            () = self.app.shutdown.cancelled() => Some(None),
            () = sleep_until(deadline) => None,
        }
    }

    /// The hold is over without an answer. Refused is only who has waited for all of it, and in vain: nobody has decided,
    /// and nobody's decision is about to take effect.
    fn unanswered(&self, held: &Held, waited: bool) -> Response {
        let snapshot = self.app.handle.snapshot();
        let node = self.row(&snapshot, held);
        let judged = snapshot.fleet.judge(node, &self.ask.stamp, Timestamp::now());
        let (why, is_unapproved) = match &judged {
            Some(Verdict::Hold(why)) => (why, !why.is_obstacle() && !snapshot.undecided.contains_key(&node)),
            Some(Verdict::Serve(_) | Verdict::Refuse(_)) | None => (&held.why, false),
        };
        let refuse = snapshot.fleet.policy().when_unapproved == WhenUnapproved::Refuse;
        if !(refuse && waited && is_unapproved) {
            return self.withhold(node, why);
        }
        self.conn.delivery.expect(Some(Expected::Refusal { node, why: Text::new(&why.to_string()) }));
        reply::refused_with(self.conn.delivery.body(format!("{}\n", why.screen())))
    }

    /// Renders, has it released, sends. Callers box it: thousands are held that have not come so far.
    async fn serve(&self, mut grant: Grant) -> Response {
        let host = self.host.as_deref();
        for _ in 0..RENDERINGS {
            let node = grant.node;
            let Prepared { release, text, answer } =
                match prepare::prepare(&self.app, &self.conn, host, &self.ask, &grant).await {
                    Ok(prepared) => prepared,
                    Err(why) => return self.impossible(node, &why).await,
                };
            let body = self.conn.delivery.body(text.expose_secret().to_owned());
            let (document, secret) = (release.document, release.secret);
            self.conn.delivery.expect(Some(Expected::Answer { node, document, secret }));
            let word = self.app.handle.release(release, answer).await;
            // Where the engine ended before it could say whether it was released, it counts as lost, not as unsent.
            if !matches!(word, Ok(Rendered::Released) | Err(SubmitError::Stopped)) {
                self.conn.delivery.expect(None);
            }
            match word {
                Ok(Rendered::Released) => return reply::toml(body),
                Ok(Rendered::Stale(renewed)) => grant = renewed,
                Ok(Rendered::Withheld(why)) => return self.withhold(node, &why),
                Ok(Rendered::Refused(why)) => return reply::refused(&why),
                Err(SubmitError::Stopped) => return reply::retry(screen(&SubmitError::Stopped)),
                Err(error) => {
                    tracing::warn!("{node}: its answer was not released: {error}");
                    return reply::retry(screen(&error));
                }
            }
        }
        reply::retry("NAME IS CHANGING - retrying")
    }

    /// No answer for now: the retry answer says why, and the row will say that it did.
    fn withhold(&self, node: NodeId, why: &Withheld) -> Response {
        self.conn.delivery.expect(Some(Expected::Retry { node, why: Text::new(&why.to_string()) }));
        reply::toml(self.conn.delivery.body(crate::answer::retry_answer(&why.screen())))
    }

    async fn impossible(&self, node: NodeId, why: &Impossible) -> Response {
        tracing::error!("{node}: no answer can be made: {why}");
        let origin = Origin::Peer(self.ask.stamp.peer);
        let command = Command::AnswerImpossible { node, why: Text::new(&why.to_string()) };
        // The machine does not wait for a slow store; the log has it already.
        let _ = timeout(NOTE_TIME, self.app.handle.submit(origin, command)).await;
        reply::retry("CANNOT ANSWER - see console")
    }
}

/// When a hold ends that ended while a decision could still be taken back.
pub(super) fn extended(deadline: Instant, accepted: Instant, window: Duration) -> Instant {
    /// For the writer's turn after the window's end.
    const SLACK: Duration = Duration::from_millis(500);
    (deadline + window + SLACK).min(accepted + LONGEST_HOLD)
}

/// The machine's screen for what went wrong with us; what matters comes first (PROTOCOL.md §d.5).
fn screen(error: &SubmitError) -> &'static str {
    match error {
        SubmitError::Busy => "SERVER BUSY - retrying",
        SubmitError::NotStored(_) => "CANNOT STORE - see console",
        SubmitError::Stopped => "SERVER STOPPED - start the console again",
        SubmitError::Misfit(_) => "SERVER ERROR - retrying",
        SubmitError::Refused(Refusal::Full(_) | Refusal::Crowded(_)) => "TABLE FULL - forget rows in the console",
        SubmitError::Refused(Refusal::NoName) => "NO VALID NAME - correct config.toml",
        SubmitError::Refused(_) => "CANNOT ANSWER - see console",
    }
}

//! Which path leads where. Nothing here or below logs a request's path: that of a report holds its secret.

use std::any::Any;

use axum::Extension;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use super::base_url::base_url;
use super::connection::ConnInfo;
use super::state::App;
use super::{answer, gatekeeper, health, reply, request, webhook};
use crate::domain::ghost::Cause;

/// What machines, browsers and monitoring are served.
pub(super) fn machines(app: App) -> Router {
    let answers: MethodRouter<App> = post(answer::post).get(explain_answer).fallback(wrong_method);
    let webhooks: MethodRouter<App> = post(webhook::post).get(explain_webhook).fallback(wrong_method);
    let (answers, webhooks) = (guarded(answers, answer::after_panic), guarded(webhooks, webhook::after_panic));
    Router::new()
        .route("/answer", answers.clone())
        .route("/answer/", answers)
        .route("/webhook", webhooks.clone())
        .route("/webhook/", webhooks.clone())
        .route("/webhook/{*secret}", webhooks)
        .route("/healthz", get(health::get))
        .fallback(not_found)
        .with_state(app)
}

/// No machine is stranded by a defect of ours: a handler that panics still sends `reply`.
fn guarded<S: Clone + 'static>(routes: MethodRouter<S>, reply: fn() -> Response) -> MethodRouter<S> {
    routes.layer(CatchPanicLayer::custom(move |_: Box<dyn Any + Send>| reply()))
}

/// What is served to plain HTTP on the TLS port.
pub(super) fn wrong_scheme(app: App) -> Router {
    Router::new().fallback(answer_wrong_scheme).with_state(app)
}

async fn answer_wrong_scheme(
    State(app): State<App>,
    Extension(conn): Extension<ConnInfo>,
    request: Request,
) -> Response {
    let is_ask = request.method() == Method::POST && matches!(request.uri().path(), "/answer" | "/answer/");
    if is_ask {
        request::reply_to_wrong_scheme(&app, &conn, request.into_body()).await
    } else {
        request::wrong_scheme()
    }
}

async fn explain_answer(State(app): State<App>, Extension(conn): Extension<ConnInfo>, request: Request) -> Response {
    if let Err(why) = gatekeeper::admit_address(&app, &conn, Cause::AddressRefused) {
        let (status, words) = why.refusal();
        return reply::plain(status, words);
    }
    if is_installer(&request) {
        app.ghosts.tell(conn.peer.ip(), Cause::Redirected, "");
    }
    let host = request.headers().get(axum::http::header::HOST).and_then(|host| host.to_str().ok());
    let url = base_url(app.settings.public_url.as_deref(), conn.local, conn.tls, host)
        .unwrap_or_else(|_| "https://NAME-OF-THIS-HOST".to_owned());
    let fingerprint = app.settings.fingerprint.as_deref().filter(|_| url.starts_with("https://"));
    let pin = fingerprint.map(|hex| format!(" \\\n    --cert-fingerprint {hex}")).unwrap_or_default();
    let needs_token = app.kit.borrow().access.require_token;
    let token = if needs_token { " \\\n    --answer-auth-token NAME:SECRET" } else { "" };
    let text = format!(
        "prox-orchestrator: this is where the Proxmox automatic installer gets its answer file.\n\
         \n\
         Machines POST a JSON object with their hardware here; a browser cannot. Nothing is wrong if you read this.\n\
         \n\
         To prepare an installation medium:\n\
         \n\
         \x20 proxmox-auto-install-assistant prepare-iso PROXMOX.iso --fetch-from http \\\n    --url {url}/answer{pin}{token}\n\
         \n\
         Boot a machine from it: it appears in the console, where you approve it."
    );
    reply::plain(StatusCode::OK, &text)
}

async fn explain_webhook() -> Response {
    reply::plain(
        StatusCode::OK,
        "prox-orchestrator: this is where the Proxmox installer reports a finished installation.\n\
         \n\
         Machines POST their report here; the address is in the answer file each of them gets.",
    )
}

/// Whether the HTTP library is the installer's. It turns a redirected POST into a GET (PROTOCOL.md §a.5).
fn is_installer(request: &Request) -> bool {
    let agent = request.headers().get(axum::http::header::USER_AGENT);
    agent.is_some_and(|agent| agent.as_bytes().starts_with(b"ureq/"))
}

async fn wrong_method(State(app): State<App>, Extension(conn): Extension<ConnInfo>) -> Response {
    app.ghosts.tell(conn.peer.ip(), Cause::WrongMethod, "");
    reply::plain(StatusCode::METHOD_NOT_ALLOWED, "machines POST a JSON object here; nothing else is understood")
}

/// A machine whose URL is wrong reboots and says so on its screen: an error would leave it in a debug shell
/// (PROTOCOL.md §a.7). A person is told in words.
async fn not_found(State(app): State<App>, Extension(conn): Extension<ConnInfo>, request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        app.ghosts.tell(conn.peer.ip(), Cause::WrongPath, "");
    }
    let machine = match *request.method() {
        Method::POST => request::glance(&app, &conn, request.into_body(), "WRONG URL - must end in /answer").await,
        _ => None,
    };
    machine.unwrap_or_else(nothing_here)
}

fn nothing_here() -> Response {
    reply::plain(
        StatusCode::NOT_FOUND,
        "nothing is here: the installer's URL must end in /answer, reports go to /webhook, health is at /healthz",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_panicking_handler_still_replies() {
        async fn defect() -> Response {
            panic!("a defect, made on purpose")
        }
        let routes = guarded(post(defect), answer::after_panic);
        let request = Request::post("/").body(axum::body::Body::empty()).unwrap();
        let response = Router::new().route("/", routes).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("SERVER ERROR - retrying"));
    }
}

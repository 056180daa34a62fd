//! The few shapes a reply has.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::answer::retry_answer;
use crate::domain::Withheld;

/// A short plain text. Installers from 9.2 on show an error's body on the machine's screen (PROTOCOL.md §a.7).
pub(super) fn plain(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

/// A TOML answer with status 200, the only one besides 201 that every release takes (PROTOCOL.md §a.6).
pub(super) fn toml(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/toml"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The retry answer with `screen` on the machine's screen.
pub(super) fn retry(screen: &str) -> Response {
    toml(Body::from(retry_answer(screen)))
}

/// The reply to whom the operator sent away; nothing of ours is a reason to refuse (ADR 6).
pub(super) fn refused(why: &Withheld) -> Response {
    plain(StatusCode::FORBIDDEN, &why.screen())
}

/// A refusal whose way out is watched.
pub(super) fn refused_with(body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

//! `GET /healthz`: for load balancers and monitoring. Says how much, never who.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::state::App;

/// What is told.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    /// Requests held open.
    held: usize,
    /// Rows of the table.
    nodes: usize,
}

/// The server takes requests.
pub(super) async fn get(State(app): State<App>) -> Json<Health> {
    let snapshot = app.handle.snapshot();
    Json(Health { status: "ok", held: snapshot.holds.len(), nodes: snapshot.fleet.node_count() })
}

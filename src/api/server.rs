//! Serves snapshots and takes orders on the Unix socket.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::{OrderRequest, OrderResponse, PREFIX, SocketError, socket};
use crate::coordinator::Handle;
use crate::domain::{Command, Origin, Snapshot};

/// Longest operator name kept, in characters.
const MAX_OPERATOR: usize = 64;

/// A bound socket; removed when dropped.
#[derive(Debug)]
pub struct ApiListener {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for ApiListener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Binds the socket of `state_dir`. The caller holds the state lock, so a file that is there is a dead engine's.
///
/// # Errors
/// The path and the system's reason.
pub fn bind(state_dir: &Path) -> Result<ApiListener, SocketError> {
    let path = socket::choose(state_dir)?;
    let failed = |source| SocketError::Io { path: path.clone(), source };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    // The state folder is 0700, so nobody else gets in before the mode is set.
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(ApiListener { listener, path })
}

/// Serves until `shutdown`.
///
/// # Errors
/// The system's reason where the socket fails.
pub async fn serve(mut bound: ApiListener, handle: Handle, shutdown: CancellationToken) -> io::Result<()> {
    let router = Router::new()
        .route(&format!("{PREFIX}/snapshot"), get(snapshot))
        .route(&format!("{PREFIX}/order"), post(order))
        .with_state(handle);
    let listener = &mut bound.listener;
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted?.0,
        };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let io = hyper_util::rt::TokioIo::new(stream);
        // A client of ours ends its connection itself; the task ends with it.
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
    }
}

async fn snapshot(State(handle): State<Handle>) -> Json<Arc<Snapshot>> {
    Json(handle.snapshot())
}

async fn order(State(handle): State<Handle>, Json(request): Json<OrderRequest>) -> Json<OrderResponse> {
    let operator = request.operator.chars().filter(|c| !c.is_control()).take(MAX_OPERATOR).collect();
    let result = handle.submit(Origin::Operator(operator), Command::Order(request.order)).await;
    Json(result.map_err(crate::client::OrderError::from).into())
}

//! Serves snapshots and takes orders on the Unix socket.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{StreamExt as _, stream};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::{Answered, OrderResponse, OrdersRequest, PREFIX, SocketError, socket};
use crate::client::{Client, NewProfile, Preview};
use crate::coordinator::Handle;
use crate::domain::{NodeId, Order, Person, Snapshot};

/// Longest operator name kept, in characters.
const MAX_OPERATOR: usize = 64;

/// Largest list of orders, in bytes: an approval of every row of a full table has some 400 bytes.
const MAX_ORDERS: usize = 32 * 1024 * 1024;

/// Largest wish for a profile, in bytes: it names what a machine shows.
const MAX_PROFILE: usize = 64 << 10;

/// Pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(200);

/// Orders of one list that are on their way to the coordinator at once: they share its transactions.
const AT_ONCE: usize = 512;

/// A bound socket; removed when dropped.
#[derive(Debug)]
pub struct ApiListener {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for ApiListener {
    fn drop(&mut self) {
        socket::discard(&self.path);
    }
}

/// Binds the socket of `state_dir`. The caller holds the state lock, so a file that is there is a dead engine's.
///
/// # Errors
/// The path and the system's reason.
pub fn bind(state_dir: &Path) -> Result<ApiListener, SocketError> {
    let path = socket::choose(state_dir, &socket::bases())?;
    let failed = |source| SocketError::Io { path: path.clone(), source };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    // The folder is 0700, so nobody else gets in before the mode is set.
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(ApiListener { listener, path })
}

/// Serves until `shutdown`.
pub async fn serve<C: Client>(bound: ApiListener, handle: Handle, client: C, shutdown: CancellationToken) {
    let questions = Router::new()
        .route(&format!("{PREFIX}/preview/{{node}}"), get(preview::<C>))
        .route(&format!("{PREFIX}/profile"), post(new_profile::<C>).layer(DefaultBodyLimit::max(MAX_PROFILE)))
        .with_state(client);
    let router = Router::new()
        .route(&format!("{PREFIX}/snapshot"), get(snapshot))
        .route(&format!("{PREFIX}/orders"), post(orders).layer(DefaultBodyLimit::max(MAX_ORDERS)))
        .with_state(handle)
        .merge(questions);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = bound.listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Most likely there is no file descriptor left; there will be.
                tracing::warn!(%error, "an order by command line could not be taken; trying again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
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

async fn orders(State(handle): State<Handle>, Json(request): Json<OrdersRequest>) -> Json<Vec<OrderResponse>> {
    let operator = person(&request.operator, &request.from);
    let given = request.orders.into_iter().map(|order| give(&handle, operator.clone(), order, request.at_once));
    Json(stream::iter(given).buffered(AT_ONCE).collect().await)
}

async fn preview<C: Client>(
    State(client): State<C>,
    axum::extract::Path(node): axum::extract::Path<u64>,
) -> Json<Answered<Preview>> {
    Json(client.preview(NodeId(node)).await.into())
}

async fn new_profile<C: Client>(State(client): State<C>, Json(wish): Json<NewProfile>) -> Json<Answered<String>> {
    Json(client.new_profile(wish).await.into())
}

async fn give(handle: &Handle, operator: Person, order: Order, at_once: bool) -> OrderResponse {
    let result = handle.order(operator.into(), order, at_once).await;
    result.map_err(crate::client::OrderError::from).into()
}

/// Who gives an order, as it goes into the audit log.
fn person(name: &str, from: &str) -> Person {
    Person { name: clean(name), from: clean(from) }
}

/// A name as it goes into the audit log.
fn clean(operator: &str) -> String {
    operator.chars().filter(|c| !c.is_control()).take(MAX_OPERATOR).collect()
}

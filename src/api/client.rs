//! Asks a running engine over its Unix socket.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{OrderRequest, OrderResponse, OrdersRequest, PREFIX, SocketError, socket};
use crate::domain::{Order, Snapshot};

/// Why the engine could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Nobody listens on the socket: the engine died.
    #[error("the engine in `{}` does not answer; it may have crashed: start it again", path.display())]
    Dead {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The exchange broke.
    #[error("the exchange with the engine broke; is it stopping?")]
    Broken(#[from] hyper::Error),
    /// Another make of engine.
    #[error("the engine answered {0}; is it another version of this program?")]
    Status(StatusCode),
    /// Another make of engine.
    #[error("the engine's answer does not fit; is it another version of this program?")]
    Format(#[from] serde_json::Error),
}

/// An engine behind a socket.
#[derive(Clone, Debug)]
pub struct RemoteEngine {
    socket: PathBuf,
}

impl RemoteEngine {
    /// The engine that serves `state_dir`.
    ///
    /// # Errors
    /// [`ApiError::Socket`] where none does.
    pub fn find(state_dir: &Path) -> Result<Self, ApiError> {
        Ok(Self { socket: socket::find(state_dir)? })
    }

    /// Its state.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn snapshot(&self) -> Result<Snapshot, ApiError> {
        let body = self.exchange(Method::GET, "/snapshot", Bytes::new()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Gives an order in `operator`'s name.
    ///
    /// # Errors
    /// See [`ApiError`]; a refusal is no error but a response.
    pub async fn order(&self, operator: String, order: Order) -> Result<OrderResponse, ApiError> {
        let request = serde_json::to_vec(&OrderRequest { operator, order })?;
        let body = self.exchange(Method::POST, "/order", request.into()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Gives many orders in `operator`'s name, in one exchange; what came of each is returned in their order.
    ///
    /// # Errors
    /// See [`ApiError`]; a refusal is no error but a response.
    pub async fn orders(&self, operator: String, orders: Vec<Order>) -> Result<Vec<OrderResponse>, ApiError> {
        let request = serde_json::to_vec(&OrdersRequest { operator, orders })?;
        let body = self.exchange(Method::POST, "/orders", request.into()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ApiError> {
        let connected = UnixStream::connect(&self.socket).await;
        let stream = connected.map_err(|source| ApiError::Dead { path: self.socket.clone(), source })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{path}"))
            .header("host", "engine")
            .header("content-type", "application/json")
            .body(Full::new(body));
        // Every part of the request is ours, so it is well-formed.
        let Ok(request) = request else { return Err(ApiError::Status(StatusCode::BAD_REQUEST)) };
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        driver.abort();
        if status.is_success() { Ok(body) } else { Err(ApiError::Status(status)) }
    }
}

//! Asks a running engine over its Unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{Answered, OrderResponse, OrdersRequest, PREFIX, SocketError, socket};
use crate::client::{NewProfile, Preview};
use crate::domain::{NodeId, Order, Person, Snapshot};

/// How long an answer may take: many orders are many commits.
const PATIENCE: Duration = Duration::from_mins(1);

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
    /// It took too long.
    #[error("the engine in `{}` did not answer within {} s; is its disk very slow?", path.display(), PATIENCE.as_secs())]
    Silent {
        /// The socket.
        path: PathBuf,
    },
    /// The exchange broke.
    #[error("the exchange with the engine broke; is it stopping?")]
    Broken(#[from] hyper::Error),
    /// Larger than the engine takes.
    #[error("that is too much at once for the engine; name fewer nodes")]
    TooLong,
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
    pub async fn order(&self, operator: impl Into<Person>, order: Order) -> Result<OrderResponse, ApiError> {
        let (response,) = self.give(operator.into(), vec![order], false).await?;
        Ok(response)
    }

    /// Gives many orders in `operator`'s name, in one exchange; what came of each is returned in their order. Decisions
    /// have their undo window, unless `at_once`.
    ///
    /// # Errors
    /// See [`ApiError`]; a refusal is no error but a response.
    pub async fn orders(
        &self,
        operator: impl Into<Person>,
        orders: Vec<Order>,
        at_once: bool,
    ) -> Result<Vec<OrderResponse>, ApiError> {
        self.give(operator.into(), orders, at_once).await
    }

    /// Gives orders; `T` is a list of as many responses.
    async fn give<T: DeserializeOwned>(&self, by: Person, orders: Vec<Order>, at_once: bool) -> Result<T, ApiError> {
        let Person { name: operator, from } = by;
        let request = serde_json::to_vec(&OrdersRequest { operator, from, orders, at_once })?;
        let body = self.exchange(Method::POST, "/orders", request.into()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// The answer a node would be given now.
    ///
    /// # Errors
    /// See [`ApiError`]; a refusal is no error but a response.
    pub async fn preview(&self, node: NodeId) -> Result<Answered<Preview>, ApiError> {
        let body = self.exchange(Method::GET, &format!("/preview/{}", node.0), Bytes::new()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Has a profile made from what a machine shows.
    ///
    /// # Errors
    /// See [`ApiError`]; a refusal is no error but a response.
    pub async fn new_profile(&self, wish: &NewProfile) -> Result<Answered<String>, ApiError> {
        let body = self.exchange(Method::POST, "/profile", serde_json::to_vec(wish)?.into()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ApiError> {
        let answered = tokio::time::timeout(PATIENCE, self.exchange_patiently(method, path, body)).await;
        answered.unwrap_or_else(|_| Err(ApiError::Silent { path: self.socket.clone() }))
    }

    async fn exchange_patiently(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ApiError> {
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
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Err(ApiError::TooLong),
            status if status.is_success() => Ok(body),
            status => Err(ApiError::Status(status)),
        }
    }
}

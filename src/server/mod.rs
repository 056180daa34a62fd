//! What machines talk to: `POST /answer`, `POST /webhook`, `GET /healthz`, over TLS with a certificate of our own.
//!
//! Owns the listening socket, the connections on it and the certificate. It decides nothing about a machine: it reads,
//! asks the coordinator, and writes what it was allowed to. No order of an operator comes in here
//! (ARCHITECTURE.md, "The edges").

mod access;
mod answer;
mod base_url;
mod body;
mod connection;
mod crowd;
mod delivery;
mod gatekeeper;
mod ghosts;
mod health;
mod layers;
mod limits;
mod listener;
mod neighbours;
mod prepare;
mod preview;
mod rates;
mod reply;
mod report_desk;
mod request;
mod router;
mod self_test;
mod state;
mod tls;
mod webhook;

pub use access::{Access, Limits};
pub use ghosts::Ghosts;
pub use layers::LayersError;
pub use limits::{capacity, raise_open_files};
pub use listener::{BindError, Listener, serve};
pub use preview::Previewer;
pub use self_test::{SELF_TEST_OK, SelfTests};
pub use state::{AnswerKit, App, NetworkSettings, NicBy, ServerSettings};
pub use tls::{Identity, TlsError};

#[cfg(test)]
mod tests;

//! How a console, a script or the headless output sees the engine: snapshots and Ansible's output come out, orders go
//! in. Nothing that uses a [`Client`] knows whether the engine is this process or one behind a socket.

mod preview;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::{NodeId, Order, Reply, RunId, Snapshot};

pub use preview::{LastAnswer, NewProfile, Preview, Row, Value};

/// The engine, as its users see it.
pub trait Client: Clone + Send + Sync + 'static {
    /// The latest state; wait on a condition of the value, not on a number of changes.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// Carries out an order in the operator's name.
    ///
    /// # Errors
    /// The refusal, or why the engine could not be asked, in words for the operator.
    fn order(&self, order: Order) -> impl Future<Output = Result<Reply, OrderError>> + Send;

    /// The answer a node would be given now, explained.
    ///
    /// # Errors
    /// There is no such node, or the engine is gone.
    fn preview(&self, node: NodeId) -> impl Future<Output = Result<Preview, OrderError>> + Send;

    /// Writes a new file into `profiles/`, and returns its name.
    ///
    /// # Errors
    /// Why not, in words for the operator.
    fn new_profile(&self, wish: NewProfile) -> impl Future<Output = Result<String, OrderError>> + Send;

    /// Lines of a run's output from `cursor` on, at most `max`. `run` is the run the pane shows.
    fn output(&self, run: RunId, cursor: u64, max: usize) -> OutputChunk;
}

/// Part of a run's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputChunk {
    /// Complete lines with Ansible's SGR colour sequences; every other control sequence is gone.
    pub lines: Vec<String>,
    /// Number of the first of them (0 for the run's first line); more than asked for where older ones were dropped.
    pub first: u64,
    /// Where to go on.
    pub next: u64,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The fleet said no.
    #[error(transparent)]
    Refused(#[from] crate::domain::Refusal),
    /// The engine is too busy right now.
    #[error("the engine is busy; try again in a moment")]
    Busy,
    /// The engine could not store it.
    #[error("the decision could not be stored: {0}; free disk space or repair the state folder, then try again")]
    NotStored(String),
    /// A file could not be written, or the like.
    #[error("{0}")]
    Other(String),
    /// The engine is going down or gone.
    #[error("the engine has stopped")]
    Stopped,
}

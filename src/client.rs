//! How a console, a script or the headless output sees the engine: snapshots and Ansible's output come out, orders go
//! in. Nothing that uses a [`Client`] knows whether the engine is this process or one behind a socket.

mod preview;

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::domain::grid::{Course, Grid, Place};
use crate::domain::play::HostTold;
use crate::domain::{NodeId, Order, Ordered, RunId, Snapshot};

pub use preview::{LastAnswer, NewProfile, Preview, Row, Value};

/// The engine, as its users see it.
pub trait Client: Clone + Send + Sync + 'static {
    /// The latest state; wait on a condition of the value, not on a number of changes.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// Carries out an order in the operator's name.
    ///
    /// # Errors
    /// The refusal, or why the engine could not be asked, in words for the operator.
    fn order(&self, order: Order) -> impl Future<Output = Result<Ordered, OrderError>> + Send;

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

    /// What happened to a node, oldest first; the newest part of it where that is much. Nothing where it cannot be read.
    fn history(&self, node: NodeId) -> impl Future<Output = Vec<Moment>> + Send;

    /// Lines of a run's output from `cursor` on, at most `max`. `run` is the run the pane shows.
    fn output(&self, run: RunId, cursor: u64, max: usize) -> OutputChunk;

    /// How far a run is; `None` while it is being fetched. The same `Arc` as before means that nothing has changed.
    fn progress(&self, run: RunId) -> Option<Arc<Progress>>;

    /// The whole result of a task on a host; `None` while it is being fetched.
    fn result(&self, run: RunId, place: Place) -> Option<Arc<HostTold>>;

    /// Asks the engine's own answer address over the network, as an installer would. Leaves no row behind.
    fn self_test(&self) -> impl Future<Output = SelfTest> + Send;
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Hosts and tasks.
    pub grid: Arc<Grid>,
    /// How the last run of the same playbook went.
    pub before: Option<Arc<Course>>,
    /// The exact command line, for a shell in the project folder.
    pub command: Option<String>,
}

/// What came of asking ourselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// What worked, step by step.
    pub passed: Vec<String>,
    /// What did not, and what to do about it.
    pub failed: Option<String>,
}

/// Something that happened to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What, by whom and from where.
    pub words: String,
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

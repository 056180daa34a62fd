//! The engine of this very process, as a console sees it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::ansible::Feed;
use crate::client::{Client, Moment, OrderError, OutputChunk};
use crate::coordinator::Handle;
use crate::domain::{NodeId, Order, Person, Recorded, Reply, RunId, Snapshot};
use crate::headless::Narrator;
use crate::store::{Page, Reader, StoreError};

/// A client without a wire.
#[derive(Clone, Debug)]
pub struct LocalClient {
    handle: Handle,
    feed: Feed,
    operator: Person,
    state_dir: PathBuf,
}

/// Events of a node that are shown at most.
const HISTORY: usize = 60;

impl LocalClient {
    pub(super) fn new(handle: Handle, feed: Feed, operator: Person, state_dir: PathBuf) -> Self {
        Self { handle, feed, operator, state_dir }
    }
}

impl Client for LocalClient {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.handle.snapshots()
    }

    async fn order(&self, order: Order) -> Result<Reply, OrderError> {
        Ok(self.handle.order(self.operator.clone().into(), order, false).await?)
    }

    async fn history(&self, node: NodeId) -> Vec<Moment> {
        let (state_dir, snapshot) = (self.state_dir.clone(), self.handle.snapshot());
        let read = move || {
            let reader = Reader::open(&state_dir)?;
            let events = reader.events(Page::Before(u64::MAX), Some(node), HISTORY)?;
            let narrator = Narrator::new(&snapshot.fleet);
            let tell = |recorded: &Recorded| Moment { at: recorded.at, words: narrator.tell_bare(recorded) };
            Ok::<_, StoreError>(events.iter().map(tell).collect())
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(moments)) => moments,
            Ok(Err(error)) => {
                tracing::warn!("the history of {node} cannot be read: {error}");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    fn output(&self, run: RunId, cursor: u64, max: usize) -> OutputChunk {
        self.feed.read(run, cursor, max)
    }
}

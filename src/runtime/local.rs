//! The engine of this very process, as a console sees it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::ansible::Feed;
use crate::client::{Client, OrderError, OutputChunk};
use crate::coordinator::Handle;
use crate::domain::{Order, Origin, Reply, RunId, Snapshot};

/// A client without a wire.
#[derive(Clone, Debug)]
pub struct LocalClient {
    handle: Handle,
    feed: Feed,
    operator: String,
}

impl LocalClient {
    pub(super) fn new(handle: Handle, feed: Feed, operator: String) -> Self {
        Self { handle, feed, operator }
    }
}

impl Client for LocalClient {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.handle.snapshots()
    }

    async fn order(&self, order: Order) -> Result<Reply, OrderError> {
        let origin = Origin::Operator(self.operator.clone());
        Ok(self.handle.order(origin, order, false).await?)
    }

    fn output(&self, run: RunId, cursor: u64, max: usize) -> OutputChunk {
        self.feed.read(run, cursor, max)
    }
}

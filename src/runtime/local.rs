//! The engine of this very process, as a console sees it.

use std::sync::Arc;

use tokio::sync::watch;

use super::profile;
use crate::ansible::Feed;
use crate::client::{Client, NewProfile, OrderError, OutputChunk, Preview};
use crate::coordinator::Handle;
use crate::domain::{NodeId, Order, Origin, Refusal, Reply, RunId, Snapshot};
use crate::server::Previewer;

/// A client without a wire.
#[derive(Clone, Debug)]
pub struct LocalClient {
    handle: Handle,
    feed: Feed,
    operator: String,
    previewer: Previewer,
}

impl LocalClient {
    pub(super) fn new(handle: Handle, feed: Feed, operator: String, previewer: Previewer) -> Self {
        Self { handle, feed, operator, previewer }
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

    async fn preview(&self, node: NodeId) -> Result<Preview, OrderError> {
        let snapshot = self.handle.snapshot();
        let preview = self.previewer.preview(&snapshot, node).await;
        preview.ok_or(OrderError::Refused(Refusal::UnknownNode(node)))
    }

    async fn new_profile(&self, wish: NewProfile) -> Result<String, OrderError> {
        let snapshot = self.handle.snapshot();
        let node = snapshot.fleet.node(wish.node).ok_or(OrderError::Refused(Refusal::UnknownNode(wish.node)))?;
        let (dir, node) = (self.previewer.kit().dir.clone(), Arc::clone(node));
        let written = tokio::task::spawn_blocking(move || profile::write_new(&dir, &node, &wish)).await;
        written.map_err(|_| OrderError::Stopped)?.map_err(OrderError::Other)
    }

    fn output(&self, run: RunId, cursor: u64, max: usize) -> OutputChunk {
        self.feed.read(run, cursor, max)
    }
}

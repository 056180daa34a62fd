//! The engine of this very process, as a console sees it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::profile;
use crate::ansible::Feed;
use crate::client::{Client, Moment, NewProfile, OrderError, OutputChunk, Preview, Progress, SelfTest};
use crate::coordinator::Handle;
use crate::domain::grid::Place;
use crate::domain::play::HostTold;
use crate::domain::{NodeId, Order, Ordered, Person, Recorded, Refusal, RunId, Snapshot};
use crate::headless::Narrator;
use crate::server::{Previewer, SelfTests};
use crate::store::{Page, Reader, StoreError};

/// A client without a wire.
#[derive(Clone, Debug)]
pub struct LocalClient {
    handle: Handle,
    feed: Feed,
    operator: Person,
    state_dir: PathBuf,
    self_tests: SelfTests,
    previewer: Previewer,
}

/// Events of a node that are shown at most.
const HISTORY: usize = 60;

impl LocalClient {
    pub(super) fn new(
        handle: Handle,
        feed: Feed,
        operator: Person,
        state_dir: PathBuf,
        self_tests: SelfTests,
        previewer: Previewer,
    ) -> Self {
        Self { handle, feed, operator, state_dir, self_tests, previewer }
    }
}

impl Client for LocalClient {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.handle.snapshots()
    }

    async fn order(&self, order: Order) -> Result<Ordered, OrderError> {
        Ok(self.handle.order(self.operator.clone().into(), order, false).await?)
    }

    async fn history(&self, node: NodeId) -> Vec<Moment> {
        let (state_dir, snapshot) = (self.state_dir.clone(), self.handle.snapshot());
        let read = move || {
            let reader = Reader::open(&state_dir)?;
            let events = reader.events(Page::Before(u64::MAX), Some(node), HISTORY)?;
            let narrator = Narrator::new(&snapshot.fleet);
            let tell = |recorded: &Recorded| Moment { at: recorded.at, words: narrator.tell_of(node, recorded) };
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

    async fn self_test(&self) -> SelfTest {
        let service = self.handle.snapshot().service.clone();
        super::self_test::run(&service, &self.self_tests).await
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

    fn progress(&self, run: RunId) -> Option<Arc<Progress>> {
        self.feed.progress(run)
    }

    fn result(&self, run: RunId, place: Place) -> Option<Arc<HostTold>> {
        self.feed.result(run, place)
    }
}

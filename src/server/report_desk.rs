//! Reports on their way to the store: taken in whatever happens to the client, tried again while the store fails.
//!
//! A report comes once (PROTOCOL.md §c), so it is not given up because its sender hung up or the disk is full for a
//! while. Memory is bounded by the body budget, whose share a waiting report keeps.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ghosts::Ghosts;
use super::limits::BodyShare;
use crate::coordinator::{Handle, SubmitError};
use crate::domain::command::ReportIn;
use crate::domain::ghost::Cause;
use crate::domain::{Command, Origin};
use crate::store::Document;

/// How long the sender waits for the store; it gives up after 60 s and is told 200 in any case.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// Takes reports in.
#[derive(Clone, Debug)]
pub(super) struct ReportDesk {
    handle: Handle,
    ghosts: Ghosts,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl ReportDesk {
    pub(super) fn new(handle: Handle, ghosts: Ghosts, shutdown: CancellationToken) -> Self {
        Self { handle, ghosts, shutdown, tasks: TaskTracker::new() }
    }

    /// Hands a report to the store. Returns when it is stored, or after ten seconds while it is tried on.
    pub(super) async fn take(&self, report: ReportIn, document: Document, mut share: BodyShare) {
        let desk = self.clone();
        // Where all memory for bodies is taken by others that wait, there is one try.
        let may_wait = share.grow_to(1);
        // A task of its own: a sender that hangs up must not take its report along.
        let storing = self.tasks.spawn(async move {
            desk.store(report, document, may_wait).await;
            drop(share);
        });
        let _ = timeout(PATIENCE, storing).await;
    }

    /// Waits for the last reports, which are tried once more.
    pub(super) async fn end(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn store(&self, report: ReportIn, document: Document, may_wait: bool) {
        let peer = report.peer;
        let mut is_first = true;
        loop {
            let is_last = !may_wait || self.shutdown.is_cancelled();
            let command = Command::Report(Box::new(report.clone()));
            match self.handle.report(Origin::Peer(peer), command, document.clone()).await {
                Ok(_) => return,
                Err(error) if error.may_pass() && !is_last => {
                    if std::mem::take(&mut is_first) {
                        self.ghosts.tell(peer, Cause::ReportWaits, "the store is not ready");
                    }
                    self.shutdown.run_until_cancelled(sleep(PAUSE)).await;
                }
                Err(SubmitError::Refused(refusal)) => {
                    return self.ghosts.tell(peer, Cause::TooManyReports, &refusal.to_string());
                }
                Err(error) => return self.ghosts.tell(peer, Cause::ReportLost, &error.to_string()),
            }
        }
    }
}

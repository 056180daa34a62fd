//! The task that keeps the files under `nodes/` up with the fleet. Off the answer path: it follows the snapshots,
//! skips those it is too slow for, and never holds anybody up. The files are never read back; what is in them comes
//! from the snapshot and the database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::domain::Snapshot;
use crate::domain::snapshot::Problem;

use super::Reader;
use super::projector::Projector;

/// Shortest time between two passes: no file is written more than four times a second.
const PACE: Duration = Duration::from_millis(250);

/// A pass that took long is followed by a pause of so many times its length: at most a tenth of a core.
const REST: u32 = 9;

/// Waits after the first and after many failures.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// What the inventory says besides the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionSettings {
    /// The user Ansible logs in as.
    pub ansible_user: String,
    /// The nodes' SSH port.
    pub ssh_port: u16,
    /// The key Ansible logs in with; `None` leaves that to the user's own SSH configuration.
    pub private_key: Option<PathBuf>,
}

/// Keeps `<dir>/nodes/` up to date until `shutdown`, then once more, so that the files show the last state: cancel it
/// after the coordinator has stopped. Names of an older inventory must be imported before
/// ([`super::find_legacy`]); the file itself is kept aside.
///
/// `shown` tells the sequence number that all files show. `problem` tells why they cannot be written, until they can
/// again; it is tried again by itself.
pub async fn run(
    dir: PathBuf,
    reader: Reader,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    settings: ProjectionSettings,
    shown: watch::Sender<u64>,
    problem: watch::Sender<Option<Problem>>,
    shutdown: CancellationToken,
) {
    let mut projector = Projector::new(&dir, reader, settings);
    let mut done = None;
    let mut failures = 0_u32;
    let mut not_before = Instant::now();
    loop {
        let stopping = tokio::select! {
            biased;
            () = shutdown.cancelled() => true,
            () = sleep(backoff(failures)), if failures > 0 => false,
            changed = snapshots.wait_for(|snapshot| Some(snapshot.seq) != done), if failures == 0 => changed.is_err(),
        };
        if !stopping {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep_until(not_before) => {}
            }
        }
        let snapshot = snapshots.borrow_and_update().clone();
        if Some(snapshot.seq) != done {
            let (seq, begun) = (snapshot.seq, Instant::now());
            let pass = tokio::task::spawn_blocking(move || {
                let outcome = projector.pass(&snapshot);
                (projector, outcome)
            });
            let Ok((returned, outcome)) = pass.await else {
                tracing::error!("the task that writes the files under `nodes/` failed; restart the program");
                problem.send_replace(Some(Problem {
                    what: "the files under `nodes/` are no longer written: a defect of the program".to_owned(),
                    hint: "restart it; nothing stored is lost".to_owned(),
                }));
                return;
            };
            projector = returned;
            not_before = begun + PACE.max(begun.elapsed() * (REST + 1));
            match outcome {
                Ok(()) => {
                    done = Some(seq);
                    failures = 0;
                    problem.send_if_modified(|shown| shown.take().is_some());
                    shown.send_replace(seq);
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    report(&problem, &error.problem());
                }
            }
        }
        if stopping {
            return;
        }
    }
}

fn backoff(failures: u32) -> Duration {
    let (first, longest) = RETRY;
    (first * 2_u32.saturating_pow(failures.saturating_sub(1).min(10))).min(longest)
}

/// Shows a problem, and logs it once.
fn report(shown: &watch::Sender<Option<Problem>>, problem: &Problem) {
    let is_new = shown.send_if_modified(|shown| {
        let is_new = shown.as_ref() != Some(problem);
        *shown = Some(problem.clone());
        is_new
    });
    if is_new {
        tracing::warn!("{}; {}", problem.what, problem.hint);
    }
}

#[cfg(test)]
mod tests;

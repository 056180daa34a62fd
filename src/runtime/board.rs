//! The notice board: what is being served and what is wrong with the program, gathered for all readers.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::coordinator::Handle;
use crate::domain::snapshot::{Problem, Service};
use crate::server::ServerNote;

/// Time between two looks at how far the pool reaches.
const LOOK: Duration = Duration::from_secs(1);
/// Notes about machines that could not even ask, kept for the operator.
const NOTES: usize = 8;

/// What comes and goes on the board, besides the notes.
pub(super) struct Sources {
    /// The folder's files: what is wrong with them, and what they leave open.
    pub(super) files: watch::Receiver<Vec<Problem>>,
    /// The files under `nodes/`.
    pub(super) projection: watch::Receiver<Option<Problem>>,
    /// Ansible on this host.
    pub(super) preflight: watch::Receiver<Vec<Problem>>,
}

/// Gathers until `shutdown`. `fixed` holds what stays as it is; its problems are those of `sources`.
pub(super) async fn run(
    handle: Handle,
    fixed: Service,
    sources: Sources,
    mut notes: mpsc::Receiver<ServerNote>,
    shutdown: CancellationToken,
) {
    let Sources { mut files, mut projection, mut preflight } = sources;
    let mut latest: VecDeque<ServerNote> = VecDeque::new();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pool = pool_problem(&handle);
    loop {
        let mut service = fixed.clone();
        service.problems.clone_from(&files.borrow_and_update());
        service.problems.extend(projection.borrow_and_update().clone());
        service.problems.extend(preflight.borrow_and_update().iter().cloned());
        service.problems.extend(pool.clone());
        service.problems.extend(latest.iter().map(problem));
        handle.set_service(service).await;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Ok(()) = files.changed() => break,
                Ok(()) = projection.changed() => break,
                Ok(()) = preflight.changed() => break,
                Some(note) = notes.recv() => {
                    // One line a source and cause: a machine in a loop must not push the others out.
                    latest.retain(|other| other.peer != note.peer || other.what != note.what);
                    latest.push_front(note);
                    latest.truncate(NOTES);
                    break;
                }
                _ = look.tick() => {
                    let now = pool_problem(&handle);
                    if now != pool {
                        pool = now;
                        break;
                    }
                }
            }
        }
    }
}

/// Says early that the pool will not do for all.
fn pool_problem(handle: &Handle) -> Option<Problem> {
    let outlook = handle.snapshot().fleet.pool_outlook()?;
    let is_short = outlook.free < u128::try_from(outlook.wanted).unwrap_or(u128::MAX);
    (is_short || outlook.free == 0).then(|| Problem {
        what: format!("the pool has {} free addresses, and {} nodes will want one", outlook.free, outlook.wanted),
        hint: "enlarge `pool` in [network] of config.toml, or forget nodes that are gone".to_owned(),
    })
}

fn problem(note: &ServerNote) -> Problem {
    let time = note.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S");
    Problem { what: format!("{} at {time}: {}", note.peer, note.what), hint: String::new() }
}

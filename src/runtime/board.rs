//! The notice board: what is being served and what is wrong with the program, gathered for all readers.

use std::collections::VecDeque;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::coordinator::Handle;
use crate::domain::snapshot::{Problem, Service};
use crate::server::ServerNote;

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
    loop {
        let mut service = fixed.clone();
        service.problems.clone_from(&files.borrow_and_update());
        service.problems.extend(projection.borrow_and_update().clone());
        service.problems.extend(preflight.borrow_and_update().iter().cloned());
        service.problems.extend(latest.iter().map(problem));
        handle.set_service(service).await;
        tokio::select! {
            () = shutdown.cancelled() => return,
            Ok(()) = files.changed() => {}
            Ok(()) = projection.changed() => {}
            Ok(()) = preflight.changed() => {}
            Some(note) = notes.recv() => {
                // One line a source and cause: a machine in a loop must not push the others out.
                latest.retain(|other| other.peer != note.peer || other.what != note.what);
                latest.push_front(note);
                latest.truncate(NOTES);
            }
        }
    }
}

fn problem(note: &ServerNote) -> Problem {
    let time = note.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S");
    Problem { what: format!("{} at {time}: {}", note.peer, note.what), hint: String::new() }
}

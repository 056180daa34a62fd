//! The single writer: takes commands in order, stores what the fleet decides, then applies, publishes and acts.
//!
//! It owns the fleet, the store and the list of held requests, and runs on a thread of its own because a commit waits
//! for the disk. What arrives while it waits is decided together and committed in one transaction (group commit).
//! Persist, then apply, then publish, then reply and act: a crash between two steps loses an announcement, never a fact.

mod draft;
mod handle;
mod held;
#[cfg(test)]
mod tests;
mod windows;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::domain::{Effect, Recorded, Snapshot};
use crate::store::{Loaded, Store};

pub use handle::{Asked, Handle, Held, Patience, Rendered, SubmitError};

/// Places in the queue. A rack that powers on at once fills it; submitters then wait [`QUEUE_PATIENCE`].
const QUEUE_LENGTH: usize = 8_192;

/// How long a submitter waits for a place in the queue before it is told that the engine is busy.
const QUEUE_PATIENCE: Duration = Duration::from_secs(3);

/// Events a follower may lag behind before it misses some (and is told so).
const FOLLOW_LENGTH: usize = 8_192;

/// A started coordinator.
#[derive(Debug)]
pub struct Started {
    /// How to reach it.
    pub handle: Handle,
    /// Events as they are stored.
    pub events: broadcast::Sender<Arc<Recorded>>,
    /// Resolves when it has ended, however that came about.
    pub ended: oneshot::Receiver<()>,
}

/// Starts the coordinator on its own thread. `effects` receives what is to be done, `resume`d work first.
///
/// # Errors
/// The system's error where no thread can be had.
pub fn start(store: Store, loaded: Loaded, effects: mpsc::Sender<Effect>) -> io::Result<Started> {
    let snapshot = Arc::new(Snapshot {
        seq: loaded.seq,
        at: Timestamp::now(),
        fleet: loaded.fleet.clone(),
        holds: imbl::OrdMap::new(),
        undecided: imbl::OrdMap::new(),
        service: Arc::default(),
    });
    let (queue, messages) = mpsc::channel(QUEUE_LENGTH);
    let (publish, snapshots) = watch::channel(snapshot);
    let (events, _) = broadcast::channel(FOLLOW_LENGTH);
    let (ending, ended) = oneshot::channel();
    let writer = writer::Writer::new(store, loaded, publish, events.clone(), effects);
    // Only for the time: undo windows end while no message comes.
    let timers = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name("coordinator".to_owned()).spawn(move || {
        writer.run(&timers, messages);
        let _ = ending.send(());
    })?;
    let handle = Handle { queue, snapshots, next_request: Arc::new(AtomicU64::new(1)) };
    Ok(Started { handle, events, ended })
}

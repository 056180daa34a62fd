//! The single writer: takes commands in order, stores what the fleet decides, then applies, publishes and acts.

mod handle;

use std::time::Duration;

pub use handle::{Asked, Handle, Held, SubmitError};

/// How long a submitter waits for a place in the queue before it is told that the engine is busy.
const QUEUE_PATIENCE: Duration = Duration::from_secs(3);

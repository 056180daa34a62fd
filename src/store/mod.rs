//! The truth on disk: events, stored bodies and redacted answers in SQLite; and the files under `nodes/` made from it.

pub mod atomic;
mod error;
#[cfg(test)]
mod fixtures;
mod inventory;
mod legacy;
mod lock;
mod migrations;
mod node_files;
pub mod projection;
mod projector;
mod read;
mod sqlite;

pub use error::StoreError;
pub use inventory::{inventory, known_hosts};
pub use legacy::{LegacyError, find_legacy};
pub use lock::{LockError, StateLock};
pub use projection::ProjectionSettings;
pub use read::{Page, Reader};
pub use sqlite::Store;

use crate::domain::{DocumentHash, Fleet, NodeId, Recorded};

/// A body worth keeping, named by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Digest of `bytes`.
    pub hash: DocumentHash,
    /// JSON as received, without secrets.
    pub bytes: Vec<u8>,
}

/// What is kept of a rendered answer: never its secrets. Whoever needs it again, as a machine whose connection broke,
/// gets one that is rendered anew.
#[derive(Clone, Debug)]
pub struct RedactedAnswer {
    /// The node it is for.
    pub node: NodeId,
    /// Digest of the TOML as sent.
    pub hash: DocumentHash,
    /// The TOML with secrets blotted out.
    pub text: String,
}

/// What is committed in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Events, with consecutive sequence numbers.
    pub events: Vec<Recorded>,
    /// Bodies they refer to.
    pub documents: Vec<Document>,
    /// Answers they release.
    pub answers: Vec<RedactedAnswer>,
}

/// What was stored.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The fleet after the last event.
    pub fleet: Fleet,
    /// Sequence number of the last event.
    pub seq: u64,
}

//! What can go wrong with the database, in words that say what to do next.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the database could not be opened, read or written. After a failed commit nothing of its batch is stored, and
/// the next one may succeed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The state folder or the database file could not be made.
    #[error("cannot prepare `{path}`; check that this user may write there")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No room left.
    #[error("the disk that holds `{path}` is full; free some space")]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The file or its file system takes no writes.
    #[error("`{path}` is read-only; check its owner, its mode and whether its disk is mounted read-only")]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("the disk failed under `{path}`; look into the system log, and move the folder to a sound disk")]
    Disk {
        /// The database.
        path: PathBuf,
        /// What `SQLite` said.
        source: rusqlite::Error,
    },
    /// Somebody else keeps the database locked.
    #[error("`{path}` is locked by another program; end it, then try again")]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// Not a database, or a damaged one.
    #[error("`{path}` is damaged or no database; put back a copy, or move it away to start with an empty table")]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What `SQLite` said.
        source: rusqlite::Error,
    },
    /// A database of another program.
    #[error("`{path}` is a database of another program; move it away")]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// A later release wrote it.
    #[error("`{path}` has format {found}, this program knows up to {known}; use the newer prox-orchestrator")]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format this program knows.
        known: i64,
    },
    /// The events of a batch do not follow what is stored.
    #[error("event {given} cannot follow event {last}; is a second program writing to the same database?")]
    OutOfOrder {
        /// Last number stored.
        last: u64,
        /// Number of the event that should follow.
        given: u64,
    },
    /// An event is missing.
    #[error("event {missing} is missing from `{path}`; put back a copy of the database")]
    Gap {
        /// The database.
        path: PathBuf,
        /// The first number missing.
        missing: u64,
    },
    /// An event of a later release, or a damaged one. Never skipped: the table would lie.
    #[error("event {seq} (`{kind}`, version {version}) cannot be read; was it written by a newer prox-orchestrator?")]
    Event {
        /// Its number.
        seq: u64,
        /// Its type.
        kind: String,
        /// Its version.
        version: i64,
        /// What is wrong with it; `None` where the version alone says enough.
        source: Option<serde_json::Error>,
    },
    /// A value could not be written as JSON.
    #[error("cannot write an event or the state as JSON")]
    Encode(#[source] serde_json::Error),
    /// Anything else.
    #[error("the database `{path}` failed")]
    Database {
        /// The database.
        path: PathBuf,
        /// What `SQLite` said.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Sorts an error of `SQLite` about `path` by what the operator can do about it.
    pub(super) fn of(source: rusqlite::Error, path: &Path) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { path, source },
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Disk { path, source },
            _ => Self::Database { path, source },
        }
    }

    /// Sorts an error of the file system about `path`.
    pub(super) fn of_io(source: io::Error, path: &Path) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            _ => Self::Folder { path, source },
        }
    }
}

//! The database: loads the fleet, commits batches of events. The coordinator owns the one [`Store`] and is the only
//! writer; everybody else reads through a [`super::Reader`]. Nothing here knows what an event means, but for those that
//! bring an answer or drop its row.

use std::collections::HashSet;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::error::StoreError;
use super::{Batch, Loaded, RedactedAnswer, migrations, read};
use crate::domain::{Event, Fleet, NodeId, Policy, Recorded};

/// The database's name in the state folder.
pub(super) const FILE: &str = "state.db";

/// How long a statement waits for a lock that another program holds.
pub(super) const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// Version of the fleet's JSON in table `state`. Another one is not read: the events are, from the first. One of version
/// 1 does not know which answers were to wipe a node that was installed.
const STATE_VERSION: i64 = 2;

/// The write-ahead log is cut back to this after a burst, in bytes.
const WAL_LIMIT: i64 = 64 << 20;

/// The truth on disk. Holds the one connection that writes.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    /// Number of the last event stored.
    seq: u64,
}

impl Store {
    /// Opens the database in `state_dir`, making the folder (0700) and the file (0600) where they are missing, and
    /// bringing an older format up to date. Take the [`super::StateLock`] first.
    ///
    /// # Errors
    /// Where it cannot be made, opened, read or written, is damaged, or belongs to a later release.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(FILE);
        prepare_folder(state_dir).map_err(|error| StoreError::of_io(error, state_dir))?;
        prepare_file(&path).map_err(|error| StoreError::of_io(error, &path))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&path, flags).map_err(|error| StoreError::of(error, &path))?;
        let is_read_only = configure(&db).map_err(|error| StoreError::of(error, &path))?;
        if is_read_only {
            return Err(StoreError::ReadOnly { path });
        }
        migrations::run(&mut db, &path)?;
        let seq = last_seq(&db).map_err(|error| StoreError::of(error, &path))?;
        Ok(Self { db, path, seq })
    }

    /// Number of the last event stored; 0 where there is none.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Reads the fleet back: the last state snapshot and every event after it. A snapshot of another version, or one
    /// that cannot be read, costs time only: then every event is applied.
    ///
    /// # Errors
    /// Where the database cannot be read, an event is missing, or one is not understood.
    pub fn load(&mut self, policy: Policy) -> Result<Loaded, StoreError> {
        let (mut fleet, start) = self.saved_state()?.unwrap_or_default();
        let mut seq = start;
        read::each_after(&self.db, &self.path, start, |recorded| {
            if recorded.seq != seq + 1 {
                return Err(StoreError::Gap { path: self.path.clone(), missing: seq + 1 });
            }
            seq = recorded.seq;
            fleet.apply(&recorded);
            Ok(())
        })?;
        if seq < self.seq {
            return Err(StoreError::Gap { path: self.path.clone(), missing: seq + 1 });
        }
        self.seq = seq;
        // Last: what was given out of an earlier pool says nothing about this one.
        fleet.set_policy(policy);
        Ok(Loaded { fleet, seq })
    }

    /// Stores a batch, whole or not at all; on `Ok` it survives a power cut.
    ///
    /// An answer is stored with the [`Event::AnswerReleased`] that names it, and removed with its node.
    ///
    /// # Errors
    /// Where the events do not follow the last one stored, or the database cannot be written.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let rows = self.rows(batch)?;
        if rows.is_empty() && batch.documents.is_empty() {
            return Ok(());
        }
        let fail = |error| StoreError::of(error, &self.path);
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        let stored = last_seq(&transaction).map_err(fail)?;
        if stored != self.seq {
            return Err(StoreError::OutOfOrder { last: stored, given: self.seq + 1 });
        }
        write(&transaction, batch, &rows).map_err(fail)?;
        // A commit that fails is rolled back when the transaction is dropped.
        transaction.commit().map_err(fail)?;
        self.seq = rows.last().map_or(self.seq, |row| row.seq);
        Ok(())
    }

    /// Stores the fleet as it is after event `seq`, so that the next [`Store::load`] starts there. Replaces the
    /// snapshot before, and removes bodies that nothing in the fleet refers to: a flood of strangers leaves none behind.
    ///
    /// # Errors
    /// Where `seq` is not stored yet, or the database cannot be written.
    pub fn save_state(&mut self, fleet: &Fleet, seq: u64) -> Result<(), StoreError> {
        if seq > self.seq {
            return Err(StoreError::OutOfOrder { last: self.seq, given: seq });
        }
        let data = serde_json::to_vec(fleet).map_err(StoreError::Encode)?;
        let live: HashSet<String> = fleet.documents().map(|hash| hash.to_string()).collect();
        replace_state(&mut self.db, (seq, &data), &live).map_err(|error| StoreError::of(error, &self.path))
    }

    fn saved_state(&self) -> Result<Option<(Fleet, u64)>, StoreError> {
        let row = self
            .db
            .query_row("SELECT seq, data FROM state WHERE version = ?1", [STATE_VERSION], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()
            .map_err(|error| StoreError::of(error, &self.path))?;
        let Some((seq, data)) = row else { return Ok(None) };
        let seq = unsigned(seq);
        if seq > self.seq {
            // Newer than the events: rows of the log are gone, and the snapshot knows what they did.
            return Err(StoreError::Gap { path: self.path.clone(), missing: self.seq + 1 });
        }
        // Checked as UTF-8 once, and not text by text.
        let read = |data| serde_json::from_str(std::str::from_utf8(data).map_err(serde::de::Error::custom)?);
        match read(&data) {
            Ok(fleet) => Ok(Some((fleet, seq))),
            Err::<_, serde_json::Error>(error) => {
                tracing::warn!(%error, seq, "the saved state is not understood; reading all events instead");
                Ok(None)
            }
        }
    }

    /// Encodes a batch's events and checks that they follow each other and what is stored.
    fn rows(&self, batch: &Batch) -> Result<Vec<EventRow>, StoreError> {
        let mut last = self.seq;
        let encode = |recorded: &Recorded| {
            if recorded.seq != last + 1 {
                return Err(StoreError::OutOfOrder { last, given: recorded.seq });
            }
            last = recorded.seq;
            EventRow::of(recorded).map_err(StoreError::Encode)
        };
        batch.events.iter().map(encode).collect()
    }
}

/// An event, encoded before the transaction begins.
#[derive(Debug)]
struct EventRow {
    seq: u64,
    at: String,
    kind: String,
    origin: String,
    node: Option<NodeId>,
    data: String,
}

impl EventRow {
    fn of(recorded: &Recorded) -> Result<Self, serde_json::Error> {
        let data = serde_json::to_string(&recorded.event)?;
        // The tag serde writes first; read back so that the names exist once.
        let tag = data.strip_prefix(r#"{"type":""#).and_then(|rest| rest.split('"').next());
        let kind = tag.ok_or_else(|| serde::ser::Error::custom("an event has no tag"))?.to_owned();
        Ok(Self {
            seq: recorded.seq,
            at: recorded.at.to_string(),
            kind,
            origin: serde_json::to_string(&recorded.origin)?,
            node: recorded.event.node(),
            data,
        })
    }
}

/// Makes the state folder for its owner alone, or takes it away from others where an older one is too open.
pub(super) fn prepare_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mode = dir.metadata()?.permissions().mode();
    if mode & 0o777 == 0o700 { Ok(()) } else { std::fs::set_permissions(dir, Permissions::from_mode(0o700)) }
}

/// Makes the file before `SQLite` does, which would take the umask's mode for it and the files beside it.
fn prepare_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o777 == 0o600 { Ok(()) } else { file.set_permissions(Permissions::from_mode(0o600)) }
}

/// Sets the connection up for durable commits; returns whether it can only read.
fn configure(db: &Connection) -> rusqlite::Result<bool> {
    db.busy_timeout(BUSY_PATIENCE)?;
    db.set_prepared_statement_cache_capacity(32);
    if db.is_readonly(rusqlite::MAIN_DB)? {
        return Ok(true);
    }
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // Nothing that is removed is secret.
    db.pragma_update(None, "secure_delete", false)?;
    db.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
    Ok(false)
}

fn last_seq(db: &Connection) -> rusqlite::Result<u64> {
    let last = db.prepare_cached("SELECT coalesce(max(seq), 0) FROM events")?.query_row([], |row| row.get(0))?;
    Ok(unsigned(last))
}

fn replace_state(db: &mut Connection, (seq, data): (u64, &[u8]), live: &HashSet<String>) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO state (id, seq, version, data) VALUES (1, ?1, ?2, ?3)")?
        .execute(params![signed(seq), STATE_VERSION, data])?;
    let dead: Vec<String> = {
        let mut stored = transaction.prepare_cached("SELECT hash FROM documents")?;
        let stored = stored.query_map([], |row| row.get(0))?;
        stored
            .filter(|hash| hash.as_ref().map_or(true, |hash| !live.contains(hash)))
            .collect::<rusqlite::Result<_>>()?
    };
    for hash in dead {
        transaction.prepare_cached("DELETE FROM documents WHERE hash = ?1")?.execute([hash])?;
    }
    transaction.commit()
}

fn write(transaction: &Transaction<'_>, batch: &Batch, rows: &[EventRow]) -> rusqlite::Result<()> {
    let mut document = transaction.prepare_cached("INSERT OR IGNORE INTO documents (hash, bytes) VALUES (?1, ?2)")?;
    for given in &batch.documents {
        document.execute(params![given.hash.to_string(), given.bytes])?;
    }
    let mut event = transaction.prepare_cached(
        "INSERT INTO events (seq, at, type, version, origin, node, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for (row, recorded) in rows.iter().zip(&batch.events) {
        let node = row.node.map(|node| signed(node.0));
        event.execute(params![signed(row.seq), row.at, row.kind, Event::VERSION, row.origin, node, row.data])?;
        keep_answers(transaction, &recorded.event, &batch.answers)?;
    }
    Ok(())
}

/// Stores or removes answers, as far as `event` says so.
fn keep_answers(transaction: &Transaction<'_>, event: &Event, answers: &[RedactedAnswer]) -> rusqlite::Result<()> {
    if let Event::AnswerReleased { document, .. } = event {
        let mut insert =
            transaction.prepare_cached("INSERT OR REPLACE INTO answers (hash, node, redacted) VALUES (?1, ?2, ?3)")?;
        for answer in answers.iter().filter(|answer| answer.hash == *document) {
            insert.execute(params![answer.hash.to_string(), signed(answer.node.0), answer.text])?;
        }
    } else if let Event::Forgotten { node } | Event::GaveWay { node, .. } | Event::Banned { node, .. } = event {
        transaction.prepare_cached("DELETE FROM answers WHERE node = ?1")?.execute([signed(node.0)])?;
    }
    Ok(())
}

/// A number of ours as `SQLite` keeps it. None of them ever comes near 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of ours back from `SQLite`.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod frozen;
#[cfg(test)]
mod tests;

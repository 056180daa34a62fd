//! Reading while the coordinator writes: events for a timeline, bodies and redacted answers for the files under
//! `nodes/`. Never writes.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::error::StoreError;
use super::migrations;
use super::sqlite::{BUSY_PATIENCE, FILE, signed, unsigned};
use crate::domain::{DocumentHash, Event, NodeId, Recorded};

/// A connection of its own that only reads. It sees every batch as soon as it is committed, and never waits for the
/// writer nor makes it wait.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    path: PathBuf,
}

/// Which events to read; they always come oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The first ones after this number; `After(0)` starts at the beginning.
    After(u64),
    /// The last ones before this number; `Before(u64::MAX)` ends with the newest.
    Before(u64),
}

impl Reader {
    /// Opens the database in `state_dir`, which a [`super::Store`] has made.
    ///
    /// # Errors
    /// Where there is none, or it is damaged or of another format.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(FILE);
        let fail = |error| StoreError::of(error, &path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags).map_err(fail)?;
        db.busy_timeout(BUSY_PATIENCE).map_err(fail)?;
        migrations::check(&db, &path)?;
        Ok(Self { db, path })
    }

    /// Tells this database from every other one, in 32 hex digits.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn identity(&self) -> Result<String, StoreError> {
        self.db.query_row("SELECT name FROM identity", [], |row| row.get(0)).map_err(|error| self.fail(error))
    }

    /// A stored body.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn document(&self, hash: DocumentHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT bytes FROM documents WHERE hash = ?1", hash)
    }

    /// The text of an answer with its secrets blotted out; kept as long as its node.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn redacted_answer(&self, hash: DocumentHash) -> Result<Option<String>, StoreError> {
        self.one("SELECT redacted FROM answers WHERE hash = ?1", hash)
    }

    /// At most `limit` events, those of `node` where one is given: also those in which it was the other one.
    ///
    /// # Errors
    /// Where the database cannot be read, or an event is not understood.
    pub fn events(&self, page: Page, node: Option<NodeId>, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let (bound, order) = match page {
            Page::After(_) => ("seq > ?1", "ASC"),
            Page::Before(_) => ("seq < ?1", "DESC"),
        };
        let (Page::After(seq) | Page::Before(seq)) = page;
        // Texts of their own, not one with `OR`: each has its own index.
        let select = |whose| format!("SELECT {COLUMNS} FROM events WHERE {bound} AND {whose}");
        let found = match node {
            Some(_) => {
                [select("node = ?2"), select("type = 'swapped' AND data ->> '$.other' = ?2")].join(" UNION ALL ")
            }
            None => select("?2 IS NULL"),
        };
        let text = format!("{found} ORDER BY seq {order} LIMIT ?3");
        let read = || {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = self.db.prepare_cached(&text)?;
            let rows = statement.query_map(params![signed(seq), node.map(|node| signed(node.0)), limit], Row::of)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(|error| self.fail(error))?;
        let mut events = rows.into_iter().map(Row::decode).collect::<Result<Vec<_>, _>>()?;
        if order == "DESC" {
            events.reverse();
        }
        Ok(events)
    }

    fn one<T: rusqlite::types::FromSql>(&self, text: &str, hash: DocumentHash) -> Result<Option<T>, StoreError> {
        let read = || self.db.prepare_cached(text)?.query_row([hash.to_string()], |row| row.get(0)).optional();
        read().map_err(|error| self.fail(error))
    }

    fn fail(&self, error: rusqlite::Error) -> StoreError {
        StoreError::of(error, &self.path)
    }
}

/// What [`Row::of`] reads, in its order.
const COLUMNS: &str = "seq, at, type, version, origin, data";

/// An event as its row holds it.
#[derive(Debug)]
struct Row {
    seq: u64,
    at: String,
    kind: String,
    version: i64,
    origin: String,
    data: String,
}

impl Row {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: unsigned(row.get(0)?),
            at: row.get(1)?,
            kind: row.get(2)?,
            version: row.get(3)?,
            origin: row.get(4)?,
            data: row.get(5)?,
        })
    }

    fn decode(self) -> Result<Recorded, StoreError> {
        let Self { seq, at, kind, version, origin, data } = self;
        if version > i64::from(Event::VERSION) {
            return Err(StoreError::Event { seq, kind, version, source: None });
        }
        let read = || -> Result<Recorded, serde_json::Error> {
            let at = at.parse().map_err(serde::de::Error::custom)?;
            Ok(Recorded { seq, at, origin: serde_json::from_str(&origin)?, event: serde_json::from_str(&data)? })
        };
        read().map_err(|source| StoreError::Event { seq, kind, version, source: Some(source) })
    }
}

/// Hands every event after `seq` to `take`, in order, one at a time.
pub(super) fn each_after(
    db: &Connection,
    path: &Path,
    seq: u64,
    mut take: impl FnMut(Recorded) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let fail = |error| StoreError::of(error, path);
    let text = format!("SELECT {COLUMNS} FROM events WHERE seq > ?1 ORDER BY seq");
    let mut statement = db.prepare_cached(&text).map_err(fail)?;
    let mut rows = statement.query([signed(seq)]).map_err(fail)?;
    while let Some(row) = rows.next().map_err(fail)? {
        take(Row::of(row).map_err(fail)?.decode()?)?;
    }
    Ok(())
}

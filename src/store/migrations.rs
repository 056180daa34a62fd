//! The database's format, release by release. A migration that was released is never changed: a database of every
//! released version must open in every later build.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// Marks the file as ours (`PRAGMA application_id`): "PROX" in ASCII.
const APPLICATION: i64 = 0x5052_4f58;

/// Statements that lead from each format to the next; the format's number is `PRAGMA user_version`.
const MIGRATIONS: &[&str] = &[
    "
    -- The truth and the audit log: every event ever, in order.
    CREATE TABLE events (
        seq     INTEGER PRIMARY KEY,
        at      TEXT    NOT NULL,
        type    TEXT    NOT NULL,
        version INTEGER NOT NULL,
        origin  TEXT    NOT NULL,
        node    INTEGER,
        data    TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX events_of_node ON events (node, seq) WHERE node IS NOT NULL;
    CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
    CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

    -- Bodies that events refer to by digest.
    CREATE TABLE documents (
        hash  TEXT PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;

    -- The only table with secrets: `text`, which is emptied when the node's report is accepted.
    CREATE TABLE answers (
        hash     TEXT    PRIMARY KEY,
        node     INTEGER NOT NULL,
        text     TEXT,
        redacted TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX answers_of_node ON answers (node);

    -- The fleet after event `seq`: a short cut for loading, made anew whenever it is not understood.
    CREATE TABLE state (
        id      INTEGER PRIMARY KEY CHECK (id = 1),
        seq     INTEGER NOT NULL,
        version INTEGER NOT NULL,
        data    BLOB    NOT NULL
    ) STRICT;

    -- Tells this database from every other one, so that files of an earlier one are not taken for its own.
    CREATE TABLE identity (
        id   INTEGER PRIMARY KEY CHECK (id = 1),
        name TEXT NOT NULL
    ) STRICT;
    INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));
",
    "
    -- Events about two nodes belong to the history of both.
    CREATE INDEX events_of_other ON events (data ->> '$.other', seq) WHERE type = 'swapped';
",
    "
    -- Nobody read the texts as sent, with their secrets; nothing in this database is one any more.
    ALTER TABLE answers DROP COLUMN text;
",
];

/// The format this program writes.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Refuses a database of another program or of a later release, and returns the format of one of ours; 0 is an empty
/// file.
pub(super) fn check(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let number = |pragma| {
        db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(|error| StoreError::of(error, path))
    };
    let (application, found) = (number("application_id")?, number("user_version")?);
    let is_empty = number("schema_version")? == 0;
    if application != APPLICATION && !is_empty {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if found > newest() {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: newest() });
    }
    Ok(found)
}

/// Brings the database up to [`newest`], step by step, each step whole or not at all.
pub(super) fn run(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let found = check(db, path)?;
    let steps: Vec<_> = MIGRATIONS.iter().zip(1_i64..).filter(|(_, version)| *version > found).collect();
    let is_older = found > 0 && !steps.is_empty();
    let migrate = || {
        // What an older format held may be secret: it is overwritten, not only marked as free.
        db.pragma_update(None, "secure_delete", is_older)?;
        for (step, version) in steps {
            apply(db, step, version)?;
        }
        if is_older {
            // Nor is it left in the write-ahead log.
            let is_busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            if is_busy {
                tracing::warn!(
                    "somebody reads `{}`: what it held before stays in its log until it is idle",
                    path.display()
                );
            }
        }
        db.pragma_update(None, "secure_delete", false)
    };
    migrate().map_err(|error| StoreError::of(error, path))
}

fn apply(db: &mut Connection, step: &str, version: i64) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

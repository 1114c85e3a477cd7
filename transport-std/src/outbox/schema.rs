//! The file's tables, and how a connection to it is opened.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::check;
use super::error::OutboxErrorKind;
use super::look;

/// `PRAGMA application_id`: "POBX".
const APPLICATION_ID: i64 = 0x504f_4258;
/// The steps from one version of the file (`PRAGMA user_version`) to the next, from an empty file on. A
/// step that was released is never changed.
const MIGRATIONS: &[&str] =
    &[include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];
/// How long a connection waits for another process to finish writing.
const BUSY: Duration = Duration::from_secs(5);
/// What the write-ahead log keeps of its length, in bytes, after it was long.
const LOG_KEEPS: i64 = 8 << 20;

/// Who opens the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    /// The live outbox: makes the file when there is none, and brings an old one up to date.
    Outbox,
    /// A tool beside it: takes the file as it is.
    Tool,
    /// A tool that may only read.
    Look,
}

/// A connection to the outbox's file `path`. A file that is something else is left as it is.
pub(crate) fn open(path: &Path, opener: Opener) -> Result<Connection, OutboxErrorKind> {
    check_directory(path)?;
    if !path.exists() {
        match opener {
            Opener::Outbox => make_private(path)?,
            Opener::Tool | Opener::Look => return Err(OutboxErrorKind::NoFile),
        }
    }
    let connection = match opener {
        Opener::Outbox | Opener::Tool => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(path, flags)?
        }
        Opener::Look => look::open(path)?,
    };
    connection.busy_timeout(BUSY)?;
    check_kind(&connection, opener)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_KEEPS)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    if opener == Opener::Outbox {
        if version(&connection)? == 0 {
            // It has its effect before there are tables, and writes to the file every time.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(OutboxErrorKind::Sqlite(format!("it stays in the journal mode {mode}")));
        }
        check::at_open(&connection)?;
        migrate(&connection, MIGRATIONS)?;
    }
    Ok(connection)
}

/// Whether there is a directory for the file.
pub(crate) fn check_directory(path: &Path) -> Result<(), OutboxErrorKind> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(OutboxErrorKind::NoDirectory)
        }
        _ => Ok(()),
    }
}

/// An empty file that only this user can read. Its companions get its permissions from SQLite.
fn make_private(path: &Path) -> Result<(), OutboxErrorKind> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path)?;
    Ok(())
}

/// Whether the file is an outbox, or may become one. Nothing is written.
fn check_kind(connection: &Connection, opener: Opener) -> Result<(), OutboxErrorKind> {
    let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let (application, version): (i64, i64) = (application, version(connection)?);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let is_empty = application == 0
        && version == 0
        && connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
            == Ok(0);
    match opener {
        _ if application != APPLICATION_ID && !is_empty => Err(OutboxErrorKind::Foreign),
        _ if version > known => Err(OutboxErrorKind::Newer { found: version, known }),
        Opener::Tool | Opener::Look if version < known => Err(OutboxErrorKind::Older),
        // A negative version is nothing that this software has written.
        _ if version < 0 => Err(OutboxErrorKind::Corrupt),
        Opener::Outbox | Opener::Tool if connection.is_readonly("main")? => {
            Err(OutboxErrorKind::ReadOnly)
        }
        _ => Ok(()),
    }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings the file to the version after the last of `steps`, one transaction a step.
fn migrate(connection: &Connection, steps: &[&str]) -> rusqlite::Result<()> {
    loop {
        let version = version(connection)?;
        let Some(step) = usize::try_from(version).ok().and_then(|done| steps.get(done)) else {
            return Ok(());
        };
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
}

/// The random number that was made with the file.
pub(crate) fn instance(connection: &Connection) -> rusqlite::Result<u64> {
    let text: String =
        connection
            .query_row("SELECT value FROM meta WHERE name = 'instance'", (), |row| row.get(0))?;
    u64::from_str_radix(&text, 16).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_brought_up_to_date_step_by_step() {
        let steps =
            ["CREATE TABLE a(x)", "ALTER TABLE a ADD COLUMN y", "INSERT INTO a VALUES (1, 2)"];
        let connection = Connection::open_in_memory().unwrap();
        let version = || version(&connection).unwrap();
        migrate(&connection, &steps[..1]).unwrap();
        assert_eq!(version(), 1);
        migrate(&connection, &steps).unwrap();
        migrate(&connection, &steps).unwrap();
        assert_eq!(version(), 3);
        let sum: i64 = connection.query_row("SELECT sum(y) FROM a", (), |r| r.get(0)).unwrap();
        assert_eq!(sum, 2, "no step is done twice");
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a(x)", "CREATE TABLE b(x); CREATE TABLE a(x)"];
        migrate(&connection, &steps).unwrap_err();
        let found: (i64, i64) = connection
            .query_row(
                "SELECT (SELECT user_version FROM pragma_user_version), count(*) FROM sqlite_schema",
                (),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!(found, (1, 1));
    }
}

//! What people look at and correct, beside a live outbox or without one.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};

use super::change::transaction;
use super::error::{OutboxError, OutboxErrorKind};
use super::event::{DeadLetter, SIZE, Stored};
use super::ledger::{Counter, Counts, Ledger};
use super::lock::FileLock;
use super::look;
use super::reader::read;
use super::rows::{DEATH, EVENT, dead, signed, stored};
use super::schema::{self, Opener};

/// How many events are handed out between two looks at the file: a few megabytes at most, of the longest events.
const PAGE: usize = 100;

/// An outbox's file, beside the live outbox or without one. It makes no file and takes no lock; what is
/// written through it, the live outbox notices within a second. Every method blocks on the disk.
///
/// A file that may only be read, or whose directory may, is looked at all the same.
#[derive(Debug)]
pub struct OutboxFile {
    path: PathBuf,
    connection: Connection,
    /// It was found with nobody who writes it, and is read as one that does not change.
    is_still: bool,
}

/// Which dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// That with this id.
    Id(u64),
    /// Those whose topic matches: `*` stands for any text, everything else for itself.
    Topic(&'a str),
}

/// An event of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one at a time")]
pub enum Item {
    /// It waits.
    Waiting(Stored),
    /// It is a dead letter.
    Dead(DeadLetter),
}

/// What is in the file, at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// Whether a live outbox has the file.
    pub is_live: bool,
    /// The random number that was made with the file.
    pub instance: u64,
    /// What became of all events.
    pub ledger: Ledger,
    /// The id that was given last; 0 before the first.
    pub last_id: u64,
    /// The event that has waited longest.
    pub oldest: Option<Stored>,
    /// Dead letters that are to be put back, and are not yet.
    pub replays: u64,
    /// The sources whose positions are stored, with these.
    pub positions: Vec<(String, String)>,
    /// The length of the database without its write-ahead log, in bytes.
    pub file_bytes: u64,
}

/// Whether the file is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// What became of all events.
    pub ledger: Ledger,
    /// What is wrong, a sentence each. Empty: all is well.
    pub problems: Vec<String>,
}

impl OutboxFile {
    /// Opens the file `path`.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OutboxError> {
        let path = path.as_ref();
        let opener = if look::is_needed(path) { Opener::Look } else { Opener::Tool };
        let is_still = opener == Opener::Look && look::is_still(path);
        let connection = schema::open(path, opener).map_err(|kind| kind.at(path))?;
        Ok(Self { path: path.to_owned(), connection, is_still })
    }

    fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, OutboxError> {
        if self.is_still && !look::is_still(&self.path) {
            return Err(OutboxErrorKind::Changed.at(&self.path));
        }
        result.map_err(|error| OutboxErrorKind::from(error).at(&self.path))
    }

    /// What is in the file, at a glance.
    ///
    /// # Errors
    /// When the file cannot be read; so for all methods.
    pub fn status(&self) -> Result<OutboxStatus, OutboxError> {
        let look = || {
            let snapshot = self.connection.unchecked_transaction()?;
            let counts = Counts::read(&snapshot)?;
            let mut positions = snapshot.prepare("SELECT source, position FROM positions")?;
            let replays = number(&snapshot, "SELECT count(*) FROM replays")?;
            let pages = number(&snapshot, "SELECT page_count FROM pragma_page_count")?;
            let page = number(&snapshot, "SELECT page_size FROM pragma_page_size")?;
            Ok(OutboxStatus {
                is_live: FileLock::is_held(&self.path),
                instance: schema::instance(&snapshot)?,
                ledger: counts.into(),
                last_id: count(counts.get(Counter::LastId)),
                oldest: read(&snapshot, 0, 1, 0)?.pop(),
                replays: count(replays),
                positions: positions
                    .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?,
                file_bytes: count(pages * page),
            })
        };
        self.told(look())
    }

    /// Events that wait, after the id `after`, `most` at most.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn list(&self, after: u64, most: usize) -> Result<Vec<Stored>, OutboxError> {
        self.told(read(&self.connection, after, most, usize::MAX))
    }

    /// Dead letters after the id `after`, `most` at most.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn dead(&self, after: u64, most: usize) -> Result<Vec<DeadLetter>, OutboxError> {
        let look = || {
            let mut statement = self.connection.prepare(&format!(
                "SELECT {EVENT}, {DEATH}, id IN (SELECT id FROM replays)
                 FROM dead WHERE id > ?1 ORDER BY id LIMIT ?2"
            ))?;
            let limit = i64::try_from(most).unwrap_or(i64::MAX);
            statement.query_map((signed(after), limit), dead)?.collect()
        };
        self.told(look())
    }

    /// The event with this id, unless it was delivered or lost.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn show(&self, id: u64) -> Result<Option<Item>, OutboxError> {
        let sql = format!("SELECT {EVENT} FROM events WHERE id = ?1");
        let waiting = self.connection.query_row(&sql, [signed(id)], stored).optional();
        if let Some(event) = self.told(waiting)? {
            return Ok(Some(Item::Waiting(event)));
        }
        let letter = self.dead(id.saturating_sub(1), 1)?.pop();
        Ok(letter.filter(|letter| letter.event.id == id).map(Item::Dead))
    }

    /// Asks for dead letters to be put back: the live outbox does it within a second, or the next one when it
    /// is opened, as there is room. They get new ids, at the end. Returns how many were not asked for before.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn replay(&self, which: Which<'_>) -> Result<u64, OutboxError> {
        let (condition, value) = which.condition();
        let sql = format!("INSERT OR IGNORE INTO replays SELECT id FROM dead WHERE {condition}");
        self.told(self.connection.execute(&sql, [value])).map(|rows| rows as u64)
    }

    /// Removes dead letters for good, and returns how many.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn purge(&self, which: Which<'_>) -> Result<u64, OutboxError> {
        let (condition, value) = which.condition();
        let purged = transaction(&self.connection, |change| {
            let sql = format!("DELETE FROM dead WHERE {condition}");
            let purged = self.connection.execute(&sql, [value])?;
            let gone = "DELETE FROM replays WHERE id NOT IN (SELECT id FROM dead)";
            self.connection.execute(gone, ())?;
            change.add(Counter::Purged, i64::try_from(purged).unwrap_or(i64::MAX));
            Ok(purged)
        });
        self.told(purged).map(|(purged, _)| purged as u64)
    }

    /// Hands out every event that waits, in the order of ids, until `to` fails. It looks at the file again
    /// after some of them: what changes meanwhile may be handed out or not.
    ///
    /// # Errors
    /// The file's, as those of `to`.
    pub fn each_waiting<E: From<OutboxError>>(
        &self,
        to: impl FnMut(Stored) -> Result<(), E>,
    ) -> Result<(), E> {
        in_pages(|after| self.list(after, PAGE), |event| event.id, to)
    }

    /// Hands out every dead letter, as [`each_waiting`](Self::each_waiting) does events.
    ///
    /// # Errors
    /// The file's, as those of `to`.
    pub fn each_dead<E: From<OutboxError>>(
        &self,
        to: impl FnMut(DeadLetter) -> Result<(), E>,
    ) -> Result<(), E> {
        in_pages(|after| self.dead(after, PAGE), |letter| letter.event.id, to)
    }

    /// Checks the database, and that its counters agree with one another and with what is there.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub fn verify(&self) -> Result<Verification, OutboxError> {
        let look = || {
            let snapshot = self.connection.unchecked_transaction()?;
            let mut check = snapshot.prepare("PRAGMA integrity_check")?;
            // What is damaged too badly ends the check with an error, which is a finding as well.
            let mut problems: Vec<String> = check
                .query_map((), |row| row.get(0))?
                .map(|line| line.unwrap_or_else(|error| error.to_string()))
                .filter(|line| line != "ok")
                .collect();
            let counts = Counts::read(&snapshot)?;
            // Where the database is damaged, nothing can be counted.
            match compare(&snapshot, &counts) {
                Ok(found) => problems.extend(found),
                Err(error) => problems.push(format!("what is there cannot be counted: {error}")),
            }
            Ok(Verification { ledger: counts.into(), problems })
        };
        self.told(look())
    }
}

/// Hands out one page after the other: a long look at the file would keep its log from being emptied.
fn in_pages<T, E: From<OutboxError>>(
    page: impl Fn(u64) -> Result<Vec<T>, OutboxError>,
    id: impl Fn(&T) -> u64,
    mut to: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut after = 0;
    loop {
        let page = page(after)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = id(last);
        page.into_iter().try_for_each(&mut to)?;
    }
}

/// Where the counters do not agree with one another or with what is there.
fn compare(snapshot: &Connection, counts: &Counts) -> rusqlite::Result<Vec<String>> {
    let mut problems = Vec::new();
    let bytes = format!("SELECT ifnull(sum({SIZE}), 0) FROM events");
    for (what, counted, sql) in [
        ("events that wait", counts.stored(), "SELECT count(*) FROM events"),
        ("their bytes", counts.get(Counter::StoredBytes), bytes.as_str()),
        ("dead letters", counts.dead(), "SELECT count(*) FROM dead"),
        ("origins", counts.get(Counter::Origins), "SELECT count(*) FROM origins"),
    ] {
        let there = number(snapshot, sql)?;
        if there != counted {
            problems.push(format!("{what}: {counted} by the counters, {there} there"));
        }
    }
    let greatest = number(
        snapshot,
        "SELECT max(ifnull((SELECT max(id) FROM events), 0),
                    ifnull((SELECT max(id) FROM dead), 0))",
    )?;
    let last = counts.get(Counter::LastId);
    if greatest > last {
        problems.push(format!("id {greatest} is there, and {last} was given last"));
    }
    for (counter, name) in Counter::ALL {
        if counts.get(counter) < 0 {
            problems.push(format!("the counter {name} is negative"));
        }
    }
    Ok(problems)
}

impl Which<'_> {
    /// As an SQL condition on a dead letter, with one value.
    fn condition(self) -> (&'static str, rusqlite::types::Value) {
        match self {
            Self::All => ("?1 IS NULL", rusqlite::types::Value::Null),
            Self::Id(id) => ("id = ?1", signed(id).into()),
            // SQLite's patterns know more than the star.
            Self::Topic(glob) => {
                ("topic GLOB ?1", glob.replace('[', "[[]").replace('?', "[?]").into())
            }
        }
    }
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, (), |row| row.get(0))
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

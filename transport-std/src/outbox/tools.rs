//! What people look at and correct, beside a live outbox or without one.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};

use super::error::{OutboxError, OutboxErrorKind};
use super::event::{DeadLetter, EndpointId, Stored};
use super::ledger::{Account, Counter, Counts, Ledger, accounts, count};
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
    pub(crate) connection: Connection,
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

/// An event of the file, for one of its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// It waits.
    Waiting {
        /// The name of the endpoint that it waits for.
        endpoint: String,
        /// The event.
        event: Stored,
    },
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
    /// What became of all events, of all endpoints together.
    pub ledger: Ledger,
    /// Events that wait, for however many endpoints.
    pub events: u64,
    /// The id that was given last; 0 before the first.
    pub last_id: u64,
    /// The event that has waited longest.
    pub oldest: Option<Stored>,
    /// Dead letters that are to be put back, and are not yet.
    pub replays: u64,
    /// The endpoints, in the order in which they were added.
    pub endpoints: Vec<EndpointStatus>,
    /// The sources whose positions are stored, with these.
    pub positions: Vec<(String, String)>,
    /// The length of the database without its write-ahead log, in bytes.
    pub file_bytes: u64,
}

/// What is in the file for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStatus {
    /// Its name.
    pub name: String,
    /// What became of all events that were for it.
    pub ledger: Ledger,
    /// The event that has waited longest for it.
    pub oldest: Option<Stored>,
    /// Dead letters that are to be put back for it, and are not yet.
    pub replays: u64,
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

    pub(crate) fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, OutboxError> {
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
            let pages = number(&snapshot, "SELECT page_count FROM pragma_page_count")?;
            let page = number(&snapshot, "SELECT page_size FROM pragma_page_size")?;
            let accounts = accounts(&snapshot)?;
            let ledger = Ledger::of_file(&counts, accounts.iter().map(|(.., account)| account));
            let endpoints: Vec<_> = accounts
                .into_iter()
                .map(|account| endpoint_status(&snapshot, account))
                .collect::<Result<_, _>>()?;
            let oldest = endpoints.iter().filter_map(|it| it.oldest.as_ref());
            Ok(OutboxStatus {
                is_live: FileLock::is_held(&self.path),
                instance: schema::instance(&snapshot)?,
                ledger,
                events: count(counts.get(Counter::Events)),
                last_id: count(counts.get(Counter::LastId)),
                oldest: oldest.min_by_key(|event| event.id).cloned(),
                replays: endpoints.iter().map(|it| it.replays).sum(),
                endpoints,
                positions: positions
                    .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?,
                file_bytes: count(pages * page),
            })
        };
        self.told(look())
    }

    /// The endpoint that is called so.
    pub(crate) fn endpoint(&self, name: &str) -> Result<EndpointId, OutboxError> {
        let sql = "SELECT id FROM endpoints WHERE name = ?1";
        let found = self.connection.query_row(sql, [name], |row| row.get(0)).optional();
        let none = || OutboxErrorKind::NoEndpoint(name.to_owned()).at(&self.path);
        self.told(found)?.ok_or_else(none)
    }

    /// All endpoints with their names, or the one that is called so.
    pub(crate) fn endpoints(
        &self,
        name: Option<&str>,
    ) -> Result<Vec<(EndpointId, String)>, OutboxError> {
        match name {
            Some(name) => Ok(vec![(self.endpoint(name)?, name.to_owned())]),
            None => {
                let all = self.told(accounts(&self.connection))?;
                Ok(all.into_iter().map(|(id, name, _)| (id, name)).collect())
            }
        }
    }

    /// Events that wait for an endpoint, after the id `after`, `most` at most.
    ///
    /// # Errors
    /// As [`status`](Self::status), and when there is no such endpoint; so for all that name one.
    pub fn list(
        &self,
        endpoint: &str,
        after: u64,
        most: usize,
    ) -> Result<Vec<Stored>, OutboxError> {
        self.list_of(self.endpoint(endpoint)?, after, most)
    }

    fn list_of(
        &self,
        endpoint: EndpointId,
        after: u64,
        most: usize,
    ) -> Result<Vec<Stored>, OutboxError> {
        self.told(read(&self.connection, endpoint, after, most, usize::MAX))
    }

    /// Dead letters of an endpoint, after the id `after`, `most` at most.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn dead(
        &self,
        endpoint: &str,
        after: u64,
        most: usize,
    ) -> Result<Vec<DeadLetter>, OutboxError> {
        self.dead_of((self.endpoint(endpoint)?, endpoint), after, most)
    }

    fn dead_of(
        &self,
        (endpoint, name): (EndpointId, &str),
        after: u64,
        most: usize,
    ) -> Result<Vec<DeadLetter>, OutboxError> {
        let look = || {
            let mut statement = self.connection.prepare(&format!(
                "SELECT {EVENT}, {DEATH}, id IN (SELECT id FROM replays WHERE endpoint = ?1)
                 FROM dead WHERE endpoint = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
            ))?;
            let limit = i64::try_from(most).unwrap_or(i64::MAX);
            statement.query_map((endpoint, signed(after), limit), |row| dead(row, name))?.collect()
        };
        self.told(look())
    }

    /// The event with this id, for each endpoint that it waits for or that it is a dead letter of; or for the one that is
    /// called so. It is nowhere when it was delivered or lost.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn show(&self, id: u64, endpoint: Option<&str>) -> Result<Vec<Item>, OutboxError> {
        let mut items = Vec::new();
        let before = id.saturating_sub(1);
        for (endpoint, name) in self.endpoints(endpoint)? {
            let letters = self.dead_of((endpoint, &name), before, 1)?;
            items.extend(letters.into_iter().filter(|it| it.event.id == id).map(Item::Dead));
            let waiting = self.list_of(endpoint, before, 1)?.pop();
            if let Some(event) = waiting.filter(|event| event.id == id) {
                items.push(Item::Waiting { endpoint: name, event });
            }
        }
        Ok(items)
    }

    /// Asks for dead letters to be put back, of all endpoints or of one: the live outbox does it within a second, or the
    /// next one when it is opened, as there is room. They get new ids, at the end. Returns how many were not asked for
    /// before.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn replay(&self, which: Which<'_>, endpoint: Option<&str>) -> Result<u64, OutboxError> {
        let (condition, value) = which.condition();
        let sql = format!(
            "INSERT OR IGNORE INTO replays (endpoint, id)
             SELECT endpoint, id FROM dead WHERE (?2 IS NULL OR endpoint = ?2) AND {condition}"
        );
        let endpoint = endpoint.map(|name| self.endpoint(name)).transpose()?;
        self.told(self.connection.execute(&sql, (value, endpoint))).map(|rows| rows as u64)
    }

    /// Hands out every event that waits, in the order of ids, until `to` fails: once, for however many endpoints it
    /// waits. It looks at the file again after some of them: what changes meanwhile may be handed out or not.
    ///
    /// # Errors
    /// The file's, as those of `to`.
    pub fn each_event<E: From<OutboxError>>(
        &self,
        to: impl FnMut(Stored) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!("SELECT {EVENT} FROM events WHERE id > ?1 ORDER BY id LIMIT {PAGE}");
        let page = |after| {
            let look = || {
                let mut statement = self.connection.prepare(&sql)?;
                statement.query_map([signed(after)], stored)?.collect()
            };
            self.told(look())
        };
        in_pages(page, |event| event.id, to)
    }

    /// Hands out every event that waits for an endpoint, with the endpoint's name, as [`each_event`](Self::each_event)
    /// does: of all endpoints, one after the other, or of the one that is called so.
    ///
    /// # Errors
    /// The file's, as those of `to`.
    pub fn each_waiting<E: From<OutboxError>>(
        &self,
        endpoint: Option<&str>,
        mut to: impl FnMut(&str, Stored) -> Result<(), E>,
    ) -> Result<(), E> {
        for (endpoint, name) in self.endpoints(endpoint)? {
            let page = |after| self.list_of(endpoint, after, PAGE);
            in_pages(page, |event| event.id, |event| to(&name, event))?;
        }
        Ok(())
    }

    /// Hands out every dead letter, as [`each_waiting`](Self::each_waiting) does events.
    ///
    /// # Errors
    /// The file's, as those of `to`.
    pub fn each_dead<E: From<OutboxError>>(
        &self,
        endpoint: Option<&str>,
        mut to: impl FnMut(DeadLetter) -> Result<(), E>,
    ) -> Result<(), E> {
        for (endpoint, name) in self.endpoints(endpoint)? {
            let page = |after| self.dead_of((endpoint, &name), after, PAGE);
            in_pages(page, |letter| letter.event.id, &mut to)?;
        }
        Ok(())
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

fn endpoint_status(
    snapshot: &Connection,
    (id, name, account): (EndpointId, String, Account),
) -> rusqlite::Result<EndpointStatus> {
    let replays = "SELECT count(*) FROM replays WHERE endpoint = ?1";
    Ok(EndpointStatus {
        ledger: (&account).into(),
        oldest: read(snapshot, id, 0, 1, 0)?.pop(),
        replays: count(snapshot.query_row(replays, [id], |row| row.get(0))?),
        name,
    })
}

impl Which<'_> {
    /// As an SQL condition on a dead letter, with one value.
    pub(crate) fn condition(self) -> (&'static str, rusqlite::types::Value) {
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

pub(crate) fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, (), |row| row.get(0))
}

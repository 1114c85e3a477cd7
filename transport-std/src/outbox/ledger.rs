//! What is counted over a file's whole life: for the file, and for each endpoint, with the law that its account obeys.

use std::fmt;

use rusqlite::{Connection, Row};
use serde::Serialize;

use super::event::EndpointId;

/// A row of the table `counters`: what is counted once for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Events that wait, for however many endpoints.
    Events,
    /// The room that they take.
    StoredBytes,
    LastId,
    Repeats,
    Origins,
}

impl Counter {
    pub(crate) const ALL: [(Self, &str); 5] = [
        (Self::Events, "events"),
        (Self::StoredBytes, "stored_bytes"),
        (Self::LastId, "last_id"),
        (Self::Repeats, "repeats"),
        (Self::Origins, "origins"),
    ];
}

/// A number for each counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([i64; Counter::ALL.len()]);

impl Counts {
    /// The rows that [`add_row`](Self::add_row) takes.
    pub(crate) const SQL: &str = "SELECT name, value FROM counters";

    /// Those of the file. A counter that is missing is 0.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut counts = Self::default();
        let mut statement = connection.prepare(Self::SQL)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            counts.add_row(row)?;
        }
        Ok(counts)
    }

    pub(crate) fn add_row(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let name = row.get_ref(0)?.as_str()?;
        if let Some((counter, _)) = Counter::ALL.iter().find(|(_, known)| *known == name) {
            self.0[*counter as usize] = row.get(1)?;
        }
        Ok(())
    }

    pub(crate) const fn get(&self, counter: Counter) -> i64 {
        self.0[counter as usize]
    }

    pub(crate) const fn add(&mut self, counter: Counter, number: i64) {
        self.0[counter as usize] += number;
    }
}

/// A column of the table `endpoints`: what is counted for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Accepted,
    Delivered,
    Rejected,
    Exhausted,
    Oversize,
    Replayed,
    /// Dead letters that somebody removed.
    Purged,
    /// What waited for the endpoint when it was removed, or when somebody removed that.
    Removed,
    Expired,
    AgedOut,
    Dropped,
    StoredBytes,
}

impl Entry {
    pub(crate) const ALL: [(Self, &str); 12] = [
        (Self::Accepted, "accepted"),
        (Self::Delivered, "delivered"),
        (Self::Rejected, "rejected"),
        (Self::Exhausted, "exhausted"),
        (Self::Oversize, "oversize"),
        (Self::Replayed, "replayed"),
        (Self::Purged, "purged"),
        (Self::Removed, "removed"),
        (Self::Expired, "expired"),
        (Self::AgedOut, "aged_out"),
        (Self::Dropped, "dropped"),
        (Self::StoredBytes, "stored_bytes"),
    ];

    /// The columns, in their order.
    pub(crate) fn columns() -> String {
        Self::ALL.map(|(_, name)| name).join(", ")
    }
}

/// The account of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account([i64; Entry::ALL.len()]);

impl Account {
    /// From the columns [`Entry::columns`], which begin at `first`.
    pub(crate) fn from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let mut account = Self::default();
        for (index, number) in account.0.iter_mut().enumerate() {
            *number = row.get(first + index)?;
        }
        Ok(account)
    }

    pub(crate) const fn get(&self, entry: Entry) -> i64 {
        self.0[entry as usize]
    }

    pub(crate) const fn add(&mut self, entry: Entry, number: i64) {
        self.0[entry as usize] += number;
    }

    pub(crate) const fn numbers(&self) -> &[i64] {
        &self.0
    }

    /// What became dead letters, ever.
    const fn died(&self) -> i64 {
        self.get(Entry::Rejected) + self.get(Entry::Exhausted) + self.get(Entry::Oversize)
    }

    /// Dead letters that are there.
    pub(crate) const fn dead(&self) -> i64 {
        self.died() - self.get(Entry::Replayed) - self.get(Entry::Purged) - self.get(Entry::Expired)
    }

    /// Events that wait.
    pub(crate) const fn stored(&self) -> i64 {
        self.get(Entry::Accepted) + self.get(Entry::Replayed)
            - self.get(Entry::Delivered)
            - self.died()
            - self.get(Entry::Removed)
            - self.get(Entry::AgedOut)
            - self.get(Entry::Dropped)
    }
}

/// What became of all events of an endpoint, or of all endpoints, over a file's whole life.
///
/// `accepted` is the sum of `delivered`, `dead`, `purged`, `expired`, `aged_out`, `dropped` and `stored`. An event
/// counts for each endpoint that it is for. `dead` and `stored` follow from what is counted as things happen; `verify`
/// compares them with what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ledger {
    /// Events that were taken. A replay is not counted again.
    pub accepted: u64,
    /// The receiver has them.
    pub delivered: u64,
    /// Became dead letters: refused for good. One that was replayed may be counted again.
    pub rejected: u64,
    /// Became dead letters: given up after the last attempt.
    pub exhausted: u64,
    /// Became dead letters: too long to be sent.
    pub oversize: u64,
    /// Dead letters that were put back.
    pub replayed: u64,
    /// Dead letters that somebody removed, and what waited for an endpoint and was removed with it or by somebody.
    pub purged: u64,
    /// Dead letters that gave way to newer ones.
    pub expired: u64,
    /// Events that became older than the greatest age.
    pub aged_out: u64,
    /// Events that came while the endpoint's backlog had reached its bound.
    pub dropped: u64,
    /// Events that came again from their origin and were not stored again. Counted for the file only.
    pub repeats: u64,
    /// Dead letters that are there.
    pub dead: u64,
    /// Events that wait.
    pub stored: u64,
    /// The room that they take, in bytes. Of the file it is less than the sum, as an event is stored once.
    pub stored_bytes: u64,
}

impl From<&Account> for Ledger {
    fn from(account: &Account) -> Self {
        // Only a file that was tampered with has less than nothing; `verify` tells.
        let get = |entry| count(account.get(entry));
        Self {
            accepted: get(Entry::Accepted),
            delivered: get(Entry::Delivered),
            rejected: get(Entry::Rejected),
            exhausted: get(Entry::Exhausted),
            oversize: get(Entry::Oversize),
            replayed: get(Entry::Replayed),
            purged: get(Entry::Purged) + get(Entry::Removed),
            expired: get(Entry::Expired),
            aged_out: get(Entry::AgedOut),
            dropped: get(Entry::Dropped),
            repeats: 0,
            dead: count(account.dead()),
            stored: count(account.stored()),
            stored_bytes: get(Entry::StoredBytes),
        }
    }
}

impl Ledger {
    /// Of the file: the sum of `accounts`, with what is counted once.
    pub(crate) fn of_file<'a>(
        counts: &Counts,
        accounts: impl IntoIterator<Item = &'a Account>,
    ) -> Self {
        let mut sum = Account::default();
        for account in accounts {
            sum.0.iter_mut().zip(account.0).for_each(|(sum, number)| *sum += number);
        }
        Self {
            repeats: count(counts.get(Counter::Repeats)),
            stored_bytes: count(counts.get(Counter::StoredBytes)),
            ..Self::from(&sum)
        }
    }
}

/// The counters of a file and of its endpoints, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledgers {
    /// Of the file: the sum of those of its endpoints.
    pub file: Ledger,
    /// Of each endpoint, by its name, in the order in which they were added.
    pub endpoints: Vec<(String, Ledger)>,
}

/// A counter, which is never negative in a file that is sound.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The endpoints with their names and accounts, in the order in which they were added.
pub(crate) fn accounts(
    connection: &Connection,
) -> rusqlite::Result<Vec<(EndpointId, String, Account)>> {
    let sql = format!("SELECT id, name, {} FROM endpoints ORDER BY id", Entry::columns());
    let mut statement = connection.prepare(&sql)?;
    let account = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, Account::from_row(row, 2)?));
    statement.query_map((), account)?.collect()
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, delivered, dead, purged, expired, aged_out, dropped, stored, .. } =
            self;
        write!(
            f,
            "{accepted} accepted = {delivered} delivered + {dead} dead + {purged} purged + \
             {expired} expired + {aged_out} aged out + {dropped} dropped + {stored} stored"
        )
    }
}

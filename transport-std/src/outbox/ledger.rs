//! The counters of a file's whole life, and the law that they obey.

use std::fmt;

use serde::Serialize;

use rusqlite::Connection;

/// A row of the table `counters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Accepted,
    Delivered,
    Rejected,
    Exhausted,
    Oversize,
    Replayed,
    Purged,
    Expired,
    AgedOut,
    Repeats,
    LastId,
    StoredBytes,
    Origins,
}

impl Counter {
    pub(crate) const ALL: [(Self, &str); 13] = [
        (Self::Accepted, "accepted"),
        (Self::Delivered, "delivered"),
        (Self::Rejected, "rejected"),
        (Self::Exhausted, "exhausted"),
        (Self::Oversize, "oversize"),
        (Self::Replayed, "replayed"),
        (Self::Purged, "purged"),
        (Self::Expired, "expired"),
        (Self::AgedOut, "aged_out"),
        (Self::Repeats, "repeats"),
        (Self::LastId, "last_id"),
        (Self::StoredBytes, "stored_bytes"),
        (Self::Origins, "origins"),
    ];
}

/// A number for each counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([i64; Counter::ALL.len()]);

impl Counts {
    /// Those of the file. A counter that is missing is 0.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut counts = Self::default();
        let mut statement = connection.prepare("SELECT name, value FROM counters")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str()?;
            if let Some((counter, _)) = Counter::ALL.iter().find(|(_, known)| *known == name) {
                counts.0[*counter as usize] = row.get(1)?;
            }
        }
        Ok(counts)
    }

    pub(crate) const fn get(&self, counter: Counter) -> i64 {
        self.0[counter as usize]
    }

    pub(crate) const fn add(&mut self, counter: Counter, number: i64) {
        self.0[counter as usize] += number;
    }

    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(mine, its)| *mine += its);
        self
    }

    /// What became dead letters, ever.
    const fn died(&self) -> i64 {
        self.get(Counter::Rejected) + self.get(Counter::Exhausted) + self.get(Counter::Oversize)
    }

    /// Dead letters that are there.
    pub(crate) const fn dead(&self) -> i64 {
        self.died()
            - self.get(Counter::Replayed)
            - self.get(Counter::Purged)
            - self.get(Counter::Expired)
    }

    /// Events that wait.
    pub(crate) const fn stored(&self) -> i64 {
        self.get(Counter::Accepted) + self.get(Counter::Replayed)
            - self.get(Counter::Delivered)
            - self.died()
            - self.get(Counter::AgedOut)
    }
}

/// What became of all events of a file's life.
///
/// `accepted` is the sum of `delivered`, `dead`, `purged`, `expired`, `aged_out` and `stored`. The first six
/// are counted as things happen; `verify` compares `dead` and `stored` with what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ledger {
    /// Events that were stored. A replay is not counted again.
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
    /// Dead letters that somebody removed.
    pub purged: u64,
    /// Dead letters that gave way to newer ones.
    pub expired: u64,
    /// Events that became older than the greatest age.
    pub aged_out: u64,
    /// Events that came again from their origin and were not stored again.
    pub repeats: u64,
    /// Dead letters that are there.
    pub dead: u64,
    /// Events that wait.
    pub stored: u64,
    /// The room that they take, in bytes.
    pub stored_bytes: u64,
}

impl From<Counts> for Ledger {
    fn from(counts: Counts) -> Self {
        // Only a file that was tampered with has less than nothing; `verify` tells.
        let get = |counter| u64::try_from(counts.get(counter)).unwrap_or(0);
        Self {
            accepted: get(Counter::Accepted),
            delivered: get(Counter::Delivered),
            rejected: get(Counter::Rejected),
            exhausted: get(Counter::Exhausted),
            oversize: get(Counter::Oversize),
            replayed: get(Counter::Replayed),
            purged: get(Counter::Purged),
            expired: get(Counter::Expired),
            aged_out: get(Counter::AgedOut),
            repeats: get(Counter::Repeats),
            dead: u64::try_from(counts.dead()).unwrap_or(0),
            stored: u64::try_from(counts.stored()).unwrap_or(0),
            stored_bytes: get(Counter::StoredBytes),
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, delivered, dead, purged, expired, aged_out, stored, .. } = self;
        write!(
            f,
            "{accepted} accepted = {delivered} delivered + {dead} dead + {purged} purged + \
             {expired} expired + {aged_out} aged out + {stored} stored"
        )
    }
}

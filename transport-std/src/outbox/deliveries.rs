//! What an endpoint waits for, as runs of ids: an event goes when its last delivery ends.

use rusqlite::{Connection, OptionalExtension as _, Statement};

use super::batch::{Attempt, Round};
use super::change::Change;
use super::event::{DELIVERY, EndpointId, ROW, TEXTS};
use super::ledger::{Counter, Entry};
use super::rows::TRIED;
use super::run::Run;

/// The statements that begin and end deliveries. A row is a run of events for all of which the endpoint waits; two runs of
/// an endpoint have no event in common.
pub(crate) struct Deliveries<'c> {
    begin: Statement<'c>,
    go_on: Statement<'c>,
    find: Statement<'c>,
    look: Statement<'c>,
    end: Statement<'c>,
    cut: Statement<'c>,
    remove: Statement<'c>,
    release: Statement<'c>,
    note: Statement<'c>,
    forget: Statement<'c>,
}

/// What events that go or stay have.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// How many there are.
    all: i64,
    /// The length of their texts.
    texts: i64,
    /// Those that wait for one endpoint only, and the length of their texts.
    last: i64,
    last_texts: i64,
}

/// What an event takes of an endpoint's bound, in bytes, when its texts have this length.
pub(crate) const fn share(texts: i64) -> i64 {
    texts + ROW.cast_signed() + DELIVERY.cast_signed()
}

/// What is read of the events that wait for the endpoint ?1 after the id ?2, in the order of ids.
pub(crate) fn waiting(columns: &str) -> String {
    format!(
        "SELECT {columns} FROM deliveries
             CROSS JOIN events ON events.id BETWEEN max(first, ?2 + 1) AND last
             LEFT JOIN attempts ON attempts.endpoint = ?1 AND event = events.id
         WHERE deliveries.endpoint = ?1 AND last > ?2 ORDER BY last, events.id"
    )
}

impl<'c> Deliveries<'c> {
    pub(crate) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql: &str| connection.prepare(sql);
        Ok(Self {
            begin: prepare("INSERT INTO deliveries (endpoint, first, last) VALUES (?1, ?2, ?3)")?,
            go_on: prepare(
                "UPDATE deliveries SET last = ?3 WHERE endpoint = ?1 AND last = ?2 - 1",
            )?,
            find: prepare(
                "SELECT first, last FROM deliveries WHERE endpoint = ?1 AND last >= ?2
                 ORDER BY last",
            )?,
            look: prepare(&format!(
                "SELECT count(*), ifnull(sum({TEXTS}), 0),
                     ifnull(sum(due = 1), 0), ifnull(sum(iif(due = 1, {TEXTS}, 0)), 0)
                 FROM events WHERE id BETWEEN ?1 AND ?2"
            ))?,
            end: prepare("DELETE FROM deliveries WHERE endpoint = ?1 AND last = ?2")?,
            cut: prepare("UPDATE deliveries SET first = ?3 WHERE endpoint = ?1 AND last = ?2")?,
            remove: prepare("DELETE FROM events WHERE id BETWEEN ?1 AND ?2 AND due = 1")?,
            release: prepare("UPDATE events SET due = due - 1 WHERE id BETWEEN ?1 AND ?2")?,
            note: prepare(&format!(
                "INSERT OR REPLACE INTO attempts (endpoint, event, {TRIED})
                 SELECT ?1, id, ?4, ?5, ?6 FROM events WHERE id BETWEEN ?2 AND ?3"
            ))?,
            forget: prepare(
                "DELETE FROM attempts WHERE endpoint = ?1 AND event BETWEEN ?2 AND ?3",
            )?,
        })
    }

    /// Writes the deliveries that were begun by the change, once.
    pub(crate) fn begin(&mut self, change: &mut Change<'_, '_>) -> rusqlite::Result<()> {
        for (endpoint, runs) in change.take_runs() {
            for (place, Run { first, last }) in runs.into_iter().enumerate() {
                // There are gaps between them: only the first one may continue what is there.
                if place > 0 || self.go_on.execute((endpoint, first, last))? == 0 {
                    self.begin.execute((endpoint, first, last))?;
                }
            }
        }
        Ok(())
    }

    /// Whether the endpoint waits for the event.
    pub(crate) fn waits(&mut self, endpoint: EndpointId, id: i64) -> rusqlite::Result<bool> {
        let first = self.find.query_row((endpoint, id), |row| row.get::<_, i64>(0)).optional()?;
        Ok(first.is_some_and(|first| first <= id))
    }

    /// The runs of an endpoint that have events of `run`.
    fn find(&mut self, endpoint: EndpointId, run: Run) -> rusqlite::Result<Vec<Run>> {
        let mut found = Vec::new();
        let mut rows = self.find.query((endpoint, run.first))?;
        while let Some(row) = rows.next()? {
            let next = Run { first: row.get(0)?, last: row.get(1)? };
            if next.first > run.last {
                break;
            }
            found.push(next);
        }
        Ok(found)
    }

    /// Notes an attempt at events, as far as the endpoint waits for them, or that there was none in any round.
    pub(crate) fn note(&mut self, round: &Round) -> rusqlite::Result<()> {
        let Attempt { endpoint, run, attempts, failed_at, wait } = match *round {
            Round::GoesOn(attempt) => attempt,
            Round::AllAnew(endpoint) => {
                return self.forget.execute((endpoint, 0, i64::MAX)).map(drop);
            }
        };
        for waits in self.find(endpoint, run)? {
            let Run { first, last } = run.and(waits);
            self.note.execute((endpoint, first, last, attempts, failed_at, wait))?;
        }
        Ok(())
    }

    fn look(&mut self, run: Run) -> rusqlite::Result<Found> {
        self.look.query_row((run.first, run.last), |row| {
            Ok(Found {
                all: row.get(0)?,
                texts: row.get(1)?,
                last: row.get(2)?,
                last_texts: row.get(3)?,
            })
        })
    }

    /// The endpoint waits for these events no longer, and those go that no other endpoint waits for. Those that it does not
    /// wait for are left alone. Returns how many ended.
    pub(crate) fn end(
        &mut self,
        change: &mut Change<'_, '_>,
        endpoint: EndpointId,
        run: Run,
        entry: Entry,
    ) -> rusqlite::Result<i64> {
        let mut ended = 0;
        for waits in self.find(endpoint, run)? {
            let gone = run.and(waits);
            self.forget.execute((endpoint, gone.first, gone.last))?;
            for piece in gone.pieces() {
                ended += self.end_events(change, endpoint, piece, entry)?;
            }
            if gone.last < waits.last {
                self.cut.execute((endpoint, waits.last, gone.last + 1))?;
            } else {
                self.end.execute((endpoint, waits.last))?;
            }
            if waits.first < gone.first {
                self.begin.execute((endpoint, waits.first, gone.first - 1))?;
            }
        }
        Ok(ended)
    }

    /// The endpoint waits for all of these events.
    fn end_events(
        &mut self,
        change: &mut Change<'_, '_>,
        endpoint: EndpointId,
        run: Run,
        entry: Entry,
    ) -> rusqlite::Result<i64> {
        let Found { all, texts, last, last_texts } = self.look(run)?;
        if last > 0 {
            self.remove.execute((run.first, run.last))?;
        }
        if last < all {
            self.release.execute((run.first, run.last))?;
        }
        change.add(Counter::Events, -last);
        let rows = last_texts + ROW.cast_signed() * last;
        change.add(Counter::StoredBytes, -rows - DELIVERY.cast_signed() * all);
        let account = change.of(endpoint)?;
        account.add(entry, all);
        account.add(Entry::StoredBytes, -texts - share(0) * all);
        Ok(all)
    }
}

//! What an endpoint waits for, row by row: an event goes when its last delivery ends.

use rusqlite::{Connection, Statement};

use super::change::{Change, Run, Touched};
use super::event::{DELIVERY, EndpointId, ROW, TEXTS};
use super::ledger::{Counter, Entry};

/// The statements that begin and end deliveries. Of events in a row each is made once for all.
pub(crate) struct Deliveries<'c> {
    begin: Statement<'c>,
    look: Statement<'c>,
    end: Statement<'c>,
    remove: Statement<'c>,
    release: Statement<'c>,
}

/// What deliveries that end take with them.
#[derive(Clone, Copy, Debug, Default)]
struct Ending {
    /// How many there are.
    deliveries: i64,
    /// The length of the texts of their events.
    texts: i64,
    /// Events that wait for no other endpoint, and the length of their texts.
    events: i64,
    event_texts: i64,
}

/// What an event takes of an endpoint's bound, in bytes, when its texts have this length.
pub(crate) const fn share(texts: i64) -> i64 {
    texts + ROW.cast_signed() + DELIVERY.cast_signed()
}

impl<'c> Deliveries<'c> {
    pub(crate) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql: &str| connection.prepare(sql);
        Ok(Self {
            begin: prepare(
                "INSERT INTO deliveries (endpoint, id)
                 SELECT ?1, id FROM events WHERE id BETWEEN ?2 AND ?3",
            )?,
            look: prepare(&format!(
                "SELECT count(*), ifnull(sum({TEXTS}), 0),
                     ifnull(sum(due = 1), 0), ifnull(sum(iif(due = 1, {TEXTS}, 0)), 0)
                 FROM deliveries CROSS JOIN events USING (id)
                 WHERE endpoint = ?1 AND id BETWEEN ?2 AND ?3"
            ))?,
            end: prepare("DELETE FROM deliveries WHERE endpoint = ?1 AND id BETWEEN ?2 AND ?3")?,
            remove: prepare("DELETE FROM events WHERE id BETWEEN ?1 AND ?2 AND due = 1")?,
            release: prepare("UPDATE events SET due = due - 1 WHERE id BETWEEN ?1 AND ?2")?,
        })
    }

    /// The endpoint waits for the event, which is newer than all that it waits for, and whose texts have this length. It is
    /// written with those after it, or with [`finish`](Self::finish). Whether it did not before.
    pub(crate) fn begin(
        &mut self,
        account: &mut Touched,
        endpoint: EndpointId,
        id: i64,
        texts: i64,
    ) -> rusqlite::Result<bool> {
        if account.newest == id {
            return Ok(false);
        }
        account.add(Entry::StoredBytes, share(texts));
        if let Some(Run { first, last }) = account.store(id) {
            self.begin.execute((endpoint, first, last))?;
        }
        Ok(true)
    }

    /// Writes the deliveries that were begun and are not written yet. Their events are written before.
    pub(crate) fn finish(&mut self, change: &mut Change<'_, '_>) -> rusqlite::Result<()> {
        for (endpoint, Run { first, last }) in change.take_runs() {
            self.begin.execute((endpoint, first, last))?;
        }
        Ok(())
    }

    /// Whether the endpoint waits for the event.
    pub(crate) fn waits(&mut self, endpoint: EndpointId, id: i64) -> rusqlite::Result<bool> {
        Ok(self.look(endpoint, Run { first: id, last: id })?.deliveries > 0)
    }

    fn look(&mut self, endpoint: EndpointId, run: Run) -> rusqlite::Result<Ending> {
        self.look.query_row((endpoint, run.first, run.last), |row| {
            Ok(Ending {
                deliveries: row.get(0)?,
                texts: row.get(1)?,
                events: row.get(2)?,
                event_texts: row.get(3)?,
            })
        })
    }

    /// The endpoint waits for these events no longer, and those go that no other endpoint waits for. Deliveries that have
    /// ended before are not counted again. Returns how many ended now.
    pub(crate) fn end(
        &mut self,
        change: &mut Change<'_, '_>,
        endpoint: EndpointId,
        run: Run,
        entry: Entry,
    ) -> rusqlite::Result<i64> {
        let mut ended = 0;
        for run in run.pieces() {
            let ending = self.look(endpoint, run)?;
            if ending.deliveries == run.len() {
                self.end_all(change, endpoint, run, ending, entry)?;
                ended += ending.deliveries;
            } else if ending.deliveries > 0 {
                // What lies between may wait for others.
                for id in run.first..=run.last {
                    ended += self.end(change, endpoint, Run { first: id, last: id }, entry)?;
                }
            }
        }
        Ok(ended)
    }

    /// The endpoint waits for all of these events.
    fn end_all(
        &mut self,
        change: &mut Change<'_, '_>,
        endpoint: EndpointId,
        Run { first, last }: Run,
        ending: Ending,
        entry: Entry,
    ) -> rusqlite::Result<()> {
        let Ending { deliveries, texts, events, event_texts } = ending;
        self.end.execute((endpoint, first, last))?;
        if events > 0 {
            self.remove.execute((first, last))?;
        }
        if events < deliveries {
            self.release.execute((first, last))?;
        }
        change.add(Counter::Events, -events);
        let rows = event_texts + ROW.cast_signed() * events;
        change.add(Counter::StoredBytes, -rows - DELIVERY.cast_signed() * deliveries);
        let account = change.of(endpoint)?;
        account.add(entry, deliveries);
        account.add(Entry::StoredBytes, -texts - share(0) * deliveries);
        Ok(())
    }
}

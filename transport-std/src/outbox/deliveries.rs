//! What an endpoint waits for, row by row: an event goes when its last delivery ends.

use rusqlite::{Connection, OptionalExtension as _, Statement};

use super::change::Change;
use super::event::{DELIVERY, EndpointId, ROW, TEXTS};
use super::ledger::{Counter, Entry};

/// The statements that begin and end deliveries.
pub(crate) struct Deliveries<'c> {
    begin: Statement<'c>,
    end: Statement<'c>,
    remove: Statement<'c>,
    release: Statement<'c>,
}

/// What an event takes of an endpoint's bound, in bytes, when its texts have this length.
pub(crate) const fn share(texts: i64) -> i64 {
    texts + ROW.cast_signed() + DELIVERY.cast_signed()
}

impl<'c> Deliveries<'c> {
    pub(crate) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let prepare = |sql: &str| connection.prepare(sql);
        Ok(Self {
            begin: prepare("INSERT OR IGNORE INTO deliveries (endpoint, id) VALUES (?1, ?2)")?,
            end: prepare("DELETE FROM deliveries WHERE endpoint = ?1 AND id = ?2")?,
            remove: prepare(&format!(
                "DELETE FROM events WHERE id = ?1 AND due = 1 RETURNING {TEXTS}"
            ))?,
            release: prepare(&format!(
                "UPDATE events SET due = due - 1 WHERE id = ?1 RETURNING {TEXTS}"
            ))?,
        })
    }

    /// The endpoint waits for the event, whose texts have this length. Whether it did not before.
    pub(crate) fn begin(
        &mut self,
        change: &mut Change<'_, '_>,
        endpoint: EndpointId,
        id: i64,
        texts: i64,
    ) -> rusqlite::Result<bool> {
        let is_new = self.begin.execute((endpoint, id))? > 0;
        if is_new {
            let account = change.of(endpoint)?;
            account.add(Entry::StoredBytes, share(texts));
            account.newest = id;
        }
        Ok(is_new)
    }

    /// The endpoint waits for the event no longer. Whether it did: otherwise that has ended before, and is not counted
    /// again. The event is there until it is [`released`](Self::release).
    pub(crate) fn end(&mut self, endpoint: EndpointId, id: i64) -> rusqlite::Result<bool> {
        Ok(self.end.execute((endpoint, id))? > 0)
    }

    /// Counts a delivery that has ended, and removes the event when it was the last one.
    pub(crate) fn release(
        &mut self,
        change: &mut Change<'_, '_>,
        endpoint: EndpointId,
        id: i64,
        entry: Entry,
    ) -> rusqlite::Result<()> {
        let texts = |statement: &mut Statement<'_>| {
            statement.query_row([id], |row| row.get::<_, i64>(0)).optional()
        };
        let texts = match texts(&mut self.remove)? {
            Some(texts) => {
                change.add(Counter::Events, -1);
                change.add(Counter::StoredBytes, -share(texts));
                texts
            }
            None => {
                // Only of a file that was tampered with it is not there: `verify` tells.
                let texts = texts(&mut self.release)?.unwrap_or_default();
                change.add(Counter::StoredBytes, -DELIVERY.cast_signed());
                texts
            }
        };
        let account = change.of(endpoint)?;
        account.add(entry, 1);
        account.add(Entry::StoredBytes, -share(texts));
        Ok(())
    }
}

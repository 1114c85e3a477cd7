//! A batch, written in one transaction.

use rusqlite::{Connection, OptionalExtension as _, Statement};

use super::batch::Batch;
use super::change::{Change, transaction};
use super::event::{DeadFate, DeadReason, End, NewEvent, SIZE};
use super::ledger::{Counter, Counts};
use super::rows::{DEATH, EVENT, now, signed, unsigned};

/// How many events with an id of their origin are remembered.
pub(crate) const ORIGINS: i64 = 100_000;

/// The statements of the writer, prepared once.
pub(crate) struct Committer<'c> {
    connection: &'c Connection,
    insert: Statement<'c>,
    origin: Statement<'c>,
    remember: Statement<'c>,
    bury: Statement<'c>,
    remove: Statement<'c>,
    position: Statement<'c>,
    dead_max: i64,
}

impl<'c> Committer<'c> {
    pub(crate) fn new(connection: &'c Connection, dead_max: u64) -> rusqlite::Result<Self> {
        let prepare = |sql: &str| connection.prepare(sql);
        Ok(Self {
            connection,
            insert: prepare(
                "INSERT INTO events
                 (id, topic, data, node_id, seconds, nanos, origin_id, stored_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
            origin: prepare(
                "SELECT id FROM origins
                 WHERE node_id = ?1 AND origin_id = ?2 AND seconds = ?3 AND nanos = ?4",
            )?,
            remember: prepare(
                "INSERT INTO origins (id, node_id, origin_id, seconds, nanos)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            bury: prepare(&format!(
                "INSERT INTO dead ({EVENT}, {DEATH})
                 SELECT {EVENT}, ?2, ?3, ?4, ?5, ?6, ?7 FROM events WHERE id = ?1"
            ))?,
            remove: prepare(&format!("DELETE FROM events WHERE id = ?1 RETURNING {SIZE}"))?,
            position: prepare(
                "INSERT INTO positions (source, position, stored_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET
                     position = excluded.position, stored_at = excluded.stored_at",
            )?,
            dead_max: i64::try_from(dead_max).unwrap_or(i64::MAX),
        })
    }

    /// Writes the batch, and gives the id of each event.
    pub(crate) fn write(&mut self, batch: &Batch) -> rusqlite::Result<(Vec<u64>, Counts)> {
        transaction(self.connection, |change| {
            let now = now();
            self.end(change, &batch.ends, now)?;
            let mut ids = Vec::with_capacity(batch.len());
            for event in batch.events() {
                ids.push(unsigned(self.store(change, event, now)?));
            }
            for at in batch.positions() {
                self.position.execute((at.source, at.text, now))?;
            }
            self.forget_origins(change)?;
            Ok(ids)
        })
    }

    /// Writes how events ended.
    pub(crate) fn write_ends(&mut self, ends: &[(u64, End)]) -> rusqlite::Result<Counts> {
        Ok(transaction(self.connection, |change| self.end(change, ends, now()))?.1)
    }

    /// Stores an event, or finds the one that it repeats.
    fn store(
        &mut self,
        change: &mut Change,
        event: NewEvent<'_>,
        now: i64,
    ) -> rusqlite::Result<i64> {
        let (seconds, nanos) = (event.timestamp.seconds(), event.timestamp.nanos());
        let origin = event.origin_id.map(signed);
        if let Some(origin) = origin {
            let known =
                self.origin.query_row((event.node_id, origin, seconds, nanos), |r| r.get(0));
            if let Some(id) = known.optional()? {
                change.add(Counter::Repeats, 1);
                return Ok(id);
            }
        }
        let id = change.next_id();
        let NewEvent { topic, data, node_id, .. } = event;
        self.insert.execute((id, topic, data, node_id, seconds, nanos, origin, now))?;
        if let Some(origin) = origin {
            self.remember.execute((id, node_id, origin, seconds, nanos))?;
            change.add(Counter::Origins, 1);
        }
        change.add(Counter::Accepted, 1);
        change.add(Counter::StoredBytes, event.size().cast_signed());
        Ok(id)
    }

    fn end(&mut self, change: &mut Change, ends: &[(u64, End)], now: i64) -> rusqlite::Result<()> {
        let mut died = false;
        for (id, end) in ends {
            let id = signed(*id);
            let counter = match end {
                End::Delivered => Counter::Delivered,
                End::Dead(reason) => {
                    self.bury(id, reason, now)?;
                    died = true;
                    match reason.fate {
                        DeadFate::Rejected => Counter::Rejected,
                        DeadFate::Exhausted => Counter::Exhausted,
                        DeadFate::Oversize => Counter::Oversize,
                    }
                }
            };
            // One that has ended before, or became too old, is not there any more and not counted again.
            if let Some(size) =
                self.remove.query_row([id], |row| row.get::<_, i64>(0)).optional()?
            {
                change.add(counter, 1);
                change.add(Counter::StoredBytes, -size);
            }
        }
        if died { self.make_room_for_dead(change) } else { Ok(()) }
    }

    fn bury(&mut self, id: i64, reason: &DeadReason, now: i64) -> rusqlite::Result<()> {
        let DeadReason { fate, attempts, status, error, endpoint } = reason;
        self.bury.execute((id, now, fate.name(), attempts, status, error, endpoint))?;
        Ok(())
    }

    /// The oldest dead letters give way.
    fn make_room_for_dead(&self, change: &mut Change) -> rusqlite::Result<()> {
        let excess = change.counts().dead() - self.dead_max;
        if excess > 0 {
            let expired = self.connection.execute(
                "DELETE FROM dead WHERE id IN (SELECT id FROM dead ORDER BY id LIMIT ?1)",
                [excess],
            )?;
            change.add(Counter::Expired, i64::try_from(expired).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    fn forget_origins(&self, change: &mut Change) -> rusqlite::Result<()> {
        let excess = change.counts().get(Counter::Origins) - ORIGINS;
        if excess > 0 {
            let forgotten = self.connection.execute(
                "DELETE FROM origins WHERE id IN (SELECT id FROM origins ORDER BY id LIMIT ?1)",
                [excess],
            )?;
            change.add(Counter::Origins, -i64::try_from(forgotten).unwrap_or(i64::MAX));
        }
        Ok(())
    }
}

//! A batch, written in one transaction.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Statement};

use super::batch::{Batch, Ended};
use super::change::{Books, Change, Changed};
use super::deliveries::{Deliveries, share};
use super::event::{DELIVERY, DeadFate, DeadReason, End, EndpointId, NewEvent, ROW};
use super::insert::{Inserting, Inserts, Row};
use super::ledger::{Counter, Entry};
use super::lines::Lines;
use super::rows::{DEATH, EVENT, now, signed, unsigned};
use super::run::Run;

/// How many events with an id of their origin are remembered.
pub(crate) const ORIGINS: i64 = 100_000;

/// The writer's way to the file.
pub(crate) struct Committer<'c> {
    books: Books<'c>,
    inserts: Inserts<'c>,
    statements: Statements<'c>,
}

/// Prepared once.
struct Statements<'c> {
    connection: &'c Connection,
    deliveries: Deliveries<'c>,
    name: Statement<'c>,
    origin: Statement<'c>,
    remember: Statement<'c>,
    bury: Statement<'c>,
    position: Statement<'c>,
    dead_max: i64,
    lines: Arc<Lines>,
}

impl<'c> Committer<'c> {
    pub(crate) fn new(
        connection: &'c Connection,
        dead_max: u64,
        lines: Arc<Lines>,
    ) -> rusqlite::Result<Self> {
        let prepare = |sql: &str| connection.prepare(sql);
        let statements = Statements {
            connection,
            deliveries: Deliveries::new(connection)?,
            name: prepare("INSERT OR IGNORE INTO endpoints (id, name) VALUES (?1, ?2)")?,
            origin: prepare(
                "SELECT id FROM origins
                 WHERE node_id = ?1 AND origin_id = ?2 AND seconds = ?3 AND nanos = ?4",
            )?,
            remember: prepare(
                "INSERT INTO origins (id, node_id, origin_id, seconds, nanos)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            bury: prepare(&format!(
                "INSERT INTO dead (endpoint, {EVENT}, {DEATH})
                 SELECT ?1, {EVENT}, ?3, ?4, ?5, ?6, ?7, ?8 FROM events WHERE id = ?2"
            ))?,
            position: prepare(
                "INSERT INTO positions (source, position, stored_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET
                     position = excluded.position, stored_at = excluded.stored_at",
            )?,
            dead_max: i64::try_from(dead_max).unwrap_or(i64::MAX),
            lines,
        };
        let (books, inserts) = (Books::new(connection)?, Inserts::new(connection)?);
        Ok(Self { books, inserts, statements })
    }

    /// Writes the batch, and gives the id of each event.
    pub(crate) fn write(&mut self, batch: &Batch) -> rusqlite::Result<(Vec<u64>, Changed)> {
        let Self { books, inserts, statements } = self;
        books.transaction(|change| statements.write(change, inserts, batch))
    }

    /// Writes how events ended.
    pub(crate) fn write_ends(&mut self, ends: &[Ended]) -> rusqlite::Result<Changed> {
        let Self { books, statements, .. } = self;
        Ok(books.transaction(|change| statements.end_all(change, ends, now()))?.1)
    }
}

impl Statements<'_> {
    fn write(
        &mut self,
        change: &mut Change<'_, '_>,
        inserts: &mut Inserts<'_>,
        batch: &Batch,
    ) -> rusqlite::Result<Vec<u64>> {
        let now = now();
        for (id, name) in &batch.names {
            self.name.execute((id, name))?;
        }
        batch.rounds.iter().try_for_each(|round| self.deliveries.note(round))?;
        self.end_all(change, &batch.ends, now)?;
        let mut ids = Vec::with_capacity(batch.len());
        let mut inserting = inserts.at(now);
        for event in batch.events() {
            ids.push(unsigned(self.store(change, event, &mut inserting)?));
        }
        inserting.finish()?;
        self.deliveries.begin(change)?;
        for at in batch.positions() {
            self.position.execute((at.source, at.text, now))?;
        }
        self.forget_origins(change)?;
        Ok(ids)
    }

    /// Stores an event, or finds the one that it repeats. Its row is to be inserted.
    fn store<'e>(
        &mut self,
        change: &mut Change<'_, '_>,
        event: NewEvent<'e>,
        inserting: &mut Inserting<'_, '_, 'e>,
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
        if let Some(origin) = origin {
            self.remember.execute((id, event.node_id, origin, seconds, nanos))?;
            change.add(Counter::Origins, 1);
        }
        let texts = event.texts().cast_signed();
        let mut due = 0;
        for endpoint in event.endpoints {
            due += i64::from(self.accept(change, *endpoint, id, texts)?);
        }
        if due > 0 {
            inserting.add(Row { id, event, due })?;
            change.add(Counter::Events, 1);
            let room = texts + ROW.cast_signed() + DELIVERY.cast_signed() * due;
            change.add(Counter::StoredBytes, room);
        }
        Ok(id)
    }

    /// Takes an event for an endpoint. Whether it waits for it now.
    fn accept(
        &mut self,
        change: &mut Change<'_, '_>,
        endpoint: EndpointId,
        id: i64,
        texts: i64,
    ) -> rusqlite::Result<bool> {
        // Another file's number is nobody's here.
        let Some(line) = self.lines.get(endpoint) else { return Ok(false) };
        let account = change.of(endpoint)?;
        let is_over =
            account.account().get(Entry::StoredBytes) + share(texts) > self.lines.max_bytes(&line);
        let lost = match line.is_removed() {
            true => Some(Entry::Removed),
            false => is_over.then_some(Entry::Dropped),
        };
        if let Some(entry) = lost {
            account.add(Entry::Accepted, 1);
            account.add(entry, 1);
            return Ok(false);
        }
        let is_new = account.store(id);
        if is_new {
            account.add(Entry::Accepted, 1);
            account.add(Entry::StoredBytes, share(texts));
        }
        Ok(is_new)
    }

    fn end_all(
        &mut self,
        change: &mut Change<'_, '_>,
        ends: &[Ended],
        now: i64,
    ) -> rusqlite::Result<()> {
        let mut died = false;
        // What was told first counts, so that a death stays where it is among the others.
        let same =
            |one: &Ended, other: &Ended| one.end == End::Delivered && other.end == End::Delivered;
        for ends in ends.chunk_by(same) {
            if let [Ended { endpoint, id, end: End::Dead(reason) }] = ends {
                died |= self.bury(change, *endpoint, signed(*id), reason, now)?;
            } else {
                self.delivered(change, ends)?;
            }
        }
        if died { self.make_room_for_dead(change) } else { Ok(()) }
    }

    fn delivered(&mut self, change: &mut Change<'_, '_>, ends: &[Ended]) -> rusqlite::Result<()> {
        let mut ended: Vec<_> = ends.iter().map(|it| (it.endpoint, signed(it.id))).collect();
        ended.sort_unstable();
        ended.dedup();
        for run in ended.chunk_by(|(of, id), next| (*of, id + 1) == *next) {
            if let ([(endpoint, first), ..], [.., (_, last)]) = (run, run) {
                let run = Run { first: *first, last: *last };
                self.deliveries.end(change, *endpoint, run, Entry::Delivered)?;
            }
        }
        Ok(())
    }

    /// Whether the endpoint waited for the event, which is a dead letter now.
    fn bury(
        &mut self,
        change: &mut Change<'_, '_>,
        endpoint: EndpointId,
        id: i64,
        reason: &DeadReason,
        now: i64,
    ) -> rusqlite::Result<bool> {
        if !self.deliveries.waits(endpoint, id)? {
            return Ok(false);
        }
        let DeadReason { fate, attempts, status, error, url } = reason;
        self.bury.execute((endpoint, id, now, fate.name(), attempts, status, error, url))?;
        let entry = match fate {
            DeadFate::Rejected => Entry::Rejected,
            DeadFate::Exhausted => Entry::Exhausted,
            DeadFate::Oversize => Entry::Oversize,
        };
        self.deliveries.end(change, endpoint, Run::one(id), entry)?;
        Ok(true)
    }

    /// The oldest dead letters of an endpoint give way.
    fn make_room_for_dead(&self, change: &mut Change<'_, '_>) -> rusqlite::Result<()> {
        for endpoint in change.touched() {
            let account = change.of(endpoint)?;
            let excess = account.account().dead() - self.dead_max;
            if excess > 0 {
                let expired = self.connection.execute(
                    "DELETE FROM dead WHERE endpoint = ?1 AND id IN
                     (SELECT id FROM dead WHERE endpoint = ?1 ORDER BY id LIMIT ?2)",
                    (endpoint, excess),
                )?;
                account.add(Entry::Expired, i64::try_from(expired).unwrap_or(i64::MAX));
            }
        }
        Ok(())
    }

    fn forget_origins(&self, change: &mut Change<'_, '_>) -> rusqlite::Result<()> {
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

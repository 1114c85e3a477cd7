//! The one thread that writes the file.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::logging::{Printable, Throttle};

use super::batch::Batch;
use super::change::Changed;
use super::check::Check;
use super::commit::Committer;
use super::error::OutboxErrorKind;
use super::handle::{Held, OutboxOptions};
use super::intake::{Intake, Woken};
use super::ledger::{Counter, Counts, Entry, accounts, count};
use super::lines::{Line, Lines};
use super::rows::unsigned;
use super::upkeep::{self, Slice};

/// How often the file is looked after: replays are noticed within a second.
const UPKEEP: Duration = Duration::from_millis(500);
/// How much of an endpoint's name a line of the log shows, in bytes.
const NAME: usize = 80;
/// After a failure, the first wait and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

struct Writer<'c> {
    connection: &'c Connection,
    intake: &'c Intake,
    lines: &'c Lines,
    options: OutboxOptions,
    committer: Committer<'c>,
    /// `PRAGMA data_version`, as last seen.
    seen: i64,
    /// There are dead letters to be put back.
    has_replays: bool,
    failures: Throttle,
    /// As it was found last.
    is_disk_low: Cell<bool>,
}

/// The threads that have a connection, too.
pub(crate) struct Others {
    pub(crate) reader: JoinHandle<()>,
    pub(crate) check: Option<Check>,
}

/// Says how the writer ended, also when it panicked.
struct Ending<'h> {
    intake: &'h Intake,
    lost: usize,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.intake.writer_ended(self.lost);
    }
}

/// Writes until the outbox is closed, and then closes the file and frees its lock.
#[allow(clippy::needless_pass_by_value, reason = "the file is held for as long as this runs")]
pub(crate) fn run(held: Held, connection: Connection, others: Others, options: OutboxOptions) {
    // A local is dropped before the parameters: the lock is freed last.
    let connection = connection;
    let mut ending = Ending { intake: &held.intake, lost: 0 };
    match Committer::new(&connection, options.dead_max, Arc::clone(&held.lines)) {
        Ok(committer) => {
            let mut writer = Writer {
                connection: &connection,
                intake: &held.intake,
                lines: &held.lines,
                options,
                committer,
                seen: 0,
                has_replays: true,
                failures: Throttle::default(),
                is_disk_low: Cell::default(),
            };
            ending.lost = writer.run();
        }
        Err(error) => tracing::error!("outbox: {error}"),
    }
    drop(ending);
    // The connection that is closed last empties the log: of two at once, neither would.
    if let Some(check) = others.check {
        check.end();
    }
    let _ = others.reader.join();
}

impl Writer<'_> {
    /// Returns how many events are lost.
    fn run(&mut self) -> usize {
        if let Err(error) = upkeep::bound_log(self.connection) {
            self.log(&error);
        }
        let mut batch = Batch::default();
        let mut time = Instant::now();
        let mut is_idle = false;
        loop {
            match self.intake.take(&mut batch, time) {
                Woken::Batch => {
                    is_idle = false;
                    if !self.store(&mut batch) {
                        return batch.lost();
                    }
                }
                Woken::Time => time = Instant::now(),
                Woken::Closed => return 0,
            }
            if Instant::now() >= time {
                let has_more = self.look_after(is_idle).unwrap_or_else(|error| {
                    self.log(&error);
                    false
                });
                time = Instant::now() + if has_more { Duration::ZERO } else { UPKEEP };
                is_idle = true;
            }
        }
    }

    /// Writes the batch, again and again while the disk fails. Whether it is written: not when the outbox is
    /// closed while the disk fails.
    fn store(&mut self, batch: &mut Batch) -> bool {
        let mut wait = AGAIN.0;
        loop {
            match self.committer.write(batch) {
                Ok((ids, changed)) => {
                    self.committed(batch.bytes(), &changed);
                    batch.stored(&ids);
                    return true;
                }
                Err(error) => {
                    self.intake.disk_fails(true);
                    self.log(&error);
                    if self.intake.pause(wait) {
                        return self.write_last(batch);
                    }
                    wait = AGAIN.1.min(wait * 2);
                    if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
                        self.free(batch);
                    }
                }
            }
        }
    }

    /// The last try of an outbox that is closed.
    fn write_last(&mut self, batch: &mut Batch) -> bool {
        match self.committer.write(batch) {
            Ok((ids, changed)) => {
                self.committed(batch.bytes(), &changed);
                batch.stored(&ids);
                true
            }
            Err(_) => false,
        }
    }

    /// On a full disk, what ended makes room in the file for what comes.
    fn free(&mut self, batch: &mut Batch) {
        upkeep::begin_log_anew(self.connection);
        self.intake.take_ends(&mut batch.ends);
        if self.committer.write_ends(&batch.ends).is_ok() {
            batch.ends.clear();
        }
    }

    /// Whether there is more to be done at once.
    fn look_after(&mut self, is_idle: bool) -> rusqlite::Result<bool> {
        let mut moved = 0;
        self.look_at_disk();
        if upkeep::is_changed_by_others(self.connection, &mut self.seen)? {
            self.has_replays = true;
            self.read_again()?;
        }
        if self.has_replays {
            self.has_replays = upkeep::has_replays(self.connection)?;
        }
        if self.has_replays {
            let room = i64::try_from(self.options.max_bytes).unwrap_or(i64::MAX);
            let slice = upkeep::replay(self.connection, room)?;
            self.committed(0, &slice.changed);
            moved += slice.events;
        }
        for line in self.lines.looked_after() {
            if let Some(slice) = self.age_out(&line)? {
                self.committed(0, &slice.changed);
                moved += slice.events;
                let (events, endpoint) = (slice.events, Printable::new(&line.name, NAME));
                tracing::warn!(%endpoint, "outbox: {events} events became too old and are lost");
            }
            if line.is_clearing() {
                let slice = upkeep::clear(self.connection, line.id, i64::MAX)?;
                if let Some(slice) = slice {
                    self.committed(0, &slice.changed);
                    moved += slice.events;
                } else {
                    line.cleared();
                    self.intake.tell();
                }
            }
        }
        if is_idle {
            upkeep::give_back(self.connection)?;
        }
        Ok(moved > 0)
    }

    /// What was read is in its deliverer's hands, and nothing is read meanwhile: an event is lost, or sent.
    fn age_out(&self, line: &Line) -> rusqlite::Result<Option<Slice>> {
        let age = line.max_age();
        if age == i64::MAX {
            return Ok(None);
        }
        let taken = line.taken();
        upkeep::age_out(self.connection, line.id, *taken, age)
    }

    /// What others did to the file counts.
    fn read_again(&self) -> rusqlite::Result<()> {
        for (id, _, account) in accounts(self.connection)? {
            if let Some(line) = self.lines.get(id) {
                line.set_account(&account);
            }
        }
        let counts = Counts::read(self.connection)?;
        self.intake.committed(0, count(counts.get(Counter::StoredBytes)));
        Ok(())
    }

    fn committed(&self, written: u64, changed: &Changed) {
        self.intake.committed(written, count(changed.counts.get(Counter::StoredBytes)));
        for (endpoint, touched) in &changed.endpoints {
            let Some(line) = self.lines.get(*endpoint) else { continue };
            let dropped = count(touched.delta().get(Entry::Dropped));
            line.committed(unsigned(touched.newest), dropped);
            line.set_account(touched.account());
            if dropped > 0
                && let Some(more) = line.drops.admit(Instant::now())
            {
                let endpoint = Printable::new(&line.name, NAME);
                tracing::warn!(
                    %endpoint,
                    "outbox: the backlog has reached its bound: new events are dropped \
                     ({more} similar lines left out)"
                );
            }
        }
        self.look_at_disk();
    }

    fn look_at_disk(&self) {
        // A connection that cannot tell cannot write either.
        let is_low = upkeep::is_disk_low(self.connection).unwrap_or(true);
        self.intake.disk_fails(is_low);
        if self.is_disk_low.replace(is_low) != is_low {
            if is_low {
                tracing::warn!(
                    "outbox: its disk is full but for the reserve (32 MiB, or an eighth of a small disk), or fails: new \
                     events are not taken until there is room on it"
                );
            } else {
                tracing::info!("outbox: its disk has room again");
            }
        }
        if is_low {
            // While there is room for it.
            upkeep::begin_log_anew(self.connection);
        }
    }

    fn log(&self, error: &rusqlite::Error) {
        if let Some(more) = self.failures.admit(Instant::now()) {
            let more = if more == 0 { String::new() } else { format!(" ({more} more)") };
            tracing::error!("outbox: cannot write, and tries again: {}{more}", why(error));
        }
    }
}

/// What SQLite said, with what to do where that is known.
fn why(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => OutboxErrorKind::Corrupt.to_string(),
        _ => error.to_string(),
    }
}

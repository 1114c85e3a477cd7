//! What the live outbox does for its file from time to time.

use rusqlite::{Connection, OptionalExtension as _};

use super::change::{Books, Changed};
use super::deliveries::{Deliveries, share, waiting};
use super::event::{EndpointId, TEXTS};
use super::ledger::{Counter, Entry};
use super::rows::now;
use super::run::Run;

/// So many events at a time, so that nobody waits long for the writer.
const SLICE: i64 = 512;
/// Free pages that the file keeps, of 4 KiB, and how many it gives back at a time.
const FREE: (i64, i64) = (1024, 1024);

/// SQLite's page, in bytes.
const PAGE: u64 = 4096;
/// So much of the disk is not used for new events, in bytes, or an eighth of it: several times what may
/// be in memory, and the log.
const RESERVE: u64 = 32 << 20;
/// The length of the log at which it is brought into the database, in pages: SQLite's own.
const LOG: u64 = 1000;

/// Whether somebody else has written to the file since the last call.
pub(crate) fn is_changed_by_others(
    connection: &Connection,
    seen: &mut i64,
) -> rusqlite::Result<bool> {
    let version = connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
    Ok(std::mem::replace(seen, version) != version)
}

/// What a slice of work left.
pub(crate) struct Slice {
    /// How many events it moved or removed.
    pub(crate) events: i64,
    /// What that did to the counters.
    pub(crate) changed: Changed,
}

/// Ends the oldest events that wait for an endpoint and are older than `age`, in milliseconds, if there are such.
pub(crate) fn age_out(
    connection: &Connection,
    endpoint: EndpointId,
    age: i64,
) -> rusqlite::Result<Option<Slice>> {
    let oldest = now().saturating_sub(age);
    // In the order of the ids, which is that of the times unless the clock was set: nothing else needs to be looked at.
    let mut statement =
        connection.prepare(&format!("{} LIMIT {SLICE}", waiting("events.id, stored_at")))?;
    let mut rows = statement.query((endpoint, 0))?;
    let mut old: Option<Run> = None;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= oldest {
            break;
        }
        let id = row.get(0)?;
        old.get_or_insert(Run::one(id)).last = id;
    }
    drop(rows);
    give_up(connection, endpoint, old, Entry::AgedOut)
}

/// Ends the oldest events that wait for an endpoint which was removed, if there are any.
pub(crate) fn clear(
    connection: &Connection,
    endpoint: EndpointId,
) -> rusqlite::Result<Option<Slice>> {
    let sql = "SELECT first, last FROM deliveries WHERE endpoint = ?1 ORDER BY last LIMIT 1";
    let run = connection.query_row(sql, [endpoint], |row| {
        let (first, last) = (row.get(0)?, row.get(1)?);
        Ok(Run { first, last: i64::min(last, first + SLICE - 1) })
    });
    give_up(connection, endpoint, run.optional()?, Entry::Removed)
}

/// Ends what waits for an endpoint in a run.
fn give_up(
    connection: &Connection,
    endpoint: EndpointId,
    run: Option<Run>,
    entry: Entry,
) -> rusqlite::Result<Option<Slice>> {
    let Some(run) = run else { return Ok(None) };
    let mut deliveries = Deliveries::new(connection)?;
    let (events, changed) = Books::new(connection)?
        .transaction(|change| deliveries.end(change, endpoint, run, entry))?;
    Ok((events > 0).then_some(Slice { events, changed }))
}

/// Whether somebody wants dead letters put back.
pub(crate) fn has_replays(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM replays)", (), |row| row.get(0))
}

/// Puts the oldest dead letters that somebody wants to be put back at the end of what waits, with new ids,
/// as long as there is room.
pub(crate) fn replay(connection: &Connection, room: i64) -> rusqlite::Result<Slice> {
    let mut deliveries = Deliveries::new(connection)?;
    let mut books = Books::new(connection)?;
    let (events, changed) = books.transaction(|change| {
        let mut wanted = connection
            .prepare("SELECT endpoint, id FROM replays ORDER BY id, endpoint LIMIT ?1")?;
        let wanted: Vec<(EndpointId, i64)> = wanted
            .query_map([SLICE], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut texts = connection
            .prepare(&format!("SELECT {TEXTS} FROM dead WHERE endpoint = ?1 AND id = ?2"))?;
        let mut put_back = connection.prepare(
            "INSERT INTO events
                 (id, topic, data, node_id, seconds, nanos, origin_id, stored_at, first_id, due)
             SELECT ?3, topic, data, node_id, seconds, nanos, origin_id, ?4, ifnull(first_id, id), 1
             FROM dead WHERE endpoint = ?1 AND id = ?2",
        )?;
        let mut remove = connection.prepare("DELETE FROM dead WHERE endpoint = ?1 AND id = ?2")?;
        let mut done = connection.prepare("DELETE FROM replays WHERE endpoint = ?1 AND id = ?2")?;
        let (now, mut replayed) = (now(), 0);
        for (endpoint, id) in wanted {
            let texts: Option<i64> =
                texts.query_row((endpoint, id), |row| row.get(0)).optional()?;
            // One that is gone is no dead letter any more.
            if let Some(texts) = texts {
                let size = share(texts);
                if change.counts().get(Counter::StoredBytes) + size > room {
                    break;
                }
                let new_id = change.next_id();
                put_back.execute((endpoint, id, new_id, now))?;
                remove.execute((endpoint, id))?;
                let account = change.of(endpoint)?;
                account.store(new_id);
                account.add(Entry::StoredBytes, size);
                account.add(Entry::Replayed, 1);
                change.add(Counter::Events, 1);
                change.add(Counter::StoredBytes, size);
                replayed += 1;
            }
            done.execute((endpoint, id))?;
        }
        deliveries.begin(change)?;
        Ok(replayed)
    })?;
    Ok(Slice { events, changed })
}

/// Gives pages that were free for a while back to the system.
pub(crate) fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > FREE.0 {
        let pages = FREE.1.min(free - FREE.0);
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        // One page a row.
        let mut rows = vacuum.query(())?;
        while rows.next()?.is_some() {}
        drop(rows);
        // Only now the file gets shorter.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))?;
    }
    Ok(())
}

/// Whether the disk has less room than is left to others and to what happens to events that are stored: to
/// remove them takes room in the log. Free pages of the file are room.
pub(crate) fn is_disk_low(connection: &Connection) -> rusqlite::Result<bool> {
    let Some((free, all)) = connection.path().and_then(disk) else { return Ok(false) };
    let pages: u64 = connection
        .pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))?
        .cast_unsigned();
    Ok(free + pages * PAGE < reserve(all))
}

/// What is not used for new events of a disk with `all` bytes.
fn reserve(all: u64) -> u64 {
    RESERVE.min(all / 8)
}

/// Keeps the log so short, on a small disk, that the reserve has room for bringing it into the database.
pub(crate) fn bound_log(connection: &Connection) -> rusqlite::Result<()> {
    let reserve = connection.path().and_then(disk).map_or(RESERVE, |(_, all)| reserve(all));
    let pages = LOG.min(reserve / PAGE / 4).max(1).cast_signed();
    connection.pragma_update(None, "wal_autocheckpoint", pages)
}

/// Free bytes and all bytes of the disk of `path`, where the system tells.
#[cfg(unix)]
fn disk(path: &str) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some((disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize))
}

#[cfg(not(unix))]
const fn disk(_: &str) -> Option<(u64, u64)> {
    None
}

/// Brings the write-ahead log into the database, so that it begins anew and needs no more of the disk.
pub(crate) fn begin_log_anew(connection: &Connection) {
    // What this cannot do now, the next commit tries again.
    let _ = connection.query_row("PRAGMA wal_checkpoint(RESTART)", (), |_| Ok(()));
}

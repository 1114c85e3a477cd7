//! What the live outbox does for its file from time to time.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use super::change::transaction;
use super::event::SIZE;
use super::ledger::{Counter, Counts};
use super::rows::now;

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
    /// The counters after it.
    pub(crate) counts: Counts,
}

/// Ends the oldest events that are older than `age`.
pub(crate) fn age_out(connection: &Connection, age: Duration) -> rusqlite::Result<Slice> {
    let oldest = now().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let (events, counts) = transaction(connection, |change| {
        // In the order of the ids, which is that of the times unless the clock was set: nothing else
        // needs to be looked at.
        let mut statement = connection
            .prepare(&format!("SELECT id, stored_at, {SIZE} FROM events ORDER BY id LIMIT ?1"))?;
        let mut rows = statement.query([SLICE])?;
        let (mut last, mut events, mut bytes) = (0_i64, 0, 0);
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? >= oldest {
                break;
            }
            last = row.get(0)?;
            events += 1;
            bytes += row.get::<_, i64>(2)?;
        }
        if events > 0 {
            connection.execute("DELETE FROM events WHERE id <= ?1", [last])?;
        }
        change.add(Counter::AgedOut, events);
        change.add(Counter::StoredBytes, -bytes);
        Ok(events)
    })?;
    Ok(Slice { events, counts })
}

/// Whether somebody wants dead letters put back.
pub(crate) fn has_replays(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM replays)", (), |row| row.get(0))
}

/// Puts the oldest dead letters that somebody wants to be put back at the end of what waits, with new ids,
/// as long as there is room.
pub(crate) fn replay(connection: &Connection, room: i64) -> rusqlite::Result<Slice> {
    let (events, counts) = transaction(connection, |change| {
        let mut wanted = connection.prepare("SELECT id FROM replays ORDER BY id LIMIT ?1")?;
        let ids: Vec<i64> =
            wanted.query_map([SLICE], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut size_of = connection.prepare(&format!("SELECT {SIZE} FROM dead WHERE id = ?1"))?;
        let mut put_back = connection.prepare(
            "INSERT INTO events
                 (id, topic, data, node_id, seconds, nanos, origin_id, stored_at, first_id)
             SELECT ?2, topic, data, node_id, seconds, nanos, origin_id, ?3, ifnull(first_id, id)
             FROM dead WHERE id = ?1",
        )?;
        let mut remove = connection.prepare("DELETE FROM dead WHERE id = ?1")?;
        let mut done = connection.prepare("DELETE FROM replays WHERE id = ?1")?;
        let (now, mut replayed) = (now(), 0);
        for id in ids {
            let size: Option<i64> = size_of.query_row([id], |row| row.get(0)).optional()?;
            // One that is gone is no dead letter any more.
            if let Some(size) = size {
                if change.counts().get(Counter::StoredBytes) + size > room {
                    break;
                }
                put_back.execute((id, change.next_id(), now))?;
                remove.execute([id])?;
                change.add(Counter::Replayed, 1);
                change.add(Counter::StoredBytes, size);
                replayed += 1;
            }
            done.execute([id])?;
        }
        Ok(replayed)
    })?;
    Ok(Slice { events, counts })
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

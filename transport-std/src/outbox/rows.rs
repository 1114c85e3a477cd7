//! Rows as values: how numbers, times and events stand in the file.

use std::time::{Duration, SystemTime};

use pilot_webhook_core::Timestamp;
use rusqlite::Row;

use super::event::{DeadFate, DeadLetter, DeadReason, Stored, Tried};

/// The columns of an event, which `events` and `dead` share, in [`stored`]'s order.
pub(crate) const EVENT: &str =
    "id, topic, data, node_id, seconds, nanos, origin_id, stored_at, first_id";
/// The columns of a dead letter after those of its event, in [`dead`]'s order.
pub(crate) const DEATH: &str = "died_at, fate, attempts, status, error, url";

/// The columns of an event's attempts, in [`tried`]'s order. They are NULL for one that was not tried.
pub(crate) const TRIED: &str = "failed, failed_at, wait";

/// An id in the file. SQLite's integers are signed: the upper half of an origin's ids is negative there.
pub(crate) const fn signed(id: u64) -> i64 {
    id.cast_signed()
}

/// [`signed`], back.
pub(crate) const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// Milliseconds since 1970, by the system's clock.
pub(crate) fn now() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn time_of(milliseconds: i64) -> Timestamp {
    let nanos = u32::try_from(milliseconds.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    Timestamp::new(milliseconds.div_euclid(1000), nanos)
}

/// An event of a row with the columns [`EVENT`].
pub(crate) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: unsigned(row.get(0)?),
        topic: row.get(1)?,
        data: row.get(2)?,
        node_id: row.get(3)?,
        timestamp: Timestamp::new(row.get(4)?, row.get(5)?),
        origin_id: row.get::<_, Option<i64>>(6)?.map(unsigned),
        stored_at: time_of(row.get(7)?),
        first_id: row.get::<_, Option<i64>>(8)?.map(unsigned),
        tried: None,
    })
}

/// How often it was tried, of a row with the columns [`TRIED`] from the one at `first` on.
pub(crate) fn tried(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Tried>> {
    let Some(attempts) = row.get(first)? else { return Ok(None) };
    let wait = u64::try_from(row.get::<_, i64>(first + 2)?).unwrap_or(0);
    let (failed_at, wait) = (time_of(row.get(first + 1)?), Duration::from_millis(wait));
    Ok(Some(Tried { attempts, failed_at, wait }))
}

/// A dead letter of the endpoint `endpoint`, of a row with the columns [`EVENT`], [`DEATH`] and whether it is to be
/// replayed.
pub(crate) fn dead(row: &Row<'_>, endpoint: &str) -> rusqlite::Result<DeadLetter> {
    let fate = DeadFate::from_name(row.get_ref(10)?.as_str()?);
    Ok(DeadLetter {
        endpoint: endpoint.to_owned(),
        event: stored(row)?,
        died_at: time_of(row.get(9)?),
        reason: DeadReason {
            fate: fate.ok_or(rusqlite::Error::IntegralValueOutOfRange(10, 0))?,
            attempts: row.get(11)?,
            status: row.get(12)?,
            error: row.get(13)?,
            url: row.get(14)?,
        },
        replay: row.get(15)?,
    })
}

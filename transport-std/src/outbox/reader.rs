//! The one thread that reads what waits.

use std::sync::mpsc::Receiver;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::event::Stored;
use super::rows::{EVENT, signed, stored};

/// A question, and who asks.
pub(crate) struct Read {
    pub(crate) after: u64,
    pub(crate) most_events: usize,
    pub(crate) most_bytes: usize,
    pub(crate) reply: oneshot::Sender<rusqlite::Result<Vec<Stored>>>,
}

/// Answers until nobody can ask any more.
#[allow(clippy::needless_pass_by_value, reason = "it lives as long as the thread")]
pub(crate) fn run(connection: Connection, questions: Receiver<Read>) {
    for Read { after, most_events, most_bytes, reply } in questions {
        // Who asked may have lost interest.
        if !reply.is_closed() {
            let _ = reply.send(read(&connection, after, most_events, most_bytes));
        }
    }
}

/// What waits after `after`, in the order of ids: at most `most_events`, and of texts at most `most_bytes`
/// beyond the first event.
pub(crate) fn read(
    connection: &Connection,
    after: u64,
    most_events: usize,
    most_bytes: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let mut statement = connection
        .prepare(&format!("SELECT {EVENT} FROM events WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
    let limit = i64::try_from(most_events).unwrap_or(i64::MAX);
    let mut rows = statement.query((signed(after), limit))?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let event = stored(row)?;
        bytes += event.topic.len() + event.data.as_ref().map_or(0, String::len);
        if bytes > most_bytes && !events.is_empty() {
            break;
        }
        events.push(event);
    }
    Ok(events)
}

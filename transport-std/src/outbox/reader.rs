//! The one thread that reads what waits.

use std::sync::mpsc::Receiver;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::deliveries::waiting;
use super::event::{EndpointId, Stored};
use super::rows::{EVENT, TRIED, signed, stored, tried};

/// A question, and who asks.
pub(crate) struct Read {
    pub(crate) endpoint: EndpointId,
    pub(crate) after: u64,
    pub(crate) most_events: usize,
    pub(crate) most_bytes: usize,
    pub(crate) reply: oneshot::Sender<rusqlite::Result<Vec<Stored>>>,
}

/// Answers until nobody can ask any more.
#[allow(clippy::needless_pass_by_value, reason = "it lives as long as the thread")]
pub(crate) fn run(connection: Connection, questions: Receiver<Read>) {
    for Read { endpoint, after, most_events, most_bytes, reply } in questions {
        // Who asked may have lost interest.
        if !reply.is_closed() {
            let _ = reply.send(read(&connection, endpoint, after, most_events, most_bytes));
        }
    }
}

/// The events that wait for the endpoint ?1 after the id ?2, in the order of ids, ?3 at most.
fn sql() -> String {
    format!("{} LIMIT ?3", waiting(&format!("{EVENT}, {TRIED}")))
}

/// What waits for an endpoint after `after`, in the order of ids: at most `most_events`, and of texts at most
/// `most_bytes` beyond the first event.
pub(crate) fn read(
    connection: &Connection,
    endpoint: EndpointId,
    after: u64,
    most_events: usize,
    most_bytes: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let mut statement = connection.prepare(&sql())?;
    let limit = i64::try_from(most_events).unwrap_or(i64::MAX);
    let mut rows = statement.query((endpoint, signed(after), limit))?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        // Behind the columns of the event.
        let event = Stored { tried: tried(row, 9)?, ..stored(row)? };
        bytes += event.topic.len() + event.data.as_ref().map_or(0, String::len);
        if bytes > most_bytes && !events.is_empty() {
            break;
        }
        events.push(event);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::schema::{Opener, open};

    /// However much waits for others.
    #[test]
    fn what_waits_for_an_endpoint_is_found_by_the_index() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open(&directory.path().join("events.db"), Opener::Outbox).unwrap();
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", sql())).unwrap();
        let steps = plan.query_map((1, 1, 1), |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert_eq!(
            steps,
            [
                "SEARCH deliveries USING PRIMARY KEY (endpoint=? AND last>?)",
                "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
                "SEARCH attempts USING PRIMARY KEY (endpoint=? AND event=?) LEFT-JOIN"
            ]
        );
    }
}

//! The one thread that reads what waits.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, Statement};
use tokio::sync::oneshot;

use super::deliveries::waiting;
use super::event::{EndpointId, Stored};
use super::lines::Line;
use super::rows::{EVENT, TRIED, signed, stored, tried};

/// A question, and who asks.
pub(crate) struct Read {
    pub(crate) line: Arc<Line>,
    pub(crate) after: u64,
    pub(crate) most_events: usize,
    pub(crate) most_bytes: usize,
    pub(crate) reply: oneshot::Sender<rusqlite::Result<Vec<Stored>>>,
}

/// Answers until nobody can ask any more.
#[allow(clippy::needless_pass_by_value, reason = "it lives as long as the thread")]
pub(crate) fn run(connection: Connection, questions: Receiver<Read>) {
    // Without it, each question is told why.
    let mut prepared = connection.prepare(&sql()).ok();
    for Read { line, after, most_events, most_bytes, reply } in questions {
        // Who asked may have lost interest.
        if reply.is_closed() {
            continue;
        }
        // Nothing is aged out between the look and the note of what was read.
        let mut taken = line.taken();
        let events = match &mut prepared {
            Some(statement) => read_by(statement, line.id, after, most_events, most_bytes),
            None => read(&connection, line.id, after, most_events, most_bytes),
        };
        if let Some(last) = events.as_ref().ok().and_then(|events| events.last()) {
            *taken = last.id.max(*taken);
        }
        drop(taken);
        let _ = reply.send(events);
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
    read_by(&mut connection.prepare(&sql())?, endpoint, after, most_events, most_bytes)
}

fn read_by(
    statement: &mut Statement<'_>,
    endpoint: EndpointId,
    after: u64,
    most_events: usize,
    most_bytes: usize,
) -> rusqlite::Result<Vec<Stored>> {
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

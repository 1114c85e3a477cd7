//! What each status means: the counter where the event ends, and the number of attempts.

use pilot_webhook_core::{BreakerState, Event, Policy, Stats, Timestamp, Transport};

use super::rows;
use crate::Act::{Leave, Send, Serve};
use crate::deliver::{CONFIG, Memory, deliver};
use crate::{Authority, Script, Seen, Server, Setup, Url};

const TABLE: &str = include_str!("../../../core/tests/data/statuses.txt");
/// Every attempt after a failure makes a connection of its own, and interim answers end theirs: at
/// most three for each status, without and with a `Retry-After`.
const CONNECTIONS: usize = 6_000;
/// More than any event waits for, so that a breaker that honours it opens at once.
const RETRY_AFTER: &str = "3600";

/// Has a real server answer with every status of the table, without and with a `Retry-After`;
/// returns how many events that were.
///
/// # Panics
/// When an event does not end in the table's counter after the table's number of attempts.
pub async fn statuses<T: Transport<Url>>(make: impl Fn(&Setup) -> T) -> usize {
    let server = Server::start(vec![vec![Serve(answer)]; CONNECTIONS], None).await;
    let mut transport =
        make(&Setup { policy: Policy::default(), ca_pem: Authority::new().pem(), names: &[] });
    let (mut events, mut failures) = (0, Vec::new());
    for row in rows(TABLE) {
        let (first, last) = row[0].split_once('-').unwrap_or((row[0], row[0]));
        for status in first.parse::<u16>().unwrap()..=last.parse().unwrap() {
            for asks in [false, true] {
                events += 1;
                let honoured = asks && row[2] == "honoured";
                let expected = Expected { status, outcome: row[1], honoured };
                if let Err(failure) = check(&mut transport, &server, asks, &expected).await {
                    failures.push(failure);
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {events}:\n{}", failures.len(), failures.join("\n"));
    events
}

struct Expected {
    status: u16,
    outcome: &'static str,
    /// A `Retry-After` was sent, and counts.
    honoured: bool,
}

async fn check<T: Transport<Url>>(
    transport: &mut T,
    server: &Server,
    asks: bool,
    expected: &Expected,
) -> Result<(), String> {
    let Expected { status, outcome, honoured } = *expected;
    let query = if asks { "?retry-after" } else { "" };
    let url = format!("http://{}/{status}{query}", server.address());
    let url = Url::parse(&url, Policy::default()).unwrap();
    let event = Event::new("status", 1, Timestamp::new(0, 0));
    let before = server.request_count();
    let delivered = deliver(transport, url, CONFIG, None, &event, &(), Memory::UNCOUNTED).await?;
    let stats = delivered.stats;
    // Each was remembered before it was answered.
    let requests = server.request_count() - before;
    let attempts = match (outcome, honoured) {
        ("delivered" | "rejected" | "gone", _) | ("retryable", true) => 1,
        ("retryable", false) => 3,
        (other, _) => panic!("{other}"),
    };
    let counted = Stats {
        emitted: 1,
        delivered: (outcome == "delivered").into(),
        rejected: matches!(outcome, "rejected" | "gone").into(),
        exhausted: (outcome == "retryable").into(),
        attempts,
        // An interim answer does not count as one.
        last_status: if status < 200 { 0 } else { status },
        breaker: match outcome {
            "gone" => BreakerState::Gone,
            _ if honoured => BreakerState::Open,
            _ => BreakerState::Closed,
        },
        circuit_opens: honoured.into(),
        ..Stats::default()
    };
    if stats == counted && requests as u64 == attempts {
        return Ok(());
    }
    Err(format!("{status}, asking to wait: {asks}: {requests} requests, {stats:?}"))
}

/// Answers with the status that the path names.
fn answer(seen: &Seen) -> Script {
    let target = seen.head.split(' ').nth(1).unwrap();
    let (status, query) = target[1..].split_once('?').unwrap_or((&target[1..], ""));
    let mut head = format!("HTTP/1.1 {status} Status\r\n");
    if !query.is_empty() {
        head += &format!("Retry-After: {RETRY_AFTER}\r\n");
    }
    match status.parse::<u16>().unwrap() {
        // No final answer follows.
        100..200 => vec![Send((head + "\r\n").into()), Leave],
        204 | 304 => vec![Send((head + "\r\n").into())],
        _ => vec![Send((head + "Content-Length: 2\r\n\r\nok").into())],
    }
}

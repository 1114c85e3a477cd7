//! What is in the file, for people. Text of foreign origin is escaped.

use std::fmt::{Display, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::delivery::PILOT;
use jiff::SignedDuration;
use pilot_webhook_std::Printable;
use pilot_webhook_std::outbox::{DeadLetter, EndpointStatus, Item, Ledger, OutboxStatus, Stored};

/// How much of a text a line of a list shows, and how much of data, in bytes.
const TEXT: usize = 160;
const DATA: usize = 60;

/// An event in one line: id, endpoint, time, node, topic, the length of its data, and the data's beginning.
pub(super) fn waiting(endpoint: &str, event: &Stored) -> String {
    head(endpoint, event) + &beginning(event)
}

/// A dead letter in one line: as an event, with its story before the data.
pub(super) fn dead(letter: &DeadLetter) -> String {
    let DeadLetter { endpoint, event, died_at, reason, replay, .. } = letter;
    let fate = reason.fate.name();
    let attempts = count(reason.attempts.into(), "attempt");
    let url = Printable::new(&reason.url, TEXT);
    let mut line = head(endpoint, event);
    line += &format!("  {fate} {died_at} after {attempts}: {}, {url}", last(letter, TEXT));
    if *replay {
        line += ", to be replayed";
    }
    line + &beginning(event)
}

fn head(endpoint: &str, event: &Stored) -> String {
    let Stored { id, timestamp, node_id, topic, .. } = event;
    let endpoint = Printable::new(endpoint, TEXT);
    format!("{id:>8}  {endpoint}  {timestamp:<24}  node {node_id}  {}", Printable::new(topic, TEXT))
}

fn beginning(event: &Stored) -> String {
    match &event.data {
        Some(data) => format!("  {} B  {}", data.len(), Printable::new(data, DATA)),
        None => "  no data".to_owned(),
    }
}

/// How the last attempt ended.
fn last(letter: &DeadLetter, limit: usize) -> String {
    match (letter.reason.status, &letter.reason.error) {
        (Some(status), _) => format!("status {status}"),
        (None, Some(error)) => Printable::new(error, limit).to_string(),
        (None, None) => "no answer".to_owned(),
    }
}

/// All that is known of an event, and all of its data, which is the last line.
pub(super) fn item(item: &Item) -> String {
    let (endpoint, event, letter) = match item {
        Item::Waiting { endpoint, event } => (endpoint, event, None),
        Item::Dead(letter) => (&letter.endpoint, &letter.event, Some(letter)),
    };
    let mut rows = Rows::default();
    rows.add("id", event.id);
    rows.add("endpoint", whole(endpoint));
    rows.add("state", letter.map_or("waiting", |letter| letter.reason.fate.name()));
    rows.add("topic", whole(&event.topic));
    rows.add("node", event.node_id);
    rows.add("time", event.timestamp);
    rows.add("stored", event.stored_at);
    rows.add_if_any("origin id", event.origin_id);
    rows.add_if_any("first id", event.first_id);
    if let Some(letter) = letter {
        rows.add("died", letter.died_at);
        rows.add("attempts", letter.reason.attempts);
        rows.add("last attempt", last(letter, usize::MAX));
        rows.add("URL", whole(&letter.reason.url));
        rows.add("replay", if letter.replay { "asked for" } else { "no" });
    }
    rows.add("size", format_args!("{} bytes", event.data.as_ref().map_or(0, String::len)));
    rows.add_if_any("data", event.data.as_deref().map(whole));
    rows.text()
}

/// The file at a glance.
pub(super) fn status(path: &Path, status: &OutboxStatus) -> String {
    let law = status.ledger;
    let mut rows = Rows::default();
    rows.add("file", format_args!("{}, {} bytes", whole(path.display()), status.file_bytes));
    rows.add("instance", format_args!("{:016x}", status.instance));
    rows.add("daemon", if status.is_live { "has the file" } else { "none" });
    rows.add(
        "waiting",
        format_args!("{}, {} bytes", count(status.events, "event"), law.stored_bytes),
    );
    rows.add_if_any("oldest", status.oldest.as_ref().map(oldest));
    rows.add("dead letters", law.dead);
    rows.add("to replay", status.replays);
    rows.add("ever dead", ever_dead(&law));
    rows.add("last id", status.last_id);
    rows.add("repeats", law.repeats);
    for (source, position) in &status.positions {
        rows.add("read up to", format_args!("{} of {}", whole(position), whole(source)));
    }
    rows.add("all events", law);
    // Of one endpoint this is all.
    if status.endpoints.len() > 1 {
        // The first one is in every file, also where no such endpoint was ever configured.
        let is_used = |it: &&EndpointStatus| it.name != PILOT || it.ledger != Ledger::default();
        for EndpointStatus { name, ledger, .. } in status.endpoints.iter().filter(is_used) {
            rows.add("endpoint", format_args!("{}: {ledger}", whole(name)));
        }
    }
    rows.text()
}

/// An endpoint at a glance.
pub(super) fn endpoint(status: &EndpointStatus) -> String {
    let law = status.ledger;
    let mut rows = Rows::default();
    rows.add("endpoint", whole(&status.name));
    rows.add("waiting", format_args!("{}, {} bytes", count(law.stored, "event"), law.stored_bytes));
    rows.add_if_any("oldest", status.oldest.as_ref().map(oldest));
    rows.add("dead letters", law.dead);
    rows.add("to replay", status.replays);
    rows.add("ever dead", ever_dead(&law));
    rows.add("all events", law);
    rows.text()
}

fn ever_dead(law: &Ledger) -> String {
    format!(
        "{} rejected, {} exhausted, {} oversize; {} replayed",
        law.rejected, law.exhausted, law.oversize, law.replayed
    )
}

fn oldest(event: &Stored) -> String {
    // Whole seconds: nobody needs more.
    let age = SignedDuration::try_from(age(event)).unwrap_or(SignedDuration::MAX);
    format!("event {}, waits for {:#}", event.id, SignedDuration::from_secs(age.as_secs()))
}

/// For how long it has waited, by the system's clock.
pub(super) fn age(event: &Stored) -> Duration {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let stored = Duration::new(
        u64::try_from(event.stored_at.seconds()).unwrap_or(0),
        event.stored_at.nanos(),
    );
    now.saturating_sub(stored)
}

/// `1 event`, `2 events`.
pub(super) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn whole<T: Display>(text: T) -> Printable<T> {
    Printable::new(text, usize::MAX)
}

/// A name and a value a line.
#[derive(Default)]
struct Rows(String);

impl Rows {
    fn add(&mut self, name: &str, value: impl Display) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{name:<13}{value}");
    }

    fn add_if_any(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Without the last line's end.
    fn text(mut self) -> String {
        self.0.pop();
        self.0
    }
}

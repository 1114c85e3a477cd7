//! What is in the file, for people. Text of foreign origin is escaped.

use std::fmt::{Display, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::SignedDuration;
use pilot_webhook_std::Printable;
use pilot_webhook_std::outbox::{DeadLetter, Item, OutboxStatus, Stored};

/// How much of a text a line of a list shows, and how much of data, in bytes.
const TEXT: usize = 160;
const DATA: usize = 60;

/// An event in one line: id, time, node, topic, the length of its data, and the data's beginning.
pub(super) fn waiting(event: &Stored) -> String {
    head(event) + &beginning(event)
}

/// A dead letter in one line: as an event, with its story before the data.
pub(super) fn dead(letter: &DeadLetter) -> String {
    let DeadLetter { event, died_at, reason, replay, .. } = letter;
    let fate = reason.fate.name();
    let attempts = count(reason.attempts.into(), "attempt");
    let endpoint = Printable::new(&reason.endpoint, TEXT);
    let mut line = head(event);
    line += &format!("  {fate} {died_at} after {attempts}: {}, {endpoint}", last(letter, TEXT));
    if *replay {
        line += ", to be replayed";
    }
    line + &beginning(event)
}

fn head(event: &Stored) -> String {
    let Stored { id, timestamp, node_id, topic, .. } = event;
    format!("{id:>8}  {timestamp:<24}  node {node_id}  {}", Printable::new(topic, TEXT))
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
    let (event, letter) = match item {
        Item::Waiting(event) => (event, None),
        Item::Dead(letter) => (&letter.event, Some(letter)),
    };
    let mut rows = Rows::default();
    rows.add("id", event.id);
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
        rows.add("endpoint", whole(&letter.reason.endpoint));
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
    rows.add("waiting", format_args!("{}, {} bytes", count(law.stored, "event"), law.stored_bytes));
    rows.add_if_any(
        "oldest",
        status.oldest.as_ref().map(|event| {
            // Whole seconds: nobody needs more.
            let age = SignedDuration::try_from(age(event)).unwrap_or(SignedDuration::MAX);
            format!("event {}, waits for {:#}", event.id, SignedDuration::from_secs(age.as_secs()))
        }),
    );
    rows.add("dead letters", law.dead);
    rows.add("to replay", status.replays);
    rows.add(
        "ever dead",
        format_args!(
            "{} rejected, {} exhausted, {} oversize; {} replayed",
            law.rejected, law.exhausted, law.oversize, law.replayed
        ),
    );
    rows.add("last id", status.last_id);
    rows.add("repeats", law.repeats);
    for (source, position) in &status.positions {
        rows.add("read up to", format_args!("{} of {}", whole(position), whole(source)));
    }
    rows.add("all events", law);
    rows.text()
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

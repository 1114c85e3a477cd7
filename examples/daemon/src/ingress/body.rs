//! Reads the body of a POST: an event as pilot's Go plugin writes it, or a JSON array of them.

use std::borrow::Cow;
use std::fmt;

use pilot_webhook_core::{Event, Timestamp, TraceContext};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::events::timestamp;

/// An event that was posted. Other keys are ignored.
#[derive(Deserialize)]
pub struct Posted<'a> {
    /// What the event is about.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// The number that its origin gave it, from 1 at each start of the origin.
    #[serde(default)]
    pub event_id: Option<u64>,
    /// The node it happened on, if not the daemon's own.
    #[serde(default)]
    pub node_id: Option<u32>,
    /// When it happened, if not now.
    #[serde(default, deserialize_with = "timestamp")]
    pub timestamp: Option<Timestamp>,
    /// Its data, as JSON text.
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    /// The trace that it was posted in. It stands beside the body.
    #[serde(skip)]
    pub trace: Option<TraceContext>,
}

impl Posted<'_> {
    /// The event, with what is not said taken from these.
    #[must_use]
    pub fn event(&self, node_id: impl Fn() -> u32, now: impl Fn() -> Timestamp) -> Event<'_> {
        let node_id = self.node_id.unwrap_or_else(node_id);
        let event = Event::new(&self.event, node_id, self.timestamp.unwrap_or_else(now));
        self.trace.map_or(event, |trace| event.with_trace(trace))
    }

    /// The data as JSON text; none is `null`.
    #[must_use]
    pub fn data(&self) -> &str {
        self.data.map_or("null", RawValue::get)
    }
}

/// Why a body is not events. `Display` shows nothing of the body but a position.
#[derive(Debug)]
pub enum BadBody {
    /// It is not UTF-8.
    NotUtf8,
    /// It is neither an object nor an array of objects.
    NotAnObject {
        /// Which one of an array it is, from 1.
        number: Option<usize>,
    },
    /// It is not JSON, or lacks what an event needs.
    Json {
        /// Which one of an array it is, from 1. Positions in the error are those within it.
        number: Option<usize>,
        /// What serde says.
        error: serde_json::Error,
    },
}

impl fmt::Display for BadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::NotAnObject { number: Some(number) }
        | Self::Json { number: Some(number), .. } = self
        {
            write!(f, "event {number} of the array: ")?;
        }
        match self {
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::NotAnObject { number: None } => {
                f.write_str("neither a JSON object nor an array of them")
            }
            Self::NotAnObject { .. } => f.write_str("not a JSON object"),
            // What serde says shows the value.
            Self::Json { error, .. } if error.is_data() => write!(
                f,
                "not an event, at column {}: it needs event, which is a string; event_id is a number below 2^64, \
                 node_id one below 2^32, timestamp is RFC 3339; each stands there once",
                error.column()
            ),
            Self::Json { error, .. } => write!(f, "not JSON: {error}"),
        }
    }
}

/// The events of a body, in their order: one, or those of an array.
///
/// # Errors
/// When one of them is no event; the others are not told apart then.
pub fn parse(body: &[u8]) -> Result<Vec<Posted<'_>>, BadBody> {
    let text = std::str::from_utf8(body).map_err(|_| BadBody::NotUtf8)?;
    if !text.trim_ascii_start().starts_with('[') {
        return Ok(vec![event(text, None)?]);
    }
    // First as texts, since serde takes the fields of an array, too, by their place.
    let texts: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| BadBody::Json { number: None, error })?;
    (1..).zip(texts).map(|(number, text)| event(text.get(), Some(number))).collect()
}

fn event(text: &str, number: Option<usize>) -> Result<Posted<'_>, BadBody> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(BadBody::NotAnObject { number });
    }
    serde_json::from_str(text).map_err(|error| BadBody::Json { number, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go writes it.
    const ORIGINAL: &str = r#"{"event_id":9,"event":"conn.established","node_id":5,"timestamp":"2026-01-15T12:34:56.789Z","data":{"a":1}}"#;

    fn said(body: &[u8]) -> String {
        match parse(body) {
            Ok(events) => panic!("{} events", events.len()),
            Err(bad) => bad.to_string(),
        }
    }

    #[test]
    fn an_event_of_the_original_is_read() {
        let events = parse(ORIGINAL.as_bytes()).unwrap();
        let [event] = events.as_slice() else { panic!("{}", events.len()) };
        assert_eq!((&*event.event, event.event_id), ("conn.established", Some(9)));
        assert_eq!(event.node_id, Some(5));
        assert_eq!(event.timestamp, Some(Timestamp::new(1_768_480_496, 789_000_000)));
        assert_eq!(event.data(), r#"{"a":1}"#);
    }

    #[test]
    fn null_is_as_good_as_a_key_that_is_missing() {
        for body in [
            r#"{"event":"e"}"#,
            r#" {"event":"e","event_id":null,"node_id":null,"timestamp":null,"data":null,"x":[1]} "#,
        ] {
            let event = &parse(body.as_bytes()).unwrap()[0];
            assert_eq!((event.event_id, event.node_id, event.timestamp), (None, None, None));
            assert_eq!(event.data(), "null");
        }
    }

    #[test]
    fn an_array_is_a_batch_and_may_be_empty() {
        let body = format!("[{ORIGINAL},\n{{\"event\":\"b\"}}]");
        let events = parse(body.as_bytes()).unwrap();
        let topics: Vec<_> = events.iter().map(|event| &*event.event).collect();
        assert_eq!(topics, ["conn.established", "b"]);
        assert!(parse(b"[]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_event_is_said_in_one_line() {
        let not_an_event = "not an event, at column ";
        for (body, expected) in [
            ("", "neither a JSON object nor an array of them"),
            ("\"e\"", "neither a JSON object nor an array of them"),
            ("{", "not JSON: EOF"),
            ("{\"event\":\"e\"} x", "not JSON: "),
            ("{}", not_an_event),
            ("{\"event\":1}", not_an_event),
            ("{\"event\":\"e\",\"event\":\"e\"}", not_an_event),
            ("{\"event\":\"e\",\"event_id\":-1}", not_an_event),
            ("{\"event\":\"e\",\"event_id\":18446744073709551616}", not_an_event),
            ("{\"event\":\"e\",\"node_id\":4294967296}", not_an_event),
            ("{\"event\":\"e\",\"timestamp\":\"now\"}", not_an_event),
            ("{\"topic\":\"e\"}", not_an_event),
            ("[", "not JSON: EOF"),
            ("[{\"event\":\"e\"}", "not JSON: EOF"),
            ("[[\"e\"]]", "event 1 of the array: not a JSON object"),
            ("[{\"event\":\"e\"},{}]", "event 2 of the array: not an event, at column "),
        ] {
            let said = said(body.as_bytes());
            assert!(said.starts_with(expected), "{body}: {said}");
            assert_eq!(said.lines().count(), 1, "{body}: {said}");
        }
        assert_eq!(said(b"{\"event\":\"\xff\"}"), "not UTF-8");
    }

    #[test]
    fn what_is_said_shows_nothing_of_the_body() {
        for body in [
            r#"{"event":{"k":"hunter2"}}"#,
            r#"{"event":"e","node_id":"hunter2"}"#,
            r#"{"event":"e","timestamp":"hunter2"}"#,
            r#"[{"event":"e"},{"event":"e","data":hunter2}]"#,
        ] {
            let said = said(body.as_bytes());
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

//! Reads events: JSON objects, one per line.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Read as _};

use pilot_webhook_core::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::rfc3339;

/// The longest line that is taken. Arbitrary: many times the longest event.
const LINE_MAX: u64 = 1024 * 1024;

/// U+FEFF in UTF-8, which some editors write before the first line.
const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// A line: the topic, the data, and optionally a node id and a time. Other keys are ignored.
#[derive(Deserialize)]
pub struct Line<'a> {
    /// What the event is about.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Its data, as JSON text.
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    /// The node it happened on, if not the daemon's own.
    #[serde(default)]
    pub node_id: Option<u32>,
    /// When it happened, if not now.
    #[serde(default, deserialize_with = "timestamp")]
    pub timestamp: Option<Timestamp>,
}

pub(crate) fn timestamp<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<Cow<'_, str>>::deserialize(input)? else { return Ok(None) };
    match rfc3339::parse(&text) {
        None => Err(D::Error::custom("not RFC 3339")),
        time => Ok(time),
    }
}

impl Line<'_> {
    /// The data as JSON text; none is `null`.
    #[must_use]
    pub fn data(&self) -> &str {
        self.data.map_or("null", RawValue::get)
    }
}

/// Why a line is not an event. `Display` shows nothing of the line but a position.
#[derive(Debug)]
pub enum BadLine {
    /// It is longer than the longest line that is read.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It is JSON, but not an object.
    NotAnObject,
    /// It is not JSON, or lacks what an event needs.
    Json(serde_json::Error),
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {LINE_MAX} bytes"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::NotAnObject => f.write_str("not a JSON object"),
            // What serde says shows the value.
            Self::Json(error) if error.is_data() => write!(
                f,
                "not an event, at column {}: it needs a topic, which is a string; \
                 node_id is a number below 2^32, timestamp is RFC 3339; each stands there once",
                error.column()
            ),
            Self::Json(error) => write!(f, "not JSON: {error}"),
        }
    }
}

/// Reads lines of any length in bounded memory.
pub struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `source`.
    pub fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), number: 0 }
    }

    /// The next line that is not blank, with its number from 1. `None` at the end of the input.
    ///
    /// # Errors
    /// When reading fails.
    #[allow(
        clippy::should_implement_trait,
        reason = "lines borrow the buffer; no iterator can do that"
    )]
    pub fn next(&mut self) -> io::Result<Option<(u64, Result<Line<'_>, BadLine>)>> {
        Ok(self.next_of()?.map(|(number, line, _)| (number, line)))
    }

    /// The same, and the source as it is behind that line.
    #[allow(clippy::type_complexity, reason = "an item of `next`, and one more")]
    pub(crate) fn next_of(&mut self) -> io::Result<Option<(u64, Result<Line<'_>, BadLine>, &R)>> {
        loop {
            self.buffer.clear();
            let mut limited = (&mut self.source).take(LINE_MAX + 1);
            if limited.read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.number == 1 && self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.drain(..BYTE_ORDER_MARK.len());
            }
            if self.buffer.last() != Some(&b'\n') && self.buffer.len() as u64 > LINE_MAX {
                self.source.skip_until(b'\n')?;
                return Ok(Some((self.number, Err(BadLine::TooLong), &self.source)));
            }
            if !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        let line = std::str::from_utf8(&self.buffer).map_err(|_| BadLine::NotUtf8).and_then(parse);
        Ok(Some((self.number, line, &self.source)))
    }
}

fn parse(text: &str) -> Result<Line<'_>, BadLine> {
    // Serde takes the fields of an array, too, by their place.
    if !text.trim_start().starts_with('{') {
        return Err(BadLine::NotAnObject);
    }
    serde_json::from_str(text).map_err(BadLine::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line's number, and its topic and data, or what is wrong with it.
    type Read = (u64, Result<(String, String), String>);

    fn read(input: &[u8]) -> Vec<Read> {
        let mut lines = Lines::new(input);
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            let line = line.map(|line| (line.topic.to_string(), line.data().to_owned()));
            all.push((number, line.map_err(|bad| bad.to_string())));
        }
        all
    }

    #[test]
    fn blank_lines_are_passed_over_and_bad_ones_keep_their_number() {
        let lines = read(b"{\"topic\":\"a\",\"x\":1}\n\n{}\nnope\n{\"topic\":\"b\",\"data\":[1]}");
        assert_eq!(lines[0], (1, Ok(("a".into(), "null".into()))));
        assert_eq!((lines[1].0, lines[1].1.is_err()), (3, true));
        assert_eq!((lines[2].0, lines[2].1.is_err()), (4, true));
        assert_eq!(lines[3], (5, Ok(("b".into(), "[1]".into()))));
    }

    /// The first line was lost.
    #[test]
    fn a_byte_order_mark_before_the_first_line_is_passed_over() {
        let lines = read("\u{FEFF}{\"topic\":\"a\"}\n\u{FEFF}{\"topic\":\"b\"}\n".as_bytes());
        assert_eq!(lines[0], (1, Ok(("a".into(), "null".into()))));
        assert!(lines[1].1.is_err());
    }

    #[test]
    fn a_line_without_end_is_bounded_and_the_next_one_is_read() {
        let mut input = vec![b'x'; 3 * 1024 * 1024];
        input.extend(b"\n{\"topic\":\"\xff\"}\n{\"topic\":\"b\"}\n");
        let lines = read(&input);
        assert_eq!(lines[0].1, Err("longer than 1048576 bytes".into()));
        assert_eq!(lines[1].1, Err("not UTF-8".into()));
        assert_eq!(lines[2], (3, Ok(("b".into(), "null".into()))));
    }

    #[test]
    fn overrides_are_read_and_wrong_ones_are_bad() {
        let line: Line<'_> = serde_json::from_str(
            r#"{"topic":"t","node_id":4294967295,"timestamp":"1969-12-31T23:59:59.5Z"}"#,
        )
        .unwrap();
        assert_eq!(line.node_id, Some(u32::MAX));
        assert_eq!(line.timestamp, Some(Timestamp::new(-1, 500_000_000)));
        for bad in [r#"{"topic":"t","node_id":-1}"#, r#"{"topic":"t","timestamp":"now"}"#] {
            assert!(serde_json::from_str::<Line<'_>>(bad).is_err(), "{bad}");
        }
    }

    /// It was delivered with the first second of the year 0.
    #[test]
    fn a_time_that_rfc_3339_cannot_write_is_bad() {
        for bad in ["-000001-12-31T23:59:59Z", "10000-01-01T00:00:00Z"] {
            let line = format!("{{\"topic\":\"t\",\"timestamp\":\"{bad}\"}}");
            assert!(read(line.as_bytes())[0].1.is_err(), "{bad}");
        }
        let first: Line<'_> =
            serde_json::from_str(r#"{"topic":"t","timestamp":"0000-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(first.timestamp.unwrap().to_string(), "0000-01-01T00:00:00Z");
    }

    /// Fields were taken by their place.
    #[test]
    fn only_an_object_is_an_event() {
        for bad in [r#"["t"]"#, r#" ["t",{"d":1},5]"#, r#""t""#, "7", "null"] {
            assert!(read(bad.as_bytes())[0].1.is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_said_of_a_bad_line_shows_nothing_that_is_in_it() {
        for bad in [
            r#""hunter2""#,
            r#"{"topic":{"k":"hunter2"}}"#,
            r#"{"topic":"t","node_id":"hunter2"}"#,
            r#"{"topic":"t","timestamp":"hunter2"}"#,
            r#"{"topic":"t"} hunter2"#,
            r#"{"topic":"t","data":hunter2}"#,
        ] {
            let said = read(bad.as_bytes()).remove(0).1.unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
        let said = read(br#"{"topic":"t","node_id":4294967296}"#).remove(0).1.unwrap_err();
        assert!(!said.contains("4294967296"), "{said}");
    }
}

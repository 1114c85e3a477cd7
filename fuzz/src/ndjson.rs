//! Lines of events. The oracles: `serde_json`, which reads the members of a line one by one, and `jiff`
//! for times.
//!
//! Takes two bytes of piece sizes (see `pieces`), then the lines. Every line that is not blank must
//! come out with its number; as an event exactly when it is an object with one topic, and whatever
//! else the event consists of at most once and of the right type. Core must take its data.
//!
//! Known differences: none. (Data nested deeper than 128 levels is read, and refused by core.)

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::BufReader;

use pilot_webhook_core::{Json, Timestamp};
use pilot_webhookd::events::{BadLine, Line, Lines};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::payload;
use crate::pieces::Pieces;

/// Takes lines.
pub fn run(data: &[u8]) {
    let Some(pieces) = Pieces::new(data) else { return };
    let input = pieces.rest();
    let mut lines = Lines::new(BufReader::with_capacity(16, pieces));
    for (number, expected) in (1..).zip(input.split(|byte| *byte == b'\n')) {
        // A byte order mark is no part of the first line.
        let mark = "\u{feff}".as_bytes();
        let expected = match number {
            1 => expected.strip_prefix(mark).unwrap_or(expected),
            _ => expected,
        };
        if expected.trim_ascii().is_empty() {
            continue;
        }
        let (found, line) = lines.next().unwrap().expect("every line comes out");
        assert_eq!(found, number);
        match (line, str::from_utf8(expected)) {
            (Ok(line), Ok(text)) => event(&line, text),
            (Err(BadLine::Json(error)), Ok(text)) => {
                assert!(members(text).is_none(), "{error}: {text}");
            }
            (Err(BadLine::NotAnObject), Ok(text)) => assert!(members(text).is_none(), "{text}"),
            (Err(BadLine::NotUtf8), Err(_)) => {}
            (line, _) => panic!("line {number} is {:?}: {expected:?}", line.err()),
        }
    }
    assert!(lines.next().unwrap().is_none(), "no more lines come out than went in");
}

fn event(line: &Line<'_>, text: &str) {
    let Some(members) = members(text) else { panic!("taken for an event: {text}") };
    assert_eq!(line.topic, members.topic);
    assert_eq!(line.data(), members.data, "{text}");
    assert_eq!(line.node_id, members.node_id, "{text}");
    assert_eq!(line.timestamp.map(nanos), members.timestamp, "{text}");
    if payload::data(&Json(line.data())).is_none() {
        let limit = serde_json::from_str::<serde_json::Value>(line.data());
        let deep = limit.is_err_and(|error| error.to_string().contains("recursion"));
        assert!(deep || line.data().len() > payload::MAX / 2, "{text}");
    }
}

/// What an event consists of.
struct Members<'a> {
    topic: String,
    data: &'a str,
    node_id: Option<u32>,
    timestamp: Option<i128>,
}

/// The members of a line, when it is an event.
fn members(text: &str) -> Option<Members<'_>> {
    let known = values(text, &["topic", "data", "node_id", "timestamp"])?;
    Some(Members {
        topic: read(&known, "topic")??,
        data: value(&known, "data").unwrap_or("null"),
        node_id: read(&known, "node_id")?,
        timestamp: time(&known)?,
    })
}

/// The values of these members of an object, as texts. `None` when it is no object, or one of them stands there twice.
pub(crate) fn values<'a>(text: &'a str, keys: &[&str]) -> Option<BTreeMap<String, &'a str>> {
    let Pairs(pairs) = serde_json::from_str(text).ok()?;
    let mut known = BTreeMap::new();
    for (key, value) in pairs {
        if keys.contains(&&*key) {
            // Twice is once too often.
            let earlier = known.insert(key.into_owned(), value.get());
            earlier.is_none().then_some(())?;
        }
    }
    Some(known)
}

/// A value's text, if it is there and not `null`.
pub(crate) fn value<'a>(known: &BTreeMap<String, &'a str>, key: &str) -> Option<&'a str> {
    known.get(key).copied().filter(|text| *text != "null")
}

/// A value that may be missing. `None` when it is of another type.
pub(crate) fn read<T: DeserializeOwned>(
    known: &BTreeMap<String, &str>,
    key: &str,
) -> Option<Option<T>> {
    value(known, key).map(serde_json::from_str).transpose().ok()
}

/// The time, in nanoseconds since 1970, which may be missing. `None` when it is none.
pub(crate) fn time(known: &BTreeMap<String, &str>) -> Option<Option<i128>> {
    match read::<String>(known, "timestamp")? {
        None => Some(None),
        Some(text) => rfc_3339(&text).map(Some),
    }
}

/// The same of what was read.
pub(crate) fn nanos(time: Timestamp) -> i128 {
    i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanos())
}

/// The time, in nanoseconds since 1970. jiff takes more than RFC 3339, so that its shape is checked before; and less:
/// no more than nine digits of a second, and not the last day of the year 9999.
fn rfc_3339(text: &str) -> Option<i128> {
    const SHAPE: &str = "0000-00-00T00:00:00";
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c.to_ascii_uppercase() })
        .collect();
    let rest = shape.strip_prefix(SHAPE).or(shape.strip_prefix(&SHAPE.replace('T', " ")))?;
    let offset = match rest.strip_prefix('.') {
        Some(rest) => {
            Some(rest.trim_start_matches('0')).filter(|offset| offset.len() < rest.len())?
        }
        None => rest,
    };
    let (civil, offset) = text.split_at(text.len() - offset.len());
    let beyond = match offset.to_ascii_uppercase() {
        zulu if zulu == "Z" => 0,
        offset => {
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let number =
                |text: &str| (text.len() == 2).then(|| text.parse::<i128>().ok()).flatten();
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            let sign = match &offset[..1] {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))?
        }
    };
    let civil = &civil[..civil.len().min(SHAPE.len() + 10)];
    let civil: jiff::civil::DateTime = civil.parse().ok()?;
    let since = civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0)).as_nanos();
    let nanos = since - beyond * 1_000_000_000;
    // The first and the last that RFC 3339 can write in UTC.
    let years = -62_167_219_200_000_000_000..253_402_300_800_000_000_000;
    years.contains(&nanos).then_some(nanos)
}

/// An object's members, in order, twice where they are twice.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'de>, M::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, _>()? {
                    pairs.push((Cow::Owned(key), value));
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Members)
    }
}

#[cfg(test)]
pub(crate) use inputs::{WORDS, grammar};

#[cfg(test)]
mod inputs {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use crate::json_text::json;

    pub(crate) const WORDS: &[&str] = &[
        "\n",
        "\r\n",
        "\"topic\":\"t\",",
        "\"data\":",
        "\"node_id\":1,",
        "\"timestamp\":null,",
        "\\u0074opic",
        "{",
        "}",
        "[",
        "]",
        ",",
        "null",
        "\u{feff}",
        " ",
        "\u{b}",
        "4294967296",
        "2026-01-15T12:34:56.789Z",
        "[\"t\",{}]",
    ];

    pub(crate) fn grammar() -> BoxedStrategy<Vec<u8>> {
        let topic = prop_oneof![
            4 => Just("\"topic\":\"conn.established\"".to_owned()),
            1 => json().prop_map(|json| format!("\"topic\":{json}")),
            1 => "\"\\\\u0074opic\" ?: ?\"[a-z\\\\\\\\]{0,4}\"",
        ];
        let data = json().prop_map(|json| format!("\"data\":{}", json.replace('\n', " ")));
        let node = prop_oneof![
            2 => any::<u32>().prop_map(|id| format!("\"node_id\":{id}")),
            1 => "\"node_id\":(null|-1|1.0|1e2|4294967296|\"1\")",
        ];
        let form = select(vec![
            "%FT%TZ",
            "%FT%T.%fZ",
            "%F %T%:z",
            "%FT%T",
            "%F",
            "%FT%T.%f+02:00",
            "%FT%T.%f9Z",
            "%FT%T+25:59",
            "%FT%HZ",
        ]);
        let time = (form, -377_705_000_000_i64..253_402_200_000, 0_i32..1_000_000_000).prop_map(
            |(form, second, nanos)| {
                let time = jiff::Timestamp::new(second, nanos).unwrap();
                format!("\"timestamp\":\"{}\"", time.strftime(form))
            },
        );
        let other = (json(), "[a-z]{1,5}").prop_map(|(json, key)| format!("\"{key}\":{json}"));
        let member = prop_oneof![2 => data, 1 => node, 1 => time, 1 => other];
        let event = (topic, vec(member, 0..4), any::<prop::sample::Index>()).prop_map(
            |(topic, mut members, at)| {
                members.insert(at.index(members.len() + 1), topic);
                format!("{{{}}}", members.join(","))
            },
        );
        let line = prop_oneof![10 => event, 1 => json(), 1 => "[ \\t\\r]{0,3}", 1 => "\\PC{0,8}"];
        let sizes = "[@-_]{2}";
        (sizes, vec(line, 0..5), "\n?")
            .prop_map(|(sizes, lines, end)| (sizes + &lines.join("\n") + &end).into_bytes())
            .boxed()
    }
}

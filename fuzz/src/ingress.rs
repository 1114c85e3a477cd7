//! Bodies that are posted to the daemon. The oracles: `serde_json`, which reads the members of an event one by one,
//! and `jiff` for times.
//!
//! Takes the body. It must come out as events exactly when it is an object, or an array of objects, each with one
//! `event`, and whatever else the event consists of at most once and of the right type; and then as that.
//!
//! Known differences: none.

use pilot_webhookd::ingress::body::{self, BadBody, Posted};
use serde_json::value::RawValue;

use crate::ndjson::{nanos, read, time, value, values};

/// Takes a body.
pub fn run(data: &[u8]) {
    match (body::parse(data), str::from_utf8(data)) {
        (Ok(posted), Ok(text)) => {
            let Some(expected) = events(text) else { panic!("taken for events: {text}") };
            assert_eq!(posted.iter().map(Event::from).collect::<Vec<_>>(), expected, "{text}");
        }
        (Err(BadBody::NotUtf8), Err(_)) => {}
        (Err(bad), Ok(text)) => {
            assert!(events(text).is_none(), "{bad}: {text}");
            assert_eq!(bad.to_string().lines().count(), 1);
        }
        (found, Err(_)) => panic!("not UTF-8, but {:?}", found.err()),
    }
}

/// What an event consists of.
#[derive(Debug, PartialEq)]
struct Event {
    event: String,
    event_id: Option<u64>,
    node_id: Option<u32>,
    timestamp: Option<i128>,
    data: String,
}

impl From<&Posted<'_>> for Event {
    fn from(posted: &Posted<'_>) -> Self {
        Self {
            event: posted.event.to_string(),
            event_id: posted.event_id,
            node_id: posted.node_id,
            timestamp: posted.timestamp.map(nanos),
            data: posted.data().to_owned(),
        }
    }
}

/// The events of a body, if it is some.
fn events(text: &str) -> Option<Vec<Event>> {
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(texts) => texts.into_iter().map(|text| event(text.get())).collect(),
        Err(_) => event(text).map(|event| vec![event]),
    }
}

fn event(text: &str) -> Option<Event> {
    let known = values(text, &["event", "event_id", "node_id", "timestamp", "data"])?;
    Some(Event {
        event: read(&known, "event")??,
        event_id: read(&known, "event_id")?,
        node_id: read(&known, "node_id")?,
        timestamp: time(&known)?,
        data: value(&known, "data").unwrap_or("null").to_owned(),
    })
}

#[cfg(test)]
pub(crate) use inputs::{WORDS, grammar};

#[cfg(test)]
mod inputs {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::json_text::json;

    pub(crate) const WORDS: &[&str] = &[
        "\"event\":\"e\",",
        "\"event_id\":1,",
        "\"node_id\":1,",
        "\"timestamp\":null,",
        "\"data\":",
        "\\u0065vent",
        "{",
        "}",
        "[",
        "]",
        ",",
        "null",
        "\n",
        "\u{feff}",
        "18446744073709551616",
        "2026-01-15T12:34:56.789Z",
        "[\"e\",{}]",
    ];

    pub(crate) fn grammar() -> BoxedStrategy<Vec<u8>> {
        let topic = prop_oneof![
            8 => Just("\"event\":\"conn.established\"".to_owned()),
            1 => json().prop_map(|json| format!("\"event\":{json}")),
            1 => "\"\\\\u0065vent\" ?: ?\"[a-z\\\\\\\\]{0,4}\"",
        ];
        let member = prop_oneof![
            any::<u64>().prop_map(|id| format!("\"event_id\":{id}")),
            "\"event_id\":(null|-1|1.0|1e2|18446744073709551616|\"1\")",
            any::<u32>().prop_map(|id| format!("\"node_id\":{id}")),
            "\"node_id\":(null|-1|4294967296)",
            "\"timestamp\":(null|1|\"2026-0[1-3]-[0-3][0-9]T[0-2][0-9]:00:00(\\.[0-9]{1,12})?(Z|[+-]0[0-9]:30)?\")",
            json().prop_map(|json| format!("\"data\":{json}")),
            (json(), "[a-z]{1,5}").prop_map(|(json, key)| format!("\"{key}\":{json}")),
        ];
        let event = (topic, vec(member, 0..5), any::<prop::sample::Index>()).prop_map(
            |(topic, mut members, at)| {
                members.insert(at.index(members.len() + 1), topic);
                format!("{{{}}}", members.join(","))
            },
        );
        let item = prop_oneof![20 => event, 1 => json(), 1 => "\\PC{0,8}"].boxed();
        let array = vec(item.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", ")));
        let space = "[ \\t\\r\\n\u{c}]{0,2}";
        (space, prop_oneof![item, array], space)
            .prop_map(|(before, body, after)| (before + &body + &after).into_bytes())
            .boxed()
    }
}

//! CloudEvents as they are handed to a transport, against the texts of the specification.

use pilot_webhook_core::{
    Bound, CloudEvents, CloudEventsBinaryFormat, CloudEventsError, CloudEventsFormat, Config,
    ConfigError, Event, Format, MessageId, Secret, Timestamp,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::sent::{Sent, sent};

const STRUCTURED: CloudEventsFormat = CloudEventsFormat(CloudEvents::DEFAULT);
const BINARY: CloudEventsBinaryFormat = CloudEventsBinaryFormat(CloudEvents::DEFAULT);

fn event(topic: &str) -> Event<'_> {
    event_of(7, topic)
}

fn event_of(node: u32, topic: &str) -> Event<'_> {
    Event::new(topic, node, Timestamp::new(1_768_480_496, 789_000_000))
}

fn id(node: u32, event: u64) -> String {
    let instance = 0x5eed;
    MessageId { node_id: node, instance, first: event, last: event, events: 1 }.to_string()
}

fn one(format: &dyn Format, event: Event<'_>, data: &str) -> Sent {
    sent(format, &(), 1, &[(event, data)]).remove(0)
}

#[test]
fn an_event_is_an_object() {
    let sent = one(&STRUCTURED, event("conn.established"), r#"{"peer":2}"#);
    assert_eq!(sent.header("Content-Type"), Some("application/cloudevents+json"));
    let expected = concat!(
        r#"{"specversion":"1.0","id":"7-0000000000005eed-1","source":"urn:pilot:node:7","#,
        r#""type":"conn.established","time":"2026-01-15T12:34:56.789Z","#,
        r#""datacontenttype":"application/json","data":{"peer":2}}"#,
    );
    assert_eq!(sent.body, expected);
    let sent = one(&STRUCTURED, event("a\"b"), "null");
    let parsed: Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(parsed["type"], "a\"b");
    assert!(parsed.get("data").is_none() && parsed.get("datacontenttype").is_none());
}

#[test]
fn an_event_of_a_batch_has_the_id_that_it_has_alone() {
    let events = [(event("a"), "1"), (event_of(8, "b"), "null")];
    let batch = sent(&STRUCTURED, &(), 5, &events).remove(0);
    assert_eq!(batch.header("Content-Type"), Some("application/cloudevents-batch+json"));
    let parsed: Value = serde_json::from_str(&batch.body).unwrap();
    let ids = parsed.as_array().unwrap().iter().map(|event| event["id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), [id(7, 1), id(8, 2)]);
    assert_eq!(parsed[1]["source"], "urn:pilot:node:8");
    let alone = sent(&STRUCTURED, &(), 1, &events);
    let alone = alone.iter().map(|sent| serde_json::from_str::<Value>(&sent.body).unwrap());
    assert_eq!(parsed, alone.collect::<Value>());
    // A batch of one is one.
    let batch = sent(&STRUCTURED, &(), 5, &events[..1]).remove(0);
    assert!(batch.body.starts_with("[{") && batch.body.ends_with("}]"));
}

#[test]
fn an_event_is_headers_and_its_data() {
    let secret = Secret::new(b"key").unwrap();
    let sent = sent(&BINARY, &secret, 1, &[(event("conn.established"), r#"{"peer":2}"#)]).remove(0);
    assert_eq!(sent.body, r#"{"peer":2}"#);
    let headers = sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-id", "7-0000000000005eed-1"),
        ("ce-source", "urn:pilot:node:7"),
        ("ce-type", "conn.established"),
        ("ce-time", "2026-01-15T12:34:56.789Z"),
        ("Content-Type", "application/json"),
        ("X-Pilot-Signature-256", secret.sign(sent.body.as_bytes()).as_str()),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    assert!(headers.eq(expected.iter().map(|(name, value)| (*name, value.as_str()))));
    let empty = one(&BINARY, event("a"), "null");
    assert_eq!((empty.body.as_str(), empty.header("Content-Type")), ("", None));
}

/// The examples of the HTTP binding, section 3.1.3.2, and what else JSON or headers treat in their own way.
#[test]
fn a_type_is_percent_encoded_in_a_header_and_nowhere_else() {
    for (topic, header) in [
        ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("100%", "100%25"),
        ("a\"b\\c/d", "a%22b\\c/d"),
        ("\u{1}\n\u{7f}", "%01%0A%7F"),
        ("!#$&'()*+,-./:;<=>?@[]^_`{|}~", "!#$&'()*+,-./:;<=>?@[]^_`{|}~"),
    ] {
        assert_eq!(one(&BINARY, event(topic), "1").header("ce-type"), Some(header));
        let structured: Value =
            serde_json::from_str(&one(&STRUCTURED, event(topic), "1").body).unwrap();
        assert_eq!(structured["type"], *topic);
    }
}

#[test]
fn a_type_is_never_empty() {
    assert_eq!(one(&BINARY, event(""), "1").header("ce-type"), Some("event"));
    assert!(one(&STRUCTURED, event(""), "1").body.contains(r#""type":"event","#));
    let named = CloudEvents::new("", "pilot").unwrap();
    let sent = one(&CloudEventsBinaryFormat(named), event(""), "1");
    assert_eq!(sent.header("ce-type"), Some("pilot"));
}

#[test]
fn the_source_and_a_prefix_of_types_are_options() {
    let own = CloudEvents::new("https://example.org/a?b=%20", "network.pilot.").unwrap();
    let sent = one(&CloudEventsFormat(own), event("x"), "1");
    assert!(
        sent.body.contains(r#","source":"https://example.org/a?b=%20","type":"network.pilot.x","#)
    );
    let sent = one(&CloudEventsBinaryFormat(own), event("x y"), "1");
    assert_eq!(sent.header("ce-source"), Some("https://example.org/a?b=%20"));
    assert_eq!(sent.header("ce-type"), Some("network.pilot.x%20y"));
}

#[test]
fn attributes_that_a_header_cannot_hold_are_refused() {
    for source in ["a b", "a\"", "a\n", "é", "a\\b", "<a>", "{a}", "a|b", "a^b", "a`b"] {
        assert_eq!(CloudEvents::new(source, ""), Err(CloudEventsError::Source), "{source}");
    }
    for prefix in ["a b", "a\"", "a\r", "é", "a\\b", "a%"] {
        assert_eq!(CloudEvents::new("", prefix), Err(CloudEventsError::TypePrefix), "{prefix}");
    }
}

#[test]
fn binary_mode_goes_with_no_batches() {
    let batches = Config { batch: 2, ..Config::DEFAULT };
    assert_eq!(batches.validate_for(&BINARY), Err(ConfigError::NoBatches));
    assert_eq!(batches.validate_for(&STRUCTURED), Ok(()));
    assert_eq!(Config::DEFAULT.validate_for(&BINARY), Ok(()));
    assert_eq!(Config { batch: 0, ..batches }.validate_for(&BINARY), Err(ConfigError::Batch));
}

/// The bound is exact: the longest numbers fit, and nothing longer is promised.
#[test]
fn the_longest_object_is_as_long_as_the_bound() {
    let own = CloudEvents::new("urn:pilot:node:4294967295", "type.").unwrap();
    let (own, longest) = (CloudEventsFormat(own), Timestamp::new(0, 999_999_999));
    // What stands for an empty topic is as long as this prefix.
    for (format, topic) in [(own, "t"), (own, ""), (STRUCTURED, "")] {
        let event = Event::new(topic, u32::MAX, longest).with_id(u64::MAX);
        let body = one(&format, event, "\"xx\"").body;
        // Without the brackets, and the comma, of a batch.
        assert_eq!(body.len(), format.bound().body(1, topic.len() + 2 + 4) - 3, "{body}");
    }
    assert_eq!(BINARY.bound(), Bound { message: 0, event: 0, factor: 1 });
}

/// Whatever else is in the headers, a type of 64 bytes that is written anew fits.
#[test]
fn the_longest_headers_fit() {
    let own = CloudEvents::new("", "0123456789abcdef").unwrap();
    let longest = Event::new(
        "0123456789abcdef0123456789abcdef0123456789abcdef",
        u32::MAX,
        Timestamp::new(0, 999_999_999),
    );
    let secret = Secret::new(b"key").unwrap();
    let message =
        sent(&CloudEventsBinaryFormat(own), &secret, 1, &[(longest.with_id(u64::MAX), "1")]);
    assert_eq!(message[0].header("ce-type").unwrap().len(), 64);
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A header's text as the binding has it read.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            b'!'..=b'~' => byte,
            _ => panic!("{byte:#x} in a header"),
        });
    }
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_body_is_read_back_within_its_bound(
        events in prop::collection::vec((".{0,12}", any::<u32>(), json()), 1..5),
        batch in 1_u16..4,
    ) {
        let texts = events.iter().map(|(_, _, data)| data.to_string()).collect::<Vec<_>>();
        let events: Vec<_> = events
            .iter()
            .zip(&texts)
            .map(|((topic, node, data), text)| (event_of(*node, topic), data, text.as_str()))
            .collect();
        let raw = events.iter().map(|(event, _, text)| (*event, *text)).collect::<Vec<_>>();
        let named = |topic: &str| if topic.is_empty() { "event".to_owned() } else { topic.to_owned() };

        let mut objects = Vec::new();
        for message in sent(&STRUCTURED, &(), batch, &raw) {
            match serde_json::from_str(&message.body).unwrap() {
                Value::Array(all) => objects.extend(all),
                object => objects.push(object),
            }
        }
        prop_assert_eq!(objects.len(), events.len());
        for (number, (object, (event, data, _))) in (1..).zip(objects.iter().zip(&events)) {
            let mut expected = json!({
                "specversion": "1.0",
                "id": id(event.node_id, number),
                "source": format!("urn:pilot:node:{}", event.node_id),
                "type": named(event.topic),
                "time": event.timestamp.to_string(),
            });
            if !data.is_null() {
                expected["datacontenttype"] = "application/json".into();
                expected["data"] = (*data).clone();
            }
            prop_assert_eq!(object, &expected);
        }

        let messages = sent(&BINARY, &(), 1, &raw);
        for (message, (event, data, _)) in messages.iter().zip(&events) {
            let kind = message.header("ce-type").map(percent_decoded);
            prop_assert_eq!(kind, Some(named(event.topic)));
            let body = (!message.body.is_empty()).then(|| serde_json::from_str(&message.body).unwrap());
            prop_assert_eq!(body.unwrap_or(Value::Null), (*data).clone());
        }
    }
}

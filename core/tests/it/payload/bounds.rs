//! How long an event may be, and how deep.

use std::collections::BTreeMap;

use pilot_webhook_core::{EmitError, EncodeError, Event, Json, PilotFormat, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{MAX, data_of, emitted, event, with_id};

#[test]
fn the_longest_event_is_the_configured_one_to_the_byte() {
    // The topic and the data, both with quotes.
    assert!(emitted(&event("t"), "x".repeat(MAX - 5).as_str()).is_ok());
    let too_long = emitted(&event("t"), "x".repeat(MAX - 4).as_str());
    assert_eq!(too_long, Err(EmitError::Payload(EncodeError::TooLong)));
    // And without data.
    assert!(emitted(&event(&"t".repeat(MAX - 2)), &()).is_ok());
    let too_long = emitted(&event(&"t".repeat(MAX - 1)), &());
    assert_eq!(too_long, Err(EmitError::Payload(EncodeError::TooLong)));
}

/// The bound is exact: the longest numbers fit, and nothing longer is promised.
#[test]
fn the_longest_body_is_as_long_as_the_bound() {
    let texts = 1 + 2 + 2 + 2;
    let longest = PilotFormat::BOUND.body(1, texts);
    let event = Event::new("t", u32::MAX, Timestamp::new(0, 999_999_999));
    let body = with_id(&emitted(&event, "xx").unwrap(), &u64::MAX.to_string());
    // Without the brackets, and the comma, of a batch.
    assert_eq!(body.len(), longest - 3, "{body}");
}

/// Every kind of data that nests.
#[derive(Serialize)]
#[serde(untagged)]
enum Nested {
    Leaf,
    Seq(Vec<Self>),
    Map(BTreeMap<u8, Self>),
    Struct { inner: Box<Self> },
    Newtype(Variant),
    Text(Box<RawValue>),
}

#[derive(Serialize)]
enum Variant {
    Newtype(Box<Nested>),
    Tuple(Box<Nested>, u8),
    Struct { inner: Box<Nested> },
}

type Wrap = fn(Nested) -> Nested;

/// What serializes itself went on to any depth.
#[test]
fn what_nests_deeper_than_128_levels_is_refused_whichever_way_it_comes() {
    let text = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(data_of(&Json(&text(128))).is_ok());
    let too_deep = Err(EmitError::Payload(EncodeError::TooDeep));
    assert_eq!(data_of(&Json(&text(129))), too_deep);
    let seq = |depth: usize| (0..depth).fold(Nested::Leaf, |inner, _| Nested::Seq(vec![inner]));
    assert!(data_of(&seq(128)).is_ok());
    assert_eq!(data_of(&seq(129)), too_deep);
    let raw = |depth| Nested::Text(RawValue::from_string(text(depth)).unwrap());
    let wraps: [(usize, Wrap); 6] = [
        (1, |inner| Nested::Seq(vec![Nested::Leaf, inner])),
        (1, |inner| Nested::Map(BTreeMap::from([(1, inner)]))),
        (1, |inner| Nested::Struct { inner: inner.into() }),
        (1, |inner| Nested::Newtype(Variant::Newtype(inner.into()))),
        (2, |inner| Nested::Newtype(Variant::Tuple(inner.into(), 1))),
        (2, |inner| Nested::Newtype(Variant::Struct { inner: inner.into() })),
    ];
    for (levels, wrap) in wraps {
        let inner = 128 - levels;
        for make in [&seq as &dyn Fn(usize) -> Nested, &raw] {
            assert!(data_of(&wrap(make(inner))).is_ok(), "{levels}");
            assert_eq!(data_of(&wrap(make(inner + 1))), too_deep, "{levels}");
        }
    }
}

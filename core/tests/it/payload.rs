//! The payload against what pilot's Go plugin produced, against `serde_json`, and at its bounds.

use std::collections::BTreeMap;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::{
    Config, Data, Dispatcher, EmitError, EncodeError, EndpointBuf, Event, Format, Instant, Json,
    Next, PilotFormat, Policy, Secret, Timestamp, to_json,
};
use proptest::prelude::*;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

type Bench = Dispatcher<NoopRawMutex, Vec<u8>>;

const MAX: usize = 16_384;

fn dispatcher() -> Bench {
    let config = Config { max_event_bytes: MAX, ..Config::DEFAULT };
    let dispatcher = Bench::new(config, vec![0; 4 * MAX], 1);
    let url = EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap();
    dispatcher.swap(url).unwrap();
    dispatcher
}

fn event(topic: &str) -> Event<'_> {
    Event::new(topic, 5, Timestamp::new(1_768_480_496, 789_000_000))
}

/// The body that would be sent.
fn body(dispatcher: &Bench) -> String {
    let mut buffer = vec![0; PilotFormat::BOUND.buffer(1, MAX)];
    let (Next::Attempt(mut delivery), _) =
        dispatcher.next(Instant::default(), PilotFormat::BOUND, &mut buffer)
    else {
        panic!("an event is queued");
    };
    dispatcher.release(&mut delivery);
    let (events, mut out) = delivery.split(&mut buffer);
    PilotFormat.encode(&events, &mut out).unwrap();
    String::from_utf8(out.finish().to_vec()).unwrap()
}

#[track_caller]
fn emitted<D: Data + ?Sized>(event: &Event<'_>, data: &D) -> Result<String, EmitError> {
    let dispatcher = dispatcher();
    dispatcher.emit(event, data, &mut vec![0; MAX + 4])?;
    Ok(body(&dispatcher))
}

fn data_of<D: Data + ?Sized>(data: &D) -> Result<String, EmitError> {
    let body = emitted(&event("t"), data)?;
    let start = body.find("\"data\":").map(|at| at + 7);
    Ok(start.map_or(String::new(), |start| body[start..body.len() - 1].to_owned()))
}

/// The dispatcher gives ids itself, so the id of the Go plugin is put in place of the first one.
fn with_id(body: &str, id: &str) -> String {
    body.replacen("{\"event_id\":1,", &format!("{{\"event_id\":{id},"), 1)
}

#[test]
fn equals_every_payload_of_the_original_and_verifies_its_signature() {
    let vectors = include_str!("../data/go-payloads.jsonl");
    let mut count = 0;
    for line in vectors.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| vector[key].as_str().unwrap();
        let number = |key: &str| vector[key].as_i64().unwrap();
        let (name, original) = (text("name"), text("body"));
        let event = Event::new(
            text("event"),
            number("node_id").try_into().unwrap(),
            Timestamp::new(number("unix_seconds"), number("subsec_nanos").try_into().unwrap()),
        );
        let data_json = vector["data_json"].as_str().filter(|json| !json.is_empty());
        let ours = match data_json {
            Some(json) => emitted(&event, &Json(json)),
            None => emitted(&event, &()),
        };
        let ours = with_id(&ours.unwrap(), text("event_id"));
        let parse = |body: &str| serde_json::from_str::<Value>(body).unwrap();
        assert!(same_json(&parse(&ours), &parse(original)), "{name}: {ours}");
        // The envelope up to the data is equal to the letter, but for escapes in the topic.
        let envelope =
            |body: &str| body.split(",\"data\":").next().unwrap().trim_end_matches('}').to_owned();
        assert_eq!(envelope(&ours), envelope(original), "{name}");

        let typed = data_json.and_then(|json| serde_json::from_str::<Value>(json).ok());
        if let Some(data) = typed {
            let ours = with_id(&emitted(&event, &data).unwrap(), text("event_id"));
            assert!(same_json(&parse(&ours), &parse(original)), "{name}: {ours}");
        }
        let secret = Secret::new(text("secret").as_bytes()).unwrap();
        assert_eq!(secret.sign(original.as_bytes()).as_str(), text("signature"), "{name}");
        assert!(secret.verify(original.as_bytes(), text("signature").as_bytes()), "{name}");
        count += 1;
    }
    assert_eq!(count, 33);
}

/// Equal as JSON: `2` and `2.0` are one number.
fn same_json(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => l == r || l.as_f64() == r.as_f64(),
        (Value::Array(l), Value::Array(r)) => {
            l.len() == r.len() && l.iter().zip(r).all(|(l, r)| same_json(l, r))
        }
        (Value::Object(l), Value::Object(r)) => {
            l.len() == r.len()
                && l.iter().all(|(key, l)| r.get(key).is_some_and(|r| same_json(l, r)))
        }
        _ => left == right,
    }
}

#[test]
fn a_captured_event_comes_out_byte_for_byte() {
    #[derive(Serialize)]
    struct Established {
        conn_id: u32,
        dst_port: u16,
        src_addr: &'static str,
    }
    let data = Established { conn_id: 2, dst_port: 444, src_addr: "0:0000.0000.0002" };
    assert_eq!(
        emitted(&event("conn.established"), &data).unwrap(),
        "{\"event_id\":1,\"event\":\"conn.established\",\"node_id\":5,\
         \"timestamp\":\"2026-01-15T12:34:56.789Z\",\"data\":{\"conn_id\":2,\"dst_port\":444,\
         \"src_addr\":\"0:0000.0000.0002\"}}"
    );
}

#[test]
fn what_is_written_as_null_is_no_data() {
    assert_eq!(data_of(&()).unwrap(), "");
    assert_eq!(data_of(&None::<u8>).unwrap(), "");
    assert_eq!(data_of(&Json(" null ")).unwrap(), "");
    assert_eq!(data_of(&[None::<u8>]).unwrap(), "[null]");
}

#[derive(Serialize)]
enum Shape {
    Unit,
    Newtype(u8),
    Tuple(u8, char),
    Struct { a: i128 },
}

#[derive(Serialize)]
#[serde(rename = "__serde_json_core_escaped_string__")]
struct Odd(u8);

struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

struct Bytes;

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&[1, 2])
    }
}

#[derive(Serialize)]
struct Nothing;

#[derive(Serialize)]
struct Pair(u8, &'static str);

struct Shown(&'static str);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}\n", self.0))
    }
}

#[test]
fn every_kind_of_serde_comes_out_as_serde_json_has_it() {
    #[track_caller]
    fn same<T: Serialize>(value: T) {
        let mut out = [0; 256];
        assert_eq!(to_json(&value, &mut out).unwrap(), serde_json::to_string(&value).unwrap());
    }
    same([Shape::Unit, Shape::Newtype(1), Shape::Tuple(2, '"'), Shape::Struct { a: i128::MIN }]);
    same((i8::MIN, i16::MIN, i32::MIN, i64::MIN, u128::MAX, true, 'x'));
    same((Bytes, Shown("\"a"), Odd(3), Some(1), "\u{7f}\u{2028}\u{1f}"));
    same((Nothing, Pair(1, "b")));
    same(BTreeMap::from([(1_u8, "a"), (2, "b")]));
    same(BTreeMap::from([(true, 1)]));
    same(BTreeMap::from([('c', [0.5_f64, -0.0])]));
    same(BTreeMap::from([("a\"b", BTreeMap::from([(String::new(), ())]))]));
    same(BTreeMap::from([(-5_i64, ())]));
}

/// It was `{"$serde_json::private::RawValue":"..."}`.
#[test]
fn raw_values_are_their_text() {
    let raw = |text: &str| serde_json::from_str::<Box<RawValue>>(text).unwrap();
    let text = r#"{ "a": [1.50, "\u00e9\n", null] }"#;
    assert_eq!(data_of(&raw(text)).unwrap(), r#"{"a":[1.50,"\u00e9\n",null]}"#);
    let inside = BTreeMap::from([("raw", raw(" 7 ")), ("text", raw(r#""x""#))]);
    assert_eq!(data_of(&inside).unwrap(), r#"{"raw":7,"text":"x"}"#);
}

/// As `serde_json` has it with its feature `arbitrary_precision`, which any crate of a build can ask for.
struct Number(&'static str);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut number = to.serialize_struct("$serde_json::private::Number", 1)?;
        number.serialize_field("$serde_json::private::Number", self.0)?;
        number.end()
    }
}

#[test]
fn numbers_of_any_precision_are_numbers() {
    let digits = "-123456789012345678901234567890.5e-999";
    assert_eq!(to_json(&Number(digits), &mut [0; 64]), Ok(digits));
    let many = [Number("1.5"), Number("2")];
    assert_eq!(to_json(&many, &mut [0; 64]), Ok("[1.5,2]"));
    assert_eq!(to_json(&Number("1.5,\"x\":2"), &mut [0; 64]), Err(EncodeError::Json));
}

#[test]
fn every_character_and_every_name_is_written_as_serde_json_has_it() {
    /// Names of all lengths, and some that need an escape.
    #[derive(Serialize, Default)]
    struct Names {
        #[serde(rename = "abcdefghijklmnopqrstuvwxyz")]
        all: (),
        #[serde(rename = "")]
        none: (),
        #[serde(rename = "abc")]
        three: (),
        #[serde(rename = "abcde")]
        five: (),
        #[serde(rename = "abcdefghijkl")]
        twelve: (),
        #[serde(rename = "\"")]
        quote: (),
        #[serde(rename = "abcdefghijklmnopqrstuvwxy\n")]
        end: (),
    }
    let characters: String = (0..=0xff_u8).map(char::from).collect();
    let value = (Names::default(), &characters, characters.chars().collect::<Vec<_>>());
    let mut out = [0; 4_096];
    assert_eq!(to_json(&value, &mut out).unwrap(), serde_json::to_string(&value).unwrap());
}

#[test]
fn what_json_cannot_say_is_an_error_that_disturbs_nothing() {
    let dispatcher = dispatcher();
    let mut scratch = vec![0; MAX];
    dispatcher.emit(&event("first"), &(), &mut scratch).unwrap();
    let refused = |error, result: Result<_, EmitError>| {
        assert_eq!(result, Err(EmitError::Payload(error)));
    };
    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(EncodeError::NotFinite, dispatcher.emit(&event("t"), &[float], &mut scratch));
    }
    refused(EncodeError::NotFinite, dispatcher.emit(&event("t"), &f32::NAN, &mut scratch));
    let map = BTreeMap::from([(vec![1], 1)]);
    refused(EncodeError::Key, dispatcher.emit(&event("t"), &map, &mut scratch));
    refused(EncodeError::Custom, dispatcher.emit(&event("t"), &Fails, &mut scratch));
    let long = "x".repeat(MAX);
    refused(EncodeError::TooLong, dispatcher.emit(&event("t"), &long, &mut scratch));
    refused(EncodeError::TooLong, dispatcher.emit(&event(&long), &(), &mut scratch));
    refused(EncodeError::TooLong, dispatcher.emit(&event("t"), &(), &mut [0; 6]));

    let stats = dispatcher.stats();
    assert_eq!((stats.emitted, stats.oversize, stats.queued), (10, 9, 1));
    assert!(stats.is_balanced());
    assert!(body(&dispatcher).contains("\"first\""));
}

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

#[test]
fn json_text_is_checked() {
    for (text, expected) in [
        (" { \"a\" : [ 1 , -0.5e+3 , true ] } ", Some("{\"a\":[1,-0.5e+3,true]}")),
        ("\"\\ud83d\\ude00\"", Some("\"\\ud83d\\ude00\"")),
        ("\"\\ud800\\ud800\\udc00\"", Some("\"\\ufffd\\ud800\\udc00\"")),
        ("\"\\udc00\\ud800\"", Some("\"\\ufffd\\ufffd\"")),
        ("\"\\ud800\\n\"", Some("\"\\ufffd\\n\"")),
        ("[]", Some("[]")),
        ("{}", Some("{}")),
        ("0", Some("0")),
        ("", None),
        ("  ", None),
        ("01", None),
        ("1.", None),
        ("-", None),
        ("+1", None),
        ("1e", None),
        ("nul", None),
        ("nullx", None),
        ("[1,]", None),
        ("[,1]", None),
        ("[1 2]", None),
        ("{\"a\"}", None),
        ("{\"a\":}", None),
        ("{\"a\":1,}", None),
        ("{1:2}", None),
        ("{\"a\":1]", None),
        ("[1}", None),
        ("]", None),
        ("[", None),
        ("{} {}", None),
        ("1,", None),
        ("\"a", None),
        ("\"\u{1}\"", None),
        ("\"\\x\"", None),
        ("\"\\u12g4\"", None),
        ("\"\\u+123\"", None),
        ("\"\\u12", None),
        ("\"\\ud800\\u12\"", None),
        ("\u{c}1", None),
        ("NaN", None),
        ("'a'", None),
    ] {
        let expected = expected.map(str::to_owned).ok_or(EmitError::Payload(EncodeError::Json));
        assert_eq!(data_of(&Json(text)), expected, "{text:?}");
    }
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

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_second_has_its_date(seconds in -62_167_219_200_i64..=253_402_300_799) {
        // jiff's last second is a day earlier.
        if let Ok(expected) = jiff::Timestamp::from_second(seconds) {
            prop_assert_eq!(Timestamp::new(seconds, 0).to_string(), expected.to_string());
        }
    }

    #[test]
    fn any_value_is_read_back_equal(value in json()) {
        for text in [data_of(&value), data_of(&Json(&serde_json::to_string_pretty(&value).unwrap()))] {
            match text {
                Ok(text) if value.is_null() => prop_assert_eq!(text, ""),
                Ok(text) => prop_assert!(same_json(&serde_json::from_str(&text).unwrap(), &value)),
                Err(error) => prop_assert_eq!(error, EmitError::Payload(EncodeError::TooLong)),
            }
        }
    }

    /// serde_json is the judge of what is JSON (but for lone surrogates, which it refuses).
    #[test]
    fn text_is_taken_when_serde_json_takes_it(text in "[\\[\\]{},:\"a1\\-.eE+ \\\\un]{0,12}") {
        let ours = data_of(&Json(&text)).is_ok();
        let theirs = serde_json::from_str::<&RawValue>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn no_text_panics(text in ".*", topic in ".*") {
        let _ = emitted(&event(&topic), &Json(&text));
        let body = emitted(&event(&topic), text.as_str()).unwrap();
        let parsed: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(parsed["event"].as_str(), Some(topic.as_str()));
        prop_assert_eq!(parsed["data"].as_str(), Some(text.as_str()));
    }
}

//! Values of serde's kinds become what `serde_json` has them, and what JSON cannot say is an error.

use std::collections::BTreeMap;

use pilot_webhook_core::{EmitError, EncodeError, Json, to_json};
use proptest::prelude::*;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{MAX, body, data_of, dispatcher, event, same_json};

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
    fn any_value_is_read_back_equal(value in json()) {
        for text in [data_of(&value), data_of(&Json(&serde_json::to_string_pretty(&value).unwrap()))] {
            match text {
                Ok(text) if value.is_null() => prop_assert_eq!(text, ""),
                Ok(text) => prop_assert!(same_json(&serde_json::from_str(&text).unwrap(), &value)),
                Err(error) => prop_assert_eq!(error, EmitError::Payload(EncodeError::TooLong)),
            }
        }
    }
}

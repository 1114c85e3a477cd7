//! Data that serializes itself, and the envelope. The oracle: `serde_json`.
//!
//! Takes bytes that `arbitrary` makes a topic and a nested value of, of every kind that serde knows.
//! Core must refuse what `serde_json` refuses, and else write the same tokens: all equal to the letter,
//! but for floats, which may be written otherwise and must be the same number. What fits exactly must
//! be written, and a byte less must be refused.
//!
//! Known differences:
//! - `serde_json` writes floats that are not finite as `null`. Core refuses them: the receiver could
//!   not tell.
//! - `serde_json` writes any depth. Core refuses what is nested deeper than 128 levels.
//! - data that is written as `null` is left out of the envelope.

use arbitrary::{Arbitrary, Unstructured};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::{
    Config, Data, Dispatcher, EncodeError, EndpointBuf, Event, Format as _, Instant, Next,
    PilotFormat, Policy, Timestamp, to_json,
};
use serde::ser::{
    Serialize, SerializeMap as _, SerializeSeq as _, SerializeStruct as _,
    SerializeStructVariant as _, SerializeTuple as _, SerializeTupleStruct as _,
    SerializeTupleVariant as _, Serializer,
};

use crate::json_text::depth;

/// The longest payload here.
pub(crate) const MAX: usize = 64 * 1024;

/// Takes what `arbitrary` can read.
pub fn run(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(topic) = <&str>::arbitrary(&mut data) else { return };
    let Ok(value) = Shape::arbitrary(&mut data) else { return };
    encoded(&value);
    enveloped(topic, &value);
}

fn encoded(value: &Shape) {
    let mut out = vec![0; MAX];
    let ours = to_json(value, &mut out);
    let theirs = serde_json::to_string(value);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert!(same(ours, theirs), "{ours}\n{theirs}");
            assert!(depth(ours) <= 128, "{ours}");
        }
        (Err(EncodeError::TooDeep), Ok(theirs)) => assert!(depth(theirs) > 128, "{theirs}"),
        (Err(EncodeError::NotFinite), Ok(_)) => assert!(value.has_strange_float(), "{value:?}"),
        (Err(_), Err(_)) => {}
        _ => panic!("{ours:?}, {theirs:?} for {value:?}"),
    }
    let Ok(ours) = ours else { return };
    let mut exact = vec![0; ours.len()];
    assert_eq!(to_json(value, &mut exact), Ok(ours), "it fits exactly");
    exact.pop();
    assert_eq!(to_json(value, &mut exact), Err(EncodeError::TooLong));
}

fn enveloped(topic: &str, value: &Shape) {
    let Some(body) = body(topic, value) else {
        assert!(to_json(value, &mut vec![0; MAX]).is_err());
        return;
    };
    let body: serde_json::Map<_, _> = match serde_json::from_str(&body) {
        Ok(body) => body,
        // What is deeper than 128 levels, `serde_json` writes and does not read.
        Err(error) => return assert!(error.to_string().contains("recursion"), "{error}: {body}"),
    };
    let mut keys = vec!["event_id", "event", "node_id", "timestamp"];
    let mut out = vec![0; MAX];
    if to_json(value, &mut out) != Ok("null") {
        keys.push("data");
    }
    keys.sort_unstable();
    assert_eq!(body.keys().collect::<Vec<_>>(), keys);
    assert_eq!(body["event"], topic);
}

/// The body that core would post.
fn body<D: Data + ?Sized>(topic: &str, data: &D) -> Option<String> {
    let config = Config { max_event_bytes: MAX - 64, ..Config::DEFAULT };
    let queue = Dispatcher::<NoopRawMutex, Vec<u8>>::new(config, vec![0; MAX], 1);
    let url = EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap();
    queue.swap(url).unwrap();
    let event = Event::new(topic, 5, Timestamp::UNIX_EPOCH);
    queue.emit(&event, data, &mut vec![0; MAX]).ok()?;
    let bound = PilotFormat.bound();
    let mut buffer = vec![0; bound.buffer(1, MAX)];
    let (Next::Attempt(mut delivery), _) = queue.next(Instant::default(), bound, &mut buffer)
    else {
        panic!("an event is queued");
    };
    queue.release(&mut delivery);
    let (events, mut out) = delivery.split(&mut buffer);
    PilotFormat.encode(&events, &mut out).expect("it fits its bound");
    Some(String::from_utf8(out.finish().to_vec()).expect("JSON is UTF-8"))
}

/// The data as core would post it; empty when it is left out, `None` when it is refused.
pub(crate) fn data<D: Data + ?Sized>(data: &D) -> Option<String> {
    let body = body("t", data)?;
    let start = body.find("\"data\":").map(|at| at + 7);
    Some(start.map_or(String::new(), |start| body[start..body.len() - 1].to_owned()))
}

/// Equal token by token, numbers with a point or an exponent by value.
fn same(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (tokens(ours), tokens(theirs));
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| a == b || same_float(a, b))
}

fn same_float(a: &str, b: &str) -> bool {
    let is_float = |text: &str| {
        text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && text.contains(['.', 'e', 'E'])
    };
    // A float key is a string: its quotes are not looked at.
    let (a, b) = (a.trim_matches('"'), b.trim_matches('"'));
    (is_float(a) || is_float(b)) && a.parse::<f64>().is_ok_and(|a| b.parse() == Ok(a))
}

/// Splits compact JSON.
fn tokens(json: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let mut escaped = false;
                let end = rest[1..].find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end + 2)
            }
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => rest.find(['}', ']', ',', ':']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// Everything that serde knows.
#[derive(Arbitrary, Debug)]
enum Shape {
    Unit,
    UnitStruct,
    UnitVariant,
    None,
    Some(Box<Self>),
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    F32(f32),
    F64(f64),
    Short(i16, u8),
    Char(char),
    Str(String),
    Bytes(Vec<u8>),
    /// Text that comes in pieces.
    Shown(Vec<String>),
    Newtype(Box<Self>),
    NewtypeVariant(Box<Self>),
    Seq(Vec<Self>),
    Tuple(Vec<Self>),
    TupleStruct(Vec<Self>),
    TupleVariant(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Struct(Box<[Self; 2]>),
    StructVariant(Box<[Self; 2]>),
    Fails,
}

impl Shape {
    /// A float that JSON cannot write, anywhere.
    fn has_strange_float(&self) -> bool {
        match self {
            Self::F32(float) => !float.is_finite(),
            Self::F64(float) => !float.is_finite(),
            Self::Some(inner) | Self::Newtype(inner) | Self::NewtypeVariant(inner) => {
                inner.has_strange_float()
            }
            Self::Seq(list)
            | Self::Tuple(list)
            | Self::TupleStruct(list)
            | Self::TupleVariant(list) => list.iter().any(Self::has_strange_float),
            Self::Map(list) => {
                list.iter().any(|(key, value)| key.has_strange_float() || value.has_strange_float())
            }
            Self::Struct(fields) | Self::StructVariant(fields) => {
                fields.iter().any(Self::has_strange_float)
            }
            _ => false,
        }
    }
}

struct Pieces<'a>(&'a [String]);

impl std::fmt::Display for Pieces<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| f.write_str(piece))
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // Names that need care, in every place where there is one.
        const NAME: &str = "a\"\u{1f}\u{e9}";
        match self {
            Self::Unit => to.serialize_unit(),
            Self::UnitStruct => to.serialize_unit_struct(NAME),
            Self::UnitVariant => to.serialize_unit_variant(NAME, 0, NAME),
            Self::None => to.serialize_none(),
            Self::Some(inner) => to.serialize_some(inner),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::I8(value) => to.serialize_i8(*value),
            Self::I16(value) => to.serialize_i16(*value),
            Self::I32(value) => to.serialize_i32(*value),
            Self::I64(value) => to.serialize_i64(*value),
            Self::I128(value) => to.serialize_i128(*value),
            Self::U8(value) => to.serialize_u8(*value),
            Self::U16(value) => to.serialize_u16(*value),
            Self::U32(value) => to.serialize_u32(*value),
            Self::U64(value) => to.serialize_u64(*value),
            Self::U128(value) => to.serialize_u128(*value),
            Self::F32(value) => to.serialize_f32(*value),
            Self::F64(value) => to.serialize_f64(*value),
            Self::Short(value, places) => {
                to.serialize_f64(f64::from(*value) / 10_f64.powi((places % 24).into()))
            }
            Self::Char(value) => to.serialize_char(*value),
            Self::Str(value) => to.serialize_str(value),
            Self::Bytes(value) => to.serialize_bytes(value),
            Self::Shown(pieces) => to.collect_str(&Pieces(pieces)),
            Self::Newtype(inner) => to.serialize_newtype_struct(NAME, inner),
            Self::NewtypeVariant(inner) => to.serialize_newtype_variant(NAME, 1, NAME, inner),
            Self::Seq(list) => {
                let mut seq = to.serialize_seq(None)?;
                list.iter().try_for_each(|item| seq.serialize_element(item))?;
                seq.end()
            }
            Self::Tuple(list) => {
                let mut tuple = to.serialize_tuple(list.len())?;
                list.iter().try_for_each(|item| tuple.serialize_element(item))?;
                tuple.end()
            }
            Self::TupleStruct(list) => {
                let mut tuple = to.serialize_tuple_struct(NAME, list.len())?;
                list.iter().try_for_each(|item| tuple.serialize_field(item))?;
                tuple.end()
            }
            Self::TupleVariant(list) => {
                let mut tuple = to.serialize_tuple_variant(NAME, 2, NAME, list.len())?;
                list.iter().try_for_each(|item| tuple.serialize_field(item))?;
                tuple.end()
            }
            Self::Map(list) => {
                let mut map = to.serialize_map(Some(list.len()))?;
                list.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Struct(fields) => {
                let mut object = to.serialize_struct(NAME, 2)?;
                object.serialize_field(NAME, &fields[0])?;
                object.serialize_field("b", &fields[1])?;
                object.end()
            }
            Self::StructVariant(fields) => {
                let mut object = to.serialize_struct_variant(NAME, 3, NAME, 2)?;
                object.serialize_field(NAME, &fields[0])?;
                object.serialize_field("b", &fields[1])?;
                object.end()
            }
            Self::Fails => Err(serde::ser::Error::custom("it fails")),
        }
    }
}

#[cfg(test)]
pub(crate) use inputs::{WORDS, grammar};

#[cfg(test)]
mod inputs {
    use proptest::collection::vec;
    use proptest::prelude::*;

    pub(crate) const WORDS: &[&str] = &["\0", "\u{1}", "\"", "\\", "a", "\u{7f}", "\u{2028}"];

    /// `arbitrary` makes something of all bytes.
    pub(crate) fn grammar() -> BoxedStrategy<Vec<u8>> {
        prop_oneof![vec(any::<u8>(), 0..60), vec(any::<u8>(), 0..600)].boxed()
    }
}

//! CloudEvents 1.0 over HTTP (<https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents>): an event as
//! one JSON object or as headers and data, a batch as an array of objects.

use core::{fmt, slice};

use crate::ascii::hex;
use crate::event::{MessageId, Timestamp};
use crate::format::Format;
use crate::json::{EncodeError, Unescaped, Writer};
use crate::queue::{Bound, EventRef, Events};
use crate::transport::Headers;

/// What a node's events are from, in front of its number.
const NODE: &str = "urn:pilot:node:";
/// The longest number of a node.
const NODE_DIGITS: usize = 10;
/// The longest id of one event: numbers of 10, 16 and 20 digits, and what joins them.
const ID: usize = 48;
/// A type must not be empty, a topic may be.
const NO_TOPIC: &str = "event";

const BEGIN: &[u8] = b"{\"specversion\":\"1.0\",\"id\":\"";
const SOURCE: &[u8] = b"\",\"source\":\"";
const TYPE: &[u8] = b"\",\"type\":\"";
const TIME: &[u8] = b"\",\"time\":\"";
const TIME_END: &[u8] = b"\"";
const DATA: &[u8] = b",\"datacontenttype\":\"application/json\",\"data\":";
const END: &[u8] = b"}";

/// The attributes that do not come from an event.
///
/// ```
/// use pilot_webhook_core::{CloudEvents, CloudEventsError};
/// assert!(CloudEvents::new("https://example.org/nodes", "network.pilot.").is_ok());
/// assert_eq!(CloudEvents::new("a b", ""), Err(CloudEventsError::Source));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudEvents<S = &'static str> {
    source: S,
    type_prefix: S,
}

impl CloudEvents {
    /// Events are from `urn:pilot:node:N`, and their type is the topic.
    pub const DEFAULT: Self = Self { source: "", type_prefix: "" };
}

impl<S: AsRef<str>> CloudEvents<S> {
    /// `source` is a URI, the same for all events; empty for `urn:pilot:node:N` with the event's node. (The
    /// id has the node, too, so events of several nodes may have one source.) A type is `type_prefix` and
    /// the topic.
    ///
    /// # Errors
    /// When one of them cannot stand in a header as it is.
    pub fn new(source: S, type_prefix: S) -> Result<Self, CloudEventsError> {
        if !source.as_ref().bytes().all(is_uri_byte) {
            return Err(CloudEventsError::Source);
        }
        if !type_prefix.as_ref().bytes().all(is_plain) {
            return Err(CloudEventsError::TypePrefix);
        }
        Ok(Self { source, type_prefix })
    }

    fn write_source(&self, event: &EventRef<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let source = self.source.as_ref();
        if !source.is_empty() {
            return out.push(source.as_bytes());
        }
        out.push(NODE.as_bytes())?;
        out.integer(event.node_id.into())
    }

    /// What stands in front of the topic: with an empty one, all of the type.
    fn type_prefix(&self, topic: &[u8]) -> &str {
        match self.type_prefix.as_ref() {
            "" if topic.is_empty() => NO_TOPIC,
            prefix => prefix,
        }
    }
}

/// Why attributes cannot be used. The operator corrects them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloudEventsError {
    /// The source has a character that no URI has (RFC 3986).
    Source,
    /// The prefix has a space, a quote, a backslash, a percent sign, or something other than printable ASCII.
    TypePrefix,
}

impl fmt::Display for CloudEventsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "the source must be a URI",
            Self::TypePrefix => "the prefix of types must be of letters, digits and punctuation",
        })
    }
}

impl core::error::Error for CloudEventsError {}

/// CloudEvents in structured mode: an event is `application/cloudevents+json`, a batch
/// `application/cloudevents-batch+json`, an array. Each event of a batch has its own id.
#[derive(Clone, Copy, Debug)]
pub struct CloudEventsFormat<S = &'static str>(pub CloudEvents<S>);

impl<S: AsRef<str> + Sync> Format for CloudEventsFormat<S> {
    fn bound(&self) -> Bound {
        let source = self.0.source.as_ref().len();
        let source = if source == 0 { NODE.len() + NODE_DIGITS } else { source };
        let fixed = BEGIN.len() + ID + SOURCE.len() + TYPE.len() + TIME.len() + TIME_END.len();
        let written = source + self.0.type_prefix.as_ref().len().max(NO_TOPIC.len());
        let rest = Timestamp::LENGTH + DATA.len() + END.len();
        // With the comma behind it. The topic's quotes are among the fixed ones.
        Bound { message: 2, event: 1 + fixed + written + rest - 2, factor: 1 }
    }

    fn encode(&self, events: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut before: &[u8] = if events.is_batch() { b"[" } else { b"" };
        for event in events.iter() {
            out.push(before)?;
            self.object(events, &event, out)?;
            before = b",";
        }
        out.push(if events.is_batch() { b"]" } else { b"" })
    }

    fn headers<'h>(&'h self, events: &Events<'h>, headers: &mut Headers<'h>) {
        let batch = "application/cloudevents-batch+json";
        let one = "application/cloudevents+json";
        headers.push("Content-Type", if events.is_batch() { batch } else { one });
    }
}

impl<S: AsRef<str>> CloudEventsFormat<S> {
    fn object(
        &self,
        events: &Events<'_>,
        event: &EventRef<'_>,
        out: &mut Writer<'_>,
    ) -> Result<(), EncodeError> {
        out.push(BEGIN)?;
        id(events, event).write_to(out)?;
        out.push(SOURCE)?;
        self.0.write_source(event, out)?;
        out.push(TYPE)?;
        let topic = between_quotes(event);
        out.push(self.0.type_prefix(topic).as_bytes())?;
        out.push(topic)?;
        out.push(TIME)?;
        event.timestamp.write_to(out)?;
        out.push(TIME_END)?;
        if let Some(data) = event.data {
            out.push(DATA)?;
            out.push(data.as_bytes())?;
        }
        out.push(END)
    }
}

/// CloudEvents in binary mode: the attributes are headers (`ce-id`, `ce-type`, ...), and the body is the data.
/// There are no batches.
///
/// A type that is written anew, since it has a prefix or a character that headers encode, and is longer than
/// 64 bytes then, may not fit with the other headers: its event is settled as oversize.
#[derive(Clone, Copy, Debug)]
pub struct CloudEventsBinaryFormat<S = &'static str>(pub CloudEvents<S>);

impl<S: AsRef<str> + Sync> Format for CloudEventsBinaryFormat<S> {
    fn bound(&self) -> Bound {
        Bound { message: 0, event: 0, factor: 1 }
    }

    fn encode(&self, events: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        if events.id().events > 1 {
            return Err(EncodeError::TooLong);
        }
        let data = events.iter().find_map(|event| event.data);
        out.push(data.map_or(&[], |data| data.as_bytes()))
    }

    fn headers<'h>(&'h self, events: &Events<'h>, headers: &mut Headers<'h>) {
        let Some(event) = events.iter().next() else { return };
        headers.push("ce-specversion", "1.0");
        headers.write("ce-id", |out| id(events, &event).write_to(out));
        match self.0.source.as_ref() {
            "" => headers.write("ce-source", |out| self.0.write_source(&event, out)),
            source => headers.push("ce-source", source),
        }
        let topic = between_quotes(&event);
        let prefix = self.0.type_prefix(topic);
        if prefix.is_empty() && topic.iter().all(|byte| is_plain(*byte)) {
            headers.push("ce-type", events.topic().as_str());
        } else {
            headers.write("ce-type", |out| {
                out.push(prefix.as_bytes())?;
                percent_encoded(Unescaped::new(event.topic.as_str()), out)
            });
        }
        headers.write("ce-time", |out| event.timestamp.write_to(out));
        if event.data.is_some() {
            headers.push("Content-Type", "application/json");
        }
    }

    fn has_batches(&self) -> bool {
        false
    }
}

/// The id of one event's message, also of one in a batch.
fn id(events: &Events<'_>, event: &EventRef<'_>) -> MessageId {
    let &EventRef { id, node_id, .. } = event;
    MessageId { node_id, instance: events.id().instance, first: id, last: id, events: 1 }
}

fn between_quotes<'a>(event: &EventRef<'a>) -> &'a [u8] {
    match event.topic.as_bytes() {
        [_, topic @ .., _] => topic,
        _ => &[],
    }
}

/// Whether a byte of an attribute stands in a header as it is (HTTP binding, section 3.1.3.2).
const fn is_verbatim(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%')
}

/// Whether it does so in JSON, too.
const fn is_plain(byte: u8) -> bool {
    is_verbatim(byte) && byte != b'\\'
}

/// What URIs are made of (RFC 3986, section 2).
const fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

fn percent_encoded(
    mut text: impl Iterator<Item = char>,
    out: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    text.try_for_each(|character| {
        character.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| {
            let [high, low] = hex(byte);
            let encoded = [b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()];
            out.push(if is_verbatim(byte) { slice::from_ref(&byte) } else { &encoded })
        })
    })
}

//! The format of pilot's Go plugin, byte for byte:
//!
//! `{"event_id":1,"event":"...","node_id":2,"timestamp":"...","data":...}`,
//!
//! and a batch's, which is an array of these.

use crate::event::{MESSAGE_ID_HEADER, Timestamp};
use crate::format::Format;
use crate::json::{DIGITS, EncodeError, Writer};
use crate::queue::{Bound, EventRef, Events, Text};
use crate::transport::Headers;

/// The header that tells how many events there are in the array that is a batch's body.
pub const BATCH_HEADER: &str = "X-Pilot-Batch";

const ID: &[u8] = b"{\"event_id\":";
const TOPIC: &[u8] = b",\"event\":";
const NODE: &[u8] = b",\"node_id\":";
const TIME: &[u8] = b",\"timestamp\":\"";
const TIME_END: &[u8] = b"\"";
const DATA: &[u8] = b",\"data\":";
const END: &[u8] = b"}";

/// The longest text of a node id.
const NODE_DIGITS: usize = 10;

/// The JSON of pilot's Go plugin: an object for an event, an array of objects for a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct PilotFormat;

impl PilotFormat {
    /// The longest body: brackets around it, a comma behind each event but the last, and the texts
    /// as they are.
    pub const BOUND: Bound = Bound {
        message: 2,
        event: 1
            + (ID.len() + TOPIC.len() + NODE.len() + TIME.len() + TIME_END.len())
            + (DATA.len() + END.len() + DIGITS + NODE_DIGITS + Timestamp::LENGTH),
        factor: 1,
    };
}

impl Format for PilotFormat {
    fn bound(&self) -> Bound {
        Self::BOUND
    }

    fn encode(&self, events: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        body(events, out, |text, out| out.push(text.as_bytes()))
    }

    fn headers<'h>(&'h self, events: &Events<'h>, headers: &mut Headers<'h>) {
        headers.push("Content-Type", "application/json");
        headers.write(MESSAGE_ID_HEADER, |out| events.id().write_to(out));
        if events.is_batch() {
            headers.write(BATCH_HEADER, |out| out.integer(events.id().events.into()));
        }
    }
}

/// The body, with the topics and the data as `text` writes them.
pub(super) fn body(
    events: &Events<'_>,
    out: &mut Writer<'_>,
    text: impl Fn(Text<'_>, &mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let mut before: &[u8] = if events.is_batch() { b"[" } else { b"" };
    for event in events.iter() {
        out.push(before)?;
        object(&event, out, &text)?;
        before = b",";
    }
    out.push(if events.is_batch() { b"]" } else { b"" })
}

fn object(
    event: &EventRef<'_>,
    out: &mut Writer<'_>,
    text: impl Fn(Text<'_>, &mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    out.push(ID)?;
    out.integer(event.id)?;
    out.push(TOPIC)?;
    text(event.topic, out)?;
    out.push(NODE)?;
    out.integer(event.node_id.into())?;
    out.push(TIME)?;
    event.timestamp.write_to(out)?;
    out.push(TIME_END)?;
    if let Some(data) = event.data {
        out.push(DATA)?;
        text(data, out)?;
    }
    out.push(END)
}

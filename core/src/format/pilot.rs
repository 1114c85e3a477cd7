//! The body of a POST, byte for byte:
//!
//! `{"event_id":1,"event":"...","node_id":2,"timestamp":"...","data":...}`,
//!
//! and a batch's, which is an array of these.
//!
//! What only the caller has, the topic and the data, is made JSON when the event is handed in; the
//! rest is kept as numbers, and written around it when it is sent. Both are done outside the
//! dispatcher's lock, under which events are copied as they are.

use crate::event::sealed::Encode;
use crate::event::{Data, Event};
use crate::json::{EncodeError, Writer};
use crate::queue::entry::Entry;

/// The header that tells how many events there are in the array that is a batch's body.
pub const BATCH_HEADER: &str = "X-Pilot-Batch";

const ID: &[u8] = b"{\"event_id\":";
const TOPIC: &[u8] = b",\"event\":";
const NODE: &[u8] = b",\"node_id\":";
const TIME: &[u8] = b",\"timestamp\":\"";
const TIME_END: &[u8] = b"\"";
pub(crate) const DATA: &[u8] = b",\"data\":";
const END: &[u8] = b"}";
/// Bytes of every body.
pub(crate) const FIXED: usize =
    ID.len() + TOPIC.len() + NODE.len() + TIME.len() + TIME_END.len() + END.len();

/// An event as it is handed in: the topic and the data as JSON, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Encoded<'s> {
    /// Without an id.
    entry: Entry,
    pub(crate) texts: &'s [u8],
}

impl<'s> Encoded<'s> {
    /// Encodes into `scratch`.
    pub(crate) fn new<D: Data + ?Sized>(
        event: &Event<'_>,
        data: &D,
        scratch: &'s mut [u8],
    ) -> Result<Self, EncodeError> {
        let longest = scratch.len().min(Entry::LONGEST);
        let mut out = Writer::new(scratch.get_mut(..longest).unwrap_or_default());
        out.string(event.topic)?;
        let topic = out.length();
        Encode::encode(data, &mut out)?;
        if out.written().get(topic..) == Some(b"null") {
            out.truncate(topic);
        }
        let &Event { node_id, timestamp, .. } = event;
        let (topic, texts) = (short(topic), short(out.length()));
        let entry = Entry { id: 0, timestamp, node_id, topic, texts, leased: false };
        Ok(Self { entry, texts: out.finish() })
    }

    /// With the id that the event is given.
    pub(crate) const fn entry(&self, id: u64) -> Entry {
        Entry { id, ..self.entry }
    }
}

/// A length of [`Entry::LONGEST`] at most.
#[allow(clippy::cast_possible_truncation, reason = "it is below 2^31")]
const fn short(length: usize) -> u32 {
    length as u32
}

/// Makes the body of `out`, which is as long as the body is to be, of the entries at its end.
///
/// What was written never reaches what is still to be read: from any place on, the rest of the body
/// is longer than the rest of the entries. (A number is written with up to seven bytes more than it
/// has; the rest of the envelope, which follows it, is longer than that.)
pub(crate) fn render(out: &mut [u8], entries: usize, is_batch: bool) {
    let mut from = out.len().saturating_sub(entries);
    let mut out = Writer::new(out);
    let mut before = b'[';
    while let Some(header) = out.ahead(from) {
        let entry = Entry::from_bytes(header);
        // It fits: `Entry::body_length` is its length.
        let _ = if is_batch { out.push(&[before]) } else { Ok(()) };
        let _ = body(entry, from + Entry::HEADER, &mut out);
        before = b',';
        from += entry.size();
    }
    let _ = if is_batch { out.push(b"]") } else { Ok(()) };
}

/// Writes the body of an entry whose texts stand ahead, at `texts`.
fn body(entry: Entry, texts: usize, out: &mut Writer<'_>) -> Result<(), EncodeError> {
    let topic = entry.topic as usize;
    out.push(ID)?;
    out.integer(entry.id)?;
    out.push(TOPIC)?;
    out.fetch(texts, topic)?;
    out.push(NODE)?;
    out.integer(entry.node_id.into())?;
    out.push(TIME)?;
    let mut time = [0; 30];
    let length = entry.timestamp.write(&mut time);
    out.push(&time[..length])?;
    out.push(TIME_END)?;
    if entry.data() > 0 {
        out.push(DATA)?;
        out.fetch(texts + topic, entry.data())?;
    }
    out.push(END)
}

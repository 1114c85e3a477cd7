//! The body of a POST, byte for byte:
//!
//! `{"event_id":1,"event":"...","node_id":2,"timestamp":"...","data":...}`,
//!
//! and a batch's, which is an array of these.
//!
//! What only the caller has, the topic and the data, is made JSON when the event is handed in,
//! outside the dispatcher's lock. The rest is kept as numbers, and written around it when the body
//! is read.

use crate::event::sealed::Encode;
use crate::json::{EncodeError, Writer};
use crate::{Data, Event, Timestamp, digits};

/// The header that tells how many events there are in the array that is a batch's body.
pub const BATCH_HEADER: &str = "X-Pilot-Batch";

const ID: &[u8] = b"{\"event_id\":";
const TOPIC: &[u8] = b",\"event\":";
const NODE: &[u8] = b",\"node_id\":";
const TIME: &[u8] = b",\"timestamp\":\"";
const TIME_END: &[u8] = b"\"";
const DATA: &[u8] = b",\"data\":";
const END: &[u8] = b"}";

/// An event as it is handed in: the topic and the data as JSON, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Encoded<'s> {
    envelope: Envelope,
    pub(crate) texts: &'s [u8],
}

/// What is kept of an event beside its texts.
#[derive(Clone, Copy)]
pub(crate) struct Envelope {
    pub(crate) id: u64,
    timestamp: Timestamp,
    node_id: u32,
    /// Bytes of the topic, at the start of the texts.
    topic: u32,
}

impl<'s> Encoded<'s> {
    /// Encodes into `scratch`.
    pub(crate) fn new<D: Data + ?Sized>(
        event: &Event<'_>,
        data: &D,
        scratch: &'s mut [u8],
    ) -> Result<Self, EncodeError> {
        let mut out = Writer::new(scratch);
        out.string(event.topic)?;
        let topic = out.written().len();
        Encode::encode(data, &mut out)?;
        if out.written().get(topic..) == Some(b"null") {
            out.truncate(topic);
        }
        let envelope = Envelope {
            id: 0,
            timestamp: event.timestamp,
            node_id: event.node_id,
            topic: u32::try_from(topic).map_err(|_| EncodeError::TooLong)?,
        };
        Ok(Self { envelope, texts: out.finish() })
    }

    /// With the id that the event is given.
    pub(crate) const fn envelope(&self, id: u64) -> Envelope {
        Envelope { id, ..self.envelope }
    }
}

impl Envelope {
    /// Bytes of an envelope that is kept.
    pub(crate) const SIZE: usize = 28;

    /// The length of the body with `texts` bytes of topic and data.
    pub(crate) const fn body_length(&self, texts: usize) -> usize {
        const FIXED: usize =
            ID.len() + TOPIC.len() + NODE.len() + TIME.len() + TIME_END.len() + END.len();
        let data = if texts > self.topic as usize { DATA.len() } else { 0 };
        let numbers = digits::count(self.id) + digits::count(self.node_id as u64);
        FIXED + numbers + self.timestamp.length() + texts + data
    }

    /// Writes the body into `out` and returns its length, if it has the room. `read` copies a part
    /// of the texts, of which there are `texts` bytes, from a place on.
    pub(crate) fn body(
        &self,
        texts: usize,
        out: &mut [u8],
        read: impl Fn(usize, &mut [u8]),
    ) -> Result<usize, EncodeError> {
        let topic = self.topic as usize;
        let mut out = Writer::new(out);
        out.push(ID)?;
        out.integer(self.id)?;
        out.push(TOPIC)?;
        read(0, out.reserve(topic)?);
        out.push(NODE)?;
        out.integer(self.node_id.into())?;
        out.push(TIME)?;
        let mut time = [0; 30];
        let length = self.timestamp.write(&mut time);
        out.push(&time[..length])?;
        out.push(TIME_END)?;
        if texts > topic {
            out.push(DATA)?;
            read(topic, out.reserve(texts - topic)?);
        }
        out.push(END)?;
        Ok(out.written().len())
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.timestamp.seconds().to_le_bytes());
        bytes[16..20].copy_from_slice(&self.timestamp.nanos().to_le_bytes());
        bytes[20..24].copy_from_slice(&self.node_id.to_le_bytes());
        bytes[24..].copy_from_slice(&self.topic.to_le_bytes());
        bytes
    }

    pub(crate) const fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [i0, i1, i2, i3, i4, i5, i6, i7, s0, s1, s2, s3, s4, s5, s6, s7, rest @ ..] = *bytes;
        let [n0, n1, n2, n3, d0, d1, d2, d3, t0, t1, t2, t3] = rest;
        let seconds = i64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        Self {
            id: u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
            timestamp: Timestamp::new(seconds, u32::from_le_bytes([n0, n1, n2, n3])),
            node_id: u32::from_le_bytes([d0, d1, d2, d3]),
            topic: u32::from_le_bytes([t0, t1, t2, t3]),
        }
    }
}

/// The longest `u64`.
pub(crate) const DIGITS: usize = 20;

/// A number as text.
pub(crate) fn decimal(number: u64, out: &mut [u8; DIGITS]) -> &str {
    let mut writer = Writer::new(out);
    // It fits, and digits are text.
    let _ = writer.integer(number);
    core::str::from_utf8(writer.finish()).unwrap_or_default()
}

//! An event as it is handed in: the topic and the data as JSON, one after the other.

use crate::event::sealed::Encode;
use crate::event::{Data, Event};
use crate::json::{EncodeError, Writer};
use crate::queue::entry::Entry;

#[derive(Clone, Copy)]
pub(crate) struct Encoded<'s> {
    /// The id that its source gave it.
    pub(crate) id: Option<u64>,
    /// Without an id.
    entry: Entry,
    pub(crate) texts: &'s [u8],
}

impl<'s> Encoded<'s> {
    /// Encodes into `scratch`.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
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
        let &Event { id, node_id, timestamp, trace, .. } = event;
        let has_trace = trace.is_some_and(|trace| out.push(&trace.to_bytes()).is_ok());
        let (topic_len, texts_len) = (short(topic), short(out.length()));
        let entry =
            Entry { id: 0, timestamp, node_id, topic_len, texts_len, has_trace, leased: false };
        Ok(Self { id, entry, texts: out.finish() })
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

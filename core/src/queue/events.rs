//! The events of one message, as a format reads them.

use core::fmt;

use crate::event::{MessageId, Timestamp, TraceContext};
use crate::queue::entry::Entry;

/// The events of one message, the oldest first.
#[derive(Clone, Copy)]
pub struct Events<'a> {
    pub(crate) id: MessageId,
    pub(crate) is_batch: bool,
    /// Entries with their texts, one after the other.
    pub(crate) entries: &'a [u8],
}

/// One event of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventRef<'a> {
    /// Its id.
    pub id: u64,
    /// Its topic as a JSON string, quotes included.
    pub topic: Text<'a>,
    /// The node it happened on.
    pub node_id: u32,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Its data as JSON, if it has any.
    pub data: Option<Text<'a>>,
    pub(crate) trace: Option<TraceContext>,
}

/// JSON text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// This text.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Its bytes, which are UTF-8.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text. (It is looked at whole for this: a format that only copies it takes the bytes.)
    #[must_use]
    pub fn as_str(self) -> &'a str {
        core::str::from_utf8(self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'a> Events<'a> {
    /// The id of the message, the same in every attempt.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Whether the engine was told to send batches ([`Config::batch`](crate::Config::batch) is more
    /// than 1): then a message of one event is a batch, too.
    #[must_use]
    pub const fn is_batch(&self) -> bool {
        self.is_batch
    }

    /// The topic of the first event, as it stands in a JSON string.
    pub(crate) fn topic(&self) -> Text<'a> {
        let quoted = split_first(self.entries)
            .and_then(|(entry, texts, _)| texts.get(..entry.topic_len as usize));
        let quoted = quoted.unwrap_or_default();
        Text(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default())
    }

    /// The trace of the event that is alone in its message.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        if cfg!(not(feature = "traceparent")) {
            return None;
        }
        let mut all = self.iter();
        let (first, others) = (all.next()?, all.next());
        first.trace.filter(|_| others.is_none())
    }

    /// The ids of the events, the oldest's first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.entries().map(|(entry, _)| entry.id)
    }

    /// The events, the oldest first: at least one.
    pub fn iter(&self) -> impl Iterator<Item = EventRef<'a>> + use<'a> {
        self.entries().map(|(entry, texts)| {
            let Entry { id, timestamp, node_id, topic_len, has_trace, .. } = entry;
            let (topic, data) = texts.split_at_checked(topic_len as usize).unwrap_or_default();
            let behind = if has_trace { TraceContext::LENGTH } else { 0 };
            let end = data.len().saturating_sub(behind);
            let (data, trace) = data.split_at_checked(end).unwrap_or_default();
            let data = (!data.is_empty()).then_some(Text(data));
            let trace = if has_trace { TraceContext::from_bytes(trace) } else { None };
            EventRef { id, topic: Text(topic), node_id, timestamp, data, trace }
        })
    }

    fn entries(&self) -> impl Iterator<Item = (Entry, &'a [u8])> + use<'a> {
        let mut rest = self.entries;
        core::iter::from_fn(move || {
            let (entry, texts, after) = split_first(rest)?;
            rest = after;
            Some((entry, texts))
        })
    }
}

/// The first entry with its texts, and what follows it.
fn split_first(entries: &[u8]) -> Option<(Entry, &[u8], &[u8])> {
    let (header, rest) = entries.split_first_chunk()?;
    let entry = Entry::from_bytes(header);
    let (texts, rest) = rest.split_at_checked(entry.texts_len as usize)?;
    Some((entry, texts, rest))
}

//! What a caller hands in, the envelope and the data in one of two forms, and why it was not taken.

use core::fmt;

use serde::Serialize;

use crate::json::{self, EncodeError, Writer};

mod message_id;
mod timestamp;
#[cfg_attr(not(feature = "traceparent"), path = "no_trace.rs")]
mod trace;

pub use message_id::{MESSAGE_ID_HEADER, MessageId};
pub use timestamp::Timestamp;
#[cfg(feature = "traceparent")]
pub use trace::TraceContext;
#[cfg(not(feature = "traceparent"))]
pub(crate) use trace::TraceContext;

/// The envelope of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<'a> {
    /// Its id, where its source has one; otherwise the dispatcher gives the next one.
    pub id: Option<u64>,
    /// The topic, as in `conn.established`.
    pub topic: &'a str,
    /// The node it happened on.
    pub node_id: u32,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The trace that it is part of, if it came with one.
    pub(crate) trace: Option<TraceContext>,
}

impl<'a> Event<'a> {
    /// An event that the dispatcher gives an id.
    #[must_use]
    pub const fn new(topic: &'a str, node_id: u32, timestamp: Timestamp) -> Self {
        Self { id: None, topic, node_id, timestamp, trace: None }
    }

    /// With an id of its source, which must be greater than that of every event that is queued. A source gives
    /// all events an id, or none. Message ids
    /// are unique by the ids and the dispatcher's seed: a source whose ids go on after a restart keeps the
    /// seed, too.
    #[must_use]
    pub const fn with_id(self, id: u64) -> Self {
        Self { id: Some(id), ..self }
    }

    /// As part of a trace. In a queue it takes 17 bytes more; one that has no room for them is part of none. A batch is
    /// part of no trace of its events.
    #[cfg(feature = "traceparent")]
    #[must_use]
    pub const fn with_trace(self, trace: TraceContext) -> Self {
        Self { trace: Some(trace), ..self }
    }
}

/// An event's data: any [`Serialize`] type, or [`Json`] text. `()` and whatever else is written as
/// `null` stand for "none", and the payload has no `data` then.
///
/// It cannot be implemented outside this crate.
pub trait Data: sealed::Encode {}

impl<T: sealed::Encode + ?Sized> Data for T {}

/// Data that is JSON text already.
///
/// It is checked when it is emitted. White space between tokens is dropped, and an escaped lone
/// surrogate becomes U+FFFD, as pilot's Go plugin has it: many receivers cannot read one.
///
/// ```
/// # use pilot_webhook_core::Json;
/// let data = Json(r#"{"peer_node_id": 2}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(pub &'a str);

/// Encodes data as JSON text into `out`, as it would stand in an event.
///
/// ```
/// use pilot_webhook_core::{Json, to_json};
/// let mut out = [0; 16];
/// assert_eq!(to_json(&["a", "b"], &mut out), Ok(r#"["a","b"]"#));
/// assert_eq!(to_json(&Json("[1, 2]"), &mut out), Ok("[1,2]"));
/// ```
///
/// # Errors
/// When it does not fit or cannot be written as JSON.
pub fn to_json<'a, D: Data + ?Sized>(data: &D, out: &'a mut [u8]) -> Result<&'a str, EncodeError> {
    let mut writer = Writer::new(out);
    data.encode(&mut writer)?;
    core::str::from_utf8(writer.finish()).map_err(|_| EncodeError::Custom)
}

/// Why an event was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmitError {
    /// The queue has no room. It was counted as dropped. Deliver faster, or make the queue larger.
    Full,
    /// The dispatcher is closed. It was not counted.
    Closed,
    /// The id that it came with is not greater than the last one. It was not counted. Correct the source.
    Id,
    /// It is too long or cannot be encoded. It was counted as oversize. Correct the data.
    Payload(EncodeError),
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the event queue is full"),
            Self::Closed => f.write_str("the webhook is closed"),
            Self::Id => f.write_str("the event's id is not greater than the last one"),
            Self::Payload(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for EmitError {}

pub(crate) mod sealed {
    use super::{EncodeError, Writer};

    pub trait Encode {
        fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError>;
    }
}

impl<T: Serialize + ?Sized> sealed::Encode for T {
    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        json::write(self, out)
    }
}

impl sealed::Encode for Json<'_> {
    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        json::copy(self.0, out)
    }
}

//! What a caller hands in, the envelope and the data in one of two forms, and why it was not taken.

use core::fmt;

use serde::Serialize;

use crate::json::{self, EncodeError, Writer};

mod message_id;
mod timestamp;

pub use message_id::{MESSAGE_ID_HEADER, MessageId};
pub use timestamp::Timestamp;

/// The envelope of an event, but for its id, which the dispatcher gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The topic, as in `conn.established`.
    pub topic: &'a str,
    /// The node it happened on.
    pub node_id: u32,
    /// When it happened.
    pub timestamp: Timestamp,
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
/// surrogate becomes U+FFFD, as the original has it: many receivers cannot read one.
///
/// ```
/// # use pilot_webhook_core::Json;
/// let data = Json(r#"{"peer_node_id": 2}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(pub &'a str);

/// Why an event was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmitError {
    /// The queue has no room. It was counted as dropped. Deliver faster, or make the queue larger.
    Full,
    /// The dispatcher is closed. It was not counted.
    Closed,
    /// It is too long or cannot be encoded. It was counted as oversize. Correct the data.
    Payload(EncodeError),
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the event queue is full"),
            Self::Closed => f.write_str("the webhook is closed"),
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

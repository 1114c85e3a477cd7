//! What goes into the outbox, and what comes out of it.

use pilot_webhook_core::Timestamp;

/// An event to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewEvent<'a> {
    /// The topic, as in `conn.established`.
    pub topic: &'a str,
    /// Its data, a JSON text that the caller has checked; `None` stands for no data.
    pub data: Option<&'a str>,
    /// The node it happened on.
    pub node_id: u32,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The id that its origin gave it, where the origin may send it more than once. Events with the same
    /// origin id, node and timestamp are one event.
    pub origin_id: Option<u64>,
}

impl<'a> NewEvent<'a> {
    /// An event without data whose origin gave it no id.
    #[must_use]
    pub const fn new(topic: &'a str, node_id: u32, timestamp: Timestamp) -> Self {
        Self { topic, data: None, node_id, timestamp, origin_id: None }
    }

    /// With data, a JSON text that the caller has checked.
    #[must_use]
    pub const fn with_data(self, json: &'a str) -> Self {
        Self { data: Some(json), ..self }
    }

    /// With the id that its origin gave it: it is stored once, however often it comes.
    #[must_use]
    pub const fn with_origin_id(self, id: u64) -> Self {
        Self { origin_id: Some(id), ..self }
    }

    /// How much of the room it takes, in bytes: its texts, and 32 for the rest of its row.
    #[must_use]
    pub const fn size(&self) -> u64 {
        let data = match self.data {
            Some(data) => data.len(),
            None => 0,
        };
        (self.topic.len() + data) as u64 + ROW
    }
}

/// What a row takes beside its texts, in bytes. The SQL text [`SIZE`] says the same.
const ROW: u64 = 32;
/// [`NewEvent::size`] of a row.
pub(crate) const SIZE: &str = "octet_length(topic) + ifnull(octet_length(data), 0) + 32";

/// How far a source was read, in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    /// The source's name.
    pub source: &'a str,
    /// How far it was read.
    pub text: &'a str,
}

/// An event that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Its id: from 1, going up, never used twice in a file.
    pub id: u64,
    /// The topic.
    pub topic: String,
    /// Its data, a JSON text.
    pub data: Option<String>,
    /// The node it happened on.
    pub node_id: u32,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The id that its origin gave it.
    pub origin_id: Option<u64>,
    /// When it was stored; after a replay, when it was put back.
    pub stored_at: Timestamp,
    /// After a replay, the id it had first.
    pub first_id: Option<u64>,
}

/// How an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The receiver has it. It is removed.
    Delivered,
    /// The receiver will not have it. It becomes a dead letter.
    Dead(Box<DeadReason>),
}

/// Why an event became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadReason {
    /// What became of it.
    pub fate: DeadFate,
    /// Attempts, all rounds together.
    pub attempts: u32,
    /// The last answer's status, if there was one.
    pub status: Option<u16>,
    /// Without an answer, what went wrong in the last attempt.
    pub error: Option<String>,
    /// Where it was sent to. The caller leaves out what may be secret: credentials and the query.
    pub endpoint: String,
}

/// The fates that make a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadFate {
    /// Refused for good.
    Rejected,
    /// Given up after its last attempt.
    Exhausted,
    /// Too long to be sent, or not to be written in its format.
    Oversize,
}

impl DeadFate {
    /// The word in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
            Self::Oversize => "oversize",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Rejected, Self::Exhausted, Self::Oversize].into_iter().find(|f| f.name() == name)
    }
}

/// An event that was not delivered, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The event as it was stored.
    pub event: Stored,
    /// When it was given up.
    pub died_at: Timestamp,
    /// Why.
    pub reason: DeadReason,
    /// Whether a replay was asked for: the outbox puts it back when there is room.
    pub replay: bool,
}

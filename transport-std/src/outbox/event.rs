//! What goes into the outbox, and what comes out of it.

use std::time::Duration;

use pilot_webhook_core::Timestamp;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

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
    /// The endpoints that are to get it, each once; at least one.
    pub endpoints: &'a [EndpointId],
}

impl<'a> NewEvent<'a> {
    /// An event without data whose origin gave it no id, for the endpoint `pilot`.
    #[must_use]
    pub const fn new(topic: &'a str, node_id: u32, timestamp: Timestamp) -> Self {
        let endpoints = &[EndpointId::PILOT];
        Self { topic, data: None, node_id, timestamp, origin_id: None, endpoints }
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

    /// For these endpoints, each once. With none it is not taken.
    #[must_use]
    pub const fn for_endpoints(self, endpoints: &'a [EndpointId]) -> Self {
        Self { endpoints, ..self }
    }

    /// How much of the room it takes, in bytes: its texts, 16 for the rest of its row, and 16 for each endpoint.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.texts() + ROW + DELIVERY * self.endpoints.len() as u64
    }

    /// The length of its texts.
    pub(crate) const fn texts(&self) -> u64 {
        let data = match self.data {
            Some(data) => data.len(),
            None => 0,
        };
        (self.topic.len() + data) as u64
    }
}

/// What a row takes beside its texts, in bytes, and what each endpoint that it waits for takes.
pub(crate) const ROW: u64 = 16;
/// See [`ROW`].
pub(crate) const DELIVERY: u64 = 16;
/// The length of the texts of a row, as SQL.
pub(crate) const TEXTS: &str = "octet_length(topic) + ifnull(octet_length(data), 0)";

/// Who gets an event: a number that stands for the endpoint's name in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub(crate) u32);

impl EndpointId {
    /// That of the endpoint `pilot`, which every file has.
    pub const PILOT: Self = Self(1);
}

impl ToSql for EndpointId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for EndpointId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        u32::column_result(value).map(Self)
    }
}

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
    /// That an attempt failed, and the next one is due later.
    pub tried: Option<Tried>,
}

/// What is behind an event that waits for its next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tried {
    /// How many attempts of its round have failed; 0 when the next one begins another round.
    pub attempts: u8,
    /// When the last of them failed, by the system's clock.
    pub failed_at: Timestamp,
    /// How long it waits since then.
    pub wait: Duration,
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
    pub url: String,
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
    /// The name of the endpoint that did not get it.
    pub endpoint: String,
    /// The event as it was stored.
    pub event: Stored,
    /// When it was given up.
    pub died_at: Timestamp,
    /// Why.
    pub reason: DeadReason,
    /// Whether a replay was asked for: the outbox puts it back when there is room.
    pub replay: bool,
}

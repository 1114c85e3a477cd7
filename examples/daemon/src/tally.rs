//! What the daemon itself counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::in_stream::InStream;

/// Counts lines and posts. Events that an endpoint took are also in its counters.
///
/// Each line and each posted event is in one place, where there is no outbox:
/// `lines + posted + messages = emitted + bad_lines + bad_messages + not_taken + unmatched + repeats + sent_back`. With
/// several endpoints, where `emitted` counts an event at each of them, `events` stands in its place.
#[derive(Default)]
pub(crate) struct Tally {
    /// All lines that were read, but blank ones.
    pub(crate) lines: AtomicU64,
    /// Lines that are not valid events.
    pub(crate) bad_lines: AtomicU64,
    /// Events of lines that were read when there was no webhook, or when it was closed.
    pub(crate) not_taken: AtomicU64,
    /// Events that are for no endpoint. Of a stream, those that are not for the endpoint whose consumer sent them.
    pub(crate) unmatched: AtomicU64,
    /// Messages of a stream, once for each endpoint that they were sent for.
    pub(crate) messages: AtomicU64,
    /// Messages that are no events, and became dead letters.
    pub(crate) bad_messages: AtomicU64,
    /// All HTTP requests that were answered, but those whose head was no HTTP.
    pub(crate) requests: AtomicU64,
    /// Requests that are no POST of events, or not allowed.
    pub(crate) bad_requests: AtomicU64,
    /// Events in the other requests.
    pub(crate) posted: AtomicU64,
    /// Posted events that had been accepted before. An outbox counts them itself.
    pub(crate) repeats: AtomicU64,
    /// Posted events that were left to their sender, for want of room or of a webhook. With an outbox also those that
    /// cannot be stored: of all others, the outbox keeps the account.
    pub(crate) sent_back: AtomicU64,
    /// Messages of a stream that are still to come.
    pub(crate) in_stream: InStream,
}

impl Tally {
    /// All counts, by the names that they have in the daemon's JSON.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 11] {
        [
            ("lines", &self.lines),
            ("bad_lines", &self.bad_lines),
            ("not_taken", &self.not_taken),
            ("unmatched", &self.unmatched),
            ("messages", &self.messages),
            ("bad_messages", &self.bad_messages),
            ("requests", &self.requests),
            ("bad_requests", &self.bad_requests),
            ("posted", &self.posted),
            ("repeats", &self.repeats),
            ("sent_back", &self.sent_back),
        ]
        .map(|(name, count)| (name, count.load(Relaxed)))
    }
}

//! An event on its way: in whose hands it is, what is next, and how it ends.

use crate::clock::Instant;
use crate::engine::breaker::Permit;
use crate::event::MessageId;
use crate::json::Writer;
use crate::queue::{Bound, Events, LeaseRange};

/// What a worker can hold: the bound of its format, and the length of its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fit {
    /// The bound of the format.
    pub(crate) bound: Bound,
    /// The length of the buffer, in bytes.
    pub(crate) buffer: usize,
}

impl Fit {
    /// Whether `events` events with `texts` bytes of text fit, in a body of `longest` bytes.
    pub(crate) const fn holds(&self, events: u32, texts: usize, longest: usize) -> bool {
        self.bound.buffer(events, texts) <= self.buffer && self.bound.body(events, texts) <= longest
    }
}

/// Where an event ended up, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// Answered 2xx.
    Delivered,
    /// Answered 3xx or 4xx for good.
    Rejected,
    /// Given up after its last attempt.
    Exhausted,
    /// Passed over while the breaker was open.
    Skipped,
    /// Lost to a full queue.
    Dropped,
    /// Refused when emitted: too long, or not to be encoded. Or too long for a worker's buffer, or not to
    /// be written in its format.
    Oversize,
    /// Left behind by a close or a clear whose time was over.
    Abandoned,
}

impl Fate {
    /// One word for it, in lower case, as counters are called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
            Self::Skipped => "skipped",
            Self::Dropped => "dropped",
            Self::Oversize => "oversize",
            Self::Abandoned => "abandoned",
        }
    }
}

/// An event in a worker's hands, or a batch of events that share their story.
///
/// It must come back, through [`finish`](crate::Dispatcher::finish) after its attempt, or through
/// [`release`](crate::Dispatcher::release).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Delivery {
    pub(crate) run: LeaseRange,
    pub(crate) message: MessageId,
    /// Bytes of the body, at most.
    pub(crate) body_bound: usize,
    /// Bytes of the entries at the end of the worker's buffer.
    pub(crate) raw_len: usize,
    /// Failed attempts in this round.
    pub(crate) attempts: u8,
    pub(crate) permit: Permit,
    pub(crate) endpoint_epoch: u32,
    /// Whether it is a batch, of however many events.
    pub(crate) is_batch: bool,
    /// Whether its attempt is under way.
    pub(crate) sending: bool,
}

impl Delivery {
    /// The event's id; a batch's first event's.
    #[must_use]
    pub const fn event_id(&self) -> u64 {
        self.run.first
    }

    /// The id of the message that the event or batch is, the same in every attempt.
    #[must_use]
    pub const fn message_id(&self) -> MessageId {
        self.message
    }

    /// How many events there are.
    #[must_use]
    pub const fn events(&self) -> u32 {
        self.run.count
    }

    /// The events, which stand at the end of the worker's buffer, and a writer over the room in front
    /// of them, for their body, of as many bytes as the format's bound says.
    pub fn split<'b>(&self, buffer: &'b mut [u8]) -> (Events<'b>, Writer<'b>) {
        let (room, entries) = buffer.split_at_mut(buffer.len().saturating_sub(self.raw_len));
        let events = Events { id: self.message, is_batch: self.is_batch, entries };
        let length = room.len().min(self.body_bound);
        (events, Writer::new(room.get_mut(..length).unwrap_or_default()))
    }

    /// The number of the attempt that comes next or is under way, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u8 {
        self.attempts.saturating_add(1)
    }

    /// The number of the endpoint that attempt goes to.
    #[must_use]
    pub const fn endpoint_epoch(&self) -> u32 {
        self.endpoint_epoch
    }

    /// Whether that attempt is the breaker's probe.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.permit == Permit::Probe
    }
}

/// What is behind an event that an earlier start of its host has tried, and that is handed in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// How many attempts of its round have failed.
    pub attempts: u8,
    /// When its next attempt is due.
    pub due: Instant,
}

/// What to do next: the answer to [`next`](crate::Dispatcher::next).
#[derive(Debug)]
pub enum Next {
    /// Make an attempt now.
    Attempt(Delivery),
    /// Nothing before an event comes, this time (if any), or a change: a battery node sleeps.
    Idle(Option<Instant>),
    /// Nothing before this time or a change: events that come meanwhile do not go out either.
    Wait(Instant),
    /// An event that waited was settled, or gave up its turn: ask again.
    Again,
    /// The dispatcher is closed, and nothing waits.
    Done,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The event's story is over.
    Settled(Fate),
    /// It waits in the queue for its next attempt, which is due then: [`next`](crate::Dispatcher::next)
    /// hands it out.
    Retry(Instant),
    /// It went back to its place in the queue, as if it had never been taken.
    Returned,
}

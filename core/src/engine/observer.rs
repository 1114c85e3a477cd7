//! What a host is told as it happens.

use core::time::Duration;

use crate::engine::breaker::BreakerState;
use crate::engine::delivery::Fate;
use crate::event::{MessageId, Timestamp};
use crate::queue::Events;
use crate::transport::{Message, Reply, TransportError};

/// Something that happened.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// An attempt ended.
    Attempt {
        /// The event's id; a batch's first event's.
        event_id: u64,
        /// How many events there are in it.
        events: u32,
        /// The attempt's number, from 1.
        attempt: u8,
        /// Whether it was the breaker's probe.
        is_probe: bool,
        /// The answer, or the transport's own words for why there was none.
        result: Result<Reply, &'a dyn TransportError>,
        /// What was sent: its id, its headers and its body. Payloads and signatures are secrets.
        message: &'a Message<'a>,
        /// The events in it, with their topics and times.
        contents: &'a Events<'a>,
        /// How long it took.
        took: Duration,
        /// When it ended, by the wall clock.
        ended: Timestamp,
        /// The beginning of what the receiver said in its answer, for people:
        /// [`Transport::answer`](crate::Transport::answer).
        answer: &'a [u8],
    },
    /// After an attempt that failed: the message waits for its next one.
    Retry {
        /// The event's id; a batch's first event's.
        event_id: u64,
        /// The event's id; a batch's last event's.
        #[cfg(feature = "resume")]
        last_id: u64,
        /// How many attempts of its round have failed; 0 when the next one begins another round.
        #[cfg(feature = "resume")]
        attempts: u8,
        /// How long it waits, at least: a rate or the breaker may make it longer.
        wait: Duration,
    },
    /// An event's story is over. It is told once for every event that was counted, and for each event of
    /// a batch.
    Settled {
        /// The event's id.
        event_id: u64,
        /// How it ended.
        fate: Fate,
        /// The message that it was last sent in; `None` when it ended while it waited.
        message: Option<MessageId>,
        /// The number of the last attempt of that message, from 1; 0 without one.
        attempt: u8,
    },
    /// The breaker changed its state.
    Breaker(BreakerState),
}

/// Told of what happens. `()` does not listen.
pub trait Observer {
    /// Something happened. It is called without a lock by whoever made it happen: by a worker between
    /// attempts, and by an emitter whose event, or the event that it displaced, is lost. It must not
    /// block, and must not emit.
    ///
    /// Of one event it is called in the order in which things happened. What two tasks do at the same
    /// moment may be told in any order.
    fn notice(&self, notice: Notice<'_>);
}

impl Observer for () {
    fn notice(&self, _notice: Notice<'_>) {}
}

impl<O: Observer + ?Sized> Observer for &O {
    fn notice(&self, notice: Notice<'_>) {
        O::notice(self, notice);
    }
}

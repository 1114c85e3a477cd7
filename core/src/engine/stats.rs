//! The counters, and the law they obey.

use serde::Serialize;

use crate::engine::breaker::BreakerState;
use crate::engine::delivery::Fate;
use crate::event::Timestamp;

/// Everything that happened to every event, seen at one instant.
///
/// The fields, in this order, are the keys of the daemon's JSON. The default is that nothing happened
/// yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Events handed in while there was an endpoint.
    pub emitted: u64,
    /// Answered 2xx.
    pub delivered: u64,
    /// Answered 3xx or 4xx for good.
    pub rejected: u64,
    /// Given up after their last attempt.
    pub exhausted: u64,
    /// Passed over while the breaker was open.
    pub skipped: u64,
    /// Lost to a full queue.
    pub dropped: u64,
    /// Refused when emitted: too long, or not to be encoded. Or too long for a worker.
    pub oversize: u64,
    /// Left behind by a close or a clear whose time was over.
    pub abandoned: u64,
    /// Waiting now.
    pub queued: u32,
    /// With a worker now, or waiting for their next attempt.
    pub in_flight: u32,
    /// POSTs begun.
    pub attempts: u64,
    /// How often the breaker opened.
    pub circuit_opens: u32,
    /// The status of the last attempt; 0 when it had no answer, or there was none yet.
    pub last_status: u16,
    /// The breaker's state.
    pub breaker: BreakerState,
}

impl Stats {
    /// The law: every event emitted is in exactly one place.
    ///
    /// `emitted = delivered + rejected + exhausted + skipped + dropped + oversize + abandoned +
    /// queued + in_flight`
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        self.emitted
            == self.delivered
                + self.rejected
                + self.exhausted
                + self.skipped
                + self.dropped
                + self.oversize
                + self.abandoned
                + self.queued as u64
                + self.in_flight as u64
    }
}

/// The events that have not ended, and the room that they take, seen at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// How many there may be.
    pub capacity: u32,
    /// Bytes that they take in the queue: topic and data, and 32 for each.
    pub bytes: usize,
    /// Bytes that the queue holds.
    pub capacity_bytes: usize,
    /// When the one happened that came first.
    pub oldest: Option<Timestamp>,
}

/// The counters that only grow (but for the last status).
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Counters {
    pub(crate) emitted: u64,
    pub(crate) delivered: u64,
    pub(crate) rejected: u64,
    pub(crate) exhausted: u64,
    pub(crate) skipped: u64,
    pub(crate) dropped: u64,
    pub(crate) oversize: u64,
    pub(crate) abandoned: u64,
    pub(crate) attempts: u64,
    pub(crate) last_status: u16,
}

impl Counters {
    pub(crate) const ZERO: Self = Self {
        emitted: 0,
        delivered: 0,
        rejected: 0,
        exhausted: 0,
        skipped: 0,
        dropped: 0,
        oversize: 0,
        abandoned: 0,
        attempts: 0,
        last_status: 0,
    };

    /// Where an event with this fate is counted.
    pub(crate) const fn of(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::Delivered => &mut self.delivered,
            Fate::Rejected => &mut self.rejected,
            Fate::Exhausted => &mut self.exhausted,
            Fate::Skipped => &mut self.skipped,
            Fate::Dropped => &mut self.dropped,
            Fate::Oversize => &mut self.oversize,
            Fate::Abandoned => &mut self.abandoned,
        }
    }
}

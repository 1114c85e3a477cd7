//! How long a message can become, known before it is made.

use crate::queue::entry::Entry;

/// The longest body that a format makes of events, as a sum: for a message of `n` events whose texts
/// (the topics and the data, both as JSON) have `t` bytes in all, `message + event * n + factor * t`
/// bytes. The engine chooses by it how many events go into one message.
///
/// ```
/// use pilot_webhook_core::Bound;
/// // An array with brackets and commas around objects of up to 100 bytes and their texts.
/// let bound = Bound { message: 2, event: 101, factor: 1 };
/// assert_eq!(bound.body(2, 50), 2 + 2 * 101 + 50);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bound {
    /// Bytes of a message without events.
    pub message: usize,
    /// Bytes that an event takes beside its texts.
    pub event: usize,
    /// How many bytes a byte of text becomes, at most.
    pub factor: usize,
}

impl Bound {
    /// Bytes of the body of `events` events with `texts` bytes of text, at most. Saturates.
    #[must_use]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn body(&self, events: u32, texts: usize) -> usize {
        let fixed = self.message.saturating_add(self.event.saturating_mul(events as usize));
        fixed.saturating_add(self.factor.saturating_mul(texts))
    }

    /// Bytes of a worker's buffer for them: the body, and behind it the events as they were queued.
    /// Saturates.
    #[must_use]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn buffer(&self, events: u32, texts: usize) -> usize {
        let queued = Entry::HEADER.saturating_mul(events as usize).saturating_add(texts);
        self.body(events, texts).saturating_add(queued)
    }

    /// The longest texts of one event for which a buffer of `buffer` bytes is enough.
    #[must_use]
    pub const fn texts(&self, buffer: usize) -> usize {
        buffer.saturating_sub(self.buffer(1, 0)) / self.factor.saturating_add(1)
    }
}

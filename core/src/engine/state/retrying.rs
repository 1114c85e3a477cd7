//! The messages that wait for their next attempt: in the queue, in no worker's hands.

use super::State;
use crate::clock::Instant;
use crate::queue::LeaseRange;

/// A message that waits for its next attempt. The queue keeps its events leased.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq, Hash))]
pub(super) struct Retrying {
    pub(super) run: LeaseRange,
    /// Failed attempts in this round.
    pub(super) attempts: u8,
    pub(super) due: Instant,
}

impl<B, T, const SLOTS: usize> State<B, T, SLOTS> {
    /// How many more messages may be taken from the queue: beside those under way, as many as may be
    /// under way wait for their next attempt. With one under way, order is kept: that is the one.
    pub(super) fn places(&self) -> u32 {
        let begun = self.sending + u32::try_from(self.retrying.len()).unwrap_or(u32::MAX);
        let slots = match self.config.max_in_flight {
            0 | 1 => 1,
            several => u32::from(several) * 2,
        };
        let slots = slots.min(u32::try_from(SLOTS).unwrap_or(u32::MAX));
        slots.saturating_sub(begun).min(self.window.saturating_sub(self.sending))
    }

    /// When the next attempt of a message is due. A wait that would outlast a drain is cut.
    fn due(&self, message: &Retrying) -> Instant {
        if self.is_past_deadline(message.due) { Instant::default() } else { message.due }
    }

    /// When the first of the next attempts is due, and the place of its message: of several, the oldest.
    pub(super) fn first_due(&self) -> Option<(Instant, usize)> {
        let mut first: Option<(Instant, usize, u64)> = None;
        for (place, message) in self.retrying.iter().enumerate() {
            let (due, id) = (self.due(message), message.run.first);
            let is_before = |(earlier, _, older)| due < earlier || (due == earlier && id < older);
            if first.is_none_or(is_before) {
                first = Some((due, place, id));
            }
        }
        first.map(|(due, place, _)| (due, place))
    }

    /// Takes the message at a place, which the last one takes.
    pub(super) fn take_retrying(&mut self, place: usize) -> Option<Retrying> {
        let taken = *self.retrying.get(place)?;
        let Retrying { run, attempts, due } = self.retrying.pop()?;
        if let Some(free) = self.retrying.get_mut(place) {
            (free.run, free.attempts, free.due) = (run, attempts, due);
        }
        Some(taken)
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, T, const SLOTS: usize> State<B, T, SLOTS> {
    /// All go back to their places in the queue: their next attempt is the first of a new round.
    #[inline(never)]
    pub(super) fn return_retrying(&mut self) {
        while self.return_one() {}
    }

    /// One goes back; `false` when there is none.
    pub(super) fn return_one(&mut self) -> bool {
        let Some(message) = self.retrying.pop() else { return false };
        self.queue.release(message.run);
        true
    }
}

//! The messages that wait for their next attempt: in the queue, in no worker's hands.

use super::State;
use crate::clock::Instant;
use crate::engine::breaker::BreakerState;
use crate::engine::config::LongWaits;
use crate::engine::delivery::{Fate, Tried};
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

    /// Known to the compiler without the feature `resume`.
    pub(super) const fn cuts_waits(&self) -> bool {
        matches!(self.config.long_waits, LongWaits::Cut)
    }

    /// When the next attempt of a message is due. A wait that would outlast a drain is cut.
    fn due(&self, message: &Retrying) -> Instant {
        let is_cut = self.cuts_waits() && self.is_past_deadline(message.due);
        if is_cut { Instant::default() } else { message.due }
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
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn return_retrying(&mut self) {
        while self.return_one() {}
    }

    /// An event that was just taken in waits for its next attempt, as it did before. Where no more messages may wait, or
    /// others are before it that must stay before it, its next attempt is the first of a new round.
    pub(crate) fn go_on(&mut self, id: u64, Tried { attempts, due }: Tried) {
        let most = self.batch_events();
        let (queue, retrying) = (&self.queue, &self.retrying);
        // What was a batch is one again.
        let place = retrying.iter().position(|message| {
            let same = message.attempts == attempts && message.due == due;
            same && message.run.count < most && queue.following(message.run) == Some(id)
        });
        if let Some(message) = place.and_then(|place| self.retrying.get_mut(place)) {
            message.run.count += u32::from(self.queue.hold(id));
            return;
        }
        let keeps_order = self.config.max_in_flight > 1 || self.queue.oldest() == Some(id);
        let may_wait = keeps_order && self.breaker.state() == BreakerState::Closed;
        if may_wait && self.places() > 0 && self.queue.hold(id) {
            let message = Retrying { run: LeaseRange { first: id, count: 1 }, attempts, due };
            if self.retrying.push(message).is_err() {
                self.queue.release(message.run);
            }
        }
    }

    /// The place of a message that waits for longer than a drain which cuts no wait.
    pub(super) fn too_late(&self) -> Option<usize> {
        let is_late = |message: &Retrying| self.is_past_deadline(message.due);
        if self.cuts_waits() { None } else { self.retrying.iter().position(is_late) }
    }

    /// Abandons the first event of the message at a place.
    pub(super) fn abandon(&mut self, place: usize) {
        let Some(Retrying { run, attempts, due }) = self.take_retrying(place) else { return };
        let first = LeaseRange { count: 1, ..run };
        let next = self.queue.following(first).filter(|_| run.count > 1);
        self.queue.settle(first);
        self.end(run.first, Fate::Abandoned);
        if let Some(next) = next {
            let run = LeaseRange { first: next, count: run.count - 1 };
            // It takes the place that was left.
            let _ = self.retrying.push(Retrying { run, attempts, due });
        }
        self.leave_when_empty();
    }

    /// One goes back; `false` when there is none.
    pub(super) fn return_one(&mut self) -> bool {
        let Some(message) = self.retrying.pop() else { return false };
        self.queue.release(message.run);
        true
    }
}

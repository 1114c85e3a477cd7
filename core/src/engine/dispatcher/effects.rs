//! The effects of a change: whose wake-up it is, and what the observer is told.

use core::task::Waker;

use super::Inner;
use crate::engine::breaker::BreakerState;
use crate::engine::delivery::Fate;

impl<B: AsRef<[u8]> + AsMut<[u8]>, T, const SLOTS: usize> Inner<B, T, SLOTS> {
    /// The effects of a change, if it has any.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn effects(&mut self) -> Option<Effects> {
        let (before, after) = (&self.known, self.state.snapshot());
        let changed = before.control != after.control || before.rate != after.rate;
        // A batch that came back is work for more than one.
        let has_much = after.available > before.available + 1;
        let has_work = after.available > before.available || (after.may_retry && !before.may_retry);
        // A batch is full, or another worker took it.
        let gathered = before.gathering.is_some()
            && before.gathering != after.gathering
            && after.gathering != Some(false);
        let has_left = after.used < before.used;
        let is_over = after.held == 0 && before.held > 0;
        let breaker = (before.control.1 != after.control.1).then_some(after.control.1);
        self.known = after;
        self.changes = self.changes.wrapping_add((changed || gathered).into());
        self.work = self.work.wrapping_add((changed || has_work).into());
        let idle = changed || has_much;
        let one = if has_work && !idle { self.idle.take() } else { None };
        let busy = changed || gathered;
        // Not for each event that leaves a full queue: who waits would be woken for one each.
        let room = changed || (has_left && self.state.is_roomy());
        let room = room && !self.crowded.is_empty();
        let empty = (changed || is_over) && !self.ending.is_empty();
        let ended = self.state.ended.take();
        let told = breaker.is_some() || ended.is_some();
        let concerns = one.is_some() || idle || busy || room || empty || told;
        concerns.then_some(Effects { one, idle, busy, room, empty, breaker, ended })
    }
}

/// What is to be done outside the lock.
pub(super) struct Effects {
    /// A worker that waits for an event.
    pub(super) one: Option<Waker>,
    /// All of those.
    pub(super) idle: bool,
    /// All with an event in their hands.
    pub(super) busy: bool,
    /// Those who wait for room.
    pub(super) room: bool,
    /// Those who wait for the end.
    pub(super) empty: bool,
    /// The observer: the breaker's new state.
    pub(super) breaker: Option<BreakerState>,
    /// The observer: the event that this ended.
    pub(super) ended: Option<(u64, Fate)>,
}

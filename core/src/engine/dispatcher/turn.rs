//! What workers ask, in turn.

use embassy_sync::blocking_mutex::raw::RawMutex;

use super::wait::Wait;
use super::work::Work;
use super::{Dispatcher, Seen, ready_when};
use crate::clock::Instant;
use crate::engine::delivery::{After, Delivery, Next};
use crate::engine::observer::Observer;
use crate::event::Timestamp;
use crate::queue::Bound;
use crate::transport::{ErrorKind, Reply};

impl<M, B, T, O, const SLOTS: usize> Dispatcher<M, B, T, O, SLOTS>
where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: Observer,
{
    /// The message whose next attempt is due, or the oldest event that may go out, or a batch, its
    /// attempt begun and what was queued copied to the end of `buffer` ([`Delivery::split`]). `bound` is that of the format that will
    /// make its body. An event for which the buffer is too short is settled as oversize.
    pub fn next(&self, now: Instant, bound: Bound, buffer: &mut [u8]) -> (Next, Seen) {
        let mut answer = (Next::Again, Seen { work: 0, changes: 0 });
        answer.1 = self.change(|state| answer.0 = state.next(now, bound, buffer));
        answer
    }

    /// Settles a message that cannot be made as oversize, in place of its attempt.
    pub(crate) fn refuse_message(&self, delivery: &mut Delivery) {
        self.change(|state| state.refuse_message(delivery));
    }

    /// Until when the attempt that began at `started` may go on, the HTTP timeout and a drain's
    /// deadline considered. `None` when the endpoint was swapped meanwhile: cancel it, and
    /// [`release`](Self::release) the event.
    pub fn limit(&self, delivery: &Delivery, started: Instant) -> (Option<Instant>, Seen) {
        self.lock(|inner| (inner.state.limit(delivery, started), inner.seen()))
    }

    /// Ends an attempt. `wall` is the wall-clock time, for a `Retry-After` that is a date.
    pub fn finish(
        &self,
        delivery: &mut Delivery,
        result: Result<Reply, ErrorKind>,
        now: Instant,
        wall: Timestamp,
    ) -> After {
        let mut after = After::Returned;
        self.change(|state| after = state.finish(delivery, result, now, wall));
        after
    }

    /// Gives an event back to its place in the queue, as if it had never been taken. For an event
    /// that is settled or returned it does nothing.
    pub fn release(&self, delivery: &mut Delivery) {
        self.change(|state| state.release(delivery));
    }

    /// Completes when there may be an event to take, or something changed. A worker that was
    /// told [`Next::Idle`] waits here. Cancel-safe: an event's wake-up is passed on.
    pub fn work(&self, seen: Seen) -> impl Future<Output = ()> {
        Work { dispatcher: self, seen: seen.work, key: None }
    }

    /// Completes when the endpoint, the breaker or the phase changed, or a batch is full. A worker
    /// with an event in its hands, or that was told [`Next::Wait`], waits here. Cancel-safe.
    pub fn changed(&self, seen: Seen) -> impl Future<Output = ()> {
        let look = move || ready_when(self.lock(|inner| inner.changes != seen.changes));
        Wait::new(self, |inner| &mut inner.busy, look)
    }
}

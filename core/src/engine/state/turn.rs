//! What goes out next, and whether it may.

use super::{Phase, State};
use crate::clock::Instant;
use crate::engine::breaker::{Admission, BreakerState, Permit};
use crate::engine::config::OnOpen;
use crate::engine::delivery::{Delivery, Fate, Fit, Next};
use crate::engine::rate::Pace;
use crate::event::MessageId;
use crate::queue::{Bound, Lease};

impl<B: AsRef<[u8]> + AsMut<[u8]>, T, const SLOTS: usize> State<B, T, SLOTS> {
    pub(crate) fn next(&mut self, now: Instant, bound: Bound, buffer: &mut [u8]) -> Next {
        let fit = Fit { bound, buffer: buffer.len() };
        let has_events = self.queue.queued() > 0;
        let first_due = self.first_due();
        let due = first_due.map(|(due, _)| due);
        if self.is_past_deadline(now) && (has_events || due.is_some()) {
            return self.give_up(Fate::Abandoned);
        }
        if let Some(place) = self.too_late() {
            // What is behind it where order is kept goes with it, and before it.
            if has_events && self.config.max_in_flight <= 1 {
                self.end_oldest(Fate::Abandoned);
            } else {
                self.abandon(place);
            }
            return Next::Again;
        }
        let again = first_due.filter(|(due, _)| now >= *due);
        let is_due = again.is_some();
        if !is_due {
            if let Some(until) = self.gather(now, fit) {
                return Next::Wait(due.map_or(until, |due| due.min(until)));
            }
            if !has_events {
                return match self.phase {
                    Phase::Closed | Phase::Closing if due.is_none() => Next::Done,
                    _ => Next::Idle(due),
                };
            }
        }
        match self.admit(now, is_due) {
            Admit::Go(permit) => {
                let taken = match again {
                    Some((_, place)) => self.take_again(place, fit, buffer),
                    None => self.take_oldest(permit, fit, buffer),
                };
                let Some((lease, attempts)) = taken else {
                    self.breaker.abort(permit);
                    return Next::Again;
                };
                self.counters.attempts += 1;
                self.sending += 1;
                self.pace = Pace::after(self.config.rate, now);
                let message = MessageId {
                    node_id: lease.node_id,
                    instance: self.instance,
                    first: lease.run.first,
                    last: lease.last,
                    events: lease.run.count,
                };
                Next::Attempt(Delivery {
                    run: lease.run,
                    message,
                    body_bound: bound.body(lease.run.count, lease.texts()),
                    raw_len: lease.size,
                    attempts,
                    permit,
                    endpoint_epoch: self.endpoint_epoch,
                    is_batch: self.config.batch > 1,
                    sending: true,
                })
            }
            Admit::Wait(until) => Next::Wait(until),
            Admit::Busy => Next::Idle(due.filter(|_| !is_due).or(self.deadline())),
            Admit::Open => self.give_up(Fate::Skipped),
            Admit::TooLate => self.give_up(Fate::Abandoned),
        }
    }

    /// The oldest event that waits, or a batch. When no worker of this kind can send it, it ends.
    fn take_oldest(&mut self, permit: Permit, fit: Fit, buffer: &mut [u8]) -> Option<(Lease, u8)> {
        // One event is enough to learn whether the receiver is there.
        let most = if permit == Permit::Probe { 1 } else { self.batch_events() };
        let longest = self.batch_longest;
        // One event goes out alone, whatever the receiver takes.
        let fits = |events: u32, texts: usize| {
            let longest = if events == 1 { usize::MAX } else { longest };
            events <= most && fit.holds(events, texts, longest)
        };
        let mut first = self.queue.oldest()?;
        if permit == Permit::Probe && first == self.last_failed {
            // Another one, if there is one that is not under suspicion, may show whether it is the reason.
            let suspects = &*self.suspects;
            let passes = |id: u64| suspects.iter().all(|suspect| suspect.id != id);
            first = self.queue.oldest_that(passes).unwrap_or(first);
        }
        let lease = self.queue.lease(first, buffer, fits);
        self.gathering = None;
        if lease.is_none() {
            self.end_waiting(first, Fate::Oversize);
        }
        lease.map(|lease| (lease, 0))
    }

    /// The message at `place` whose next attempt is due. When this worker cannot hold it, its events go back to their
    /// places.
    fn take_again(&mut self, place: usize, fit: Fit, buffer: &mut [u8]) -> Option<(Lease, u8)> {
        let message = self.take_retrying(place)?;
        let lease = self.queue.copy(message.run, buffer);
        let lease = lease.filter(|lease| fit.holds(lease.run.count, lease.texts(), usize::MAX));
        if lease.is_none() {
            self.queue.release(message.run);
        }
        lease.map(|lease| (lease, message.attempts))
    }

    /// Ends the oldest event that waits, once no message waits for its next attempt.
    fn give_up(&mut self, fate: Fate) -> Next {
        if !self.return_one() {
            self.end_oldest(fate);
        }
        Next::Again
    }

    /// Events in a batch, at most.
    pub(super) fn batch_events(&self) -> u32 {
        u32::from(self.config.batch.max(1)).min(self.batch_most)
    }

    /// Until when a batch that is not full waits for more events; `None` when what there is goes
    /// now. A full one begins its delay, too: when nothing may go yet, and the oldest are dropped meanwhile, it may be full
    /// no more. A drain waits for nothing, and while the breaker is not closed, it decides.
    fn gather(&mut self, now: Instant, fit: Fit) -> Option<Instant> {
        let gathers = self.queue.queued() > 0
            && self.places() > 0
            && self.config.batch > 1
            && !self.config.batch_delay.is_zero()
            && self.phase == Phase::Active
            && self.breaker.state() == BreakerState::Closed;
        let known = self.gathering.take().map(|gathering| gathering.until);
        if !gathers {
            return None;
        }
        let until = known.unwrap_or_else(|| now + self.config.batch_delay);
        self.gathering = Some(Gathering { until, fit });
        (now < until && !self.is_full_batch(&fit)).then_some(until)
    }

    /// Whether a message may go out now: one whose next attempt is due, or one from the queue.
    fn admit(&mut self, now: Instant, is_due: bool) -> Admit {
        // A wait that ends after the deadline helps nobody.
        let deadline = self.deadline();
        let wait = |until: Instant| match deadline {
            Some(deadline) if until >= deadline => Admit::TooLate,
            _ => Admit::Wait(until),
        };
        let has_place = if is_due { self.sending < self.window } else { self.places() > 0 };
        // Before the time that is waited for: who waits for a place hears of it.
        if !has_place && self.breaker.state() == BreakerState::Closed {
            return Admit::Busy;
        }
        let not_before = self.not_before.max(self.pace.begin());
        if now < not_before {
            return wait(not_before);
        }
        match self.breaker.admit(now) {
            Admission::Allowed(permit) => Admit::Go(permit),
            Admission::Probing => Admit::Busy,
            Admission::Until(_) if self.config.on_open == OnOpen::Skip => Admit::Open,
            Admission::Until(until) => wait(until),
        }
    }
}

/// A batch that a worker is free for, until it is sent. It waits for more events when it is not full.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(PartialEq, Hash))]
pub(super) struct Gathering {
    pub(super) until: Instant,
    /// What the worker that asked last can hold.
    pub(super) fit: Fit,
}

/// Whether a message may go out.
enum Admit {
    Go(Permit),
    Wait(Instant),
    /// Not before an attempt that is under way has ended.
    Busy,
    /// The breaker is open, and the policy is to skip.
    Open,
    /// Not before the deadline of a drain.
    TooLate,
}

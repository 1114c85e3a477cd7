//! What follows an attempt.

use core::time::Duration;

use super::State;
use crate::clock::{Instant, micros};
use crate::engine::breaker::{BreakerState, Permit};
use crate::engine::config::OnOpen;
use crate::engine::delivery::{After, Delivery, Fate};
use crate::engine::retry::{RETRY_AFTER_MAX, RETRY_AFTER_WAIT};
use crate::event::Timestamp;
use crate::transport::{ErrorKind, Reply, Verdict};

impl<B: AsRef<[u8]> + AsMut<[u8]>, T> State<B, T> {
    /// Until when the attempt under way may go on; `None` when the endpoint was swapped, so that
    /// it is to be cancelled.
    pub(crate) fn limit(&self, delivery: &Delivery, started: Instant) -> Option<Instant> {
        if delivery.endpoint_epoch != self.endpoint_epoch {
            return None;
        }
        let limit = started + self.config.http_timeout;
        Some(self.deadline().map_or(limit, |deadline| deadline.min(limit)))
    }

    /// Until when an event that is to be retried at `at` still waits; `None` when it is due now,
    /// because the endpoint was swapped or a drain would be over.
    pub(crate) fn back_off(&self, delivery: &Delivery, at: Instant) -> Option<Instant> {
        let is_current = delivery.endpoint_epoch == self.endpoint_epoch;
        let fits = self.deadline().is_none_or(|deadline| at < deadline);
        (is_current && fits).then_some(at)
    }

    pub(crate) fn finish(
        &mut self,
        delivery: &mut Delivery,
        result: Result<Reply, ErrorKind>,
        now: Instant,
        wall: Timestamp,
    ) -> After {
        self.counters.last_status = result.map_or(0, |reply| reply.code);
        let permit = delivery.permit;
        // An answer of an endpoint that was swapped meanwhile says nothing of the new one.
        let is_current = delivery.endpoint_epoch == self.endpoint_epoch;
        let was_closed = self.breaker.state() == BreakerState::Closed;
        let was_full = self.ended_attempt(delivery);
        // No answer is one that may be better the next time.
        match result.map_or(Verdict::Later(None), |reply| reply.verdict) {
            Verdict::Accepted => {
                if is_current {
                    self.breaker.success(permit);
                    self.recover(was_closed, was_full);
                }
                self.settle(delivery, Fate::Delivered)
            }
            verdict @ (Verdict::Refused | Verdict::TooLarge) => {
                if is_current {
                    self.breaker.answered(permit);
                    self.recover(was_closed, was_full);
                }
                if verdict == Verdict::TooLarge && delivery.events() > 1 {
                    if is_current {
                        self.batch_longest = self.batch_longest.min(delivery.body_bound / 2);
                    }
                    return self.give_back(delivery);
                }
                self.settle(delivery, Fate::Rejected)
            }
            Verdict::Later(_) if !is_current => After::Retry(now),
            Verdict::Later(retry_after) => {
                let asked = retry_after.map_or(Duration::ZERO, |asked| asked.delay(wall));
                self.fail(delivery, micros(asked.min(RETRY_AFTER_MAX)), now)
            }
        }
    }

    /// The attempt is over; whether it was one of as many as may be under way.
    fn ended_attempt(&mut self, delivery: &mut Delivery) -> bool {
        let was_full = self.sending >= self.window;
        if core::mem::take(&mut delivery.sending) && delivery.endpoint_epoch == self.endpoint_epoch
        {
            self.sending = self.sending.saturating_sub(1);
        }
        was_full
    }

    /// The receiver is there. When it has just come back, one attempt at a time goes out, and one more for
    /// each that ends well (slow start, RFC 5681 section 3.1), as long as that many are wanted.
    const fn recover(&mut self, was_closed: bool, was_full: bool) {
        if !was_closed && matches!(self.breaker.state(), BreakerState::Closed) {
            self.window = 1;
        } else if was_full {
            self.window = self.window.saturating_add(1);
        }
    }

    /// An attempt failed and the receiver asked to be left alone for `asked` microseconds.
    fn fail(&mut self, delivery: &mut Delivery, asked: u64, now: Instant) -> After {
        let permit = delivery.permit;
        let is_long = asked > const { micros(RETRY_AFTER_WAIT) };
        let (backoff, random) = (self.config.backoff, self.next_random());
        let asked_until = now.later(asked).later(backoff.jitter(asked, random));
        delivery.attempts = delivery.attempts.saturating_add(1);
        let is_last = delivery.attempts >= self.config.max_attempts;
        if is_long {
            self.breaker.trip(asked_until);
        } else {
            if asked > 0 {
                self.not_before = self.not_before.max(asked_until);
            }
            if permit == Permit::Probe || is_last {
                let jitter = backoff.jitter(micros(self.config.circuit_cooldown), random);
                self.breaker.failure(permit, now.later(jitter));
            }
        }
        if self.is_past_deadline(now) {
            return self.settle(delivery, Fate::Abandoned);
        }
        let is_open = self.breaker.state() != BreakerState::Closed;
        match self.config.on_open {
            OnOpen::Skip if permit == Permit::Probe || is_last || is_long => {
                return self.settle(delivery, Fate::Exhausted);
            }
            OnOpen::Hold if is_open => {
                return self.give_back(delivery);
            }
            _ => {}
        }
        let due = now.later(backoff.wait(delivery.attempts, random));
        if is_last {
            if self.is_past_deadline(now + backoff.initial) {
                // All waits of another round would be cut, and of the one after that.
                return self.settle(delivery, Fate::Abandoned);
            }
            // Held: the next round begins.
            delivery.attempts = 0;
        }
        // `back_off` cuts it to what a deadline allows; what the receiver asked for is never cut.
        After::Retry(due.max(asked_until))
    }

    /// Ends a message that cannot be made. The attempt that was begun for it was none.
    pub(crate) fn refuse_message(&mut self, delivery: &mut Delivery) {
        self.abort(delivery);
        self.counters.attempts -= u64::from(delivery.leased);
        self.settle(delivery, Fate::Oversize);
    }

    pub(super) fn settle(&mut self, delivery: &mut Delivery, fate: Fate) -> After {
        if core::mem::take(&mut delivery.leased) {
            *self.counters.of(fate) += u64::from(self.queue.settle(delivery.run));
        }
        self.leave_when_empty();
        After::Settled(fate)
    }

    /// Back to its place in the queue, as after an attempt that was none.
    fn give_back(&mut self, delivery: &mut Delivery) -> After {
        self.queue.release(delivery.run);
        delivery.leased = false;
        After::Returned
    }

    /// Takes back an event whose worker gave up on it without an end.
    pub(crate) fn release(&mut self, delivery: &mut Delivery) {
        if delivery.leased {
            self.abort(delivery);
            self.give_back(delivery);
        }
    }

    /// Ends an attempt that brought nothing to light.
    fn abort(&mut self, delivery: &mut Delivery) {
        self.ended_attempt(delivery);
        if delivery.endpoint_epoch == self.endpoint_epoch {
            self.breaker.abort(delivery.permit);
        }
    }
}

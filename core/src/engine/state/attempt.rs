//! What follows an attempt.

use super::State;
use super::retrying::Retrying;
use crate::clock::{Instant, micros};
use crate::engine::breaker::BreakerState;
use crate::engine::config::OnOpen;
use crate::engine::delivery::{After, Delivery, Fate};
use crate::engine::rate::{Pace, Rate};
use crate::engine::retry::{LOCAL_ATTEMPTS, RETRY_AFTER_MAX, RETRY_AFTER_WAIT};
use crate::event::Timestamp;
use crate::transport::{ErrorKind, Reply, Verdict};

impl<B: AsRef<[u8]> + AsMut<[u8]>, T, const SLOTS: usize> State<B, T, SLOTS> {
    /// Until when the attempt under way may go on; `None` when the endpoint was swapped, so that
    /// it is to be cancelled.
    pub(crate) fn limit(&self, delivery: &Delivery, started: Instant) -> Option<Instant> {
        if delivery.endpoint_epoch != self.endpoint_epoch {
            return None;
        }
        let limit = started + self.config.http_timeout;
        Some(self.deadline().map_or(limit, |deadline| deadline.min(limit)))
    }

    pub(crate) fn finish(
        &mut self,
        delivery: &mut Delivery,
        result: Result<Reply, ErrorKind>,
        now: Instant,
        wall: Timestamp,
    ) -> After {
        if !delivery.sending {
            return After::Returned;
        }
        self.counters.last_status = result.map_or(0, |reply| reply.code);
        let permit = delivery.permit;
        // An answer of an endpoint that was swapped meanwhile says nothing of the new one.
        let is_current = delivery.endpoint_epoch == self.endpoint_epoch;
        let was_closed = self.breaker.state() == BreakerState::Closed;
        let was_full = self.ended_attempt(delivery);
        match result {
            Ok(Reply { verdict: Verdict::Accepted, .. }) => {
                if is_current {
                    self.breaker.success(permit);
                    self.recover(was_closed, was_full);
                    self.note_delivery();
                    if delivery.events() >= self.batch_most {
                        self.batch_most = self.batch_most.saturating_add(1);
                    }
                }
                self.settle(delivery, Fate::Delivered)
            }
            Ok(Reply { verdict: Verdict::Later(asked), .. }) if is_current => {
                let asked = asked.map_or(0, |asked| micros(asked.delay(wall).min(RETRY_AFTER_MAX)));
                self.fail(delivery, None, asked, now)
            }
            Err(kind) if is_current => self.fail(delivery, Some(kind), 0, now),
            Ok(Reply { verdict: Verdict::Gone, .. }) if is_current => self.stop_at(delivery),
            Err(_) | Ok(Reply { verdict: Verdict::Later(_) | Verdict::Gone, .. }) => {
                self.give_back(delivery)
            }
            Ok(Reply { verdict, .. }) => {
                if is_current {
                    self.breaker.answered(permit);
                    self.recover(was_closed, was_full);
                }
                if delivery.events() > 1 && verdict != Verdict::Refused {
                    if is_current {
                        self.make_smaller(delivery, verdict);
                    }
                    return self.give_back(delivery);
                }
                self.settle(delivery, Fate::Rejected)
            }
        }
    }

    /// Another rate, of which an attempt that began now is the first.
    pub(crate) fn set_rate(&mut self, rate: Rate, now: Instant) {
        self.config.rate = rate;
        self.pace = Pace::after(rate, now);
    }

    /// The endpoint is there no more: nothing is sent until one is set.
    pub(crate) fn stop(&mut self) {
        self.breaker.stop();
        self.return_retrying();
    }

    /// An event was answered that the endpoint is gone. It is kept with hold.
    fn stop_at(&mut self, delivery: &Delivery) -> After {
        self.stop();
        match self.config.on_open {
            OnOpen::Skip => self.settle(delivery, Fate::Rejected),
            OnOpen::Hold => self.give_back(delivery),
        }
    }

    /// The attempt is over; whether it was one of as many as may be under way.
    const fn ended_attempt(&mut self, delivery: &mut Delivery) -> bool {
        let was_full = self.sending >= self.window;
        if core::mem::replace(&mut delivery.sending, false) {
            self.sending -= 1;
        }
        was_full
    }

    /// The batches to come are half as long as one that was too large, or of one event, when an event of
    /// it may be the reason.
    fn make_smaller(&mut self, delivery: &Delivery, verdict: Verdict) {
        if verdict == Verdict::TooLarge {
            self.batch_longest = self.batch_longest.min(delivery.body_bound / 2);
        } else {
            self.batch_most = 1;
        }
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

    /// An attempt failed. Without an `error` the receiver answered, and asked to be left alone for `asked`
    /// microseconds.
    fn fail(
        &mut self,
        delivery: &mut Delivery,
        error: Option<ErrorKind>,
        asked: u64,
        now: Instant,
    ) -> After {
        let is_local = error == Some(ErrorKind::Local);
        let is_probe = delivery.is_probe();
        let is_long = asked > const { micros(RETRY_AFTER_WAIT) };
        let (backoff, random) = (self.config.backoff, self.next_random());
        let asked_until = now.later(backoff.longer(asked, random));
        delivery.attempts = delivery.attempts.saturating_add(1);
        let due = now.later(self.config.wait(delivery.attempts, is_local, random));
        let attempts = self.config.attempts();
        let is_last =
            delivery.attempts >= if is_local { attempts.max(LOCAL_ATTEMPTS) } else { attempts };
        if is_long {
            self.breaker.trip(asked_until);
        } else {
            if asked > 0 {
                self.not_before = self.not_before.max(asked_until);
            }
            if is_local {
                self.breaker.postpone(delivery.permit, due);
            } else if is_probe || is_last {
                let jitter = backoff.jitter(micros(self.config.circuit_cooldown), random);
                self.breaker.failure(delivery.permit, now.later(jitter));
            }
        }
        let is_open = self.breaker.state() != BreakerState::Closed;
        if is_open {
            self.return_retrying();
        }
        if self.is_past_deadline(now) {
            return self.settle(delivery, Fate::Abandoned);
        }
        if is_last && delivery.events() > 1 && may_be_for_an_event(error) {
            self.batch_most = 1;
            return self.give_back(delivery);
        }
        let is_over = is_last || is_long || (is_probe && !is_local);
        let is_given_up = match self.config.on_open {
            OnOpen::Skip => is_over,
            OnOpen::Hold => {
                let may_be_poison = is_over && asked == 0 && may_be_for_an_event(error);
                may_be_poison && self.note_failure(delivery.event_id())
            }
        };
        if is_given_up {
            return self.settle(delivery, Fate::Exhausted);
        }
        if is_open {
            return self.give_back(delivery);
        }
        if is_last {
            if self.cuts_waits() && self.is_past_deadline(now + backoff.initial) {
                // All waits of another round would be cut, and of the one after that.
                return self.settle(delivery, Fate::Abandoned);
            }
            // Held: the next round begins.
            delivery.attempts = 0;
        }
        // A drain cuts it to what its deadline allows; what the receiver asked for is never cut.
        let due = due.max(asked_until);
        let message = Retrying { run: delivery.run, attempts: delivery.attempts, due };
        match self.retrying.push(message) {
            Ok(()) => After::Retry(due),
            // As many as may wait do so: `places` does not let it come to that.
            Err(_) => self.give_back(delivery),
        }
    }

    /// Ends a message that cannot be made. The attempt that was begun for it was none.
    pub(crate) fn refuse_message(&mut self, delivery: &mut Delivery) {
        if delivery.sending {
            self.abort(delivery);
            self.counters.attempts -= 1;
            self.settle(delivery, Fate::Oversize);
        }
    }

    fn settle(&mut self, delivery: &Delivery, fate: Fate) -> After {
        *self.counters.of(fate) += u64::from(self.queue.settle(delivery.run));
        self.leave_when_empty();
        After::Settled(fate)
    }

    /// Back to its place in the queue, as after an attempt that was none.
    fn give_back(&mut self, delivery: &Delivery) -> After {
        self.queue.release(delivery.run);
        After::Returned
    }

    /// Takes back an event whose worker gave up on it without an end.
    pub(crate) fn release(&mut self, delivery: &mut Delivery) {
        if delivery.sending {
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

/// Whether a batch failed in a way that one of its events, or its length, may be the reason for: the
/// receiver may have seen it.
const fn may_be_for_an_event(error: Option<ErrorKind>) -> bool {
    matches!(error, None | Some(ErrorKind::Timeout | ErrorKind::Disconnected | ErrorKind::Protocol))
}

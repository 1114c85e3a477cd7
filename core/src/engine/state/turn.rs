//! What goes out next, and whether it may.

use super::{Phase, State};
use crate::clock::Instant;
use crate::engine::breaker::{Admission, BreakerState, Permit};
use crate::engine::config::OnOpen;
use crate::engine::delivery::{Delivery, Fate, Fit, Next, Retry};
use crate::event::MessageId;
use crate::queue::Bound;

impl<B: AsRef<[u8]> + AsMut<[u8]>, T> State<B, T> {
    pub(crate) fn next(&mut self, now: Instant, bound: Bound, buffer: &mut [u8]) -> Next {
        let fit = Fit { bound, buffer: buffer.len() };
        if self.is_past_deadline(now) && self.queue.queued() > 0 {
            self.end_oldest(Fate::Abandoned);
            return Next::Again;
        }
        if let Some(until) = self.gather(now, fit) {
            return Next::Wait(Some(until));
        }
        if self.queue.queued() == 0 {
            return match self.phase {
                Phase::Closed | Phase::Closing { .. } => Next::Done,
                _ => Next::Wait(None),
            };
        }
        match self.admit(now) {
            Admit::Go(permit) => {
                let most = self.config.batch.max(1).into();
                let longest = self.batch_longest;
                // One event goes out alone, whatever the receiver takes.
                let fits = |events: u32, texts: usize| {
                    let longest = if events == 1 { usize::MAX } else { longest };
                    events <= most && fit.holds(events, texts, longest)
                };
                let Some(lease) = self.queue.lease(buffer, fits) else {
                    // No worker of this kind can send it.
                    self.breaker.abort(permit);
                    self.end_oldest(Fate::Oversize);
                    return Next::Again;
                };
                self.gathering = None;
                self.begin();
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
                    attempts: 0,
                    permit,
                    endpoint_epoch: self.endpoint_epoch,
                    sending: true,
                    is_batch: self.config.batch > 1,
                    leased: true,
                })
            }
            Admit::Wait(until) => Next::Wait(until),
            Admit::Open => {
                self.end_oldest(Fate::Skipped);
                Next::Again
            }
            Admit::TooLate => {
                self.end_oldest(Fate::Abandoned);
                Next::Again
            }
        }
    }

    pub(crate) fn retry(&mut self, delivery: &mut Delivery, now: Instant) -> Retry {
        let fate = if self.is_past_deadline(now) {
            Fate::Abandoned
        } else {
            match self.admit(now) {
                Admit::Go(permit) => {
                    delivery.permit = permit;
                    delivery.endpoint_epoch = self.endpoint_epoch;
                    delivery.sending = true;
                    self.begin();
                    return Retry::Attempt;
                }
                Admit::Wait(until) => return Retry::Wait(until),
                Admit::Open => Fate::Skipped,
                Admit::TooLate => Fate::Abandoned,
            }
        };
        self.settle(delivery, fate);
        Retry::Settled(fate)
    }

    const fn begin(&mut self) {
        self.counters.attempts += 1;
        self.sending += 1;
    }

    /// Until when a batch that is not full waits for more events; `None` when what there is goes
    /// now. A drain waits for nothing, and while the breaker is not closed, it decides.
    fn gather(&mut self, now: Instant, fit: Fit) -> Option<Instant> {
        let gathers = self.queue.queued() > 0
            && !self.config.batch_delay.is_zero()
            && !self.is_full_batch(&fit)
            && self.phase == Phase::Active
            && self.breaker.state() == BreakerState::Closed;
        let begun = || Gathering { until: now + self.config.batch_delay, fit };
        self.gathering = gathers.then(|| self.gathering.unwrap_or_else(begun));
        self.gathering.map(|gathering| gathering.until).filter(|until| now < *until)
    }

    /// Whether an event may go out now.
    fn admit(&mut self, now: Instant) -> Admit {
        let deadline = self.deadline();
        // A wait that ends after the deadline helps nobody.
        let wait = |until: Instant| match deadline {
            Some(deadline) if until >= deadline => Admit::TooLate,
            _ => Admit::Wait(Some(until)),
        };
        if now < self.not_before {
            return wait(self.not_before);
        }
        match self.breaker.admit(now) {
            Admission::Allowed(Permit::Normal) if self.sending >= self.window => {
                Admit::Wait(deadline)
            }
            Admission::Allowed(permit) => Admit::Go(permit),
            Admission::Probing => Admit::Wait(deadline),
            Admission::Until(_) if self.config.on_open == OnOpen::Skip => Admit::Open,
            Admission::Until(until) => wait(until),
        }
    }
}

/// A batch that waits for more events, until it is sent.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(PartialEq, Hash))]
pub(super) struct Gathering {
    pub(super) until: Instant,
    /// What the worker that began to gather can hold.
    pub(super) fit: Fit,
}

/// Whether an event may go out.
enum Admit {
    Go(Permit),
    Wait(Option<Instant>),
    /// The breaker is open, and the policy is to skip.
    Open,
    /// Not before the deadline of a drain.
    TooLate,
}

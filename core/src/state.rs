//! The decisions: pure functions of the state and `now`, made under the dispatcher's lock.

use crate::breaker::{Admission, Breaker, Permit};
use crate::config::{Config, OnFull, OnOpen};
use crate::dispatcher::EmitError;
use crate::payload::{self, HEAD};
use crate::queue::{HEADER, Queue};
use crate::{
    BreakerState, EndpointBuf, ErrorKind, Instant, Outcome, RETRY_AFTER_MAX, RETRY_AFTER_WAIT,
    Response, Secret, Stats, Timestamp,
};

/// What the dispatcher is there for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No endpoint: emit does nothing.
    Disabled,
    /// Events come in and go out.
    Active,
    /// Cleared: what is queued still goes out until the deadline.
    Clearing {
        deadline: Instant,
    },
    /// Closed: the same, and nothing ever comes in again.
    Closing {
        deadline: Instant,
    },
    Closed,
}

/// Where an event ended up, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Answered 2xx.
    Delivered,
    /// Answered 3xx or 4xx for good.
    Rejected,
    /// Given up after its last attempt.
    Exhausted,
    /// Passed over while the breaker was open.
    Skipped,
    /// Left behind by a close or a clear whose time was over.
    Abandoned,
}

/// An event in a worker's hands.
///
/// It must come back: through [`finish`](crate::Dispatcher::finish) after each attempt until it is
/// settled or returned, or through [`release`](crate::Dispatcher::release).
#[derive(Debug)]
pub struct Delivery {
    pub(crate) id: u64,
    pub(crate) length: usize,
    /// Failed attempts in this round.
    attempts: u8,
    permit: Permit,
    endpoint_epoch: u32,
    /// Whether the queue still holds it for this worker.
    pub(crate) leased: bool,
}

impl Delivery {
    /// The event's id.
    #[must_use]
    pub const fn event_id(&self) -> u64 {
        self.id
    }

    /// The length of the body that was copied to the worker's buffer.
    #[must_use]
    pub const fn body_length(&self) -> usize {
        self.length
    }

    /// The number of the attempt that comes next or is under way, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u8 {
        self.attempts.saturating_add(1)
    }

    /// The number of the endpoint that attempt goes to.
    #[must_use]
    pub const fn endpoint_epoch(&self) -> u32 {
        self.endpoint_epoch
    }

    /// Whether that attempt is the breaker's probe.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.permit == Permit::Probe
    }
}

/// What to do next: the answer to [`next`](crate::Dispatcher::next) and
/// [`retry`](crate::Dispatcher::retry).
#[derive(Debug)]
pub enum Next<D> {
    /// Make an attempt now.
    Attempt(D),
    /// Nothing before this time (if any), or before something changes: a battery node sleeps.
    Wait(Option<Instant>),
    /// The event was settled or went back to the queue: ask again.
    Again,
    /// The dispatcher is closed, and nothing waits.
    Done,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The event's story is over.
    Settled(Fate),
    /// Another attempt is due then: ask [`retry`](crate::Dispatcher::retry).
    Retry(Instant),
    /// It went back to its place in the queue.
    Returned,
}

pub(crate) struct State<B, const URL: usize> {
    config: Config,
    queue: Queue<B>,
    breaker: Breaker,
    phase: Phase,
    endpoint: Option<EndpointBuf<URL>>,
    pub(crate) secret: Option<Secret>,
    /// Counts swaps.
    pub(crate) endpoint_epoch: u32,
    /// The receiver asked not to be sent anything before then.
    not_before: Instant,
    counters: Counters,
    random: u32,
}

#[derive(Default)]
struct Counters {
    emitted: u64,
    delivered: u64,
    rejected: u64,
    exhausted: u64,
    skipped: u64,
    dropped: u64,
    oversize: u64,
    abandoned: u64,
    attempts: u64,
    last_status: u16,
}

impl Counters {
    const ZERO: Self = Self {
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

    const fn of(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::Delivered => &mut self.delivered,
            Fate::Rejected => &mut self.rejected,
            Fate::Exhausted => &mut self.exhausted,
            Fate::Skipped => &mut self.skipped,
            Fate::Abandoned => &mut self.abandoned,
        }
    }
}

impl<B, const URL: usize> State<B, URL> {
    pub(crate) const fn new(config: Config, buffer: B) -> Self {
        Self {
            breaker: Breaker::new(config.circuit_threshold, config.circuit_cooldown),
            config,
            queue: Queue::new(buffer),
            phase: Phase::Disabled,
            endpoint: None,
            secret: None,
            endpoint_epoch: 0,
            not_before: Instant::from_micros(0),
            counters: Counters::ZERO,
            // Any odd number starts the generator.
            random: 0x9e37_79b9,
        }
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn endpoint(&self) -> Option<&EndpointBuf<URL>> {
        self.endpoint.as_ref()
    }

    pub(crate) const fn destination(&self) -> Option<&EndpointBuf<URL>> {
        match self.phase {
            Phase::Disabled | Phase::Clearing { .. } => None,
            Phase::Active | Phase::Closing { .. } | Phase::Closed => self.endpoint.as_ref(),
        }
    }

    pub(crate) const fn stats(&self) -> Stats {
        let counters = &self.counters;
        Stats {
            emitted: counters.emitted,
            delivered: counters.delivered,
            rejected: counters.rejected,
            exhausted: counters.exhausted,
            skipped: counters.skipped,
            dropped: counters.dropped,
            oversize: counters.oversize,
            abandoned: counters.abandoned,
            queued: self.queue.queued(),
            in_flight: self.queue.leased(),
            attempts: counters.attempts,
            circuit_opens: self.breaker.opens(),
            last_status: counters.last_status,
            breaker: self.breaker.state(),
        }
    }

    /// What those who wait watch for.
    pub(crate) const fn mark(&self) -> Mark {
        Mark {
            control: (self.phase, self.breaker.state(), self.endpoint_epoch, self.not_before),
            queued: self.queue.queued(),
            held: self.queue.queued() + self.queue.leased(),
            used: self.queue.used(),
        }
    }

    /// Until when what is queued still goes out; `None` without a limit.
    const fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Clearing { deadline } | Phase::Closing { deadline } => Some(deadline),
            _ => None,
        }
    }

    fn is_past_deadline(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }

    /// Whether an event that comes now is turned away unseen, and how.
    fn turned_away(&self) -> Option<Result<Option<u64>, EmitError>> {
        match self.phase {
            Phase::Active => None,
            Phase::Disabled | Phase::Clearing { .. } => Some(Ok(None)),
            Phase::Closing { .. } | Phase::Closed => Some(Err(EmitError::Closed)),
        }
    }

    const fn is_full(&self) -> bool {
        self.queue.queued() + self.queue.leased() >= self.config.capacity
    }

    /// Whether an event that comes now will be turned away or dropped, whatever is in it.
    pub(crate) fn is_refusing(&self) -> bool {
        self.turned_away().is_some()
            || (self.is_full() && self.config.on_full == OnFull::DropNewest)
    }

    /// Accounts for an event that [`is_refusing`](Self::is_refusing) turns away; `None` when it
    /// does not after all.
    pub(crate) fn refuse(&mut self) -> Option<Result<Option<u64>, EmitError>> {
        if let Some(answer) = self.turned_away() {
            return Some(answer);
        }
        self.is_refusing().then(|| {
            self.counters.emitted += 1;
            self.counters.dropped += 1;
            Err(EmitError::Full)
        })
    }

    /// Accounts for an event that could not be encoded.
    pub(crate) fn refuse_payload(
        &mut self,
        error: crate::EncodeError,
    ) -> Result<Option<u64>, EmitError> {
        if let Some(answer) = self.turned_away() {
            return answer;
        }
        self.counters.emitted += 1;
        self.counters.oversize += 1;
        Err(EmitError::Payload(error))
    }

    /// A fresh pseudo-random number (xorshift, Marsaglia 2003), for jitter only.
    const fn next_random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, const URL: usize> State<B, URL> {
    /// Whether at least half of the queue is free.
    pub(crate) fn is_roomy(&self) -> bool {
        let held = self.queue.queued() + self.queue.leased();
        held <= self.config.capacity / 2 && self.queue.free() >= self.queue.capacity() / 2
    }

    /// Takes in an encoded event. With `wait`, a full queue is no loss: `Full` is not counted.
    pub(crate) fn push(&mut self, tail: &[u8], wait: bool) -> Result<Option<u64>, EmitError> {
        if let Some(answer) = self.turned_away() {
            return answer;
        }
        let id = self.counters.emitted + 1;
        let mut head = [0; HEAD];
        let head_length = payload::head(id, &mut head);
        let parts = [&head[..head_length], tail];
        let length = head_length + tail.len();
        let size = HEADER + length;
        if length > self.config.max_event_bytes || size > self.queue.capacity() {
            return self.refuse_payload(crate::EncodeError::TooLong);
        }
        if !self.make_room(size, wait) {
            if !wait {
                self.counters.emitted = id;
                self.counters.dropped += 1;
            }
            return Err(EmitError::Full);
        }
        self.counters.emitted = id;
        self.queue.push(id, parts);
        Ok(Some(id))
    }

    /// Whether `size` bytes and one more event fit now, or do after dropping the oldest.
    fn make_room(&mut self, size: usize, wait: bool) -> bool {
        let fits = |state: &Self| !state.is_full() && size <= state.queue.free();
        if fits(self) {
            return true;
        }
        let can_drop = !wait
            && self.config.on_full == OnFull::DropOldest
            && self.queue.leased() < self.config.capacity
            && size <= self.queue.capacity() - self.queue.leased_bytes();
        if !can_drop {
            return false;
        }
        while !fits(self) && self.queue.drop_oldest() {
            self.counters.dropped += 1;
        }
        fits(self)
    }

    pub(crate) fn swap(&mut self, endpoint: EndpointBuf<URL>) -> bool {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            return false;
        }
        self.endpoint = Some(endpoint);
        self.endpoint_epoch = self.endpoint_epoch.wrapping_add(1);
        self.phase = Phase::Active;
        self.breaker.reset();
        self.not_before = Instant::default();
        true
    }

    pub(crate) fn clear(&mut self, now: Instant) {
        if self.phase == Phase::Active {
            self.phase = Phase::Clearing { deadline: now + self.config.drain_timeout };
            self.leave_when_empty();
        }
    }

    pub(crate) fn close(&mut self, now: Instant) {
        self.phase = match self.phase {
            Phase::Disabled => Phase::Closed,
            Phase::Active => Phase::Closing { deadline: now + self.config.drain_timeout },
            Phase::Clearing { deadline } => Phase::Closing { deadline },
            closing => closing,
        };
        self.leave_when_empty();
    }

    /// A drain that is complete ends.
    fn leave_when_empty(&mut self) {
        if self.queue.queued() + self.queue.leased() == 0 {
            self.phase = match self.phase {
                Phase::Clearing { .. } => Phase::Disabled,
                Phase::Closing { .. } => Phase::Closed,
                phase => phase,
            };
        }
    }

    fn abandon_queued(&mut self) {
        while self.queue.drop_oldest() {
            self.counters.abandoned += 1;
        }
        self.leave_when_empty();
    }

    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    pub(crate) fn next(&mut self, now: Instant, body: &mut [u8]) -> Next<Delivery> {
        if self.is_past_deadline(now) {
            self.abandon_queued();
        }
        if self.queue.queued() == 0 {
            return match self.phase {
                Phase::Closed | Phase::Closing { .. } => Next::Done,
                _ => Next::Wait(None),
            };
        }
        match self.admit(now) {
            Admit::Go(permit) => {
                let Some((id, length)) = self.queue.lease(body) else {
                    // The worker's buffer is too short for it: no worker of this kind can send it.
                    self.breaker.abort(permit);
                    self.queue.drop_oldest();
                    self.counters.abandoned += 1;
                    self.leave_when_empty();
                    return Next::Again;
                };
                self.counters.attempts += 1;
                let endpoint_epoch = self.endpoint_epoch;
                Next::Attempt(Delivery {
                    id,
                    length,
                    attempts: 0,
                    permit,
                    endpoint_epoch,
                    leased: true,
                })
            }
            Admit::Wait(until) => Next::Wait(until),
            Admit::Open if self.config.on_open == OnOpen::Skip => {
                self.queue.drop_oldest();
                self.counters.skipped += 1;
                self.leave_when_empty();
                Next::Again
            }
            Admit::Open | Admit::TooLate => {
                self.abandon_queued();
                Next::Again
            }
        }
    }

    pub(crate) fn retry(&mut self, delivery: &mut Delivery, now: Instant) -> Next<()> {
        if self.is_past_deadline(now) {
            self.settle(delivery, Fate::Abandoned);
            return Next::Again;
        }
        match self.admit(now) {
            Admit::Go(permit) => {
                delivery.permit = permit;
                delivery.endpoint_epoch = self.endpoint_epoch;
                self.counters.attempts += 1;
                Next::Attempt(())
            }
            Admit::Wait(until) => Next::Wait(until),
            Admit::Open if self.config.on_open == OnOpen::Skip => {
                self.settle(delivery, Fate::Skipped);
                Next::Again
            }
            Admit::Open | Admit::TooLate => {
                self.settle(delivery, Fate::Abandoned);
                Next::Again
            }
        }
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
            Admission::Allowed(permit) => Admit::Go(permit),
            Admission::Probing => Admit::Wait(deadline),
            Admission::Until(_) if self.config.on_open == OnOpen::Skip => Admit::Open,
            Admission::Until(until) => wait(until),
        }
    }

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
        result: Result<Response, ErrorKind>,
        now: Instant,
        wall: Timestamp,
    ) -> After {
        self.counters.last_status = result.map_or(0, |response| response.status);
        let permit = delivery.permit;
        // An answer of an endpoint that was swapped meanwhile says nothing of the new one.
        let is_current = delivery.endpoint_epoch == self.endpoint_epoch;
        match Outcome::classify(result) {
            Outcome::Delivered => {
                if is_current {
                    self.breaker.success(permit);
                }
                self.settle(delivery, Fate::Delivered)
            }
            Outcome::Rejected => {
                if is_current {
                    self.breaker.answered(permit);
                }
                self.settle(delivery, Fate::Rejected)
            }
            Outcome::Retryable { .. } if !is_current => After::Retry(now),
            Outcome::Retryable { retry_after } => {
                let asked = retry_after.map(|asked| asked.delay(wall).min(RETRY_AFTER_MAX));
                self.fail(delivery, asked.unwrap_or_default(), now)
            }
        }
    }

    /// An attempt failed and the receiver asked to be left alone for `asked`.
    fn fail(
        &mut self,
        delivery: &mut Delivery,
        asked: core::time::Duration,
        now: Instant,
    ) -> After {
        let permit = delivery.permit;
        delivery.attempts = delivery.attempts.saturating_add(1);
        let is_last = delivery.attempts >= self.config.max_attempts;
        if asked > RETRY_AFTER_WAIT {
            self.breaker.trip(now + asked);
        } else {
            if asked > core::time::Duration::ZERO {
                self.not_before = self.not_before.max(now + asked);
            }
            if permit == Permit::Probe || is_last {
                self.breaker.failure(permit, now);
            }
        }
        if self.is_past_deadline(now) {
            return self.settle(delivery, Fate::Abandoned);
        }
        let is_open = self.breaker.state() != BreakerState::Closed;
        match self.config.on_open {
            OnOpen::Skip if permit == Permit::Probe || is_last || asked > RETRY_AFTER_WAIT => {
                return self.settle(delivery, Fate::Exhausted);
            }
            OnOpen::Hold if is_open => {
                self.queue.release(delivery.id);
                delivery.leased = false;
                return After::Returned;
            }
            _ => {}
        }
        let random = self.next_random();
        let backoff = self.config.backoff.delay(delivery.attempts, random);
        if is_last {
            // Held: the next round begins.
            delivery.attempts = 0;
        }
        // `back_off` cuts it to what a deadline allows; what the receiver asked for is never cut.
        After::Retry(now + backoff.max(asked))
    }

    fn settle(&mut self, delivery: &mut Delivery, fate: Fate) -> After {
        if core::mem::take(&mut delivery.leased) && self.queue.settle(delivery.id) {
            *self.counters.of(fate) += 1;
        }
        self.leave_when_empty();
        After::Settled(fate)
    }

    /// Takes back an event whose worker gave up on it without an end.
    pub(crate) fn release(&mut self, delivery: &mut Delivery) {
        if core::mem::take(&mut delivery.leased) {
            if delivery.endpoint_epoch == self.endpoint_epoch {
                self.breaker.abort(delivery.permit);
            }
            self.queue.release(delivery.id);
        }
    }
}

/// The parts of the state whose change wakes someone.
pub(crate) struct Mark {
    pub(crate) control: (Phase, BreakerState, u32, Instant),
    pub(crate) queued: u32,
    pub(crate) held: u32,
    pub(crate) used: usize,
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

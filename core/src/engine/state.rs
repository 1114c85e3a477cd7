//! The decisions: pure functions of the state and `now`, made under the dispatcher's lock.

mod attempt;
mod intake;
mod retrying;
mod suspects;
mod turn;

use retrying::Retrying;
use suspects::Suspect;
use turn::Gathering;

use heapless::Vec;

use crate::clock::Instant;
use crate::engine::breaker::{Breaker, BreakerState};
use crate::engine::config::Config;
use crate::engine::delivery::{Fate, Fit};
use crate::engine::rate::{Pace, Rate};
use crate::engine::stats::{Backlog, Counters, Stats};
use crate::queue::Queue;

/// What the dispatcher is there for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Phase {
    /// No endpoint: emit does nothing.
    Disabled,
    /// Events come in and go out.
    Active,
    /// Cleared: what is queued still goes out until the deadline.
    Clearing,
    /// Closed: the same, and nothing ever comes in again.
    Closing,
    Closed,
}

#[cfg_attr(test, derive(Clone))]
/// Up to `SLOTS` messages are in workers' hands or wait for their next attempt.
pub(crate) struct State<B, T, const SLOTS: usize> {
    config: Config,
    queue: Queue<B>,
    pub(crate) breaker: Breaker,
    phase: Phase,
    /// Until when what is queued still goes out, while it is cleared or closed.
    deadline: Option<Instant>,
    endpoint: Option<T>,
    /// Counts swaps.
    pub(crate) endpoint_epoch: u32,
    /// The receiver asked not to be sent anything before then.
    not_before: Instant,
    /// When the rate lets the next attempt begin.
    pace: Pace,
    /// The receiver takes no longer batches, in bytes.
    batch_longest: usize,
    /// The receiver takes no larger batches, in events.
    batch_most: u32,
    /// Attempts that are under way.
    sending: u32,
    /// Attempts that may be under way at once: few when the receiver has just come back.
    window: u32,
    /// Messages that wait for their next attempt. Only a closed breaker lets them wait.
    retrying: Vec<Retrying, SLOTS>,
    /// Events that may be why the receiver fails; with hold.
    suspects: Vec<Suspect, SLOTS>,
    /// The one of them that failed last, or 0.
    last_failed: u64,
    /// A batch that is not sent yet, though a worker is free for it.
    gathering: Option<Gathering>,
    counters: Counters,
    /// The event that this step ended, of those that wait or come: the dispatcher tells the observer.
    pub(crate) ended: Option<(u64, Fate)>,
    /// The id of the last event that was given one.
    last_id: u64,
    /// What tells this start from every other one, in message ids.
    instance: u64,
    random: u32,
}

impl<B, T, const SLOTS: usize> State<B, T, SLOTS> {
    pub(crate) const fn new(config: Config, buffer: B, seed: u64) -> Self {
        Self {
            breaker: Breaker::new(config.circuit_threshold, config.circuit_cooldown),
            config,
            queue: Queue::new(buffer),
            phase: Phase::Disabled,
            deadline: None,
            endpoint: None,
            endpoint_epoch: 0,
            not_before: Instant::from_micros(0),
            pace: Pace::ANY,
            batch_longest: usize::MAX,
            batch_most: u32::MAX,
            sending: 0,
            window: u32::MAX,
            retrying: Vec::new(),
            suspects: Vec::new(),
            last_failed: 0,
            gathering: None,
            counters: Counters::ZERO,
            ended: None,
            last_id: 0,
            instance: seed,
            random: first_random(seed),
        }
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn endpoint(&self) -> Option<&T> {
        self.endpoint.as_ref()
    }

    pub(crate) const fn destination(&self) -> Option<&T> {
        match self.phase {
            Phase::Disabled | Phase::Clearing => None,
            Phase::Active | Phase::Closing | Phase::Closed => self.endpoint.as_ref(),
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

    /// Until when what is queued still goes out; `None` without a limit.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Counts the end of an event that no worker has in its hands.
    const fn end(&mut self, id: u64, fate: Fate) {
        *self.counters.of(fate) += 1;
        self.ended = Some((id, fate));
    }

    fn is_past_deadline(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }

    /// A fresh pseudo-random number (xorshift, Marsaglia 2003), for jitter only.
    const fn next_random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, T, const SLOTS: usize> State<B, T, SLOTS> {
    pub(crate) fn backlog(&self) -> Backlog {
        Backlog {
            capacity: self.config.capacity,
            bytes: self.queue.used(),
            capacity_bytes: self.queue.capacity(),
            oldest: self.queue.first_time(),
        }
    }

    /// What those who wait watch for.
    pub(crate) fn snapshot(&self) -> Snapshot {
        // A probe needs no place.
        let is_closed = self.breaker.state() == BreakerState::Closed;
        let places = if is_closed { self.places() } else { u32::MAX };
        Snapshot {
            control: (self.phase, self.breaker.state(), self.endpoint_epoch, self.not_before),
            rate: self.config.rate,
            available: self.queue.queued().min(places),
            may_retry: self.sending < self.window || self.retrying.is_empty(),
            held: self.queue.held(),
            used: self.queue.used(),
            gathering: self.gathering.map(|batch| self.is_full_batch(&batch.fit)),
        }
    }

    /// Whether what waits is a batch that need not wait for more. It need not either when half of
    /// the queue is taken: there may be no room for more.
    fn is_full_batch(&self, fit: &Fit) -> bool {
        let (count, texts) = (self.queue.queued(), self.queue.queued_texts());
        // With one more event, whose texts are empty quotes at least.
        count >= self.batch_events()
            || !fit.holds(count + 1, texts + 2, self.batch_longest)
            || !self.is_roomy()
    }

    pub(crate) fn swap(&mut self, endpoint: T) -> bool {
        if matches!(self.phase, Phase::Closing | Phase::Closed) {
            return false;
        }
        self.endpoint = Some(endpoint);
        self.endpoint_epoch = self.endpoint_epoch.wrapping_add(1);
        (self.phase, self.deadline) = (Phase::Active, None);
        self.breaker.reset();
        self.not_before = Instant::default();
        (self.batch_longest, self.batch_most) = (usize::MAX, u32::MAX);
        self.window = u32::MAX;
        self.suspects.clear();
        self.last_failed = 0;
        self.return_retrying();
        true
    }

    /// Whether events go to `endpoint` already, so that a swap to it would only interrupt them.
    /// One that is gone has to be set again.
    pub(crate) fn goes_to(&self, endpoint: &T) -> bool
    where
        T: PartialEq,
    {
        self.phase == Phase::Active
            && self.breaker.state() != BreakerState::Gone
            && self.endpoint.as_ref() == Some(endpoint)
    }

    pub(crate) fn clear(&mut self, now: Instant) {
        if self.phase == Phase::Active {
            self.drain(Phase::Clearing, now);
        }
    }

    pub(crate) fn close(&mut self, now: Instant) {
        match self.phase {
            Phase::Disabled => self.phase = Phase::Closed,
            Phase::Active | Phase::Clearing => self.drain(Phase::Closing, now),
            Phase::Closing | Phase::Closed => {}
        }
    }

    /// A drain that goes on keeps its deadline.
    fn drain(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.deadline.get_or_insert(now + self.config.drain_timeout);
        self.leave_when_empty();
    }

    /// A drain that is complete ends.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn leave_when_empty(&mut self) {
        if self.deadline.is_some() && self.queue.held() == 0 {
            self.phase = if self.phase == Phase::Closing { Phase::Closed } else { Phase::Disabled };
            self.deadline = None;
        }
    }

    /// Ends the oldest event that waits.
    fn end_oldest(&mut self, fate: Fate) {
        if let Some(oldest) = self.queue.oldest() {
            self.end_waiting(oldest, fate);
        }
    }

    fn end_waiting(&mut self, id: u64, fate: Fate) {
        if self.queue.drop_waiting(id) {
            self.end(id, fate);
        }
        self.leave_when_empty();
    }

    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }
}

/// The state that the generator begins with: not the seed itself, which message ids show, and never
/// 0, which the generator does not leave. The mixer is that of `MurmurHash3`
/// (<https://github.com/aappleby/smhasher>).
#[allow(clippy::cast_possible_truncation, reason = "32 of the bits are enough")]
const fn first_random(seed: u64) -> u32 {
    let mut mixed = seed ^ (seed >> 33);
    mixed = mixed.wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^= mixed >> 33;
    mixed = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (mixed >> 32) as u32 | 1
}

/// The parts of the state whose change wakes someone.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot {
    pub(crate) control: (Phase, BreakerState, u32, Instant),
    /// Who waits for the time that the rate allows looks again when another one is set.
    pub(crate) rate: Rate,
    /// Events that wait and may be taken, as far as the messages under way allow.
    pub(crate) available: u32,
    /// No message that waits for its next attempt is held up by those under way.
    pub(crate) may_retry: bool,
    pub(crate) held: u32,
    pub(crate) used: usize,
    /// Whether the batch that workers are free for is full.
    pub(crate) gathering: Option<bool>,
}

impl Snapshot {
    /// That of a new state.
    pub(crate) const FIRST: Self = Self {
        control: (Phase::Disabled, BreakerState::Closed, 0, Instant::from_micros(0)),
        rate: Rate::UNLIMITED,
        available: 0,
        may_retry: true,
        held: 0,
        used: 0,
        gathering: None,
    };
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

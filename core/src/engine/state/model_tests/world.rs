//! One state of the model, and the steps that lead on from it.

use core::fmt;
use core::hash::{Hash, Hasher};
use std::vec::Vec;

use super::rules::{self, Rule};
use super::{Bounds, TICK};
use crate::clock::Instant;
use crate::destination::{EndpointBuf, Policy};
use crate::engine::breaker::BreakerState;
use crate::engine::delivery::{Delivery, Fate};
use crate::engine::state::retrying::Retrying;
use crate::engine::state::{Phase, State};
use crate::engine::stats::{Counters, Stats};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Emit,
    Swap,
    Clear,
    Close,
    Tick,
    /// A worker without an event asks for one.
    Take,
    /// The attempt of the worker at this place ends.
    Finish(usize, End),
    /// It is cancelled, because the endpoint was swapped.
    Cancel(usize),
    /// The worker vanishes, and a new one comes in its stead.
    Lose(usize),
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Delivered,
    Rejected,
    Failed,
    /// With a `Retry-After` of so many ticks.
    Busy(u32),
    TooLarge,
    Invalid,
    /// 410.
    Gone,
}

/// Events in a worker's hands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hand {
    pub(super) delivery: Delivery,
    pub(super) ids: Vec<u64>,
    pub(super) started: Instant,
    /// Failed attempts of this round, counted here.
    pub(super) failed: u8,
    /// Attempts begun since time went on, or the endpoint was swapped.
    pub(super) at_once: u8,
}

/// Events that wait for their next attempt, which is due `at`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BackingOff {
    pub(super) ids: Vec<u64>,
    pub(super) at: Instant,
    pub(super) failed: u8,
    pub(super) at_once: u8,
}

type Core = State<[u8; 112], EndpointBuf<16>, 4>;

#[derive(Clone)]
pub(super) struct World {
    pub(super) state: Core,
    /// The events that the last step ended in nobody's hands.
    pub(super) told: Vec<(u64, Fate)>,
    /// What is queued: ids, and which of them are leased.
    pub(super) entries: Vec<(u64, bool)>,
    pub(super) now: Instant,
    /// The workers that hold events, by their ids: which worker is which does not matter.
    pub(super) hands: Vec<Hand>,
    pub(super) backing_off: Vec<BackingOff>,
    /// With hold: events whose round failed, how often it did since another was delivered, and whether one
    /// has been since.
    pub(super) suspects: Vec<(u64, u8, bool)>,
    /// The one that failed last.
    pub(super) last_failed: u64,
    /// Events that a probe passed over in their favour.
    pub(super) overtaken: Vec<u64>,
    /// Workers that hold none. The others have ended.
    pub(super) idle: usize,
    pub(super) swaps: u8,
    pub(super) clears: u8,
    pub(super) losses: u8,
    /// Nothing goes out before then, as the model reckons it.
    pub(super) quiet_until: Instant,
    /// Nor before then, for the rate.
    pub(super) paced_until: Instant,
    /// With one worker: the event delivered last.
    pub(super) last_delivered: u64,
    pub(super) broken: Option<Rule>,
}

impl World {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let mut state = State::new(bounds.config, [0; 112], 0);
        assert!(state.swap(endpoint()));
        Self {
            state,
            told: Vec::new(),
            entries: Vec::new(),
            now: Instant::default() + TICK,
            hands: Vec::new(),
            backing_off: Vec::new(),
            suspects: Vec::new(),
            last_failed: 0,
            overtaken: Vec::new(),
            idle: bounds.workers,
            swaps: bounds.swaps,
            clears: bounds.clears,
            losses: bounds.losses,
            quiet_until: Instant::default(),
            paced_until: Instant::default(),
            last_delivered: 0,
            broken: None,
        }
    }

    pub(super) fn quiet(&self) -> Instant {
        self.quiet_until.max(self.paced_until)
    }

    pub(super) fn stats(&self) -> Stats {
        self.state.stats()
    }

    pub(super) fn broken(&self) -> Option<Rule> {
        self.broken.or_else(|| rules::broken_state(self))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.is_closed()
    }

    /// Probes under way that the breaker waits for.
    pub(super) fn probes(&self) -> usize {
        let probing = |hand: &&Hand| hand.delivery.is_probe() && self.is_current(&hand.delivery);
        self.hands.iter().filter(probing).count()
    }

    /// Attempts that are under way.
    pub(super) fn sending(&self) -> u32 {
        u32::try_from(self.hands.len()).unwrap_or(u32::MAX)
    }

    /// Whether the state has the same messages waiting for their next attempts, and only while the breaker is
    /// closed.
    pub(super) fn waits_as_told(&self) -> bool {
        let is_told = |waiting: &BackingOff| {
            let same = |known: &&Retrying| Some(&known.run.first) == waiting.ids.first();
            let known = self.state.retrying.iter().find(same);
            known.is_some_and(|known| (known.due, known.attempts) == (waiting.at, waiting.failed))
        };
        let is_closed = self.state.breaker.state() == BreakerState::Closed;
        self.backing_off.len() == self.state.retrying.len()
            && (is_closed || self.backing_off.is_empty())
            && self.backing_off.iter().all(is_told)
    }

    /// When the next attempt of one that waits is due, the deadline of a drain considered.
    pub(super) fn due(&self) -> Option<Instant> {
        self.backing_off.iter().map(|waiting| self.due_of(waiting)).min()
    }

    pub(super) fn due_of(&self, waiting: &BackingOff) -> Instant {
        let is_cut = self.state.deadline().is_some_and(|deadline| waiting.at >= deadline);
        if is_cut { Instant::default() } else { waiting.at }
    }

    /// What of the things that may happen has happened here, a bit each.
    pub(super) fn sights(&self) -> u32 {
        let stats = self.stats();
        let sights = [
            stats.delivered > 0,
            stats.rejected > 0,
            stats.exhausted > 0,
            stats.skipped > 0,
            stats.dropped > 0,
            stats.abandoned > 0,
            self.probes() > 0,
            self.hands.iter().any(|hand| !self.is_current(&hand.delivery)),
            self.hands.len() > 1,
            self.hands.iter().any(|hand| hand.ids.len() > 1),
            self.state.gathering.is_some(),
            self.state.window == 1,
            !self.backing_off.is_empty(),
            !self.backing_off.is_empty() && !self.hands.is_empty(),
            self.state.batch_most == 1,
            !self.state.suspects.is_empty(),
            stats.breaker == BreakerState::Gone,
        ];
        sights.iter().rev().fold(0, |bits, sight| bits << 1 | u32::from(*sight))
    }

    pub(super) fn is_current(&self, delivery: &Delivery) -> bool {
        delivery.endpoint_epoch == self.state.endpoint_epoch
    }

    pub(super) fn actions(&self, bounds: &Bounds, actions: &mut Vec<Action>) {
        use Action::{Cancel, Clear, Close, Emit, Finish, Lose, Swap, Take, Tick};
        let phase = self.state.phase;
        if self.state.counters.emitted < bounds.events {
            actions.push(Emit);
        }
        if self.idle > 0 {
            actions.push(Take);
        }
        if self.swaps > 0 {
            actions.push(Swap);
        }
        if self.clears > 0 {
            actions.push(Clear);
        }
        actions.push(Close);
        let mut is_late = self.state.is_past_deadline(self.now);
        for (place, hand) in self.hands.iter().enumerate() {
            let limit = self.state.limit(&hand.delivery, hand.started);
            is_late |= limit.is_none_or(|limit| self.now >= limit);
            if bounds.config.batch > 1 {
                actions.extend([End::TooLarge, End::Invalid].map(|end| Finish(place, end)));
            }
            let ends =
                [End::Delivered, End::Rejected, End::Failed, End::Busy(1), End::Busy(2), End::Gone];
            actions.extend(ends.map(|end| Finish(place, end)));
            if limit.is_none() {
                actions.push(Cancel(place));
            }
            if self.losses > 0 {
                actions.push(Lose(place));
            }
        }
        // Workers keep to their limits: time stands still until they have.
        let is_on =
            self.now < Instant::default() + TICK * bounds.ticks || matches!(phase, Phase::Closing);
        if is_on && !is_late && !self.is_closed() {
            actions.push(Tick);
        }
    }
}

pub(super) fn endpoint() -> EndpointBuf<16> {
    EndpointBuf::parse("http://h/", Policy::default()).unwrap()
}

/// What makes two states the same. The rest of each only counts, or never changes here.
impl World {
    fn key(&self) -> impl PartialEq + Hash + '_ {
        let State {
            config: _,
            queue: _,
            breaker,
            phase,
            deadline,
            endpoint: _,
            endpoint_epoch,
            not_before,
            pace,
            batch_longest,
            batch_most,
            sending: _,
            window,
            retrying: _,
            suspects,
            last_failed,
            gathering,
            counters,
            ended: _,
            last_id: _,
            instance: _,
            random: _,
        } = &self.state;
        let Counters {
            emitted,
            delivered,
            rejected,
            exhausted,
            skipped,
            dropped,
            oversize,
            abandoned,
            attempts: _,
            last_status: _,
        } = counters;
        // In which counter an event is decides nothing: `check` has seen that it went to the right one.
        let ended = delivered + rejected + exhausted + skipped + dropped + oversize + abandoned;
        // Times that are over are all the same.
        let until = |time: Instant| time.max(self.now);
        (
            (
                &self.entries,
                breaker,
                (phase, deadline),
                endpoint_epoch,
                (until(*not_before), until(pace.begin())),
                emitted,
                ended,
            ),
            (batch_longest, batch_most, gathering, window, suspects, last_failed),
            (self.now, &self.hands, &self.backing_off, self.idle),
            (self.swaps, self.clears, self.losses),
            (
                until(self.quiet_until),
                until(self.paced_until),
                self.last_delivered,
                &self.overtaken,
                self.broken,
            ),
        )
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("broken", &self.broken())
            .field("now", &self.now)
            .field("phase", &self.state.phase)
            .field("hands", &self.hands)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

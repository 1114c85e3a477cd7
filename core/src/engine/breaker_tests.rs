//! Every state of the breaker within small bounds, explored by a model checker.

use std::vec::Vec;

use stateright::{Checker, Model, Property};

use super::{Admission, Breaker, BreakerState, Duration, Instant, Permit};

const TICK: Duration = Duration::from_secs(1);
const COOLDOWN: Duration = Duration::from_secs(2);
/// Longer than any attempt, as a `Retry-After` that trips the breaker is.
const TRIP: Duration = Duration::from_secs(3);
const TICKS: u32 = 24;

struct Bounds {
    threshold: u16,
    /// Attempts under way at a time.
    attempts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Tick,
    /// The endpoint is swapped: the attempts under way no longer report.
    Reset,
    Admit,
    Success(usize),
    Answered(usize),
    Failure(usize),
    Trip(usize),
    Abort(usize),
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct World {
    breaker: Breaker,
    now: Instant,
    /// Attempts under way, with their beginnings, the oldest first.
    attempts: Vec<(Permit, Instant)>,
    /// Failures since the last success, as the model counts them.
    failures: u16,
    /// Nothing is let through before then, as the model reckons it.
    until: Instant,
    broken: Option<&'static str>,
}

impl World {
    fn probes(&self) -> usize {
        self.attempts.iter().filter(|(permit, _)| *permit == Permit::Probe).count()
    }

    fn expect(&mut self, promise: &'static str, is_kept: bool) {
        if !is_kept {
            self.broken.get_or_insert(promise);
        }
    }

    fn admit(&mut self) {
        let state = self.breaker.state();
        let answer = self.breaker.admit(self.now);
        let is_right = match answer {
            Admission::Allowed(Permit::Normal) => state == BreakerState::Closed,
            Admission::Allowed(Permit::Probe) => {
                state == BreakerState::Open && self.now >= self.until
            }
            Admission::Until(until) => {
                state == BreakerState::Open && until > self.now && until == self.until
            }
            Admission::Probing => state == BreakerState::HalfOpen && self.probes() == 1,
        };
        self.expect("nothing is let through while it is open", is_right);
        if let Admission::Allowed(permit) = answer {
            self.attempts.push((permit, self.now));
        }
    }

    /// An attempt ended well or was rejected.
    fn answered(&mut self, permit: Permit, state: BreakerState, is_success: bool) {
        let decides = permit == Permit::Probe && state == BreakerState::HalfOpen;
        if decides || is_success && state == BreakerState::Closed {
            self.failures = 0;
        }
        let expected = if decides { BreakerState::Closed } else { state };
        self.expect("only the probe closes it", self.breaker.state() == expected);
    }

    fn failed(&mut self, permit: Permit, state: BreakerState, opens: u32) {
        let is_counted = permit == Permit::Normal && state == BreakerState::Closed;
        self.failures += u16::from(is_counted);
        let is_at_threshold = is_counted && self.failures >= self.breaker.threshold;
        let opened = is_at_threshold || permit == Permit::Probe && state != BreakerState::Open;
        if opened || permit == Permit::Probe {
            self.until = self.until.max(self.now + COOLDOWN);
        }
        let expected = if opened { BreakerState::Open } else { state };
        self.expect("it opens at the threshold", self.breaker.state() == expected);
        self.expect("opens are counted", self.breaker.opens() == opens + u32::from(opened));
    }
}

impl Model for Bounds {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        std::vec![World {
            breaker: Breaker::new(self.threshold, COOLDOWN),
            now: Instant::default(),
            attempts: Vec::new(),
            failures: 0,
            until: Instant::default(),
            broken: None,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        use Action::{Abort, Admit, Answered, Failure, Reset, Success, Tick, Trip};
        // An attempt takes one tick at most.
        let is_late = world.attempts.first().is_some_and(|(_, started)| *started < world.now);
        if !is_late && world.now < Instant::default() + TICK * TICKS {
            actions.push(Tick);
        }
        if world.attempts.len() < self.attempts {
            actions.push(Admit);
        }
        for place in 0..world.attempts.len() {
            actions.extend([Success, Answered, Failure, Trip, Abort].map(|end| end(place)));
        }
        actions.push(Reset);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        let (state, opens) = (world.breaker.state(), world.breaker.opens());
        let now = world.now;
        match action {
            Action::Tick => next.now = now + TICK,
            Action::Reset => {
                next.breaker.reset();
                next.attempts.clear();
                next.failures = 0;
                next.until = Instant::default();
                next.expect("a reset closes it", next.breaker.state() == BreakerState::Closed);
            }
            Action::Admit => next.admit(),
            Action::Success(place) => {
                let (permit, _) = next.attempts.remove(place);
                next.breaker.success(permit);
                next.answered(permit, state, true);
            }
            Action::Answered(place) => {
                let (permit, _) = next.attempts.remove(place);
                next.breaker.answered(permit);
                next.answered(permit, state, false);
            }
            Action::Failure(place) => {
                let (permit, _) = next.attempts.remove(place);
                next.breaker.failure(permit, now);
                next.failed(permit, state, opens);
            }
            Action::Trip(place) => {
                next.attempts.remove(place);
                next.breaker.trip(now + TRIP);
                next.until = next.until.max(now + TRIP);
                let opened = u32::from(state != BreakerState::Open);
                next.expect("a trip opens it", next.breaker.state() == BreakerState::Open);
                next.expect("opens are counted", next.breaker.opens() == opens + opened);
            }
            Action::Abort(place) => {
                let (permit, _) = next.attempts.remove(place);
                next.breaker.abort(permit);
                if permit == Permit::Probe && state == BreakerState::HalfOpen {
                    next.until = Instant::default();
                }
                let lets = next.breaker.clone().admit(now) != Admission::Probing;
                next.expect(
                    "after a probe that is given up comes another",
                    next.probes() > 0 || lets,
                );
            }
        }
        if next.breaker.state() == BreakerState::Closed {
            next.until = Instant::default();
            next.failures = if state == BreakerState::Closed { next.failures } else { 0 };
        }
        // How often it opened was checked by the step, and decides nothing.
        next.breaker.opens = 0;
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        std::vec![
            Property::<Self>::always("every promise is kept", |_, world| world.broken.is_none()),
            Property::<Self>::always("never two probes", |_, world| world.probes() <= 1),
            Property::<Self>::always("half-open means that a probe is under way", |_, world| {
                world.breaker.state() != BreakerState::HalfOpen || world.probes() == 1
            }),
            Property::<Self>::sometimes("it probes", |_, world| world.probes() == 1),
            Property::<Self>::sometimes("an attempt is under way while it is open", |_, world| {
                world.breaker.state() == BreakerState::Open && !world.attempts.is_empty()
            }),
        ]
    }
}

#[test]
fn every_state_keeps_the_promises() {
    for threshold in 1..=3 {
        let checker = Bounds { threshold, attempts: 4 }.checker().spawn_bfs().join();
        std::println!(
            "breaker, threshold {threshold}: {} states, {} steps, depth {}",
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
        );
        checker.assert_properties();
    }
}

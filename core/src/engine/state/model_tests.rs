//! Every state that the decisions can reach within small bounds, explored by a model checker.
//!
//! It drives the real [`State`] as a host and workers do, one call a step. Time goes in ticks, of
//! which every duration of the config is a multiple. What a number only counts (attempts, the last
//! status) and where in the ring an event lies leads to no state of its own.
#![allow(clippy::unwrap_used, reason = "a failed test says where and why at once")]

mod rules;
mod steps;
mod world;

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::vec::Vec;

use stateright::{Checker, HasDiscoveries, Model, Property};

use self::world::{Action, World};
use crate::engine::config::{Config, LongWaits, OnFull, OnOpen};
use crate::engine::rate::Rate;
use crate::engine::retry::{Backoff, RETRY_AFTER_WAIT};
use crate::engine::schedule::Schedule;

/// The longest `Retry-After` that is waited out. Two ticks trip the breaker.
const TICK: Duration = RETRY_AFTER_WAIT;

struct Bounds {
    config: Config,
    workers: usize,
    events: u64,
    /// No tick after this one, but for those of a close.
    ticks: u32,
    swaps: u8,
    clears: u8,
    /// How often a worker vanishes with an event in its hands.
    losses: u8,
    /// What happened in any of the states, bit by bit, so that no promise is kept for want of a try.
    seen: AtomicU32,
}

impl Bounds {
    fn new(on_open: OnOpen, on_full: OnFull, workers: usize) -> Self {
        let ticks = std::env::var("MODEL_TICKS").ok().map(|ticks| ticks.parse().unwrap());
        Self {
            config: Config {
                max_attempts: 2,
                backoff: Backoff { initial: TICK, jitter_percent: 0 },
                schedule: None,
                rate: Rate::UNLIMITED,
                http_timeout: TICK,
                drain_timeout: Duration::from_secs(2 * TICK.as_secs()),
                circuit_threshold: 2,
                circuit_cooldown: TICK,
                on_open,
                on_full,
                capacity: 2,
                max_event_bytes: 8,
                batch: 1,
                batch_delay: Duration::ZERO,
                max_in_flight: u16::try_from(workers).unwrap(),
                long_waits: LongWaits::Cut,
            },
            workers,
            events: 3,
            ticks: ticks.unwrap_or(3),
            swaps: 1,
            clears: 1,
            losses: 1,
            seen: AtomicU32::new(0),
        }
    }
}

impl Model for Bounds {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        Vec::from([World::new(self)])
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken().is_none() {
            world.actions(self, actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let next = world.step(self, action);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        // Few properties: the checker pays for each in every state.
        std::vec![
            Property::<Self>::always("every promise is kept", |_, world| world.broken().is_none()),
            Property::<Self>::eventually("a close ends by its deadline", |_, world| {
                world.is_closed()
            }),
        ]
    }
}

/// Two events in a POST, and room for one more.
fn with_batches(on_open: OnOpen, batch_delay: Duration, workers: usize) -> Bounds {
    let bounds = Bounds::new(on_open, OnFull::DropNewest, workers);
    Bounds { config: Config { batch: 2, batch_delay, capacity: 3, ..bounds.config }, ..bounds }
}

fn check(bounds: Bounds) {
    let Bounds { workers, config, .. } = bounds;
    let checker = bounds.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    std::println!(
        "{:?}, {:?}, batch {} after {:?}, {workers} at work: {} states, {} steps, depth {}",
        config.on_open,
        config.on_full,
        config.batch,
        config.batch_delay,
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
    );
    checker.assert_properties();
    let skips = config.on_open == OnOpen::Skip;
    // Two rounds of an event and two deliveries of others must fit in the time.
    let exhausts = skips || config.max_attempts == 1;
    let batches = config.batch > 1;
    // The first failure opens the breaker otherwise, and nothing waits for its next attempt.
    let waits = config.circuit_threshold > 1;
    let several = workers > 1;
    let gathers = batches && !config.batch_delay.is_zero();
    let expected = [
        true, true, exhausts, skips, !batches, true, true, true, several, batches, gathers, true,
        waits, several, batches, !skips, true,
    ];
    let seen = checker.model().seen.load(Ordering::Relaxed);
    let seen: Vec<_> = (0..expected.len()).map(|bit| seen >> bit & 1 == 1).collect();
    assert_eq!(seen, expected, "what happened somewhere: see `World::sights`");
}

#[test]
fn every_state_of_a_worker_keeps_the_promises() {
    for on_open in [OnOpen::Skip, OnOpen::Hold] {
        for on_full in [OnFull::DropNewest, OnFull::DropOldest] {
            check(Bounds::new(on_open, on_full, 1));
        }
    }
}

#[test]
fn every_state_of_two_workers_that_skip_keeps_the_promises() {
    check(Bounds::new(OnOpen::Skip, OnFull::DropNewest, 2));
}

#[test]
fn every_state_of_two_workers_that_hold_keeps_the_promises() {
    check(Bounds::new(OnOpen::Hold, OnFull::DropOldest, 2));
}

#[test]
fn every_state_of_a_worker_with_batches_keeps_the_promises() {
    check(with_batches(OnOpen::Skip, TICK, 1));
    check(with_batches(OnOpen::Hold, Duration::ZERO, 1));
}

/// An event that no receiver takes is given up, and the others are delivered.
#[test]
fn every_state_of_a_hold_with_one_attempt_keeps_the_promises() {
    for (workers, circuit_threshold) in [(1, 1), (2, 3)] {
        let bounds = Bounds::new(OnOpen::Hold, OnFull::DropNewest, workers);
        let config = Config { max_attempts: 1, circuit_threshold, ..bounds.config };
        check(Bounds { config, losses: 0, clears: 0, ..bounds });
    }
}

/// Attempts a tick apart, and the waits of a list in place of a backoff.
#[test]
fn every_state_with_a_rate_and_a_schedule_keeps_the_promises() {
    for (on_open, workers) in [(OnOpen::Skip, 1), (OnOpen::Hold, 1), (OnOpen::Skip, 2)] {
        let bounds = Bounds::new(on_open, OnFull::DropNewest, workers);
        let (rate, schedule) = (Rate::new(1, TICK).unwrap(), Schedule::new(&[2 * TICK]));
        let config = Config { rate, schedule, ..bounds.config };
        check(Bounds { config, losses: 0, clears: 0, ticks: bounds.ticks + 2, ..bounds });
    }
}

/// None of the two vanishes, which one worker did with batches, and two without them.
#[test]
fn every_state_of_two_workers_with_batches_keeps_the_promises() {
    check(Bounds { losses: 0, ..with_batches(OnOpen::Skip, TICK, 2) });
}

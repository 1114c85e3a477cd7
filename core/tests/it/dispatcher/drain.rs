//! What is still sent in a drain, and what is abandoned.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use pilot_webhook_core::{After, Backoff, Config, EmitError, Fate, Next, OnOpen, PilotFormat};

use super::open;
use crate::support::bench::{Bench, DRAIN, REFUSED, asking, config};

#[test]
fn a_drain_gives_up_an_event_whose_retry_after_outlasts_it() {
    let mut bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.core.close(bench.now);
    let asked = DRAIN * 2;
    let after = bench.end(0, asking(503, asked.as_secs()));
    assert_eq!(after, After::Retry(bench.now + asked));
    bench.step(0);
    bench.step(0);
    assert_eq!(bench.stats().abandoned, 1);
}

/// Every wait was cut, so round followed upon round without one: 22,000 attempts in a drain of 4.5 s.
#[test]
fn a_drain_with_hold_ends_with_the_round_when_there_is_no_time_for_another() {
    let initial = Duration::from_secs(2);
    let config = Config {
        on_open: OnOpen::Hold,
        circuit_threshold: u16::MAX,
        backoff: Backoff { initial, jitter_percent: 0 },
        ..config()
    };
    let mut bench = Bench::new(config, 1_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.core.close(bench.now);
    let closed = bench.now;
    let mut at = Vec::new();
    loop {
        at.push(bench.now.saturating_since(closed).as_secs());
        let after = bench.end(0, REFUSED);
        let After::Retry(due) = after else {
            assert_eq!(after, After::Settled(Fate::Abandoned));
            break;
        };
        bench.step(0);
        if !bench.is_attempting(0) {
            bench.now = due;
            bench.step(0);
        }
        assert!(at.len() < 10, "{at:?}");
    }
    // The second wait of a round would outlast the drain, as would then the first.
    assert_eq!(at, [0, 2, 2, 2, 4, 4]);
}

#[test]
fn a_clear_whose_time_is_over_abandons_what_is_left() {
    let mut bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    bench.emit(1).unwrap();
    bench.step(0);
    bench.core.clear(bench.now);
    bench.advance(DRAIN);
    bench.end(0, REFUSED);
    bench.step(0);
    assert_eq!(bench.stats().abandoned, 2);
}

#[test]
fn a_retry_that_is_due_after_the_drain_is_abandoned() {
    let mut bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.end(0, REFUSED);
    bench.core.close(bench.now);
    bench.advance(DRAIN);
    bench.step(0);
    bench.step(0);
    assert_eq!((bench.stats().abandoned, bench.stats().attempts), (1, 1));
}

#[test]
fn a_drain_abandons_at_once_what_an_open_breaker_holds_beyond_it() {
    let on_open = OnOpen::Hold;
    for (circuit_cooldown, abandoned) in [(DRAIN / 2, 0), (DRAIN, 1)] {
        let mut bench = open(Config { on_open, circuit_cooldown, ..config() }, 0);
        bench.core.clear(bench.now);
        bench.step(0);
        assert_eq!(bench.stats().abandoned, abandoned, "{circuit_cooldown:?}");
    }
}

#[test]
fn a_second_close_does_not_prolong_the_drain_and_no_endpoint_follows() {
    let mut bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    bench.core.close(bench.now);
    bench.advance(DRAIN / 2);
    bench.core.close(bench.now);
    assert_eq!(bench.swap(), Err(EmitError::Closed));
    bench.advance(DRAIN / 2);
    bench.step(0);
    assert_eq!((bench.stats().abandoned, bench.stats().queued), (1, 0));
    bench.step(0);
    assert_eq!(bench.swap(), Err(EmitError::Closed));
}

/// The event was settled without a look at whether it was the last one of a drain.
#[test]
fn a_close_ends_when_the_last_event_is_too_long_for_the_worker() {
    let bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    bench.core.close(bench.now);
    assert!(matches!(bench.core.next(bench.now, PilotFormat::BOUND, &mut []).0, Next::Again));
    assert!(matches!(bench.core.next(bench.now, PilotFormat::BOUND, &mut []).0, Next::Done));
    assert_eq!((bench.stats().oversize, bench.stats().queued), (1, 0));
    let mut closed = pin!(bench.core.closed());
    let mut context = Context::from_waker(Waker::noop());
    assert!(Future::poll(closed.as_mut(), &mut context).is_ready());
}

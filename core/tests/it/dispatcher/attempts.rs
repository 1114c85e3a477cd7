//! How many attempts an event gets, also while the breaker is open.

use std::time::Duration;

use pilot_webhook_core::{After, BreakerState, Config, Fate};

use super::open;
use crate::support::bench::{BACKOFF, Bench, REFUSED, config, status};

#[test]
fn an_event_gets_three_attempts_one_and_two_backoffs_apart() {
    let mut bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    for wait in [BACKOFF, BACKOFF * 2] {
        bench.step(0);
        bench.end(0, status(500));
        bench.advance(wait - Duration::from_micros(1));
        bench.step(0);
        assert!(!bench.is_attempting(0));
        bench.advance(Duration::from_micros(1));
    }
    bench.step(0);
    bench.end(0, status(500));
    assert_eq!(bench.fates[&1], Fate::Exhausted);
    assert_eq!(bench.stats().attempts, 3);
    assert_eq!(bench.stats().last_status, 500);
}

#[test]
fn the_backoff_of_an_event_does_not_depend_on_an_earlier_event() {
    let mut bench = Bench::new(Config { circuit_threshold: 100, ..config() }, 4_000, 1);
    for _ in 0..5 {
        bench.emit(1).unwrap();
        for wait in [BACKOFF, BACKOFF * 2] {
            bench.step(0);
            assert_eq!(bench.end(0, REFUSED), After::Retry(bench.now + wait));
            bench.advance(wait);
        }
        bench.step(0);
        assert_eq!(bench.end(0, REFUSED), After::Settled(Fate::Exhausted));
    }
    assert_eq!((bench.stats().exhausted, bench.stats().attempts), (5, 15));
}

#[test]
fn an_open_breaker_skips_by_default() {
    let mut bench = open(config(), 3);
    for _ in 0..3 {
        bench.step(0);
    }
    assert_eq!(bench.stats().skipped, 3);
    bench.emit(1).unwrap();
    bench.advance(Duration::from_secs(1));
    bench.step(0);
    assert!(bench.workers[0].as_ref().unwrap().is_probe());
    bench.end(0, status(200));
    assert_eq!(bench.stats().breaker, BreakerState::Closed);
}

#[test]
fn a_probe_has_one_attempt() {
    let mut bench = open(config(), 0);
    bench.emit(1).unwrap();
    bench.advance(Duration::from_secs(1));
    bench.step(0);
    assert_eq!(bench.end(0, status(500)), After::Settled(Fate::Exhausted));
    assert_eq!(bench.stats().breaker, BreakerState::Open);
    assert_eq!((bench.stats().exhausted, bench.stats().attempts), (3, 7));
}

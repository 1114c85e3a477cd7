//! What a `Retry-After` holds back, and for how long.

use std::time::Duration;

use pilot_webhook_core::{After, BreakerState, Config, Fate, OnOpen};

use crate::support::bench::{Bench, REFUSED, asking, config, status};

#[test]
fn a_long_retry_after_opens_the_breaker_until_it_is_over() {
    let mut bench = Bench::new(Config { on_open: OnOpen::Hold, ..config() }, 10_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.end(0, asking(429, 61));
    assert_eq!(bench.stats().breaker, BreakerState::Open);
    assert_eq!((bench.stats().queued, bench.stats().circuit_opens), (1, 1));
    bench.advance(Duration::from_secs(61) - Duration::from_micros(1));
    bench.step(0);
    assert!(bench.workers[0].is_none());
    bench.advance(Duration::from_micros(1));
    bench.step(0);
    bench.end(0, status(204));
    assert_eq!(bench.stats().delivered, 1);
}

#[test]
fn a_short_retry_after_holds_back_the_events_behind_it_too() {
    let mut bench = Bench::new(Config { max_attempts: 1, ..config() }, 10_000, 1);
    bench.emit(1).unwrap();
    bench.emit(1).unwrap();
    bench.step(0);
    bench.end(0, asking(503, 60));
    assert_eq!(bench.fates[&1], Fate::Exhausted);
    bench.advance(Duration::from_secs(59));
    bench.step(0);
    assert!(bench.workers[0].is_none());
    bench.advance(Duration::from_secs(1));
    bench.step(0);
    assert!(bench.workers[0].is_some());
}

/// The longest one that is waited for by the event itself.
#[test]
fn a_retry_after_of_a_minute_is_no_reason_to_give_up() {
    let mut bench = Bench::new(config(), 10_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    let minute = Duration::from_secs(60);
    assert_eq!(bench.end(0, asking(503, 60)), After::Retry(bench.now + minute));
    assert_eq!(bench.stats().breaker, BreakerState::Closed);
    bench.advance(minute);
    bench.step(0);
    bench.end(0, status(204));
    assert_eq!(bench.fates[&1], Fate::Delivered);
}

#[test]
fn the_longest_retry_after_that_is_believed_is_an_hour() {
    let mut bench = Bench::new(Config { on_open: OnOpen::Hold, ..config() }, 10_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.end(0, asking(503, 65_000));
    bench.advance(Duration::from_secs(3_600));
    bench.step(0);
    assert!(bench.workers[0].is_some());
}

/// The probe's success closed the breaker, and the next event went out an hour early.
#[test]
fn a_long_retry_after_outlasts_a_probe_that_was_under_way() {
    for end in [status(204), status(400), REFUSED] {
        let config = Config { on_open: OnOpen::Hold, max_attempts: 1, ..config() };
        let mut bench = Bench::new(config, 10_000, 3);
        for _ in 0..4 {
            bench.emit(1).unwrap();
        }
        (0..3).for_each(|n| bench.step(n));
        bench.end(0, REFUSED);
        bench.end(1, REFUSED);
        bench.advance(Duration::from_secs(1));
        bench.step(0);
        assert_eq!(bench.probes(), 1);
        bench.end(2, asking(503, 3_600));
        bench.end(0, end);
        bench.advance(Duration::from_secs(3_599));
        (0..3).for_each(|n| bench.step(n));
        assert_eq!(bench.stats().breaker, BreakerState::Open);
        bench.advance(Duration::from_secs(1));
        bench.step(0);
        assert_eq!(bench.probes(), 1, "{end:?}");
    }
}

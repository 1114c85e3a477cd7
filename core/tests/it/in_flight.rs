//! What waits for its next attempt, and what goes out meanwhile.

use std::time::Duration;

use pilot_webhook_core::{
    After, BreakerState, Config, ErrorKind, Fate, LOCAL_ATTEMPTS, OnOpen, RETRY_AFTER_WAIT,
};

use crate::support::bench::{BACKOFF, Bench, REFUSED, config, status};

const LOCAL: Result<pilot_webhook_core::Reply, ErrorKind> = Err(ErrorKind::Local);

fn emit(bench: &Bench, count: usize) {
    for _ in 0..count {
        bench.emit(1).unwrap();
    }
}

/// Four bad events held all four places: the good ones behind them waited for three seconds, and with
/// hold for ever.
#[test]
fn a_wait_occupies_no_place_in_flight() {
    for on_open in [OnOpen::Skip, OnOpen::Hold] {
        let mut bench = Bench::new(Config { on_open, ..config() }, 10_000, 4);
        emit(&bench, 20);
        for n in 0..4 {
            bench.step(n);
        }
        for n in 0..4 {
            assert_eq!(bench.end(n, status(503)), After::Retry(bench.now + BACKOFF));
        }
        for round in 0..4 {
            for n in 0..4 {
                bench.step(n);
                assert!(bench.is_attempting(n), "round {round}");
                bench.end(n, status(200));
            }
        }
        assert_eq!((bench.stats().delivered, bench.stats().in_flight), (16, 4));
        // When they are due they go before others.
        bench.emit(1).unwrap();
        bench.advance(BACKOFF);
        (0..4).for_each(|n| bench.step(n));
        let ids: Vec<_> = bench.workers.iter().flatten().map(|held| held.event_id()).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
    }
}

/// Otherwise a receiver that fails would get every event that waits within the first backoff.
#[test]
fn as_many_as_may_be_in_flight_wait_for_their_next_attempt() {
    let mut bench = Bench::new(Config { circuit_threshold: 100, ..config() }, 10_000, 4);
    emit(&bench, 20);
    for _ in 0..4 {
        for n in 0..4 {
            bench.step(n);
            if bench.is_attempting(n) {
                bench.end(n, status(503));
            }
        }
    }
    assert_eq!((bench.stats().attempts, bench.stats().in_flight), (8, 8));
}

#[test]
fn with_one_in_flight_order_is_kept() {
    let mut bench = Bench::new(config(), 10_000, 1);
    emit(&bench, 2);
    bench.step(0);
    bench.end(0, status(503));
    bench.step(0);
    assert!(!bench.is_attempting(0));
    bench.advance(BACKOFF);
    bench.step(0);
    bench.end(0, status(200));
    bench.step(0);
    bench.end(0, status(200));
    assert_eq!((bench.stats().delivered, bench.started), (2, vec![1, 2]));
}

/// A hundred local ports for a thousand connections opened the breaker of a receiver that was well.
#[test]
fn what_this_machine_lacks_opens_no_breaker_and_gets_more_attempts() {
    let mut bench = Bench::new(Config { circuit_threshold: 1, ..config() }, 10_000, 1);
    bench.emit(1).unwrap();
    let start = bench.now;
    let mut attempts = 1;
    bench.step(0);
    while let After::Retry(due) = bench.end(0, LOCAL) {
        bench.now = due;
        bench.step(0);
        attempts += 1;
    }
    assert_eq!((attempts, bench.fates[&1]), (LOCAL_ATTEMPTS, Fate::Exhausted));
    let backoffs = BACKOFF * ((1 << (LOCAL_ATTEMPTS - 1)) - 1);
    assert_eq!(bench.now.saturating_since(start), backoffs);
    assert!(Duration::from_secs(1) * 127 > RETRY_AFTER_WAIT);
    let stats = bench.stats();
    assert_eq!((stats.breaker, stats.circuit_opens), (BreakerState::Closed, 0));
}

/// The receiver's own failure after that counts as its last.
#[test]
fn attempts_that_this_machine_failed_are_attempts() {
    let mut bench = Bench::new(config(), 10_000, 1);
    bench.emit(1).unwrap();
    for _ in 0..5 {
        bench.step(0);
        let After::Retry(due) = bench.end(0, LOCAL) else { unreachable!("it has eight") };
        bench.now = due;
    }
    bench.step(0);
    assert_eq!(bench.end(0, REFUSED), After::Settled(Fate::Exhausted));
}

#[test]
fn a_probe_that_this_machine_failed_is_made_again_after_the_backoff() {
    for on_open in [OnOpen::Skip, OnOpen::Hold] {
        let config = Config { circuit_threshold: 1, max_attempts: 1, on_open, ..config() };
        let mut bench = Bench::new(config, 10_000, 1);
        bench.emit(1).unwrap();
        bench.step(0);
        bench.end(0, REFUSED);
        bench.advance(config.circuit_cooldown);
        bench.emit(1).unwrap();
        bench.step(0);
        assert!(bench.workers[0].as_ref().unwrap().is_probe());
        assert_eq!(bench.end(0, LOCAL), After::Returned);
        let stats = bench.stats();
        assert_eq!((stats.breaker, stats.circuit_opens), (BreakerState::Open, 1));
        bench.step(0);
        assert!(!bench.is_attempting(0));
        // With skip it was passed over meanwhile.
        bench.emit(1).unwrap();
        bench.advance(BACKOFF);
        bench.step(0);
        assert!(bench.workers[0].as_ref().unwrap().is_probe());
    }
}

//! Endpoints that come, go and answer late.

use pilot_webhook_core::{
    After, BreakerState, Config, EmitError, ErrorKind, Event, Fate, Instant, OnOpen, Timestamp,
};

use super::open;
use crate::support::bench::{Bench, Core, TEXTS, asking, config, status};

#[test]
fn a_swap_takes_queued_and_retried_events_along_and_closes_the_breaker() {
    let mut bench = open(Config { on_open: OnOpen::Hold, ..config() }, 2);
    bench.swap().unwrap();
    assert_eq!(bench.stats().breaker, BreakerState::Closed);
    for _ in 0..4 {
        bench.step(0);
        bench.end(0, status(200));
    }
    assert_eq!((bench.stats().delivered, bench.stats().emitted), (4, 4));
}

#[test]
fn a_late_answer_of_the_old_endpoint_counts_once_and_not_towards_the_new_breaker() {
    let mut bench =
        Bench::new(Config { circuit_threshold: 1, max_attempts: 1, ..config() }, 1_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    let mut held = bench.workers[0].take().unwrap();
    bench.swap().unwrap();
    let refused = Err(ErrorKind::Connect);
    let after = bench.core.finish(&mut held, refused, bench.now, Timestamp::UNIX_EPOCH);
    assert_eq!(after, After::Returned);
    assert_eq!(bench.stats().breaker, BreakerState::Closed);
    // Once is enough.
    bench.core.release(&mut held);
    let accepted = status(200);
    let again = bench.core.finish(&mut held, accepted, bench.now, Timestamp::UNIX_EPOCH);
    assert_eq!((again, bench.stats().queued), (After::Returned, 1));
}

#[test]
fn a_late_answer_of_the_old_endpoint_neither_holds_back_nor_stops_the_new_one() {
    for late in [asking(503, 60), asking(429, 61), status(410)] {
        let mut bench = Bench::new(config(), 1_000, 1);
        bench.emit(1).unwrap();
        bench.step(0);
        let mut held = bench.workers[0].take().unwrap();
        bench.swap().unwrap();
        let after = bench.core.finish(&mut held, late, bench.now, Timestamp::UNIX_EPOCH);
        assert_eq!(after, After::Returned);
        assert_eq!(bench.stats().breaker, BreakerState::Closed);
        // At once, at the new one.
        bench.step(0);
        bench.end(0, status(204));
        assert_eq!(bench.fates[&1], Fate::Delivered);
    }
}

#[test]
fn a_clear_drains_to_the_old_endpoint_and_takes_in_nothing() {
    let mut bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    assert!(bench.core.destination().is_some() && !bench.core.is_draining());
    bench.core.clear(bench.now);
    assert!(bench.core.is_draining());
    assert_eq!(bench.emit(1), Ok(None));
    assert!(bench.core.destination().is_none() && bench.core.endpoint().is_some());
    bench.step(0);
    bench.end(0, status(200));
    assert_eq!((bench.stats().delivered, bench.stats().emitted), (1, 1));
    assert_eq!(bench.emit(1), Ok(None));
    assert!(bench.core.destination().is_none());
    bench.swap().unwrap();
    assert!(bench.core.destination().is_some());
    assert_eq!(bench.emit(1), Ok(Some(2)), "event ids go on");
}

#[test]
fn a_dispatcher_without_an_endpoint_does_nothing() {
    let core = Core::new(config(), vec![0; 100], 1);
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    assert_eq!(core.emit(&event, &f64::NAN, &mut [0; TEXTS]), Ok(None));
    assert_eq!(core.stats().emitted, 0);
    core.close(Instant::default());
    assert_eq!(core.emit(&event, &(), &mut [0; TEXTS]), Err(EmitError::Closed));
}

//! The dispatcher as a whole, by examples. What holds in every order of events is checked by the models
//! in `engine/state` and by the simulation in `tests/src/sim`.

use std::time::Duration;

use pilot_webhook_core::{
    After, Backoff, BreakerState, Config, EmitError, ErrorKind, Event, Fate, Instant, Next, OnFull,
    OnOpen, PilotFormat, Timestamp,
};

use crate::support::bench::{BACKOFF, Bench, Core, DRAIN, REFUSED, TEXTS, asking, config, status};

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

/// A bench whose breaker has just opened, with `queued` events waiting.
fn open(config: Config, queued: usize) -> Bench {
    let mut bench = Bench::new(config, 10_000, 1);
    for _ in 0..2 {
        bench.emit(1).unwrap();
        bench.step(0);
        // With hold, the first one opens it.
        while bench.is_attempting(0)
            && let After::Retry(due) = bench.end(0, REFUSED)
        {
            bench.now = due;
            bench.step(0);
        }
    }
    assert_eq!(bench.stats().breaker, BreakerState::Open);
    for _ in 0..queued {
        bench.emit(1).unwrap();
    }
    bench
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

#[test]
fn a_dispatcher_without_an_endpoint_does_nothing() {
    let core = Core::new(config(), vec![0; 100], 1);
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    assert_eq!(core.emit(&event, &f64::NAN, &mut [0; TEXTS]), Ok(None));
    assert_eq!(core.stats().emitted, 0);
    core.close(Instant::default());
    assert_eq!(core.emit(&event, &(), &mut [0; TEXTS]), Err(EmitError::Closed));
}

#[test]
fn the_newest_is_dropped_by_default_and_leaves_a_gap_in_the_ids() {
    let mut bench = Bench::new(Config { capacity: 2, ..config() }, 1_000, 1);
    assert_eq!(bench.emit(1), Ok(Some(1)));
    assert_eq!(bench.emit(1), Ok(Some(2)));
    assert_eq!(bench.emit(1), Err(EmitError::Full));
    bench.step(0);
    bench.end(0, status(200));
    assert_eq!(bench.emit(1), Ok(Some(4)));
    assert_eq!(bench.stats().dropped, 1);
}

#[test]
fn the_oldest_is_dropped_on_request_but_never_one_in_flight() {
    let mut bench =
        Bench::new(Config { capacity: 2, on_full: OnFull::DropOldest, ..config() }, 1_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.emit(1).unwrap();
    assert_eq!(bench.emit(1), Ok(Some(3)));
    bench.end(0, status(200));
    assert_eq!(bench.fates[&1], Fate::Delivered);
    bench.step(0);
    assert_eq!(bench.started, [1, 3]);
    assert_eq!(bench.stats().dropped, 1);
}

#[test]
fn an_event_that_could_never_fit_drops_no_other() {
    let bench = Bench::new(Config { on_full: OnFull::DropOldest, ..config() }, 150, 1);
    bench.emit(1).unwrap();
    assert!(matches!(bench.emit(150), Err(EmitError::Payload(_))));
    assert_eq!((bench.stats().queued, bench.stats().oversize), (1, 1));
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

/// The event was settled without a look at whether it was the last one of a drain.
#[test]
fn a_close_ends_when_the_last_event_is_too_long_for_the_worker() {
    let bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    bench.core.close(bench.now);
    assert!(matches!(bench.core.next(bench.now, PilotFormat::BOUND, &mut []).0, Next::Again));
    assert!(matches!(bench.core.next(bench.now, PilotFormat::BOUND, &mut []).0, Next::Done));
    assert_eq!((bench.stats().oversize, bench.stats().queued), (1, 0));
    let mut closed = std::pin::pin!(bench.core.closed());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(closed.as_mut(), &mut context).is_ready());
}

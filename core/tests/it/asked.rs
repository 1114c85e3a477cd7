//! What an endpoint may ask for of the engine: a rate, a schedule, and to be left alone for good.

use std::time::Duration;

use pilot_webhook_core::{
    After, BreakerState, Config, EndpointBuf, Fate, OnOpen, Policy, Rate, Schedule,
};
use proptest::prelude::*;

use crate::support::bench::{Bench, REFUSED, config, status};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However attempts end, and whoever makes them, two begin at the rate's distance at least, and when
    /// nothing else is in the way no later than that.
    #[test]
    fn attempts_begin_at_the_distance_of_the_rate(
        per_second in 1_u32..2_000,
        workers in 1..4_usize,
        steps in proptest::collection::vec((0..4_usize, 0..4_u8, 0_u64..2_000_000), 1..200),
    ) {
        let rate = Rate::new(per_second, Duration::from_secs(1)).unwrap();
        let distance = rate.distance();
        prop_assert!(distance * per_second >= Duration::from_secs(1));
        let mut bench = Bench::new(Config { rate, ..config() }, 4_096, workers);
        let mut last = None;
        for (worker, outcome, micros) in steps {
            let worker = worker % workers;
            let _ = bench.emit(1);
            bench.advance(Duration::from_micros(micros));
            let before = bench.stats().attempts;
            bench.step(worker);
            if bench.stats().attempts > before {
                let since = last.map(|last| bench.now.saturating_since(last));
                prop_assert!(since.is_none_or(|since| since >= distance), "{since:?}");
                last = Some(bench.now);
            }
            if bench.is_attempting(worker) {
                bench.end(worker, [status(200), status(500), REFUSED, status(404)][usize::from(outcome)]);
            }
        }
    }

    /// The waits are those of the list, longer by the jitter at most, and there is one attempt more than waits.
    #[test]
    fn a_schedule_is_kept(
        waits in proptest::collection::vec(0_u64..5_000_000, 1..17),
        jitter_percent in 0..101_u8,
    ) {
        let waits: Vec<_> = waits.into_iter().map(Duration::from_millis).collect();
        let schedule = Schedule::new(&waits);
        let backoff = pilot_webhook_core::Backoff { jitter_percent, ..config().backoff };
        let mut bench = Bench::new(Config { schedule, backoff, ..config() }, 4_096, 1);
        bench.emit(1).unwrap();
        for wait in waits {
            bench.step(0);
            let now = bench.now;
            let After::Retry(at) = bench.end(0, status(500)) else { panic!("no attempt follows") };
            let waited = at.saturating_since(now);
            prop_assert!(waited >= wait && waited <= wait * 2, "{waited:?} for {wait:?}");
            if at > now {
                bench.step(0);
                prop_assert!(!bench.is_attempting(0), "too early");
            }
            bench.now = at;
        }
        bench.step(0);
        prop_assert_eq!(bench.end(0, status(500)), After::Settled(Fate::Exhausted));
    }
}

fn target() -> EndpointBuf<64> {
    EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap()
}

#[test]
fn an_endpoint_that_is_gone_gets_nothing_until_it_is_set_again() {
    for (on_open, left) in [(OnOpen::Hold, 3), (OnOpen::Skip, 0)] {
        let mut bench = Bench::new(Config { on_open, ..config() }, 4_096, 1);
        (0..3).for_each(|_| _ = bench.emit(1).unwrap());
        bench.step(0);
        let after = bench.end(0, status(410));
        let skips = on_open == OnOpen::Skip;
        let expected = if skips { After::Settled(Fate::Rejected) } else { After::Returned };
        assert_eq!(after, expected);
        assert_eq!(bench.stats().breaker, BreakerState::Gone);
        for _ in 0..5 {
            bench.advance(Duration::from_secs(1 << 40));
            bench.step(0);
            assert!(!bench.is_attempting(0));
        }
        let stats = bench.stats();
        assert_eq!((stats.queued, stats.skipped), (left, u64::from(skips) * 2));
        // The same one counts as set anew.
        bench.core.set_endpoint(target()).unwrap();
        assert_eq!(bench.stats().breaker, BreakerState::Closed);
        bench.emit(1).unwrap();
        bench.step(0);
        assert!(bench.is_attempting(0));
        bench.end(0, status(200));
        assert_eq!(bench.stats().delivered, 1);
    }
}

#[test]
fn a_receiver_that_was_left_does_not_stop_the_new_one() {
    let mut bench = Bench::new(config(), 4_096, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.swap().unwrap();
    assert_eq!(bench.end(0, status(410)), After::Returned);
    assert_eq!(bench.stats().breaker, BreakerState::Closed);
}

#[test]
fn one_that_is_known_to_be_gone_is_left_alone_from_the_start() {
    let mut bench = Bench::new(Config { on_open: OnOpen::Hold, ..config() }, 4_096, 1);
    bench.core.swap_to_gone(target()).unwrap();
    bench.emit(1).unwrap();
    bench.step(0);
    assert!(!bench.is_attempting(0));
    assert_eq!(bench.stats().breaker, BreakerState::Gone);
    bench.core.set_endpoint(target()).unwrap();
    bench.step(0);
    assert!(bench.is_attempting(0));
}

/// A drain of what nobody will take ends at once.
#[test]
fn a_close_does_not_wait_for_an_endpoint_that_is_gone() {
    let mut bench = Bench::new(Config { on_open: OnOpen::Hold, ..config() }, 4_096, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.end(0, status(410));
    bench.core.close(bench.now);
    (0..3).for_each(|_| bench.step(0));
    assert_eq!((bench.stats().abandoned, bench.stats().queued), (1, 0));
}

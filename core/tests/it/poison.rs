//! With hold: one event that no receiver takes stalls no others for ever, and an outage loses none.

use std::time::Duration;

use pilot_webhook_core::{Config, ErrorKind, Fate, OnOpen, Reply};

use crate::support::bench::{Bench, REFUSED, config, status};

fn bench(workers: usize, events: usize) -> Bench {
    let config = Config { circuit_threshold: 5, on_open: OnOpen::Hold, ..config() };
    let mut bench = Bench::new(config, 100_000, workers);
    for _ in 0..events {
        bench.emit(1).unwrap();
    }
    bench.advance(Duration::from_micros(1));
    bench
}

/// Plays until nothing is left, or for so long; the receiver's answer depends on the event and on how much
/// time went by.
fn play(
    bench: &mut Bench,
    most: Duration,
    answer: impl Fn(u64, Duration) -> Result<Reply, ErrorKind>,
) -> Duration {
    let start = bench.now;
    let mut time = Duration::ZERO;
    while bench.stats().queued + bench.stats().in_flight > 0 && time < most {
        for n in 0..bench.workers.len() {
            bench.step(n);
        }
        for n in 0..bench.workers.len() {
            if let Some(id) = bench.workers[n].as_ref().map(|held| held.event_id()) {
                bench.end(n, answer(id, time));
            }
        }
        bench.advance(Duration::from_millis(10));
        time = bench.now.saturating_since(start);
    }
    time
}

#[test]
fn an_event_that_no_receiver_takes_is_given_up_and_the_others_are_delivered() {
    for workers in [1, 4] {
        for end in [status(500), Err(ErrorKind::Timeout)] {
            let mut bench = bench(workers, 20);
            let bad = |id, _| if id == 3 || id == 13 { end } else { status(200) };
            for _ in 0..60 {
                bench.emit(1).unwrap();
                play(&mut bench, Duration::from_secs(1), bad);
            }
            let stats = bench.stats();
            assert_eq!((stats.delivered, stats.exhausted), (78, 2), "{workers}");
            assert_eq!((bench.fates[&3], bench.fates[&13]), (Fate::Exhausted, Fate::Exhausted));
        }
    }
}

/// However often it comes back for a moment, unless it fails one event only, again and again.
#[test]
fn an_outage_loses_nothing() {
    let outage = |_, time: Duration| {
        if time < Duration::from_secs(50) { status(503) } else { status(200) }
    };
    let refused = |_, time: Duration| {
        if time < Duration::from_secs(50) { REFUSED } else { status(200) }
    };
    let brief = |_, time: Duration| {
        if time.as_secs().is_multiple_of(10) { status(200) } else { status(502) }
    };
    for workers in [1, 4] {
        for answer in
            [&outage as &dyn Fn(u64, Duration) -> Result<Reply, ErrorKind>, &refused, &brief]
        {
            let mut bench = bench(workers, 20);
            play(&mut bench, Duration::from_secs(400), answer);
            assert_eq!(bench.stats().delivered, 20, "{workers}");
        }
    }
}

/// A refused connection says nothing of an event, so no other overtakes it.
#[test]
fn an_outage_that_no_event_can_be_the_reason_for_keeps_order() {
    let mut bench = bench(1, 20);
    let refused = |_, time: Duration| {
        if time < Duration::from_secs(50) { REFUSED } else { status(200) }
    };
    play(&mut bench, Duration::from_secs(100), refused);
    let mut firsts = bench.started.clone();
    firsts.dedup();
    assert_eq!(firsts, (1..=20).collect::<Vec<_>>());
}

/// Events that came meanwhile, and none of them is the reason.
#[test]
fn an_event_alone_is_never_given_up() {
    let mut bench = bench(1, 1);
    play(&mut bench, Duration::from_secs(100), |_, _| status(500));
    assert_eq!((bench.stats().exhausted, bench.stats().queued + bench.stats().in_flight), (0, 1));
}

/// A probe is another event than the one that failed last, if there is one that is not under suspicion. What is no probe
/// keeps the order.
#[test]
fn only_a_probe_passes_over_an_event_and_only_over_the_one_that_failed_last() {
    let config =
        Config { max_attempts: 1, circuit_threshold: 1, on_open: OnOpen::Hold, ..config() };
    let mut bench = Bench::new(config, 100_000, 1);
    for _ in 0..5 {
        bench.emit(1).unwrap();
    }
    for code in [500, 500, 500, 200, 200, 200] {
        bench.step(0);
        bench.end(0, status(code));
        bench.advance(config.circuit_cooldown);
    }
    // 2 is the probe after 1, then it is 1 again, then 3, which is delivered.
    assert_eq!(bench.started, [1, 2, 1, 3, 1, 2]);
}

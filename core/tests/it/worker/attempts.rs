//! When attempts begin and end, and over which connection.

use std::collections::HashSet;
use std::time::Duration;

use pilot_webhook_core::{Backoff, Config, ErrorKind};

use super::notices::notices;
use super::receiver::{Answer, Receiver};
use super::time::Time;
use super::{core, emit, worker};

#[test]
fn an_event_is_tried_again_after_its_backoffs_and_each_attempt_is_told() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let script = [Answer::Status(500), Answer::Error(ErrorKind::Connect)];
    let receiver = Receiver::new(&time, script);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 1, 3]);
    let expected = [
        "1.1: 500",
        "1 again in 1s",
        "1.2: the connection could not be made",
        "1 again in 2s",
        "1.3: 204",
        "1 Delivered after 3",
    ];
    assert_eq!(notices(&core), expected);
}

#[test]
fn what_follows_a_failure_asks_for_a_connection_of_its_own() {
    let core = core(Config { max_attempts: 2, circuit_threshold: 1, ..Config::DEFAULT }, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500), Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    // The breaker opens at 1 s, for 30 s.
    assert!(time.run_until(31, &mut worker).is_pending());
    (0..2).for_each(|_| emit(&core));
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 1, 31, 31]);
    assert_eq!(*receiver.fresh.borrow(), [false, true, true, false], "a retry, and a probe");
}

#[test]
fn an_attempt_without_an_answer_ends_at_the_timeout() {
    let core = core(Config { max_attempts: 2, ..Config::DEFAULT }, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Never, Answer::Never]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 6]);
    let timeout = "no answer within the HTTP timeout";
    let expected = [
        format!("1.1: {timeout}"),
        "1 again in 1s".into(),
        format!("1.2: {timeout}"),
        "1 Exhausted after 2".into(),
    ];
    assert_eq!(notices(&core), expected);
    assert_eq!(core.stats().last_status, 0);
}

#[test]
fn the_date_of_a_retry_after_is_waited_for_by_the_wall_clock() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500), Answer::BusyUntil(45)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 1, 45]);
}

/// How long each of so many events waits for its second attempt.
fn waits(jitter_percent: u8, events: usize) -> Vec<u64> {
    let backoff = Backoff { initial: Duration::from_secs(100), jitter_percent };
    let core = core(Config { backoff, ..Config::DEFAULT }, events);
    let time = Time::default();
    let script = (0..events).flat_map(|_| [Answer::Status(500), Answer::Status(204)]);
    let receiver = Receiver::new(&time, script);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(10_000, &mut worker).is_pending());
    receiver.times().chunks(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn with_jitter_events_wait_for_different_times() {
    assert_eq!(waits(0, 9), [100; 9]);
    let waits = waits(50, 9);
    assert!(waits.iter().all(|wait| (100..=150).contains(wait)), "{waits:?}");
    assert!(waits.iter().collect::<HashSet<_>>().len() > 4, "{waits:?}");
}

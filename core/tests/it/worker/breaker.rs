//! Workers and a breaker that opens and closes.

use pilot_webhook_core::{Config, OnOpen, Stats};

use super::notices::notices;
use super::receiver::{Answer, Receiver};
use super::time::Time;
use super::{core, emit, join_two, worker};

/// A `Retry-After` of another event, and then its probe, hold back an event that is due.
#[test]
fn a_retry_waits_for_the_breaker_and_goes_out_when_the_probe_succeeds() {
    let config = Config { on_open: OnOpen::Hold, max_in_flight: 2, ..Config::DEFAULT };
    let core = core(config, 2);
    let time = Time::default();
    let script = [Answer::Status(500), Answer::Busy(100), Answer::Status(204)];
    let receiver = Receiver::new(&time, script);
    let mut workers = Box::pin(join_two(&core, &receiver));
    assert!(time.run_until(300, &mut workers).is_pending());
    assert_eq!(receiver.times(), [0, 0, 100, 100]);
    let told = notices(&core);
    assert_eq!(told[..5], ["1.1: 500", "1 again in 1s", "2.1: 503", "Open", "HalfOpen"]);
    assert!(told[5].ends_with(" probe: 204"), "{told:?}");
    assert!(told.iter().any(|line| line == "Closed"), "{told:?}");
    assert_eq!(core.stats().delivered, 2);
}

/// The event in its backoff is skipped when it is due: the worker goes on to the next.
#[test]
fn a_retry_that_finds_the_breaker_open_is_skipped() {
    let core = core(Config { max_in_flight: 2, ..Config::DEFAULT }, 2);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500), Answer::Busy(100)]);
    let mut workers = Box::pin(join_two(&core, &receiver));
    assert!(time.run_until(50, &mut workers).is_pending());
    emit(&core);
    assert!(time.run_until(60, &mut workers).is_pending());
    let Stats { exhausted, skipped, .. } = core.stats();
    assert_eq!((receiver.times(), exhausted, skipped), (vec![0, 0], 1, 2));
    let told = notices(&core);
    for fate in ["1 Skipped", "2 Exhausted", "3 Skipped"] {
        assert_eq!(told.iter().filter(|line| *line == fate).count(), 1, "{told:?}");
    }
}

#[test]
fn a_breaker_that_opens_and_closes_is_told() {
    let config = Config { max_attempts: 1, circuit_threshold: 1, ..Config::DEFAULT };
    let core = core(config, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(30, &mut worker).is_pending());
    emit(&core);
    assert!(time.run_until(60, &mut worker).is_pending());
    let expected =
        ["1.1: 500", "Open", "1 Exhausted", "HalfOpen", "2.1 probe: 204", "Closed", "2 Delivered"];
    assert_eq!(notices(&core), expected);
}

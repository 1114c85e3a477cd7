//! When a worker ends: with the drain, or because it is dropped.

use std::time::Duration;

use pilot_webhook_core::{Clock, Config};

use super::notices::notices;
use super::receiver::{Answer, Receiver};
use super::time::Time;
use super::{at, core, join_two, worker};

#[test]
fn a_worker_ends_when_the_dispatcher_is_closed_and_nothing_is_left() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    core.close(time.now());
    assert!(time.run_until(60, &mut worker).is_ready());
    assert_eq!((receiver.times(), core.stats().delivered), (vec![0, 1], 1));
}

#[test]
fn a_backoff_that_outlasts_a_drain_is_cut() {
    for (drain, second) in [(500, 0), (1_000, 0), (1_001, 1)] {
        let drain_timeout = Duration::from_millis(drain);
        let core = core(Config { drain_timeout, ..Config::DEFAULT }, 1);
        let time = Time::default();
        let receiver = Receiver::new(&time, [Answer::Status(500)]);
        let mut worker = Box::pin(worker(&core, &receiver));
        core.close(time.now());
        assert!(time.run_until(60, &mut worker).is_ready());
        assert_eq!((receiver.times(), core.stats().delivered), (vec![0, second], 1), "{drain} ms");
    }
}

#[test]
fn a_worker_that_is_dropped_leaves_its_event_in_its_place() {
    let core = core(Config::DEFAULT, 2);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Never]);
    let mut first = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(1, &mut first).is_pending());
    assert_eq!((core.stats().queued, core.stats().in_flight), (1, 1));
    drop(first);
    assert_eq!((core.stats().queued, core.stats().in_flight), (2, 0));
    let mut second = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(2, &mut second).is_pending());
    assert_eq!(notices(&core)[0], "1.1: 204");
}

#[test]
fn a_drain_waits_for_a_retry_after_that_is_over_before_it_ends() {
    let core = core(Config::DEFAULT, 3);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Busy(3)]);
    let mut workers = Box::pin(join_two(&core, &receiver));
    core.close(time.now());
    assert!(time.run_until(60, &mut workers).is_ready());
    assert_eq!((receiver.times(), core.stats().delivered), (vec![0, 3, 3, 3], 3));
}

#[test]
fn a_drain_ends_at_once_when_a_retry_after_outlasts_it() {
    let core = core(Config::DEFAULT, 2);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Busy(5)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    core.close(time.now());
    assert!(time.run_until(60, &mut worker).is_ready());
    assert_eq!((receiver.times(), core.stats().abandoned), (vec![0], 2));
    assert_eq!(time.now(), at(0));
}

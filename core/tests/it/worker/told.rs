//! What the observer is told of attempts, and of the end of each event.

use std::task::{Context, Waker};
use std::time::Duration;

use pilot_webhook_core::{Clock, Config, EmitError, Encoding, Event, OnFull, Timestamp, run};

use super::notices::{Told, notices};
use super::receiver::{Answer, Receiver, SAID};
use super::time::Time;
use super::{BODY, core, emit, worker};

#[test]
fn an_attempt_is_told_with_its_times_its_message_and_what_was_answered() {
    let core = core(Config { max_attempts: 2, ..Config::DEFAULT }, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Never, Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(60, &mut worker).is_pending());
    let body = br#"{"event_id":1,"event":"t","node_id":1,"timestamp":"1970-01-01T00:00:00Z"}"#;
    let told = core.observer().1.borrow();
    let expected: [Told; 2] =
        [(5, 5, 1, vec![1], body.len(), b""), (0, 6, 2, vec![1], body.len(), SAID)];
    assert_eq!(*told, expected);
}

/// A batch was told as one, and what waited was only counted.
#[test]
fn how_each_event_ended_is_told_by_its_id() {
    let drain_timeout = Duration::from_secs(3);
    let (batch, on_full) = (2, OnFull::DropOldest);
    let core = core(Config { batch, capacity: 4, on_full, drain_timeout, ..Config::DEFAULT }, 6);
    assert_eq!(notices(&core), ["1 Dropped", "2 Dropped"]);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(404), Answer::Never]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(1, &mut worker).is_pending());
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    assert!(core.emit(&event, &f64::NAN, &mut [0; BODY]).is_err());
    emit(&core);
    emit(&core);
    core.close(time.now());
    assert!(time.run_until(60, &mut worker).is_ready());
    let told = notices(&core);
    let expected = [
        "3.1: 404",
        "3 Rejected",
        "4 Rejected",
        "7 Oversize",
        "5.1: no answer before the end of the drain",
        "5 Abandoned",
        "6 Abandoned",
        "8 Abandoned",
        "9 Abandoned",
    ];
    assert_eq!(told[2..], expected);
    assert!(core.stats().is_balanced());
}

#[test]
fn an_event_that_the_full_queue_does_not_take_is_told() {
    let core = core(Config { capacity: 1, ..Config::DEFAULT }, 1);
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    assert_eq!(core.emit(&event, &(), &mut [0; BODY]), Err(EmitError::Full));
    assert_eq!(notices(&core), ["2 Dropped"]);
    // One that waits for room is no event yet.
    let mut scratch = [0; BODY];
    let mut waiting = Box::pin(core.emit_when_room(&event, &(), &mut scratch));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(waiting);
    assert_eq!(notices(&core).len(), 1);
}

#[test]
fn an_event_that_is_too_long_for_the_worker_is_told() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, []);
    let (clock, mut transport) = (&receiver.time.unwrap(), &receiver);
    core.close(time.now());
    let mut short = [0; 100];
    let worker = run(&core, &mut transport, clock, Encoding::PILOT, &mut short);
    assert!(time.run_until(1, &mut Box::pin(worker)).is_ready());
    assert_eq!(notices(&core), ["1 Oversize"]);
    assert_eq!((core.stats().oversize, core.stats().attempts), (1, 0));
}

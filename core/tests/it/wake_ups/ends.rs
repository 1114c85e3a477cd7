//! Those who wait for the drain, the close or room, and workers that vanish.

use std::pin::pin;
use std::task::Poll;

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{Config, EmitError, EncodeError, Next, PilotFormat, Timestamp};

use super::{AFTER, BODY, BUFFER, Core, Task, core, emit, endpoint, event, fail, lease, seen};

#[test]
fn who_waits_for_the_drain_is_woken_when_the_last_event_is_settled() {
    let core = core::<1>(Config::DEFAULT, 1_000);
    let watcher = Task::default();
    assert!(watcher.poll(&mut pin!(core.drained())).is_ready());
    emit(&core, 1);
    emit(&core, 1);
    let mut drained = pin!(core.drained());
    watcher.starts(&mut drained);
    for wakes in [0, 1] {
        let mut delivery = lease(&core);
        core.finish(&mut delivery, Ok(Response::status(200).into()), AFTER, Timestamp::UNIX_EPOCH);
        assert_eq!(watcher.wakes(), wakes);
    }
    assert!(watcher.poll(&mut drained).is_ready());
}

#[test]
fn who_waits_for_the_close_is_woken_when_the_last_event_is_settled() {
    let core = core::<1>(Config::DEFAULT, 1_000);
    emit(&core, 1);
    let watcher = Task::default();
    let mut closed = pin!(core.closed());
    watcher.starts(&mut closed);
    core.close(AFTER);
    assert_eq!(watcher.wakes(), 1);
    watcher.starts(&mut closed);
    let mut delivery = lease(&core);
    core.finish(&mut delivery, Ok(Response::status(200).into()), AFTER, Timestamp::UNIX_EPOCH);
    assert_eq!(watcher.wakes(), 1);
    assert!(watcher.poll(&mut closed).is_ready());
}

#[test]
fn a_worker_that_vanishes_when_it_was_woken_passes_the_wake_up_on() {
    let core = core::<2>(Config::DEFAULT, 1_000);
    let (one, two) = (Task::default(), Task::default());
    let (mut first, mut second) =
        (Box::pin(core.work(seen(&core))), Box::pin(core.work(seen(&core))));
    one.starts(&mut first.as_mut());
    two.starts(&mut second.as_mut());
    emit(&core, 1);
    let wakes = (one.wakes(), two.wakes());
    let (gone, other) = if wakes == (1, 0) { (first, &two) } else { (second, &one) };
    assert_eq!(wakes.0 + wakes.1, 1);
    drop(gone);
    assert_eq!(other.wakes(), 1);
}

#[test]
fn a_worker_that_vanishes_before_it_was_woken_wakes_nobody() {
    let core = core::<2>(Config::DEFAULT, 1_000);
    let (one, two) = (Task::default(), Task::default());
    let mut second = pin!(core.work(seen(&core)));
    {
        let mut first = pin!(core.work(seen(&core)));
        one.starts(&mut first);
        two.starts(&mut second);
    }
    assert_eq!((one.wakes(), two.wakes()), (0, 0));
    emit(&core, 1);
    assert_eq!((one.wakes(), two.wakes()), (0, 1));
}

#[test]
fn an_emitter_that_waits_hears_of_what_no_room_would_help() {
    let core = core::<1>(Config::DEFAULT, 1_000);
    let task = Task::default();
    let emit = |data: &str, scratch: usize| {
        let (event, mut scratch) = (event(), vec![0; scratch]);
        let poll = task.poll(&mut pin!(core.emit_when_room(&event, data, &mut scratch)));
        (poll, core.stats().emitted, core.stats().oversize)
    };
    let too_long = Poll::Ready(Err(EmitError::Payload(EncodeError::TooLong)));
    assert_eq!(emit("x", 4), (too_long, 1, 1));
    assert_eq!(emit(&"x".repeat(BODY), 2 * BODY), (too_long, 2, 2));
    assert_eq!(emit("x", BODY), (Poll::Ready(Ok(Some(3))), 3, 2));
    core.clear(AFTER);
    assert_eq!(emit("x", 4), (Poll::Ready(Ok(None)), 3, 2));
    core.close(AFTER);
    let closed = Poll::Ready(Err(EmitError::Closed));
    assert_eq!((emit("x", BODY), emit("x", 4)), ((closed, 3, 2), (closed, 3, 2)));
}

fn deliver(core: &Core<1>) {
    let mut delivery = lease(core);
    core.finish(&mut delivery, Ok(Response::status(200).into()), AFTER, Timestamp::UNIX_EPOCH);
}

/// Half of its events, or half of its bytes.
#[test]
fn an_emitter_that_waits_is_woken_when_half_of_the_queue_is_free() {
    for (capacity, bytes) in [(4, 1_000), (100, 4 * 38)] {
        wakes_when_two_of_four_are_gone(&core::<1>(Config { capacity, ..Config::DEFAULT }, bytes));
    }
}

fn wakes_when_two_of_four_are_gone(core: &Core<1>) {
    (0..4).for_each(|_| emit(core, 1));
    let task = Task::default();
    let (event, mut scratch) = (event(), [0; BODY]);
    let mut emitting = pin!(core.emit_when_room(&event, "x", &mut scratch));
    task.starts(&mut emitting);
    for wakes in [0, 1] {
        deliver(core);
        assert_eq!(task.wakes(), wakes);
    }
    assert_eq!(task.poll(&mut emitting), Poll::Ready(Ok(Some(5))));
}

#[test]
fn who_waits_for_room_is_woken_when_half_of_the_queue_is_free_or_nothing_is_taken_any_more() {
    let core = core::<1>(Config { capacity: 4, ..Config::DEFAULT }, 1_000);
    let task = Task::default();
    assert_eq!(task.poll(&mut pin!(core.room())), Poll::Ready(()));
    (0..4).for_each(|_| emit(&core, 1));
    let mut room = pin!(core.room());
    task.starts(&mut room);
    for wakes in [0, 1] {
        deliver(&core);
        assert_eq!(task.wakes(), wakes);
    }
    assert_eq!(task.poll(&mut room), Poll::Ready(()));

    (0..2).for_each(|_| emit(&core, 1));
    let mut room = pin!(core.room());
    task.starts(&mut room);
    core.clear(AFTER);
    assert_eq!(task.wakes(), 1);
    assert_eq!(task.poll(&mut room), Poll::Ready(()));
}

/// Half of the queue is free already, but the event is longer than that.
#[test]
fn an_emitter_that_waits_hears_nothing_while_no_event_leaves() {
    let core = core::<1>(Config::DEFAULT, 230);
    emit(&core, 1);
    let task = Task::default();
    let (event, data, mut scratch) = (event(), "x".repeat(160), [0; BODY]);
    let mut emitting = pin!(core.emit_when_room(&event, data.as_str(), &mut scratch));
    task.starts(&mut emitting);
    let mut delivery = lease(&core);
    fail(&core, &mut delivery);
    assert_eq!(task.wakes(), 0);
    // A round begins anew at another endpoint.
    core.swap(endpoint()).unwrap();
    assert_eq!(task.wakes(), 1, "a change");
    task.starts(&mut emitting);
    let mut delivery = lease(&core);
    core.release(&mut delivery);
    assert_eq!(task.wakes(), 0);
    deliver(&core);
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(&mut emitting).is_ready());
}

#[test]
fn who_waits_for_the_close_hears_nothing_of_workers_that_ask_in_vain() {
    let core = core::<1>(Config::DEFAULT, 1_000);
    let task = Task::default();
    let mut closed = pin!(core.closed());
    task.starts(&mut closed);
    assert!(matches!(core.next(AFTER, PilotFormat::BOUND, &mut [0; BUFFER]).0, Next::Idle(None)));
    assert_eq!(task.wakes(), 0);
}

#[test]
fn of_more_workers_than_there_are_places_the_one_who_came_first_asks_again() {
    let core = core::<1>(Config::DEFAULT, 1_000);
    let (one, two) = (Task::default(), Task::default());
    let (mut first, mut second) = (pin!(core.work(seen(&core))), pin!(core.work(seen(&core))));
    one.starts(&mut first);
    two.starts(&mut second);
    assert_eq!((one.wakes(), two.wakes()), (1, 0));
    emit(&core, 1);
    assert_eq!((one.wakes(), two.wakes()), (0, 1));
}

//! How long a batch waits for more events.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use pilot_webhook_core::{Config, Event, Next, OnFull, PilotFormat, Rate, Timestamp};

use super::{
    BUFFER, Core, DELAY, NOW, array, batches, core, emit, finish, room, swap, take, take_into,
};

#[test]
fn a_batch_that_is_not_full_waits_for_its_delay() {
    let core = core(Config { batch_delay: DELAY, ..batches(3) });
    emit(&core, 1);
    let Next::Wait(until) = core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]).0 else {
        panic!("no wait")
    };
    assert_eq!(until, NOW + DELAY);
    emit(&core, 1);
    // Another worker waits for the same moment.
    let soon = NOW + DELAY / 2;
    assert!(
        matches!(core.next(soon, PilotFormat::BOUND, &mut [0; BUFFER]).0, Next::Wait(at) if at == until)
    );
    assert_eq!(take_into(&core, until, BUFFER).1, array(1..=2));
    // The next one has a delay of its own.
    emit(&core, 1);
    let wait = core.next(until, PilotFormat::BOUND, &mut [0; BUFFER]).0;
    assert!(matches!(wait, Next::Wait(at) if at == until + DELAY));
    // A full one goes at once.
    emit(&core, 2);
    assert_eq!(take_into(&core, until, BUFFER).1, array(3..=5));
}

#[test]
fn nothing_waits_for_a_batch_when_the_queue_is_half_full() {
    let core = core(Config { batch_delay: DELAY, capacity: 4, ..batches(100) });
    emit(&core, 2);
    assert!(matches!(core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]).0, Next::Wait(_)));
    emit(&core, 1);
    assert_eq!(take(&core).1, array(1..=3));
}

/// Also with some bytes more, which are too few for another event.
#[test]
fn nothing_waits_for_a_batch_that_fills_the_workers_buffer() {
    for buffer in [room(2), PilotFormat::BOUND.buffer(3, 6 + 2) - 1] {
        let core = core(Config { batch_delay: DELAY, ..batches(100) });
        emit(&core, 1);
        let next = core.next(NOW, PilotFormat::BOUND, &mut vec![0; buffer]).0;
        assert!(matches!(next, Next::Wait(_)));
        emit(&core, 1);
        assert_eq!(take_into(&core, NOW, buffer).1, array(1..=2));
    }
}

#[test]
fn the_delay_of_a_batch_begins_with_its_first_event() {
    let core = core(Config { batch_delay: DELAY, ..batches(3) });
    assert!(matches!(core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]).0, Next::Idle(None)));
    emit(&core, 1);
    let later = NOW + DELAY;
    let Next::Wait(until) = core.next(later, PilotFormat::BOUND, &mut [0; BUFFER]).0 else {
        panic!("sent too early")
    };
    assert_eq!(until, later + DELAY);
}

/// A long event takes half of the queue, so it need not wait for more. A short one takes its place while the rate lets none go.
#[test]
fn the_delay_of_a_batch_counts_from_when_a_worker_was_free_for_it_though_it_was_full() {
    let rate = Rate::new(1, Duration::from_secs(1)).unwrap();
    let config = Config { batch_delay: DELAY, on_full: OnFull::DropOldest, rate, ..batches(3) };
    let core = Core::new(config, vec![0; 80], 1);
    swap(&core);
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    let emit = |data: &str| core.emit(&event, data, &mut [0; 200]).unwrap();
    let next = |now| core.next(now, PilotFormat::BOUND, &mut [0; BUFFER]).0;
    let long = "x".repeat(30);
    emit(&long);
    let (mut first, _) = take(&core);
    finish(&core, &mut first, 204);
    emit(&long);
    let go = NOW + Duration::from_secs(1);
    assert!(matches!(next(NOW), Next::Wait(at) if at == go));
    emit("");
    assert_eq!((core.stats().dropped, core.stats().queued), (1, 1));
    assert!(matches!(next(go), Next::Attempt(batch) if batch.event_id() == 3));
}

#[test]
fn the_delay_of_a_batch_begins_when_a_message_has_ended_where_no_more_may_be_under_way() {
    let core = core(Config { batch_delay: DELAY, max_in_flight: 1, ..batches(3) });
    emit(&core, 3);
    let (mut first, _) = take(&core);
    emit(&core, 1);
    let next = |now| core.next(now, PilotFormat::BOUND, &mut [0; BUFFER]).0;
    assert!(matches!(next(NOW), Next::Idle(None)));
    finish(&core, &mut first, 204);
    let later = NOW + DELAY;
    assert!(matches!(next(later), Next::Wait(at) if at == later + DELAY));
}

/// Then who waits is woken when a place is free, and need not wait for the rate first.
#[test]
fn the_delay_of_a_batch_begins_with_a_free_place_also_while_the_rate_lets_nothing_go() {
    let rate = Rate::new(1, Duration::from_secs(1)).unwrap();
    let core = core(Config { batch_delay: DELAY, max_in_flight: 1, rate, ..batches(3) });
    emit(&core, 3);
    let (mut first, _) = take(&core);
    emit(&core, 1);
    let next = |now| core.next(now, PilotFormat::BOUND, &mut [0; BUFFER]);
    let (idle, seen) = next(NOW);
    assert!(matches!(idle, Next::Idle(None)));
    let mut work = pin!(core.work(seen));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(work.as_mut().poll(&mut cx).is_pending());
    finish(&core, &mut first, 204);
    assert!(work.poll(&mut cx).is_ready());
    assert!(matches!(next(NOW).0, Next::Wait(at) if at == NOW + DELAY));
    let go = NOW + Duration::from_secs(1);
    assert!(matches!(next(NOW + DELAY).0, Next::Wait(at) if at == go));
    assert!(matches!(next(go).0, Next::Attempt(_)));
}

/// The event that comes takes the place of one that waited, which is no news for who waits for the rate.
#[test]
fn without_batches_their_delay_wakes_nobody() {
    let rate = Rate::new(1, Duration::from_secs(1)).unwrap();
    let on_full = OnFull::DropOldest;
    let core = core(Config { batch_delay: DELAY, on_full, rate, capacity: 1, ..batches(1) });
    emit(&core, 1);
    let (mut first, _) = take(&core);
    finish(&core, &mut first, 204);
    emit(&core, 1);
    let (next, seen) = core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]);
    assert!(matches!(next, Next::Wait(_)));
    emit(&core, 1);
    assert_eq!(core.stats().dropped, 1);
    let changed = pin!(core.changed(seen));
    assert!(changed.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_drain_does_not_wait_for_a_batch_to_fill() {
    let core = core(Config { batch_delay: DELAY, ..batches(3) });
    emit(&core, 1);
    assert!(matches!(core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]).0, Next::Wait(_)));
    core.clear(NOW);
    assert_eq!(take(&core).1, array([1]));
}

//! Several who wait in one list: none keeps another awake, and none takes another's wake-up.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{Config, Instant, OnFull, Timestamp};

use super::{BODY, Core, Task, come_to_rest, core, emit, endpoint, event, fail, lease, seen};

/// With one slot, the two took turns in it and kept the processor busy for the whole drain.
#[test]
fn a_worker_and_one_who_waits_for_the_close_do_not_keep_each_other_awake() {
    let core = core::<1>(Config::DEFAULT, 1_000);
    let (worker, closer) = (Task::default(), Task::default());
    let mut attempt = pin!(core.changed(seen(&core)));
    let mut closed = pin!(core.closed());
    worker.starts(&mut attempt);
    closer.starts(&mut closed);
    assert!(come_to_rest((&worker, &mut attempt), (&closer, &mut closed)));
}

#[test]
fn an_emitter_and_one_who_waits_for_the_drain_do_not_keep_each_other_awake() {
    let core = core::<1>(Config { capacity: 1, ..Config::DEFAULT }, 1_000);
    emit(&core, 1);
    let (emitter, watcher) = (Task::default(), Task::default());
    let mut scratch = [0; BODY];
    let event = event();
    let mut emitting = pin!(core.emit_when_room(&event, "x", &mut scratch));
    let mut drained = pin!(core.drained());
    emitter.starts(&mut emitting);
    watcher.starts(&mut drained);
    assert!(come_to_rest((&emitter, &mut emitting), (&watcher, &mut drained)));
}

/// A worker that panicked in an attempt left its waker behind. The others took turns in the slots
/// that were left.
#[test]
fn the_waker_of_a_task_that_is_no_more_keeps_nobody_awake() {
    let core = core::<2>(Config::DEFAULT, 1_000);
    let (one, gone, two) = (Task::default(), Task::default(), Task::default());
    gone.starts(&mut pin!(core.changed(seen(&core))));
    let mut first = pin!(core.changed(seen(&core)));
    one.starts(&mut first);
    let mut second = pin!(core.changed(seen(&core)));
    two.starts(&mut second);
    assert!(come_to_rest((&one, &mut first), (&two, &mut second)));
    core.clear(Instant::default());
    assert_eq!((one.wakes(), two.wakes()), (1, 1));
}

/// Every failure set a `Retry-After` of no length, which was a change like any other.
#[test]
fn a_failed_attempt_wakes_no_other_worker() {
    let core = core::<2>(Config::DEFAULT, 1_000);
    let idle = Task::default();
    emit(&core, 1);
    let mut delivery = lease(&core);
    let mut work = pin!(core.work(seen(&core)));
    idle.starts(&mut work);
    fail(&core, &mut delivery);
    assert_eq!(idle.wakes(), 0);
    // The one that comes back to its place does.
    core.swap(endpoint()).unwrap();
    assert_eq!(idle.wakes(), 1);
}

/// They share a waker, and the first one's end took the second one's place in the line.
#[test]
fn two_workers_in_one_task_have_two_places_in_the_line() {
    let core = core::<2>(Config::DEFAULT, 1_000);
    let task = Task::default();
    let mut first = Box::pin(core.work(seen(&core)));
    let mut second = pin!(core.work(seen(&core)));
    task.starts(&mut first.as_mut());
    task.starts(&mut second);
    drop(first);
    emit(&core, 1);
    assert_eq!(task.wakes(), 1);
}

#[test]
fn a_worker_that_moved_to_another_task_is_woken_there() {
    let core = core::<4>(Config::DEFAULT, 1_000);
    let (before, after, other) = (Task::default(), Task::default(), Task::default());
    let mut passes_by = Box::pin(core.work(seen(&core)));
    other.starts(&mut passes_by.as_mut());
    let mut work = pin!(core.work(seen(&core)));
    before.starts(&mut work);
    after.starts(&mut work);
    drop(passes_by);
    emit(&core, 1);
    assert_eq!((before.wakes(), after.wakes()), (0, 1));
}

/// They share a waker, and the one that got in took it along.
#[test]
fn two_emitters_in_one_task_both_hear_of_room() {
    let core = core::<1>(Config::DEFAULT, 230);
    emit(&core, 100);
    let task = Task::default();
    let (mut scratch, mut further) = ([0; BODY], [0; BODY]);
    let (event, long) = (event(), "x".repeat(100));
    let mut large = pin!(core.emit_when_room(&event, long.as_str(), &mut scratch));
    let mut small = pin!(core.emit_when_room(&event, "x", &mut further));
    task.starts(&mut large);
    assert!(task.poll(&mut small).is_ready());
    let mut delivery = lease(&core);
    let result = Ok(Response::status(200).into());
    core.finish(&mut delivery, result, Instant::default(), Timestamp::UNIX_EPOCH);
    assert!(task.wakes() > 0);
}

/// A large event was dropped for a small one: as many events as before, but room.
#[test]
fn room_in_bytes_is_room() {
    let core = core::<1>(Config { on_full: OnFull::DropOldest, ..Config::DEFAULT }, 260);
    for length in [150, 1] {
        emit(&core, length);
    }
    let task = Task::default();
    let mut scratch = [0; BODY];
    let event = event();
    let data = "x".repeat(60);
    let mut emitting = pin!(core.emit_when_room(&event, data.as_str(), &mut scratch));
    task.starts(&mut emitting);
    emit(&core, 1);
    assert_eq!(core.stats().dropped, 1);
    assert!(task.wakes() > 0);
    assert_eq!(task.poll(&mut emitting), Poll::Ready(Ok(Some(4))));
}

thread_local! {
    static SHARED: Rc<Core<2>> = Rc::new(core(Config::DEFAULT, 1_000));
}

/// A task that, when woken, runs at once and waits again: another core's, or of a higher priority.
struct Eager;

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        SHARED.with(|core| {
            let waker = Waker::from(Arc::clone(&self));
            let mut again = pin!(core.changed(seen(core)));
            assert!(again.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        });
    }
}

/// It was woken once more in the other's place.
#[test]
fn a_task_that_comes_back_at_once_does_not_take_anothers_wake_up() {
    let core = SHARED.with(Rc::clone);
    let patient = Task::default();
    let mut changed = pin!(core.changed(seen(&core)));
    patient.starts(&mut changed);
    let waker = Waker::from(Arc::new(Eager));
    let mut eager = pin!(core.changed(seen(&core)));
    assert!(eager.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    core.clear(Instant::default());
    assert_eq!(patient.wakes(), 1);
}

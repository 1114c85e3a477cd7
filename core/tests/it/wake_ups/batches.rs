//! Workers that wait for a batch to fill.

use std::pin::pin;
use std::time::Duration;

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{Config, Instant, Next, PilotFormat, Seen, Timestamp};

use super::{Core, Task, core, emit, seen};

/// For three events with a letter each.
const THREE: usize = PilotFormat::BOUND.buffer(3, 18);

/// Batches of three, which wait for more.
fn batches() -> Core<2> {
    let batch_delay = Duration::from_secs(1);
    core(Config { batch: 3, batch_delay, ..Config::DEFAULT }, 1_000)
}

/// What a worker with a buffer this long sees when it is told to wait for a batch to fill.
#[track_caller]
fn told_to_wait(core: &Core<2>, buffer: usize) -> Seen {
    let (next, seen) = core.next(Instant::default(), PilotFormat::BOUND, &mut vec![0; buffer]);
    assert!(matches!(next, Next::Wait(_)), "{next:?}");
    seen
}

#[test]
fn a_worker_that_waits_for_a_batch_sleeps_until_it_is_full() {
    let core = batches();
    emit(&core, 1);
    let mut full = pin!(core.changed(told_to_wait(&core, THREE)));
    let worker = Task::default();
    worker.starts(&mut full);
    emit(&core, 1);
    assert_eq!(worker.wakes(), 0, "not for each event");
    emit(&core, 1);
    assert_eq!(worker.wakes(), 1);
    assert!(worker.poll(&mut full).is_ready());
}

/// A worker with a short buffer found the batch full and took it; the other one slept on, and the
/// next batch filled unseen.
#[test]
fn a_worker_that_waits_for_a_batch_hears_that_another_took_it() {
    let core = batches();
    emit(&core, 1);
    let mut full = pin!(core.changed(told_to_wait(&core, THREE)));
    let worker = Task::default();
    worker.starts(&mut full);
    // Long enough for the one event.
    let mut body = [0; PilotFormat::BOUND.buffer(1, 6)];
    assert!(matches!(
        core.next(Instant::default(), PilotFormat::BOUND, &mut body).0,
        Next::Attempt(_)
    ));
    assert_eq!(worker.wakes(), 1);
}

/// The worker that waited for a longer batch slept on.
#[test]
fn a_worker_that_waits_for_a_batch_hears_that_a_shorter_one_will_do() {
    let core = batches();
    (0..3).for_each(|_| emit(&core, 1));
    let mut batch = match core.next(Instant::default(), PilotFormat::BOUND, &mut [0; 4 * THREE]).0 {
        Next::Attempt(delivery) => delivery,
        other => panic!("{other:?}"),
    };
    emit(&core, 1);
    let mut full = pin!(core.changed(told_to_wait(&core, 4 * THREE)));
    let worker = Task::default();
    worker.starts(&mut full);
    let too_large = Ok(Response::status(413).into());
    core.finish(&mut batch, too_large, Instant::default(), Timestamp::UNIX_EPOCH);
    assert_eq!(worker.wakes(), 1);
}

#[test]
fn a_batch_that_comes_back_wakes_all_who_wait_for_an_event() {
    let core = core::<3>(Config { batch: 3, ..Config::DEFAULT }, 1_000);
    (0..3).for_each(|_| emit(&core, 1));
    let mut batch = match core.next(Instant::default(), PilotFormat::BOUND, &mut [0; 4 * THREE]).0 {
        Next::Attempt(delivery) => delivery,
        other => panic!("{other:?}"),
    };
    let (one, two) = (Task::default(), Task::default());
    let (mut first, mut second) = (pin!(core.work(seen(&core))), pin!(core.work(seen(&core))));
    one.starts(&mut first);
    two.starts(&mut second);
    core.release(&mut batch);
    assert_eq!((one.wakes(), two.wakes()), (1, 1));
}

//! Who is woken, and who is not: tasks that are polled by hand, with wakers that count.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock, Config, Delivery, Dispatcher, EmitError, EncodeError, Encoding, EndpointBuf, ErrorKind,
    Event, Instant, Message, Next, OnFull, PilotFormat, Policy, Reply, RetryAfter, Seen, Timestamp,
    Transport, run,
};

const BODY: usize = 256;
/// For an event of any length that is emitted here.
const BUFFER: usize = PilotFormat::BOUND.buffer(1, BODY);
/// For three events with a letter each.
const THREE: usize = PilotFormat::BOUND.buffer(3, 18);
const AFTER: Instant = Instant::from_micros(1);

type Core<const WORKERS: usize> = Dispatcher<NoopRawMutex, Vec<u8>, EndpointBuf<64>, (), WORKERS>;

/// A dispatcher with an endpoint.
fn core<const WORKERS: usize>(config: Config, bytes: usize) -> Core<WORKERS> {
    let max_in_flight = u16::try_from(WORKERS).unwrap();
    let config = Config { max_event_bytes: BODY, max_in_flight, ..config };
    let core = Core::new(config, vec![0; bytes], 1);
    core.swap(endpoint()).unwrap();
    core
}

fn endpoint() -> EndpointBuf<64> {
    EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap()
}

fn event() -> Event<'static> {
    Event::new("t", 1, Timestamp::UNIX_EPOCH)
}

#[track_caller]
fn emit<const WORKERS: usize>(core: &Core<WORKERS>, length: usize) {
    core.emit(&event(), "x".repeat(length).as_str(), &mut [0; BODY]).unwrap();
}

fn seen<const WORKERS: usize>(core: &Core<WORKERS>) -> Seen {
    core.next(Instant::default(), PilotFormat::BOUND, &mut []).1
}

#[track_caller]
fn lease<const WORKERS: usize>(core: &Core<WORKERS>) -> Delivery {
    match core.next(Instant::default(), PilotFormat::BOUND, &mut [0; BUFFER]).0 {
        Next::Attempt(delivery) => delivery,
        other => panic!("{other:?}"),
    }
}

fn fail<const WORKERS: usize>(core: &Core<WORKERS>, delivery: &mut Delivery) {
    let result = Err(ErrorKind::Connect);
    core.finish(delivery, result, Instant::from_micros(1), Timestamp::UNIX_EPOCH);
}

/// A task that counts how often it was woken since it was last asked.
#[derive(Clone, Default)]
struct Task(Arc<Count>);

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Task {
    fn poll<F: Future>(&self, future: &mut Pin<&mut F>) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.0));
        future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    #[track_caller]
    fn starts<F: Future>(&self, future: &mut Pin<&mut F>) {
        assert!(self.poll(future).is_pending());
    }

    fn wakes(&self) -> usize {
        self.0.0.swap(0, Relaxed)
    }
}

/// Polls two tasks whenever they were woken, and says whether they come to rest.
fn come_to_rest<F: Future, G: Future>(
    (task, future): (&Task, &mut Pin<&mut F>),
    (other, further): (&Task, &mut Pin<&mut G>),
) -> bool {
    (0..20).any(|_| {
        let woken = (task.wakes() > 0, other.wakes() > 0);
        if woken.0 {
            task.starts(future);
        }
        if woken.1 {
            other.starts(further);
        }
        woken == (false, false)
    })
}

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

/// A clock whose sleepers are polled by hand.
#[derive(Default)]
struct ByHand(Cell<u64>);

impl Clock for ByHand {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.get())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn sleep_until(&self, deadline: Instant) {
        std::future::poll_fn(
            |_| {
                if self.now() >= deadline { Poll::Ready(()) } else { Poll::Pending }
            },
        )
        .await;
    }
}

/// A receiver that never answers.
struct Silent<'a>(&'a RefCell<u32>);

impl Transport<EndpointBuf<64>> for Silent<'_> {
    type Error = ErrorKind;

    async fn send(&mut self, _: &EndpointBuf<64>, _: &Message<'_>) -> Result<Reply, ErrorKind> {
        *self.0.borrow_mut() += 1;
        pending().await
    }
}

/// Two workers and a receiver that has just asked for ten quiet seconds. `check` gets the core, the
/// tasks of the two, and a way to drop the first or poll a worker.
fn quiet_for_ten_seconds(
    check: impl FnOnce(&Core<2>, &ByHand, [&Task; 2], &mut dyn FnMut(usize), &mut dyn FnMut()),
) -> u32 {
    let core = core::<2>(Config { max_attempts: 1, ..Config::DEFAULT }, 1_000);
    let clock = ByHand::default();
    let posts = RefCell::new(0);
    emit(&core, 1);
    let mut delivery = lease(&core);
    let retry_after = Some(RetryAfter::Delay(Duration::from_secs(10)));
    let result = Ok(Response { status: 503, retry_after }.into());
    core.finish(&mut delivery, result, clock.now(), Timestamp::UNIX_EPOCH);

    let tasks = [Task::default(), Task::default()];
    let worker = || {
        let (core, clock, posts) = (&core, &clock, &posts);
        let mut body = [0; BUFFER];
        let future = async move {
            run(core, &mut Silent(posts), clock, Encoding::PILOT, &mut body).await;
        };
        Box::pin(future)
    };
    let workers = RefCell::new([Some(worker()), Some(worker())]);
    let mut poll = |n: usize| {
        tasks[n].wakes();
        if let Some(worker) = &mut workers.borrow_mut()[n] {
            tasks[n].starts(&mut worker.as_mut());
        }
    };
    poll(0);
    poll(1);
    let mut vanish = || {
        workers.borrow_mut()[1] = None;
    };
    check(&core, &clock, [&tasks[0], &tasks[1]], &mut poll, &mut vanish);
    posts.take()
}

/// The first event's worker waited in the line still, and took the second event's wake-up as well:
/// the second event went out only when the first was over, though a worker was free.
#[test]
fn a_worker_that_waits_for_a_time_leaves_a_new_event_to_another() {
    let posts = quiet_for_ten_seconds(|core, clock, tasks, poll, _| {
        emit(core, 1);
        assert_eq!((tasks[0].wakes(), tasks[1].wakes()), (0, 1));
        poll(1);
        emit(core, 1);
        assert_eq!((tasks[0].wakes(), tasks[1].wakes()), (1, 0));
        poll(0);
        clock.0.set(10_000_000);
        poll(0);
        poll(1);
    });
    assert_eq!(posts, 2);
}

/// Nobody else knew of the event it waited with.
#[test]
fn a_worker_that_vanishes_while_it_waits_for_a_time_is_stood_in_for() {
    let posts = quiet_for_ten_seconds(|core, clock, tasks, poll, vanish| {
        emit(core, 1);
        poll(1);
        vanish();
        assert_eq!(tasks[0].wakes(), 1);
        poll(0);
        clock.0.set(10_000_000);
        poll(0);
    });
    assert_eq!(posts, 1);
}

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
    task.starts(&mut pin!(core.closed()));
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

/// Two events were due while the one message that a slow start allows was under way; when that ended, its
/// worker took one of them, and nobody took the other.
#[test]
fn what_a_slow_start_held_up_goes_out_when_there_is_a_place() {
    let core = core::<8>(Config { circuit_threshold: 1, ..Config::DEFAULT }, 1_000);
    let take = |now| match core.next(now, PilotFormat::BOUND, &mut [0; BUFFER]).0 {
        Next::Attempt(delivery) => delivery,
        other => panic!("{other:?}"),
    };
    let end = |mut delivery, status, now| {
        let result = Ok(Response::status(status).into());
        core.finish(&mut delivery, result, now, Timestamp::UNIX_EPOCH);
    };
    emit(&core, 1);
    let mut now = AFTER;
    for _ in 0..3 {
        let delivery = take(now);
        assert_eq!(delivery.event_id(), 1);
        end(delivery, 500, now);
        now = now + Duration::from_secs(10);
    }
    now = now + core.config().circuit_cooldown;
    (0..3).for_each(|_| emit(&core, 1));
    // The probe.
    end(take(now), 200, now);
    end(take(now), 500, now);
    end(take(now), 500, now);
    emit(&core, 1);
    let under_way = take(now);
    let later = now + Duration::from_secs(4);
    let (next, seen) = core.next(later, PilotFormat::BOUND, &mut [0; BUFFER]);
    assert!(matches!(next, Next::Idle(None)), "{next:?}");
    let idle = Task::default();
    let mut work = pin!(core.work(seen));
    idle.starts(&mut work);
    end(under_way, 200, later);
    assert_eq!(idle.wakes(), 1);
}

/// A slow start had no place for a message while one from before it was under way, so an event woke nobody,
/// though the breaker had opened again and could be probed.
#[test]
fn a_probe_needs_no_place_in_flight() {
    let config = Config { max_attempts: 1, circuit_threshold: 1, ..Config::DEFAULT };
    let core = core::<3>(Config { circuit_cooldown: Duration::ZERO, ..config }, 1_000);
    (0..4).for_each(|_| emit(&core, 1));
    let (mut one, mut two, _three) = (lease(&core), lease(&core), lease(&core));
    fail(&core, &mut one);
    let mut probe = match core.next(AFTER, PilotFormat::BOUND, &mut [0; BUFFER]).0 {
        Next::Attempt(delivery) => delivery,
        other => panic!("{other:?}"),
    };
    let accepted = Ok(Response::status(200).into());
    core.finish(&mut probe, accepted, AFTER, Timestamp::UNIX_EPOCH);
    fail(&core, &mut two);
    let (next, seen) = core.next(AFTER, PilotFormat::BOUND, &mut [0; BUFFER]);
    assert!(matches!(next, Next::Idle(None)), "{next:?}");
    let idle = Task::default();
    let mut work = pin!(core.work(seen));
    idle.starts(&mut work);
    emit(&core, 1);
    assert_eq!(idle.wakes(), 1);
}

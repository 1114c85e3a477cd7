//! Workers that wait for a time.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock, Config, Encoding, EndpointBuf, ErrorKind, Instant, Message, Next, PilotFormat, Reply,
    RetryAfter, Timestamp, Transport, run,
};

use super::{AFTER, BUFFER, Core, Task, core, emit, fail, lease};

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

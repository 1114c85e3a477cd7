//! Workers that wait for a time.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::task::Poll;
use std::time::Duration;

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock, Config, Encoding, EndpointBuf, ErrorKind, Instant, Message, Reply, RetryAfter,
    Timestamp, Transport, run,
};

use crate::{BUFFER, Core, Task, core, emit, lease};

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

//! Delivering allocates nothing, whatever becomes of the events. Alone in its process, because it
//! counts allocations.
#![allow(clippy::unwrap_used, reason = "a failed test says where and why at once")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{Future, pending};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock, Config, Dispatcher, Encoding, EndpointBuf, ErrorKind, Event, Instant, Message, OnOpen,
    PilotFormat, Policy, Reply, RetryAfter, Secret, Timestamp, Transport, run,
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it is.
#[allow(unsafe_code, reason = "an allocator is unsafe to implement; see SAFETY")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Answers in memory: by turns well, ill, not at all, and in ways that end an event.
#[derive(Default)]
struct Script {
    posts: usize,
}

impl Transport<EndpointBuf<64>> for Script {
    type Error = ErrorKind;

    async fn send(
        &mut self,
        _: &EndpointBuf<64>,
        _request: &Message<'_>,
    ) -> Result<Reply, ErrorKind> {
        self.posts += 1;
        match self.posts % 11 {
            0 => Ok(Response::status(503).into()),
            3 => Err(ErrorKind::Disconnected),
            4 => pending().await,
            6 => Ok(Response::status(404).into()),
            8 => Ok(Response { status: 429, retry_after: RetryAfter::parse(b"2") }.into()),
            _ => Ok(Response::status(204).into()),
        }
    }
}

/// Time that is as late as whoever sleeps wants it.
#[derive(Default)]
struct Time(Cell<Instant>);

impl Clock for Time {
    fn now(&self) -> Instant {
        self.0.get()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    async fn sleep_until(&self, deadline: Instant) {
        self.0.set(deadline.max(self.now()));
    }
}

#[test]
fn emitting_delivering_and_retrying_allocates_nothing() {
    const EVENTS: u64 = 5_000;
    let config = Config { on_open: OnOpen::Hold, ..Config::DEFAULT };
    let dispatcher = Dispatcher::<NoopRawMutex, _, EndpointBuf<64>>::new(config, vec![0; 8_192], 1);
    dispatcher.swap(EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap()).unwrap();
    let secret = Secret::new(b"hush").unwrap();
    let encoding = Encoding { signer: &secret, ..Encoding::PILOT };
    let (mut script, time) = (Script::default(), Time::default());
    let (mut body, mut scratch) = (vec![0; PilotFormat::BOUND.buffer(1, 512)], [0; 512]);
    let mut context = Context::from_waker(Waker::noop());

    let before = ALLOCATIONS.get();
    {
        let mut worker = pin!(run(&dispatcher, &mut script, &time, encoding, &mut body));
        for n in 0..EVENTS {
            let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
            dispatcher.emit(&event, &("peer", n), &mut scratch).unwrap();
            // So that the queue is now short, now long.
            if n % 20 == 0 {
                assert!(worker.as_mut().poll(&mut context).is_pending());
            }
        }
        assert!(worker.as_mut().poll(&mut context).is_pending());
    }
    let allocations = ALLOCATIONS.get() - before;

    let stats = dispatcher.stats();
    assert!(stats.is_balanced(), "{stats:?}");
    assert_eq!((stats.emitted, stats.queued, stats.in_flight), (EVENTS, 0, 0));
    assert!(stats.attempts > EVENTS + EVENTS / 3, "the script retries: {stats:?}");
    assert!(stats.rejected > EVENTS / 20, "{stats:?}");
    assert!(time.now() > Instant::default() + Duration::from_secs(3_600), "it waited");
    assert_eq!(allocations, 0, "in {} attempts", stats.attempts);
}

/// The count counts.
#[test]
fn an_allocation_is_counted() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}

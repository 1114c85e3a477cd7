//! Who is woken, and who is not: tasks that are polled by hand, with wakers that count.

mod batches;
mod ends;
mod tasks;
mod times;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::{
    Config, Delivery, Dispatcher, EndpointBuf, ErrorKind, Event, Instant, Next, PilotFormat,
    Policy, Seen, Timestamp,
};

const BODY: usize = 256;
/// For an event of any length that is emitted here.
const BUFFER: usize = PilotFormat::BOUND.buffer(1, BODY);
const AFTER: Instant = Instant::from_micros(1);

type Core<const SLOTS: usize> = Dispatcher<NoopRawMutex, Vec<u8>, EndpointBuf<64>, (), SLOTS>;

/// A dispatcher with an endpoint.
fn core<const SLOTS: usize>(config: Config, bytes: usize) -> Core<SLOTS> {
    let max_in_flight = u16::try_from(SLOTS).unwrap();
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
fn emit<const SLOTS: usize>(core: &Core<SLOTS>, length: usize) {
    core.emit(&event(), "x".repeat(length).as_str(), &mut [0; BODY]).unwrap();
}

fn seen<const SLOTS: usize>(core: &Core<SLOTS>) -> Seen {
    core.next(Instant::default(), PilotFormat::BOUND, &mut []).1
}

#[track_caller]
fn lease<const SLOTS: usize>(core: &Core<SLOTS>) -> Delivery {
    match core.next(Instant::default(), PilotFormat::BOUND, &mut [0; BUFFER]).0 {
        Next::Attempt(delivery) => delivery,
        other => panic!("{other:?}"),
    }
}

fn fail<const SLOTS: usize>(core: &Core<SLOTS>, delivery: &mut Delivery) {
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

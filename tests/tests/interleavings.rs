//! Every interleaving of a few threads on one dispatcher, by loom: no lost wake-up, no deadlock,
//! no torn counters.
//!
//! What is explored: all shared state but one hint is behind the dispatcher's raw mutex, which is
//! loom's here, and all waiting is through wakers, which are loom's too. Between the points where a
//! thread takes or gives up the mutex, wakes, sleeps or ends, nothing is shared, so the schedules
//! that loom tries are all that differ, up to the bound on preemptions below (switches away from a
//! thread that could go on; those from a thread that waits are free).
//!
//! What is not: weak memory. The hint (`refusing`, an atomic read outside the lock) has the value
//! of the thread that ran last. A stale one is harmless whichever way it is wrong, as the code is:
//! `emit` asks again under the lock before it refuses, and `push` decides under the lock anyway.
//!
//! A thread that waits for a wake-up that nobody sends is a deadlock to loom. It fails the test,
//! and often the whole process with it (what is dropped then asks loom for the mutex): the first
//! panic names the test. Therefore, and as loom's threads change the process's panic hook and its
//! signal handlers, this is a program of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::RawMutex;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock, Config, Dispatcher, EmitError, Encoding, EndpointBuf, ErrorKind, Event, Instant,
    Message, PilotFormat, Policy, Reply, Timestamp, Transport, run,
};

/// The raw mutex, for loom to see. It is made when it is first taken: loom's is not `const`.
struct LoomRawMutex(OnceLock<loom::sync::Mutex<()>>);

// SAFETY: `lock` runs `f` while holding the one mutex of this object.
unsafe impl RawMutex for LoomRawMutex {
    #[allow(clippy::declare_interior_mutable_const, reason = "the trait asks for it")]
    const INIT: Self = Self(OnceLock::new());

    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let mutex = self.0.get_or_init(|| loom::sync::Mutex::new(()));
        let _guard = mutex.lock().unwrap();
        f()
    }
}

type Core = Dispatcher<LoomRawMutex, Vec<u8>, EndpointBuf<64>, (), 2>;

const BODY: usize = 128;
const BUFFER: usize = PilotFormat::BOUND.buffer(1, BODY);

/// Time stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant::default()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn sleep_until(&self, _: Instant) -> impl Future<Output = ()> {
        pending()
    }
}

/// Answers 200 at once, but for `/1` if `hangs`: a post there never ends.
struct Answers {
    hangs: bool,
}

impl Transport<EndpointBuf<64>> for Answers {
    type Error = ErrorKind;

    async fn send(&mut self, to: &EndpointBuf<64>, _: &Message<'_>) -> Result<Reply, ErrorKind> {
        if self.hangs && to.get().target() == "/1" {
            pending::<()>().await;
        }
        Ok(Response::status(200).into())
    }
}

fn endpoint(number: u32) -> EndpointBuf<64> {
    EndpointBuf::parse(&format!("http://127.0.0.1/{number}"), Policy::default()).unwrap()
}

fn core(capacity: u32) -> Arc<Core> {
    core_of(Config { capacity, ..Config::DEFAULT })
}

fn core_of(config: Config) -> Arc<Core> {
    let config = Config { max_event_bytes: BODY, ..config };
    let core = Arc::new(Core::new(config, vec![0; 1_000], 1));
    core.swap(endpoint(1)).unwrap();
    core
}

const EVENT: Event<'static> = Event::new("t", 1, Timestamp::UNIX_EPOCH);

fn emit(core: &Core) -> Result<Option<u64>, EmitError> {
    core.emit(&EVENT, &(), &mut [0; BODY])
}

async fn work(core: &Core, hangs: bool) {
    run(core, &mut Answers { hangs }, &Still, Encoding::PILOT, &mut [0; 3 * BUFFER]).await;
}

fn worker(core: &Arc<Core>, hangs: bool) -> thread::JoinHandle<()> {
    let core = Arc::clone(core);
    thread::spawn(move || block_on(work(&core, hangs)))
}

/// Runs `story` in every interleaving with at most `preemptions` (or `LOOM_MAX_PREEMPTIONS`), and
/// says how many there are.
fn explore(preemptions: usize, story: impl Fn() + Send + Sync + 'static) {
    let count = std::sync::Arc::new(AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&count);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 100_000;
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        story();
    });
    println!("{} interleavings", count.load(Relaxed));
}

#[test]
fn a_worker_an_emitter_and_a_close() {
    explore(3, || {
        let core = core(u32::MAX);
        let worker = worker(&core, false);
        emit(&core).unwrap();
        emit(&core).unwrap();
        core.close(Instant::default());
        block_on(core.closed());
        worker.join().unwrap();
        assert_eq!((core.stats().delivered, core.stats().emitted), (2, 2));
    });
}

#[test]
fn two_workers_and_a_drain() {
    explore(1, || {
        let core = core(u32::MAX);
        let workers = [worker(&core, false), worker(&core, false)];
        emit(&core).unwrap();
        emit(&core).unwrap();
        block_on(core.drained());
        assert_eq!(core.stats().delivered, 2);
        core.close(Instant::default());
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

#[test]
fn a_swap_reaches_two_workers_in_attempts() {
    explore(1, || {
        let core = core(u32::MAX);
        emit(&core).unwrap();
        emit(&core).unwrap();
        let workers = [worker(&core, true), worker(&core, true)];
        core.swap(endpoint(2)).unwrap();
        block_on(core.drained());
        core.close(Instant::default());
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_eq!(core.stats().delivered, 2);
    });
}

#[test]
fn a_swap_reaches_the_patient_and_one_that_comes_back_at_once() {
    explore(3, || {
        let core = core(u32::MAX);
        let watch = |again: bool| {
            let core = Arc::clone(&core);
            let (_, seen) = core.next(Instant::default(), PilotFormat::BOUND, &mut []);
            thread::spawn(move || {
                block_on(core.changed(seen));
                if again {
                    let (_, seen) = core.next(Instant::default(), PilotFormat::BOUND, &mut []);
                    let once = async {
                        let mut changed = pin!(core.changed(seen));
                        poll_fn(|cx| {
                            let _ = changed.as_mut().poll(cx);
                            Poll::Ready(())
                        })
                        .await;
                    };
                    block_on(once);
                }
            })
        };
        let watchers = [watch(true), watch(false)];
        core.swap(endpoint(2)).unwrap();
        watchers.into_iter().for_each(|watcher| watcher.join().unwrap());
    });
}

#[test]
fn an_emitter_that_waits_for_room_hears_of_it() {
    explore(2, || {
        let core = core(1);
        let worker = worker(&core, false);
        let mut scratch = [0; BODY];
        for id in 1..=2 {
            let answer = block_on(core.emit_when_room(&EVENT, &(), &mut scratch));
            assert_eq!(answer, Ok(Some(id)));
        }
        core.close(Instant::default());
        block_on(core.closed());
        worker.join().unwrap();
        assert_eq!((core.stats().delivered, core.stats().dropped), (2, 0));
    });
}

#[test]
fn an_emitter_that_waits_for_room_hears_of_the_close() {
    explore(3, || {
        let core = core(1);
        emit(&core).unwrap();
        let emitter = {
            let core = Arc::clone(&core);
            thread::spawn(move || block_on(core.emit_when_room(&EVENT, &(), &mut [0; BODY])))
        };
        core.close(Instant::default());
        assert_eq!(emitter.join().unwrap(), Err(EmitError::Closed));
    });
}

#[test]
fn a_worker_that_vanishes_is_stood_in_for() {
    explore(2, || {
        let core = core(u32::MAX);
        let worker = worker(&core, false);
        let vanishes = {
            let core = Arc::clone(&core);
            thread::spawn(move || {
                // It takes an event, or waits for one, and is dropped.
                let mut work = Box::pin(work(&core, true));
                let _ = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            })
        };
        emit(&core).unwrap();
        vanishes.join().unwrap();
        block_on(core.drained());
        core.close(Instant::default());
        worker.join().unwrap();
        assert_eq!(core.stats().delivered, 1);
    });
}

#[test]
fn the_law_holds_whenever_it_is_looked_at() {
    explore(3, || {
        let core = core(1);
        let worker = worker(&core, false);
        let reader = {
            let core = Arc::clone(&core);
            thread::spawn(move || assert!(core.stats().is_balanced()))
        };
        let _ = emit(&core);
        let _ = emit(&core);
        assert!(core.stats().is_balanced());
        core.close(Instant::default());
        assert!(core.stats().is_balanced());
        reader.join().unwrap();
        worker.join().unwrap();
        let stats = core.stats();
        assert_eq!((stats.emitted, stats.delivered + stats.dropped), (2, 2));
    });
}

/// Time stands still, so the delay of a batch never ends: it goes when it is full, or not at all.
#[test]
fn a_batch_that_gets_full_goes_whoever_looks_at_it_meanwhile() {
    explore(1, || {
        let batch_delay = Duration::from_secs(1);
        let core = core_of(Config { batch: 2, batch_delay, ..Config::DEFAULT });
        let workers = [worker(&core, false), worker(&core, false)];
        emit(&core).unwrap();
        emit(&core).unwrap();
        block_on(core.drained());
        assert_eq!((core.stats().delivered, core.stats().attempts), (2, 1));
        core.close(Instant::default());
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

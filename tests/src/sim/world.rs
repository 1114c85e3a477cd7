//! One simulated world: the real dispatcher, and the tasks around it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::{
    Clock, Dispatcher, Encoding, EndpointBuf, Event, Instant, Notice, Observer, Policy, Stats,
    Timestamp, run,
};

use super::executor::Boxed;
use super::ledger::Ledger;
use super::network::{Network, SimTransport};
use super::plan::{MAX_EVENT_BYTES, Plan};
use super::rng::Rng;
use super::time::{SimClock, micros};

pub(crate) type Core<const W: usize> =
    Dispatcher<NoopRawMutex, Vec<u8>, EndpointBuf<64>, Watcher, W>;

pub(crate) struct World<const W: usize> {
    pub(crate) core: Core<W>,
    pub(crate) clock: SimClock,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    /// The worker that is polled.
    current: Rc<Cell<usize>>,
    pub(crate) network: RefCell<Network>,
    pub(crate) http_timeout: u64,
}

/// The futures of one task's workers, from outside of it.
pub(crate) type Members = Rc<RefCell<Vec<(usize, Option<Boxed>)>>>;

const TOPIC: &str = "t";

impl<const W: usize> World<W> {
    pub(crate) fn new(plan: &Plan, traced: bool) -> Rc<Self> {
        let Plan { config, queue_bytes, timer_grain, .. } = *plan;
        let ledger = Ledger::new(config, queue_bytes, W, timer_grain, traced);
        let ledger = Rc::new(RefCell::new(ledger));
        let clock = SimClock::new(timer_grain);
        let current = Rc::default();
        let watcher = Watcher {
            ledger: Rc::clone(&ledger),
            clock: clock.clone(),
            worker: Rc::clone(&current),
        };
        Rc::new(Self {
            core: Core::with_observer(config, vec![0; queue_bytes], plan.seed, watcher),
            clock,
            ledger,
            current,
            network: RefCell::new(Network::new(plan.seed, plan.receiver_longest)),
            http_timeout: micros(plan.config.http_timeout),
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// After every step.
    pub(crate) fn check(&self) -> Stats {
        let stats = self.core.stats();
        self.ledger.borrow_mut().compare(&stats);
        stats
    }

    pub(crate) fn swap(&self) {
        let epoch = self.ledger.borrow().gate.epoch + 1;
        let url = format!("http://127.0.0.1/{epoch}");
        let is_ok = self.core.swap(EndpointBuf::parse(&url, Policy::default()).unwrap()).is_ok();
        self.ledger.borrow_mut().swap(is_ok);
    }

    pub(crate) fn emit(&self, data: &str) {
        let answer = self.core.emit(&event(), data, &mut [0; MAX_EVENT_BYTES]);
        self.ledger.borrow_mut().emitted(&tail(data), false, answer);
    }

    /// An emitter that waits for room.
    pub(crate) fn emitter(self: &Rc<Self>, serial: u64, data: String) -> Boxed {
        self.ledger.borrow_mut().waiting.insert(serial, tail(&data));
        let world = Rc::clone(self);
        Box::pin(async move {
            let mut scratch = [0; MAX_EVENT_BYTES];
            let answer = world.core.emit_when_room(&event(), data.as_str(), &mut scratch).await;
            let mut ledger = world.ledger.borrow_mut();
            ledger.waiting.remove(&serial);
            ledger.emitted(&tail(&data), true, answer);
        })
    }

    pub(crate) fn drained(self: &Rc<Self>) -> Boxed {
        self.ledger.borrow_mut().drained_waiters += 1;
        let world = Rc::clone(self);
        Box::pin(async move {
            world.core.drained().await;
            world.ledger.borrow_mut().drained_waiters -= 1;
        })
    }

    pub(crate) fn closed(self: &Rc<Self>) -> Boxed {
        self.ledger.borrow_mut().closed_waiters += 1;
        let world = Rc::clone(self);
        Box::pin(async move {
            world.core.closed().await;
            let mut ledger = world.ledger.borrow_mut();
            ledger.closed_waiters -= 1;
            if ledger.phase != super::ledger::Phase::Closed {
                ledger.fail("closed means closed", String::new());
            }
        })
    }

    /// A worker: core's own loop.
    pub(crate) fn worker(self: &Rc<Self>, worker: usize, buffer: usize) -> Boxed {
        self.ledger.borrow_mut().worker_starts(worker, buffer);
        let world = Rc::clone(self);
        Box::pin(async move {
            let mut transport = SimTransport { world: Rc::clone(&world), worker };
            let mut buffer = vec![0; buffer];
            let encoding = Encoding::PILOT;
            let running = run(&world.core, &mut transport, &world.clock, encoding, &mut buffer);
            let mut running = pin!(running);
            poll_fn(|cx| {
                world.current.set(worker);
                running.as_mut().poll(cx)
            })
            .await;
            let hand = &mut world.ledger.borrow_mut().hands[worker];
            (hand.is_alive, hand.is_done) = (false, true);
        })
    }

    /// A task that polls its members in an order of its own.
    pub(crate) fn crew(self: &Rc<Self>, members: Members, seed: u64) -> Boxed {
        let world = Rc::clone(self);
        let mut rng = Rng::new(seed, 3);
        Box::pin(poll_fn(move |cx| {
            let mut members = members.borrow_mut();
            let count = members.len();
            let first = rng.index(count);
            for n in 0..count {
                let (worker, future) = &mut members[(first + n) % count];
                let Some(running) = future else { continue };
                if running.as_mut().poll(cx).is_ready() {
                    *future = None;
                }
                let stats = world.core.stats();
                world.ledger.borrow_mut().reconcile(*worker, &stats, &[]);
                world.check();
            }
            Poll::Pending
        }))
    }
}

fn event() -> Event<'static> {
    Event::new(TOPIC, 7, Timestamp::UNIX_EPOCH)
}

/// What follows the event's id in its payload.
fn tail(data: &str) -> String {
    format!(
        ",\"event\":\"{TOPIC}\",\"node_id\":7,\"timestamp\":\"1970-01-01T00:00:00Z\",\"data\":\"{data}\"}}"
    )
}

/// Tells the ledger.
pub(crate) struct Watcher {
    ledger: Rc<RefCell<Ledger>>,
    clock: SimClock,
    worker: Rc<Cell<usize>>,
}

impl Observer for Watcher {
    fn notice(&self, notice: Notice<'_>) {
        let mut ledger = self.ledger.borrow_mut();
        match notice {
            Notice::Attempt { event_id, events, attempt, is_probe, result, .. } => {
                let wall = self.clock.wall();
                let attempt = (event_id, events, attempt, is_probe);
                ledger.attempt_ended(self.worker.get(), attempt, result.ok(), wall);
            }
            Notice::Settled { event_id, fate, .. } => ledger.is_told(event_id, fate),
            Notice::Breaker(state) => ledger.breaker_told = state,
            _ => {}
        }
    }
}

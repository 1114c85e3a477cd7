//! The delivery loop: the one async function between the decisions, a transport and a clock.

use core::fmt;
use core::pin::pin;

use embassy_futures::select::{Either3, select, select3};
use embassy_sync::blocking_mutex::raw::RawMutex;
use heapless::Vec;

use crate::clock::{Clock, Instant};
use crate::engine::breaker::BreakerState;
use crate::engine::delivery::{After, Delivery, Fate, Next};
use crate::engine::dispatcher::{Dispatcher, Seen};
use crate::event::{MESSAGE_ID_HEADER, MessageId};
use crate::format::pilot::BATCH_HEADER;
use crate::json::{DIGITS, decimal};
use crate::sign::SIGNATURE_HEADER;
use crate::transport::{ErrorKind, Message, Reply, Transport, TransportError};

/// Something worth a log line, told to the host as it happens.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// An attempt ended.
    Attempt {
        /// The event's id; a batch's first event's.
        event_id: u64,
        /// How many events there are in it.
        events: u32,
        /// The attempt's number, from 1.
        attempt: u8,
        /// Whether it was the breaker's probe.
        is_probe: bool,
        /// The answer, or the transport's own words for why there was none.
        result: Result<Reply, &'a dyn TransportError>,
    },
    /// An attempt's end was the end of an event's story, or of a batch's. Those that are skipped or
    /// abandoned while they wait are only counted.
    Settled {
        /// The event's id; a batch's first event's.
        event_id: u64,
        /// How many events there are in it.
        events: u32,
        /// How it ended.
        fate: Fate,
    },
    /// An attempt's end changed the breaker's state.
    Breaker(BreakerState),
}

/// Told of what happens. `()` does not listen.
pub trait Observer {
    /// Something happened. It is called between attempts: it must not block.
    fn notice(&mut self, notice: Notice<'_>);
}

impl Observer for () {
    fn notice(&mut self, _notice: Notice<'_>) {}
}

impl<O: Observer> Observer for &mut O {
    fn notice(&mut self, notice: Notice<'_>) {
        O::notice(self, notice);
    }
}

/// Delivers events until the dispatcher is closed and drained. One call is one POST in flight, of
/// one event or a batch; run it several times over one dispatcher for more, and the order of
/// delivery is lost.
///
/// `body` holds what is in flight; it must be as long as the longest event (for batches, 2 bytes
/// longer), and no batch is longer. Dropping the future
/// at any point loses nothing: the event goes back to its place in the queue. (The receiver may
/// have got it, and will then get it again.)
pub async fn run<M, B, To, T, C, O, const WORKERS: usize>(
    dispatcher: &Dispatcher<M, B, To, WORKERS>,
    transport: &mut T,
    clock: &C,
    observer: &mut O,
    body: &mut [u8],
) where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
    T: Transport<To>,
    To: Clone,
    C: Clock,
    O: Observer,
{
    let mut worker = Worker { dispatcher, transport, clock, observer, endpoint: None };
    loop {
        match dispatcher.next(clock.now(), body) {
            (Next::Attempt(delivery), _) => {
                let lease = Lease { dispatcher, delivery };
                let body = body.get(..lease.delivery.body_length()).unwrap_or_default();
                worker.deliver(lease, body).await;
            }
            // Nothing goes out before then, so it does not take the wake-up of a new event, which
            // is for a worker that waits for one.
            (Next::Wait(Some(until)), seen) => {
                let mut watch = Watch { dispatcher, is_over: false };
                worker.sleep(Some(until), seen).await;
                watch.is_over = true;
            }
            (Next::Wait(None), seen) => dispatcher.work(seen).await,
            (Next::Again, _) => {}
            (Next::Done, _) => return,
        }
    }
}

/// An event in the worker's hands. Whatever happens to the worker, the event goes back.
struct Lease<'d, M, B, To, const WORKERS: usize>
where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
{
    dispatcher: &'d Dispatcher<M, B, To, WORKERS>,
    delivery: Delivery,
}

impl<M, B, To, const WORKERS: usize> Drop for Lease<'_, M, B, To, WORKERS>
where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
{
    fn drop(&mut self) {
        self.dispatcher.release(&mut self.delivery);
    }
}

/// A worker that waits for the time when events go out again. When it vanishes, another one that
/// waits for an event asks for that time.
struct Watch<'d, M: RawMutex, B, To, const WORKERS: usize> {
    dispatcher: &'d Dispatcher<M, B, To, WORKERS>,
    is_over: bool,
}

impl<M: RawMutex, B, To, const WORKERS: usize> Drop for Watch<'_, M, B, To, WORKERS> {
    fn drop(&mut self) {
        if !self.is_over {
            self.dispatcher.wake_one();
        }
    }
}

struct Worker<'w, M: RawMutex, B, T, C, O, To, const WORKERS: usize> {
    dispatcher: &'w Dispatcher<M, B, To, WORKERS>,
    transport: &'w mut T,
    clock: &'w C,
    observer: &'w mut O,
    /// The endpoint as last seen, so that it is copied once for each swap.
    endpoint: Option<(u32, To)>,
}

impl<M, B, T, C, O, To, const WORKERS: usize> Worker<'_, M, B, T, C, O, To, WORKERS>
where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
    T: Transport<To>,
    To: Clone,
    C: Clock,
    O: Observer,
{
    /// One event's attempts, until it is settled or back in the queue.
    async fn deliver(&mut self, mut lease: Lease<'_, M, B, To, WORKERS>, body: &[u8]) {
        loop {
            match self.attempt(&mut lease.delivery, body).await {
                Some(After::Settled(_) | After::Returned) => return,
                Some(After::Retry(at)) => self.back_off(&lease.delivery, at).await,
                None => {}
            }
            loop {
                match self.dispatcher.retry(&mut lease.delivery, self.clock.now()) {
                    (Next::Attempt(()), _) => break,
                    (Next::Wait(until), seen) => self.sleep(until, seen).await,
                    (Next::Again | Next::Done, _) => return,
                }
            }
        }
    }

    async fn back_off(&mut self, delivery: &Delivery, at: Instant) {
        while let (Some(at), seen) = self.dispatcher.back_off(delivery, at) {
            if self.clock.now() >= at {
                return;
            }
            self.sleep(Some(at), seen).await;
        }
    }

    /// Until then, or until something changes. (`&mut`, so that a transport need not be `Sync` for the
    /// worker's future to be `Send`.)
    async fn sleep(&mut self, until: Option<Instant>, seen: Seen) {
        let changed = self.dispatcher.changed(seen);
        match until {
            Some(until) => {
                select(changed, self.clock.sleep_until(until)).await;
            }
            None => changed.await,
        }
    }

    /// One POST within its limit. `None` when a swap cancelled it.
    async fn attempt(&mut self, delivery: &mut Delivery, body: &[u8]) -> Option<After> {
        let started = self.clock.now();
        let epoch = Some(delivery.endpoint_epoch());
        if self.endpoint.as_ref().map(|(epoch, _)| *epoch) != epoch {
            self.endpoint = self.dispatcher.endpoint();
        }
        let (_, endpoint) = self.endpoint.as_ref().filter(|(known, _)| Some(*known) == epoch)?;
        let signature = self.dispatcher.secret().map(|secret| secret.sign(body));
        let mut digits = [0; DIGITS];
        // As many as can be: pushing them does not fail.
        let mut message_id = [0; MessageId::LENGTH];
        let mut headers = Vec::<_, 4>::new();
        let _ = headers.push(("Content-Type", "application/json"));
        let message_id = delivery.message_id().write(&mut message_id);
        let _ = headers.push((MESSAGE_ID_HEADER, message_id));
        if let Some(signature) = &signature {
            let _ = headers.push((SIGNATURE_HEADER, signature.as_str()));
        }
        if delivery.is_batch {
            let count = decimal(delivery.events().into(), &mut digits);
            let _ = headers.push((BATCH_HEADER, count));
        }
        let message = Message {
            id: delivery.message_id(),
            attempt: delivery.attempt(),
            fresh: delivery.attempt() > 1 || delivery.is_probe(),
            headers: &headers,
            body,
        };
        let mut sending = pin!(self.transport.send(endpoint, &message));
        let result = loop {
            let (limit, seen) = self.dispatcher.limit(delivery, started);
            let timeout = self.clock.sleep_until(limit?);
            match select3(sending.as_mut(), timeout, self.dispatcher.changed(seen)).await {
                Either3::First(result) => break result.map_err(Failure::Transport),
                Either3::Second(()) => break Err(Failure::Timeout),
                Either3::Third(()) => {}
            }
        };

        let breaker = self.dispatcher.breaker();
        let notice = Notice::Attempt {
            event_id: delivery.event_id(),
            events: delivery.events(),
            attempt: delivery.attempt(),
            is_probe: delivery.is_probe(),
            result: result.as_ref().copied().map_err(|error| error as &dyn TransportError),
        };
        self.observer.notice(notice);
        let result = result.map_err(|error| error.kind());
        let after = self.dispatcher.finish(delivery, result, self.clock.now(), self.clock.wall());
        if let After::Settled(fate) = after {
            let (event_id, events) = (delivery.event_id(), delivery.events());
            self.observer.notice(Notice::Settled { event_id, events, fate });
        }
        let now = self.dispatcher.breaker();
        if now != breaker {
            self.observer.notice(Notice::Breaker(now));
        }
        Some(after)
    }
}

/// Why an attempt had no answer.
enum Failure<E> {
    Transport(E),
    Timeout,
}

impl<E: TransportError> TransportError for Failure<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Transport(error) => error.kind(),
            Self::Timeout => ErrorKind::Timeout,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Timeout => ErrorKind::Timeout.fmt(f),
        }
    }
}

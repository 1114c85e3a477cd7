//! The delivery loop: the one async function between the decisions, a transport and a clock.

use core::fmt;
use core::mem;
use core::pin::pin;

use crate::clock::Clock;
use crate::engine::delivery::{After, Delivery, Fate, Next};
use crate::engine::dispatcher::Dispatcher;
use crate::engine::observer::{Notice, Observer};
use crate::format::Format;
use crate::format::pilot::PilotFormat;
use crate::queue::Events;
use crate::sign::{Signer, ToSign};
use crate::transport::{ErrorKind, Headers, Message, ROOM, Transport, TransportError};
use embassy_futures::select::{Either3, select, select3};
use embassy_sync::blocking_mutex::raw::RawMutex;

/// How an endpoint's events are encoded and signed.
#[derive(Clone, Copy)]
pub struct Encoding<'e> {
    /// Makes the body and its headers.
    pub format: &'e dyn Format,
    /// Proves who sent it.
    pub signer: &'e dyn Signer,
}

impl Encoding<'static> {
    /// The format of pilot's Go plugin, unsigned.
    pub const PILOT: Self = Self { format: &PilotFormat, signer: &() };
}

/// Delivers events until the dispatcher is closed and drained. One call is one message in flight, of
/// one event or a batch; run it several times over one dispatcher for more, and the order of
/// delivery is lost.
///
/// `buffer` holds the events in flight and their body. For an event whose topic and data have `t`
/// bytes as JSON it must have [`Bound::buffer(1, t)`](crate::Bound::buffer) bytes; an event for
/// which it is too short is settled as oversize. No batch is longer than it.
///
/// Dropping the future at any point loses nothing: the event goes back to its place in the queue.
/// (The receiver may have got it, and will then get it again.)
pub async fn run<M, B, To, T, C, O, const SLOTS: usize>(
    dispatcher: &Dispatcher<M, B, To, O, SLOTS>,
    transport: &mut T,
    clock: &C,
    encoding: Encoding<'_>,
    buffer: &mut [u8],
) where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
    T: Transport<To>,
    To: Clone,
    C: Clock,
    O: Observer,
{
    let mut worker = Worker { dispatcher, transport, clock, encoding, endpoint: None };
    let mut watch = Watch { dispatcher, is_on: false };
    let bound = encoding.format.bound();
    loop {
        match dispatcher.next(clock.now(), bound, buffer) {
            (Next::Attempt(delivery), _) => {
                watch.pass_on();
                let mut lease = Lease { dispatcher, delivery };
                let (events, mut body) = lease.delivery.split(buffer);
                let mut attempt = lease.delivery.attempt();
                let end = match encoding.format.encode(&events, &mut body) {
                    Ok(()) => worker.attempt(&mut lease.delivery, &events, body.finish()).await,
                    Err(_) => {
                        attempt = 0;
                        Some(worker.refuse(&mut lease.delivery))
                    }
                };
                if let Some(After::Settled(fate)) = end {
                    worker.tell(&events, fate, attempt);
                }
            }
            (Next::Idle(None), seen) => {
                watch.is_on = false;
                dispatcher.work(seen).await;
            }
            (Next::Idle(Some(until)), seen) => {
                watch.is_on = true;
                select(dispatcher.work(seen), clock.sleep_until(until)).await;
            }
            // Nothing goes out before then, so it does not take the wake-up of a new event, which
            // is for a worker that waits for one.
            (Next::Wait(until), seen) => {
                watch.is_on = true;
                select(dispatcher.changed(seen), clock.sleep_until(until)).await;
            }
            (Next::Again, _) => {}
            (Next::Done, _) => {
                watch.is_on = false;
                return;
            }
        }
    }
}

/// An event in the worker's hands. Whatever happens to the worker, the event goes back.
struct Lease<'d, M, B, To, O, const SLOTS: usize>
where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: Observer,
{
    dispatcher: &'d Dispatcher<M, B, To, O, SLOTS>,
    delivery: Delivery,
}

impl<M, B, To, O, const SLOTS: usize> Drop for Lease<'_, M, B, To, O, SLOTS>
where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: Observer,
{
    fn drop(&mut self) {
        self.dispatcher.release(&mut self.delivery);
    }
}

/// A worker that waits for the time when something goes out again. When it vanishes, or has something
/// else to do, another one that waits for an event asks for that time.
struct Watch<'d, M: RawMutex, B, To, O, const SLOTS: usize> {
    dispatcher: &'d Dispatcher<M, B, To, O, SLOTS>,
    is_on: bool,
}

impl<M: RawMutex, B, To, O, const SLOTS: usize> Watch<'_, M, B, To, O, SLOTS> {
    fn pass_on(&mut self) {
        if mem::take(&mut self.is_on) {
            self.dispatcher.pass_on(None);
        }
    }
}

impl<M: RawMutex, B, To, O, const SLOTS: usize> Drop for Watch<'_, M, B, To, O, SLOTS> {
    fn drop(&mut self) {
        self.pass_on();
    }
}

struct Worker<'w, M: RawMutex, B, T, C, To, O, const SLOTS: usize> {
    dispatcher: &'w Dispatcher<M, B, To, O, SLOTS>,
    transport: &'w mut T,
    clock: &'w C,
    encoding: Encoding<'w>,
    /// The endpoint as last seen, so that it is copied once for each swap.
    endpoint: Option<(u32, To)>,
}

impl<M, B, T, C, To, O, const SLOTS: usize> Worker<'_, M, B, T, C, To, O, SLOTS>
where
    M: RawMutex,
    B: AsRef<[u8]> + AsMut<[u8]>,
    T: Transport<To>,
    To: Clone,
    C: Clock,
    O: Observer,
{
    /// Settles a message that cannot be made.
    fn refuse(&self, delivery: &mut Delivery) -> After {
        self.dispatcher.refuse_message(delivery);
        After::Settled(Fate::Oversize)
    }

    /// Tells how each of the events ended.
    fn tell(&self, events: &Events<'_>, fate: Fate, attempt: u8) {
        let message = Some(events.id());
        for event_id in events.ids() {
            let notice = Notice::Settled { event_id, fate, message, attempt };
            self.dispatcher.observer().notice(notice);
        }
    }

    /// One attempt within its limit. `None` when a swap cancelled it.
    async fn attempt(
        &mut self,
        delivery: &mut Delivery,
        events: &Events<'_>,
        body: &[u8],
    ) -> Option<After> {
        let started = self.clock.now();
        let epoch = delivery.endpoint_epoch();
        if self.endpoint.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.dispatcher.copy_endpoint(&mut self.endpoint);
        }
        let (_, endpoint) = self.endpoint.as_ref().filter(|(known, _)| *known == epoch)?;
        let id = events.id();
        let mut room = [0; ROOM];
        let mut headers = Headers::new(&mut room);
        self.encoding.format.headers(events, &mut headers);
        {
            let wall = || self.clock.wall();
            let to_sign = ToSign { id, body, trace: events.trace(), wall: &wall };
            self.encoding.signer.sign(&to_sign, &mut headers);
        }
        let Some(headers) = headers.finish() else {
            return Some(self.refuse(delivery));
        };
        let message = Message {
            id,
            topic: events.topic(),
            attempt: delivery.attempt(),
            fresh: delivery.attempt() > 1 || delivery.is_probe(),
            headers,
            body,
        };
        let result = {
            let mut sending = pin!(self.transport.send(endpoint, &message));
            loop {
                let (limit, seen) = self.dispatcher.limit(delivery, started);
                let limit = limit?;
                let over = self.clock.sleep_until(limit);
                match select3(sending.as_mut(), over, self.dispatcher.changed(seen)).await {
                    Either3::First(result) => break result.map_err(Failure::Transport),
                    Either3::Second(()) => {
                        let is_cut = limit < started + self.dispatcher.config().http_timeout;
                        break Err(if is_cut { Failure::Cut } else { Failure::Timeout });
                    }
                    Either3::Third(()) => {}
                }
            }
        };

        let (now, wall) = (self.clock.now(), self.clock.wall());
        let notice = Notice::Attempt {
            event_id: delivery.event_id(),
            events: delivery.events(),
            attempt: delivery.attempt(),
            is_probe: delivery.is_probe(),
            result: result.as_ref().copied().map_err(|error| error as &dyn TransportError),
            message: &message,
            contents: events,
            took: now.saturating_since(started),
            ended: wall,
            answer: if result.is_ok() { self.transport.answer() } else { &[] },
        };
        self.dispatcher.observer().notice(notice);
        let result = result.map_err(|error| error.kind());
        let after = self.dispatcher.finish(delivery, result, now, wall);
        if let After::Retry(due) = after {
            let wait = due.saturating_since(now);
            self.dispatcher.observer().notice(Notice::Retry {
                event_id: id.first,
                #[cfg(feature = "resume")]
                last_id: id.last,
                #[cfg(feature = "resume")]
                attempts: delivery.attempts,
                wait,
            });
        }
        Some(after)
    }
}

/// Why an attempt had no answer.
enum Failure<E> {
    Transport(E),
    Timeout,
    /// The end of a drain came before the timeout.
    Cut,
}

impl<E: TransportError> TransportError for Failure<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Transport(error) => error.kind(),
            Self::Timeout | Self::Cut => ErrorKind::Timeout,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Timeout => ErrorKind::Timeout.fmt(f),
            Self::Cut => f.write_str("no answer before the end of the drain"),
        }
    }
}

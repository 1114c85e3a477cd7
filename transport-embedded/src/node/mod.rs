//! Everything a node needs for its webhook, in one `static`.

mod error;
mod memory;
mod run;

use core::fmt;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::Mutex;
use embassy_sync::once_lock::OnceLock;
use pilot_webhook_core::{
    Clock as _, Config, Data, Dispatcher, EmitError, EndpointBuf, Event, PilotFormat, Policy,
    Secret, SecretCell, Stats,
};

pub use error::{RunError, StartError, UrlError};
use memory::{Memory, QueueBytes};

use crate::clock::{EmbassyClock, WallTime};
#[cfg(feature = "tls")]
use crate::tls::TlsBuffers;

/// Wakers for each kind of waiting: the worker, and a task that waits for room or for the end.
const WAKERS: usize = 2;

type NodeDispatcher<const QUEUE: usize, const URL: usize> =
    Dispatcher<CriticalSectionRawMutex, QueueBytes<QUEUE>, EndpointBuf<URL>, WAKERS>;

/// The engine, its queue and all buffers of the transport, as one `static`.
///
/// Type parameters: `QUEUE` bytes hold the events that wait, `T` is `()` or, for `https`,
/// [`TlsBuffers`]; `EVENT` bounds an event's payload: the worker has twice as much, for the event as it
/// was queued and its body, and for a batch as many as fit in that. `URL` bounds the URL. `IO` is the length of each of
/// three buffers: the socket's two, and the one that HTTP is written and read in.
///
/// It is all zeros until it is started, so that it takes RAM but no flash.
///
/// Who calls what, in this order:
/// 1. at boot, [`start`](Self::start) once;
/// 2. a task of its own, `run`, which delivers until [`close`](Self::close);
/// 3. anyone, [`set_url`](Self::set_url) and [`clear`](Self::clear). Without a URL,
///    [`emit`](Self::emit) does nothing;
/// 4. tasks and interrupts, [`emit`](Self::emit).
///
/// ```
/// # use pilot_webhook_embassy::WebhookNode;
/// static NODE: WebhookNode<8_192> = WebhookNode::new();
/// ```
pub struct WebhookNode<
    const QUEUE: usize,
    T = (),
    const EVENT: usize = 512,
    const URL: usize = 128,
    const IO: usize = 1_024,
> {
    engine: OnceLock<Engine<QUEUE, URL>>,
    queue: Mutex<CriticalSectionRawMutex, [u8; QUEUE]>,
    memory: Mutex<CriticalSectionRawMutex, Memory<T, EVENT, IO>>,
    secret: SecretCell<CriticalSectionRawMutex>,
    wall: WallTime,
}

struct Engine<const QUEUE: usize, const URL: usize> {
    node_id: u32,
    policy: Policy,
    dispatcher: NodeDispatcher<QUEUE, URL>,
}

impl<const QUEUE: usize, const EVENT: usize, const URL: usize, const IO: usize>
    WebhookNode<QUEUE, (), EVENT, URL, IO>
{
    /// A node for `http`.
    #[must_use]
    pub const fn new() -> Self {
        Self::with(())
    }
}

impl<const QUEUE: usize, const EVENT: usize, const URL: usize, const IO: usize> Default
    for WebhookNode<QUEUE, (), EVENT, URL, IO>
{
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "tls")]
impl<
    const QUEUE: usize,
    const RX: usize,
    const TX: usize,
    const EVENT: usize,
    const URL: usize,
    const IO: usize,
> WebhookNode<QUEUE, TlsBuffers<RX, TX>, EVENT, URL, IO>
{
    /// A node for `https` and `http`.
    #[must_use]
    pub const fn with_tls() -> Self {
        Self::with(TlsBuffers::new())
    }
}

impl<const QUEUE: usize, T, const EVENT: usize, const URL: usize, const IO: usize>
    WebhookNode<QUEUE, T, EVENT, URL, IO>
{
    const fn with(tls: T) -> Self {
        Self {
            engine: OnceLock::new(),
            queue: Mutex::new([0; QUEUE]),
            memory: Mutex::new(Memory::new(tls)),
            secret: SecretCell::new(),
            wall: WallTime::new(),
        }
    }

    /// Makes the engine. `seed` is a random number that no other start of any node has: message ids
    /// are unique by it and show it, so do not use the network stack's. `config.max_event_bytes` is
    /// what `EVENT` says.
    ///
    /// # Errors
    /// The config breaks a rule, or the node was started before.
    pub fn start(
        &'static self,
        node_id: u32,
        seed: u64,
        config: Config,
        policy: Policy,
    ) -> Result<(), StartError> {
        let max_event_bytes = PilotFormat::BOUND.texts(2 * EVENT);
        let config = Config { max_event_bytes, ..config };
        config.validate().map_err(StartError::Config)?;
        let queue = self.queue.try_lock().map_err(|_| StartError::Started)?;
        let dispatcher = Dispatcher::new(config, QueueBytes(queue), seed);
        let engine = Engine { node_id, policy, dispatcher };
        self.engine.init(engine).map_err(|_| StartError::Started)
    }

    /// The node's wall time, for whoever learns it to set. Events that are emitted before are
    /// stamped with the time since boot, from 1970-01-01 on; see [`WallTime`].
    pub const fn wall(&self) -> &WallTime {
        &self.wall
    }

    /// Sends events to `url` from now on, those that wait included. Setting the URL that is set
    /// changes nothing.
    ///
    /// # Errors
    /// The URL is not accepted, or the node is closed or not started. Nothing changed.
    pub fn set_url(&self, url: &str) -> Result<(), UrlError> {
        let engine = self.engine.try_get().ok_or(UrlError::NotStarted)?;
        let endpoint = EndpointBuf::parse(url, engine.policy).map_err(UrlError::Endpoint)?;
        engine.dispatcher.set_endpoint(endpoint).map_err(|_| UrlError::Closed)
    }

    /// Signs with `secret` from the next attempt on, or no more.
    pub fn set_secret(&self, secret: Option<Secret>) {
        self.secret.set(secret);
    }

    /// Disables the webhook. What waits still goes out, for at most the drain timeout.
    pub fn clear(&self) {
        if let Some(engine) = self.engine.try_get() {
            engine.dispatcher.clear(self.clock().now());
        }
    }

    /// Closes for good. What waits still goes out, for at most the drain timeout; then `run` ends.
    pub fn close(&self) {
        if let Some(engine) = self.engine.try_get() {
            engine.dispatcher.close(self.clock().now());
        }
    }

    /// Takes in an event, stamped with the time now, and returns its id; `None` without a URL.
    /// Never waits. For tasks and interrupts; takes `EVENT` bytes of the caller's stack and a
    /// little more.
    ///
    /// # Errors
    /// When it is not queued. Unless the node is closed, it was counted.
    pub fn emit<D: Data + ?Sized>(&self, topic: &str, data: &D) -> Result<Option<u64>, EmitError> {
        let Some(engine) = self.engine.try_get() else { return Ok(None) };
        engine.dispatcher.emit(&self.event(engine, topic), data, &mut [0; EVENT])
    }

    /// Like [`emit`](Self::emit), but waits until there is room, with `EVENT` bytes in its future.
    /// For one task at a time.
    ///
    /// # Errors
    /// As `emit`, but for [`EmitError::Full`].
    pub async fn emit_when_room<D: Data + ?Sized>(
        &self,
        topic: &str,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        let Some(engine) = self.engine.try_get() else { return Ok(None) };
        let event = self.event(engine, topic);
        engine.dispatcher.emit_when_room(&event, data, &mut [0; EVENT]).await
    }

    /// The counters at this instant, or `None` before the start.
    pub fn stats(&self) -> Option<Stats> {
        Some(self.engine.try_get()?.dispatcher.stats())
    }

    /// Completes when no event waits or is in flight, for however short a time.
    pub async fn drained(&self) {
        if let Some(engine) = self.engine.try_get() {
            engine.dispatcher.drained().await;
        }
    }

    /// Completes when the node is closed and every event is accounted for.
    pub async fn closed(&self) {
        if let Some(engine) = self.engine.try_get() {
            engine.dispatcher.closed().await;
        }
    }

    const fn clock(&self) -> EmbassyClock<'_> {
        EmbassyClock::new(&self.wall)
    }

    fn event<'e>(&self, engine: &Engine<QUEUE, URL>, topic: &'e str) -> Event<'e> {
        Event { topic, node_id: engine.node_id, timestamp: self.clock().wall() }
    }
}

impl<const QUEUE: usize, T, const EVENT: usize, const URL: usize, const IO: usize> fmt::Debug
    for WebhookNode<QUEUE, T, EVENT, URL, IO>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookNode").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

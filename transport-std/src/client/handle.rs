//! The client: a dispatcher, its workers on tokio, and the methods a daemon calls.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{error, warn};
use pilot_webhook_core::{
    Clock, Config, Data, Dispatcher, EmitError, EndpointBuf, EndpointError, Event, Policy, Secret,
    Stats, run,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::builder::{ClientBuilder, ClientError};
use crate::client::observer::{Hook, LeftOut, LogObserver, PanicHook, Throttles};
use crate::client::scratch::Scratch;
use crate::{HttpShared, HttpTransport, StdRawMutex, TokioClock};

/// The longest URL on std, in bytes.
pub const MAX_URL: usize = 2_048;
/// The most POSTs in flight.
pub(crate) const MAX_WORKERS: usize = 64;
/// How much longer than its drain timeout a close may take: the workers' last steps.
const CLOSE_GRACE: Duration = Duration::from_millis(250);
/// How long a worker that panicked rests. Arbitrary: ten panics a second can be watched.
const RESTART_DELAY: Duration = Duration::from_millis(100);

/// The engine as it is put together on std.
type StdDispatcher = Dispatcher<StdRawMutex, Box<[u8]>, EndpointBuf<MAX_URL>, MAX_WORKERS>;

/// Delivers events to a webhook. Cheap to clone; all clones are one client.
///
/// Dropping the last clone closes it without waiting: its workers still drain the queue for the
/// drain timeout, if the runtime lives that long.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pilot_webhook_std::Client;
/// # let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let url = format!("http://{}/hook", receiver.local_addr()?);
/// # tokio::spawn(async move {
/// #     use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// #     let (mut stream, _) = receiver.accept().await.unwrap();
/// #     stream.read(&mut [0; 4096]).await.unwrap();
/// #     stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
/// #     std::future::pending::<()>().await;
/// # });
/// let client = Client::builder(url).node_id(7).secret(b"hush").build()?;
/// client.emit("conn.established", &[("peer_node_id", 2)])?;
/// client.close().await;
/// assert_eq!(client.stats().delivered, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handles>,
}

/// What the workers share with the client.
struct Shared {
    dispatcher: StdDispatcher,
    clock: TokioClock,
    throttles: Arc<Throttles>,
    panics: AtomicU64,
}

/// What only the client holds, so that the last clone's drop is noticed.
struct Handles {
    shared: Arc<Shared>,
    policy: Policy,
    node_id: AtomicU32,
    drain_timeout: Duration,
    max_event_bytes: usize,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

/// What a client is made of.
pub(crate) struct Parts {
    pub(crate) url: String,
    pub(crate) node_id: u32,
    pub(crate) config: Config,
    pub(crate) queue_bytes: usize,
    pub(crate) body_bytes: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) secret: Option<Secret>,
    pub(crate) http: HttpShared,
    pub(crate) policy: Policy,
    pub(crate) hook: Option<Hook>,
    pub(crate) on_panic: Option<PanicHook>,
    pub(crate) runtime: Handle,
}

impl Client {
    /// Options for a client that delivers to `url`; empty for none yet.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    pub(crate) fn start(parts: Parts) -> Result<Self, ClientError> {
        let buffer = zeroed(parts.queue_bytes)?;
        let shared = Arc::new(Shared {
            dispatcher: StdDispatcher::new(parts.config, buffer, random()),
            clock: TokioClock::new(),
            throttles: Arc::default(),
            panics: AtomicU64::new(0),
        });
        shared.dispatcher.set_secret(parts.secret);
        let client = Self {
            handle: Arc::new(Handles {
                shared: Arc::clone(&shared),
                policy: parts.policy,
                node_id: AtomicU32::new(parts.node_id),
                drain_timeout: parts.config.drain_timeout,
                max_event_bytes: parts.config.max_event_bytes,
                workers: Mutex::default(),
            }),
        };
        client.set_url(&parts.url)?;
        let worker = || {
            let supervised = supervise(
                Arc::clone(&shared),
                parts.http.clone(),
                parts.hook.clone(),
                parts.on_panic.clone(),
                parts.body_bytes,
            );
            parts.runtime.spawn(supervised)
        };
        client.handle.workers().extend((0..parts.max_in_flight).map(|_| worker()));
        Ok(client)
    }

    fn dispatcher(&self) -> &StdDispatcher {
        &self.handle.shared.dispatcher
    }

    fn event<'a>(&self, topic: &'a str) -> Event<'a> {
        let timestamp = self.handle.shared.clock.wall();
        Event { topic, node_id: self.handle.node_id.load(Relaxed), timestamp }
    }

    /// Takes in an event that happened now on this node; returns its id, or `None` when there is
    /// no URL. Never blocks; may be called from any thread.
    ///
    /// # Errors
    /// When it is not queued. Unless the client is closed, it was counted.
    pub fn emit<D: Data + ?Sized>(&self, topic: &str, data: &D) -> Result<Option<u64>, EmitError> {
        // Before the time is asked for.
        match self.dispatcher().refuse() {
            Some(answer) => self.noted(answer),
            None => self.emit_event(&self.event(topic), data),
        }
    }

    /// Takes in an event with an envelope of its own.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    pub fn emit_event<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        let mut scratch = Scratch::take(self.handle.max_event_bytes);
        self.noted(self.dispatcher().emit(event, data, scratch.bytes()))
    }

    /// Logs a drop, now and then.
    fn noted(&self, answer: Result<Option<u64>, EmitError>) -> Result<Option<u64>, EmitError> {
        if answer == Err(EmitError::Full)
            && let Some(n) = self.handle.shared.throttles.drops.admit(Instant::now())
        {
            warn!("the event queue is full: events are dropped{}", LeftOut(n));
        }
        answer
    }

    /// Takes in an event as soon as there is room, for sources that can wait (a file, a pipe).
    /// Cancel-safe.
    ///
    /// # Errors
    /// When it cannot be encoded or the client is closed.
    pub async fn emit_when_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        let mut scratch = Scratch::take(self.handle.max_event_bytes);
        self.dispatcher().emit_when_room(event, data, scratch.bytes()).await
    }

    /// Delivers to another URL from now on, or to none when it is empty. Returns at once: queued
    /// events go to the new URL (with an empty one: to the old one, for at most the drain
    /// timeout), event ids go on, the breaker starts closed. Setting the URL that is set changes
    /// nothing.
    ///
    /// # Errors
    /// When the URL is no endpoint, or the client is closed; nothing changed then.
    pub fn set_url(&self, url: &str) -> Result<(), ClientError> {
        if url.is_empty() {
            self.dispatcher().clear(self.handle.shared.clock.now());
            return Ok(());
        }
        if url.len() > MAX_URL {
            // What is left without a fragment or a default port may fit. The file it is persisted in
            // holds no more than this.
            return Err(EndpointError::TooLong.into());
        }
        let endpoint = EndpointBuf::parse(url, self.handle.policy)?;
        self.dispatcher().set_endpoint(endpoint).map_err(|_| ClientError::Closed)
    }

    /// The URL that events go to, in canonical form; `None` from a clear on. Paths and queries are
    /// often secrets: do not log it.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.dispatcher().destination().map(|endpoint| endpoint.get().url().to_owned())
    }

    /// The destination policy.
    pub(crate) fn policy(&self) -> Policy {
        self.handle.policy
    }

    /// The node that events are from from now on.
    pub fn set_node_id(&self, node_id: u32) {
        self.handle.node_id.store(node_id, Relaxed);
    }

    /// Signs with another secret from the next attempt on; an empty one signs nothing.
    pub fn set_secret(&self, secret: &[u8]) {
        self.dispatcher().set_secret(Secret::new(secret));
    }

    /// All counters, at one instant.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.dispatcher().stats()
    }

    /// Events lost to a full queue.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.stats().dropped
    }

    /// Events passed over while the breaker was open.
    #[must_use]
    pub fn circuit_skips(&self) -> u64 {
        self.stats().skipped
    }

    /// Panics of the delivery tasks that were caught. A worker that panicked is started again, and
    /// its event is delivered again.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.handle.shared.panics.load(Relaxed)
    }

    /// Completes when nothing is queued or in flight, however long that takes. Emitters may go on.
    pub async fn drained(&self) {
        self.dispatcher().drained().await;
    }

    /// Refuses new events, delivers what is queued for at most the drain timeout, counts the rest
    /// as abandoned, and ends the workers. Idempotent, and cancel-safe: it goes on without the
    /// caller.
    pub async fn close(&self) {
        let shared = &self.handle.shared;
        shared.dispatcher.close(shared.clock.now());
        let limit = self.handle.drain_timeout.saturating_add(CLOSE_GRACE);
        if timeout(limit, shared.dispatcher.closed()).await.is_err() {
            // Only when a worker could not run: its runtime is stalled or gone.
            self.handle.workers().iter().for_each(JoinHandle::abort);
        }
    }
}

impl Handles {
    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.shared.dispatcher.close(self.shared.clock.now());
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// A number that no other start has: a hash under the random keys that the standard library takes from
/// the system.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// Memory for the queue.
fn zeroed(bytes: usize) -> Result<Box<[u8]>, ClientError> {
    // Asked for and given back first: `vec!` ends the process where there is no memory, and other
    // ways to get it zeroed touch all of it. Hidden from the optimiser, which may take it for given.
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(bytes).map_err(|_| ClientError::Memory)?;
    drop(black_box(probe));
    Ok(vec![0; bytes].into_boxed_slice())
}

/// Runs a worker, and runs it again when it panics.
async fn supervise(
    shared: Arc<Shared>,
    http: HttpShared,
    hook: Option<Hook>,
    on_panic: Option<PanicHook>,
    body_bytes: usize,
) {
    loop {
        let worker =
            tokio::spawn(work(Arc::clone(&shared), http.clone(), hook.clone(), body_bytes));
        let Abort(worker) = &mut Abort(worker);
        match worker.await {
            Err(stopped) if stopped.is_panic() => {
                let panics = shared.panics.fetch_add(1, Relaxed) + 1;
                error!("a delivery task panicked; it is started again");
                if let Some(on_panic) = &on_panic {
                    on_panic(panics);
                }
                // What panics at once would otherwise spin.
                tokio::time::sleep(RESTART_DELAY).await;
            }
            _ => return,
        }
    }
}

/// Ends the worker with its supervisor.
struct Abort(JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn work(shared: Arc<Shared>, http: HttpShared, hook: Option<Hook>, body_bytes: usize) {
    let mut transport = HttpTransport::new(&http);
    let mut observer = LogObserver { throttles: Arc::clone(&shared.throttles), hook };
    let mut body = vec![0; body_bytes];
    run(&shared.dispatcher, &mut transport, &shared.clock, &mut observer, &mut body).await;
}

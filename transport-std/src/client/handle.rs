//! The client's methods, over the engine that its workers share.

mod close;
mod emit;
mod pause;
mod pull;
mod signing;
#[cfg(feature = "outbox")]
mod stored;
mod url;

pub(crate) use pull::told;
#[cfg(feature = "outbox")]
pub(crate) use pull::when_stored;
pub(crate) use url::destination;
use url::pace_as_allowed;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pilot_webhook_core::standard::{Keys, SigningKey};
use pilot_webhook_core::{
    Backlog, Clock as _, Config, EndpointBuf, Policy, Secret, SecretCell, SendTransport, Stats,
};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::client::clock::TokioClock;
use crate::client::destination::Destination;
#[cfg(feature = "outbox")]
use crate::client::durable::StoredIn;
#[cfg(feature = "outbox")]
use crate::client::durable::{Durable, feed};
use crate::client::engine::Engine;
use crate::client::error::ClientError;
use crate::client::observer::{Hook, LogObserver, PanicHook, Panics};
use crate::client::pages::zeroed;
use crate::client::pausing::Pausing;
use crate::client::scratch::scratch_bytes;
use crate::client::waiting::Waiting;
use crate::client::worker::{Equipment, Shared, Target, supervise};
use crate::http::HttpShared;
use crate::random::random;

/// The longest URL on std, in bytes.
pub const MAX_URL: usize = 2_048;
/// Where a client over HTTP delivers to.
pub type HttpTarget = EndpointBuf<MAX_URL>;

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
/// client.emit("conn.established", &serde_json::json!({"peer_node_id": 2}))?;
/// client.close().await;
/// assert_eq!(client.stats().delivered, 1);
/// # Ok(())
/// # }
/// ```
///
/// `To` is what its transport delivers to. A client over HTTP, which [`builder`](Client::builder)
/// makes, is just `Client`; [`ClientBuilder::with_transport`](crate::ClientBuilder::with_transport)
/// makes others.
pub struct Client<To = Destination> {
    handle: Arc<Handles<To>>,
}

impl<To> Clone for Client<To> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

/// What clones of the client share and its workers do not, so that the drop of the last clone is noticed.
struct Handles<To> {
    shared: Arc<Shared<To>>,
    /// The policy that URLs are parsed with. Other kinds of targets do not use it.
    policy: Policy,
    /// Of the transports over HTTP. Others have none.
    http: Option<HttpShared>,
    node_id: AtomicU32,
    drain_timeout: Duration,
    /// The longest topic and data of an event.
    max_event_bytes: usize,
    workers: Mutex<Vec<JoinHandle<()>>>,
    /// Its other end is gone when all workers are.
    working: watch::Receiver<()>,
    /// Emitters that wait for room.
    room: Waiting,
    /// Tasks that wait until the queue has drained.
    end: Waiting,
    /// A target was set, or the client was closed.
    retargeted: Notify,
    is_closing: AtomicBool,
    #[cfg(feature = "outbox")]
    durable: Option<Arc<Durable>>,
    /// What a target is called in a dead letter.
    #[cfg(feature = "outbox")]
    name: fn(&To) -> String,
}

/// What a client is made of. What only its workers need comes beside it.
pub(crate) struct Parts<To> {
    pub(crate) node_id: u32,
    pub(crate) config: Config,
    pub(crate) queue_bytes: usize,
    pub(crate) secret: Option<Secret>,
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) policy: Policy,
    pub(crate) http: Option<HttpShared>,
    pub(crate) runtime: Handle,
    /// What the client is called in log lines.
    pub(crate) called: Option<Arc<str>>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) on_panic: Option<PanicHook>,
    /// What a target is called in a dead letter.
    #[cfg_attr(not(feature = "outbox"), allow(dead_code, reason = "there are none"))]
    pub(crate) name: fn(&To) -> String,
    /// Where its events stand, and whether that is closed with the client.
    #[cfg(feature = "outbox")]
    pub(crate) outbox: Option<StoredIn>,
    /// The target is gone: nothing is sent until one is set.
    pub(crate) is_gone: bool,
}

impl<To: Target> Client<To> {
    pub(crate) fn start<S, F>(
        parts: Parts<To>,
        equipment: Equipment<F>,
        target: Option<To>,
    ) -> Result<Self, ClientError>
    where
        S: SendTransport<To> + 'static,
        F: Fn() -> S + Send + Sync + 'static,
    {
        let buffer = zeroed(parts.queue_bytes)?;
        let panics = Arc::new(Panics::new(parts.on_panic));
        let observer = LogObserver::new(parts.called, parts.hooks, Arc::clone(&panics));
        let seed = random();
        #[cfg(feature = "outbox")]
        let (durable, after) = match parts.outbox {
            None => (None, None),
            Some(StoredIn { endpoint, owns, after }) => (Some(Durable::new(endpoint, owns)), after),
        };
        #[cfg(feature = "outbox")]
        let (observer, seed) = {
            // The ids of a file go on, and so do the names of messages.
            let seed = durable.as_ref().map_or(seed, |durable| durable.outbox().instance());
            (observer.with_durable(durable.clone()), seed)
        };
        let shared = Arc::new(Shared {
            dispatcher: Engine::new(parts.config, buffer, seed, observer),
            secret: SecretCell::new(),
            keys: Keys::new(),
            clock: TokioClock::new(),
            pausing: Pausing::new(parts.config.rate),
            panics,
        });
        if let Some(http) = &parts.http {
            pace_as_allowed(http, &shared);
        }
        shared.secret.set(parts.secret);
        shared.keys.set(&parts.keys).map_err(ClientError::Key)?;
        let (work, working) = watch::channel(());
        let work = Arc::new(work);
        let client = Self {
            handle: Arc::new(Handles {
                shared: Arc::clone(&shared),
                policy: parts.policy,
                http: parts.http,
                node_id: AtomicU32::new(parts.node_id),
                drain_timeout: parts.config.drain_timeout,
                max_event_bytes: parts.config.max_event_bytes,
                workers: Mutex::default(),
                working,
                room: Waiting::new(),
                end: Waiting::new(),
                retargeted: Notify::new(),
                is_closing: AtomicBool::new(false),
                #[cfg(feature = "outbox")]
                durable: durable.clone(),
                #[cfg(feature = "outbox")]
                name: parts.name,
            }),
        };
        if let Some(target) = target {
            if parts.is_gone { client.set_gone(target) } else { client.set_target(target) }?;
        }
        let equipment = Arc::new(equipment);
        let worker = || {
            let work = Arc::clone(&work);
            let worker = supervise(Arc::clone(&shared), Arc::clone(&equipment));
            parts.runtime.spawn(async move {
                worker.await;
                drop(work);
            })
        };
        client.handle.workers().extend((0..parts.config.max_in_flight).map(|_| worker()));
        #[cfg(feature = "outbox")]
        if let Some(durable) = durable {
            let fed = Arc::clone(&durable);
            let feeder = parts.runtime.spawn(async move {
                if let Some(mut before) = after {
                    while before.changed().await.is_ok() {}
                }
                feed(shared, fed).await;
            });
            durable.fed_by(feeder.abort_handle());
        }
        Ok(client)
    }

    /// Whether both are one client.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }

    fn dispatcher(&self) -> &Engine<To> {
        &self.handle.shared.dispatcher
    }

    /// Delivers to another target from now on. Returns at once: queued events go there, event ids go
    /// on, the breaker starts closed. Setting the target that is set changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when the client is closed; nothing changed then.
    pub fn set_target(&self, target: To) -> Result<(), ClientError> {
        #[cfg(feature = "outbox")]
        let durable = self.handle.durable.as_ref().map(|it| {
            // At the start there was none before: the attempts that the file knows of go on. Later, a target that is set
            // begins new rounds, unless it is set already.
            let is_start = self.dispatcher().endpoint().is_none();
            let begins_anew = !is_start && self.target().as_ref() != Some(&target);
            (it, (self.handle.name)(&target), begins_anew)
        });
        self.dispatcher().set_endpoint(target).map_err(|_| ClientError::Closed)?;
        if let Some(http) = &self.handle.http {
            // Another endpoint may take compressed bodies.
            http.get().refuses_gzip.store(false, Relaxed);
        }
        #[cfg(feature = "outbox")]
        if let Some((durable, name, begins_anew)) = durable {
            durable.resume(name, begins_anew);
        }
        self.handle.retargeted.notify_waiters();
        Ok(())
    }

    /// Delivers nowhere from now on. Returns at once: emitting does nothing, and queued events still go
    /// to the old target, for at most the drain timeout.
    pub fn clear(&self) {
        self.dispatcher().clear(self.handle.shared.clock.now());
    }

    /// Has this target, which is gone: sends nothing until one is set, be it the same.
    pub(crate) fn set_gone(&self, target: To) -> Result<(), ClientError> {
        self.dispatcher().swap_to_gone(target).map_err(|_| ClientError::Closed)
    }

    /// The target that events go to; `None` from a clear on.
    #[must_use]
    pub fn target(&self) -> Option<To> {
        self.dispatcher().destination()
    }

    /// The node that events are from, unless they say otherwise.
    #[must_use]
    pub fn node_id(&self) -> u32 {
        self.handle.node_id.load(Relaxed)
    }

    /// The node that events are from from now on.
    pub fn set_node_id(&self, node_id: u32) {
        self.handle.node_id.store(node_id, Relaxed);
    }

    /// All counters, at one instant.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let stats = self.dispatcher().stats();
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.handle.durable {
            return durable.stats(stats);
        }
        stats
    }

    /// The events in the queue that have not ended, and the room that they take, at one instant. With an outbox the queue
    /// is a window over the file, with the oldest events.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.dispatcher().backlog()
    }

    /// Panics of the delivery tasks that were caught. A worker that panicked is started again, and
    /// its event is delivered again.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.handle.shared.panics.count()
    }

    /// Completes when nothing is queued or in flight, however long that takes. Emitters may go on.
    pub async fn drained(&self) {
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.handle.durable {
            return durable.drained(&self.handle.shared).await;
        }
        self.handle.end.until(self.dispatcher().drained()).await;
    }

    /// Whether its events stand in an outbox.
    #[cfg_attr(not(feature = "outbox"), allow(clippy::unused_self, reason = "there is none"))]
    pub(crate) fn is_stored(&self) -> bool {
        #[cfg(feature = "outbox")]
        return self.handle.durable.is_some();
        #[cfg(not(feature = "outbox"))]
        false
    }
}

impl<To> Handles<To> {
    /// Length of the buffer that an event is encoded in.
    const fn scratch_bytes(&self) -> usize {
        scratch_bytes(self.max_event_bytes)
    }

    fn workers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<To> fmt::Debug for Client<To> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.handle.shared.dispatcher.stats();
        f.debug_struct("Client").field("stats", &stats).finish_non_exhaustive()
    }
}

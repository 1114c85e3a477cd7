//! Several endpoints in one process: each a client of its own, so that none can slow, fill or stop another.

mod emit;
mod endpoint;
mod error;
mod fan;
mod filter;
mod index;
mod list;
mod past;
mod pull;
#[cfg(feature = "outbox")]
mod stored;

pub use endpoint::{EndpointOptions, HubEndpoint};
pub use error::HubError;
pub use filter::Filter;

use std::fmt;
#[cfg(feature = "outbox")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use pilot_webhook_core::{BreakerState, QUEUE_CAPACITY, Stats};
use tokio::sync::watch;

use self::list::List;
use self::past::{Past, add};
#[cfg(feature = "outbox")]
use self::stored::Stored;
use crate::client::{Client, TokioClock};
#[cfg(feature = "outbox")]
use crate::outbox::Outbox;

/// Events that the queues of many endpoints hold together, as far as [`Hub::queue_capacity`] says so. Arbitrary: a fifth of the 64
/// MB that a thousand endpoints are to take at most.
const EVENTS_OF_ALL: usize = 65_536;
/// Events that the queue of one holds in any case. Arbitrary: a burst.
const EVENTS_OF_ONE: u32 = 64;

/// Delivers events to several endpoints, each with a name and a [`Filter`]. Cheap to clone; all clones are one hub.
///
/// Each endpoint is a [`Client`] with its own queue, breaker, workers and counters: one that hangs, refuses or is slow
/// costs the others nothing. Event ids are each endpoint's own, so that a gap in them is a loss there.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pilot_webhook_std::{Client, EndpointOptions, Filter, Hub};
/// let hub = Hub::new();
/// hub.add("all", Client::builder("https://example.org/hook").into())?;
/// let options = EndpointOptions {
///     filter: Filter::new().topics(["conn.*"]),
///     client: Client::builder("https://example.net/connections"),
///     ..EndpointOptions::default()
/// };
/// hub.add("connections", options)?;
/// hub.emit("conn.established", &2)?; // to both
/// hub.close().await;
/// # Ok(())
/// # }
/// ```
///
/// Many endpoints should have shorter queues than a client has by default: [`Hub::queue_capacity`].
#[derive(Clone, Default)]
pub struct Hub {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    list: List,
    clock: TokioClock,
    node_id: AtomicU32,
    /// Events that an endpoint took or counted as lost.
    events: AtomicU64,
    /// Held while an event is handed in, where sources wait for more than one of the endpoints: so each of these takes
    /// it, or none does.
    turn: Mutex<()>,
    /// Of endpoints that were removed.
    removed: Past,
    /// Set once, when the hub is made.
    #[cfg(feature = "outbox")]
    outbox: OnceLock<Outbox>,
}

impl Hub {
    /// A hub without endpoints.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many events the queue of each of so many endpoints should hold, for
    /// [`ClientBuilder::queue_capacity`](crate::ClientBuilder::queue_capacity): 1,024, or its share of 65,536, and at least 64.
    /// Queues of dead receivers are full: those of a thousand endpoints take 13 MB, with events of 200 bytes.
    #[must_use]
    pub fn queue_capacity(endpoints: usize) -> u32 {
        let share = u32::try_from(EVENTS_OF_ALL / endpoints.max(1)).unwrap_or(QUEUE_CAPACITY);
        share.clamp(EVENTS_OF_ONE, QUEUE_CAPACITY)
    }

    /// Adds an endpoint, and returns its client. Within a tokio runtime.
    ///
    /// # Errors
    /// When the name is none or another endpoint's, or the options cannot be used. Nothing changed then.
    pub fn add(&self, name: &str, options: EndpointOptions) -> Result<Client, HubError> {
        if !HubEndpoint::is_name(name) {
            return Err(HubError::Name);
        }
        // Before a client is built for nothing, which may take files.
        if self.get(name).is_some() {
            return Err(HubError::Exists);
        }
        let endpoint = self.build(name, options, None)?;
        let client = endpoint.client.clone();
        self.inner.list.add(Arc::new(endpoint))?;
        self.share_room();
        Ok(client)
    }

    /// Has an endpoint get other events from now on. Those that it has are delivered.
    ///
    /// # Errors
    /// When there is no such endpoint, or the hub is closed.
    pub fn set_filter(&self, name: &str, filter: Filter) -> Result<(), HubError> {
        let change = |old: &HubEndpoint| HubEndpoint { filter: filter.into(), ..old.clone() };
        self.inner.list.replace(name, change).map(drop)
    }

    /// Has sources wait for an endpoint from now on, or not: [`EndpointOptions::waits`].
    ///
    /// # Errors
    /// As [`set_filter`](Self::set_filter).
    pub fn set_waits(&self, name: &str, waits: bool) -> Result<(), HubError> {
        let change = |old: &HubEndpoint| HubEndpoint { waits, ..old.clone() };
        self.inner.list.replace(name, change)?;
        self.share_room();
        Ok(())
    }

    /// Gives an endpoint another client, by other options, and returns it. The old one takes no new events, and delivers
    /// those that it has, however long that takes, until the hub is closed: none is lost, and the order between old and
    /// new ones is not kept. With an outbox it only ends the attempts that are under way, and the new one delivers what
    /// waits after that. The endpoint's counters go on; without an outbox event ids begin anew. An endpoint that is paused
    /// stays so.
    ///
    /// # Errors
    /// When there is no such endpoint, the options cannot be used, or the hub is closed. Nothing changed then.
    pub fn replace(&self, name: &str, options: EndpointOptions) -> Result<Client, HubError> {
        if self.get(name).is_none() {
            return Err(HubError::Unknown);
        }
        let (handed_over, after) = watch::channel(());
        let new = self.build(name, options, Some(after))?;
        let client = new.client.clone();
        let old = self.inner.list.replace(name, |old| {
            if old.client.is_paused() {
                client.pause();
            }
            // Before it is out of the list, so that its counters are seen throughout.
            old.past.add(old.client.clone());
            HubEndpoint { past: Arc::clone(&old.past), ..new }
        })?;
        self.share_room();
        let successor = client.clone();
        tokio::spawn(async move {
            retire(old, successor).await;
            drop(handed_over);
        });
        Ok(client)
    }

    /// Removes an endpoint. Its client takes no new events, and delivers those that it has for at most its drain
    /// timeout. With an outbox the others stay there, until an endpoint of this name is added, or they are purged.
    /// Completes when that is over, which it also is without the caller. Its counters stay in the sum.
    ///
    /// # Errors
    /// When there is no such endpoint, or the hub is closed.
    pub async fn remove(&self, name: &str) -> Result<(), HubError> {
        let inner = Arc::clone(&self.inner);
        let removed = inner.list.remove(name, |endpoint| inner.removed.absorb(endpoint))?;
        self.share_room();
        let clients = removed.clients();
        clients.iter().for_each(Client::begin_close);
        let closing = tokio::spawn(async move {
            for client in clients {
                client.close().await;
                inner.removed.ended(&client);
            }
            #[cfg(feature = "outbox")]
            stored::say_left(&removed);
        });
        // It ends early only with its runtime.
        let _ = closing.await;
        Ok(())
    }

    /// The endpoints, in the order in which they were added.
    #[must_use]
    pub fn endpoints(&self) -> Vec<HubEndpoint> {
        self.inner.list.now().iter().map(|it| HubEndpoint::clone(it)).collect()
    }

    /// The client of an endpoint.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Client> {
        self.inner.list.get(name).map(|it| it.client.clone())
    }

    /// The node that events are from, unless they say otherwise.
    #[must_use]
    pub fn node_id(&self) -> u32 {
        self.inner.node_id.load(Relaxed)
    }

    /// The node that events are from from now on, those included that are emitted at the client of an endpoint that there is.
    pub fn set_node_id(&self, node_id: u32) {
        self.inner.node_id.store(node_id, Relaxed);
        self.clients().iter().for_each(|client| client.set_node_id(node_id));
    }

    /// How many events were handed in that at least one endpoint took, or counted as lost. Each of them is in the
    /// counters of all endpoints that it is for.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.inner.events.load(Relaxed)
    }

    /// The sum of all counters, those of endpoints that were removed included. The last status and the breaker are those
    /// of the endpoint whose breaker is worst off; of the first one of them.
    #[must_use]
    pub fn stats(&self) -> Stats {
        loop {
            let list = self.inner.list.now();
            let mut sum = Stats::default();
            for (n, stats) in list.iter().map(|endpoint| endpoint.stats()).enumerate() {
                add(&mut sum, &stats);
                if n == 0 || badness(stats.breaker) > badness(sum.breaker) {
                    (sum.breaker, sum.last_status) = (stats.breaker, stats.last_status);
                }
            }
            self.inner.removed.add_to(&mut sum, None);
            // Nothing was in both, or in neither.
            if self.inner.list.is_now(&list) {
                return sum;
            }
        }
    }

    /// Completes when each endpoint had nothing queued or in flight at a moment after the call, however long that takes.
    pub async fn drained(&self) {
        for client in self.clients() {
            client.drained().await;
        }
    }

    /// Closes all endpoints, side by side, as [`Client::close`] does. Idempotent, and cancel-safe.
    pub async fn close(&self) {
        self.inner.list.close();
        let clients = self.clients();
        clients.iter().for_each(Client::begin_close);
        for client in clients {
            client.close().await;
        }
        #[cfg(feature = "outbox")]
        self.close_outbox().await;
    }

    /// The clients of all endpoints, those included that only deliver what they have.
    fn clients(&self) -> Vec<Client> {
        let mut clients = self.inner.removed.ending();
        clients.extend(self.inner.list.now().iter().flat_map(|endpoint| endpoint.clients()));
        clients
    }

    /// An endpoint that is not in the list. With an outbox it delivers when the other end of `after` is gone.
    fn build(
        &self,
        name: &str,
        options: EndpointOptions,
        after: Option<watch::Receiver<()>>,
    ) -> Result<HubEndpoint, HubError> {
        let EndpointOptions { filter, waits, client } = options;
        let client = client.name(name);
        #[cfg(feature = "outbox")]
        let (client, stored) = {
            if client.has_outbox() {
                return Err(HubError::OwnOutbox);
            }
            let endpoint = self.outbox().map(|outbox| outbox.endpoint(name)).transpose()?;
            let stored = endpoint.map(|endpoint| Stored { endpoint, after });
            let client = match stored.clone() {
                None => client,
                Some(Stored { endpoint, after }) => client.outbox_endpoint_after(endpoint, after),
            };
            (client, stored)
        };
        #[cfg(not(feature = "outbox"))]
        drop(after);
        Ok(HubEndpoint {
            name: name.into(),
            filter: filter.into(),
            waits,
            client: client.build()?,
            past: Arc::default(),
            #[cfg(feature = "outbox")]
            stored,
        })
    }

    #[cfg(not(feature = "outbox"))]
    #[allow(clippy::unused_self, reason = "there is room to share where there is an outbox")]
    const fn share_room(&self) {}
}

/// Ends a client when it has delivered what it has, or with an outbox its attempts that are under way. While its
/// successor is paused, it is, too.
async fn retire(old: Arc<HubEndpoint>, successor: Client) {
    let client = &old.client;
    #[cfg(feature = "outbox")]
    if let Some(stored) = &old.stored {
        // It may not have begun itself.
        if let Some(mut before) = stored.after.clone() {
            while before.changed().await.is_ok() {}
        }
        drop(successor);
        client.pause();
        client.close().await;
        old.past.ended(client);
        return;
    }
    if client.is_paused() {
        successor.resumed().await;
        client.resume();
    }
    drop(successor);
    client.drained().await;
    client.close().await;
    old.past.ended(client);
}

const fn badness(state: BreakerState) -> u8 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
        BreakerState::Gone => 3,
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.inner.list.now().iter()).finish()
    }
}

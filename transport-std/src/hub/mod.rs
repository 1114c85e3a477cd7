//! Several endpoints in one process: each a client of its own, so that none can slow, fill or stop another.

mod clients;
mod control;
mod emit;
mod endpoint;
mod error;
mod fan;
mod filter;
mod index;
mod list;
mod past;
mod pull;
mod removed;
#[cfg(feature = "outbox")]
mod stored;

pub use emit::Offered;
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

use self::clients::Clients;
use self::list::List;
use self::past::add;
use self::removed::Removed;
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
    removed: Removed,
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

    /// Adds an endpoint, and returns its client. Within a tokio runtime. While one of the same name that was removed still
    /// delivers what it has, the new one goes on with its counters. With an outbox it goes on with its deliveries, too: the
    /// old one only ends the attempts that are under way, and the new one delivers what waits after that.
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
        let (begin, after) = watch::channel(());
        let endpoint = self.build(name, options, after)?;
        let client = endpoint.client.clone();
        let mut before = None;
        self.inner.list.add(endpoint, |endpoint| {
            before = self.inner.removed.take(name);
            match &before {
                None => endpoint,
                Some(before) => {
                    before.clients.come_back(endpoint.client.clone());
                    HubEndpoint { clients: Arc::clone(&before.clients), ..endpoint }
                }
            }
        })?;
        self.share_room(name);
        if let Some(before) = before {
            before.clients.hold_back_now();
            tokio::spawn(async move {
                before.ended().await;
                drop(begin);
            });
        }
        Ok(client)
    }

    /// Has an endpoint get other events from now on. Those that it has are delivered.
    ///
    /// # Errors
    /// When there is no such endpoint, or the hub is closed.
    pub fn set_filter(&self, name: &str, filter: Filter) -> Result<(), HubError> {
        let change = |old: &HubEndpoint| Ok(HubEndpoint { filter: filter.into(), ..old.clone() });
        self.inner.list.replace(name, change).map(drop)
    }

    /// Has sources wait for an endpoint from now on, or not: [`EndpointOptions::waits`].
    ///
    /// # Errors
    /// As [`set_filter`](Self::set_filter).
    pub fn set_waits(&self, name: &str, waits: bool) -> Result<(), HubError> {
        let change = |old: &HubEndpoint| Ok(HubEndpoint { waits, ..old.clone() });
        self.inner.list.replace(name, change)?;
        self.share_room(name);
        Ok(())
    }

    /// Gives an endpoint another client, by other options, and returns it. The old one takes no new events, and delivers
    /// those that it has to the new one's target, however long that takes, until the hub is closed: none is lost, and the
    /// order between old and new ones is not kept. Of several old ones the oldest delivers, so that the limits of an endpoint
    /// hold for each of two clients at most. With an outbox it only ends the attempts that are under way, and the new one delivers what
    /// waits after that. The endpoint's counters go on; without an outbox event ids begin anew. An endpoint that is paused
    /// stays so, and one whose URL is gone (410), too, unless it gets another one.
    ///
    /// # Errors
    /// When there is no such endpoint, the options cannot be used, or the hub is closed. Nothing changed then.
    pub fn replace(&self, name: &str, options: EndpointOptions) -> Result<Client, HubError> {
        let Some(clients) = self.inner.list.get(name).map(|it| Arc::clone(&it.clients)) else {
            return Err(HubError::Unknown);
        };
        let (handed_over, after) = watch::channel(());
        let new = self.build(name, options, after)?;
        let client = new.client.clone();
        let put = |old: &HubEndpoint| {
            // The one that was there was removed, and another one has its name.
            if !Arc::ptr_eq(&old.clients, &clients) {
                return Err(HubError::Unknown);
            }
            // Before it is in the list, so that its counters are seen throughout.
            clients.push(client.clone());
            Ok(HubEndpoint { clients: Arc::clone(&clients), ..new })
        };
        let old = clients.succeed(&client, || self.inner.list.replace(name, put))?;
        self.share_room(name);
        tokio::spawn(async move {
            retire(old).await;
            drop(handed_over);
        });
        Ok(client)
    }

    /// Removes an endpoint. Its client takes no new events, and delivers those that it has for at most its drain
    /// timeout. With an outbox the others stay there, until an endpoint of this name is [added](Self::add), or they are
    /// purged. Completes when that is over, which it also is without the caller. Its counters stay in the sum.
    ///
    /// # Errors
    /// When there is no such endpoint, or the hub is closed.
    pub async fn remove(&self, name: &str) -> Result<(), HubError> {
        let inner = Arc::clone(&self.inner);
        let (ending, end) = watch::channel(());
        let mut clients = Vec::new();
        let removed = inner.list.remove(name, |endpoint| {
            clients = endpoint.clients.end();
            inner.removed.add(endpoint, end);
        })?;
        self.share_room(name);
        removed.clients.begin_close(&clients);
        let closing = tokio::spawn(async move {
            for client in clients {
                client.close().await;
                removed.clients.ended(&client);
            }
            inner.removed.ended(&removed);
            drop(ending);
            #[cfg(feature = "outbox")]
            if inner.list.get(&removed.name).is_none() {
                stored::say_left(&removed);
            }
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

    /// An endpoint as it is now, to be paused, or changed in another way.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<HubEndpoint> {
        self.inner.list.get(name).map(|it| HubEndpoint::clone(&it))
    }

    /// The client of an endpoint. What is done to it is not done to those that a [replacement](Self::replace) left behind:
    /// see [`endpoint`](Self::endpoint).
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
            self.inner.removed.add_to(&mut sum);
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
        for endpoint in self.inner.list.close().iter() {
            endpoint.clients.begin_close(&endpoint.clients.end());
        }
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
        let mut clients = self.inner.removed.clients();
        clients.extend(self.inner.list.now().iter().flat_map(|endpoint| endpoint.clients.all()));
        clients
    }

    /// An endpoint that is not in the list. With an outbox it delivers when the other end of `after` is gone.
    fn build(
        &self,
        name: &str,
        options: EndpointOptions,
        after: watch::Receiver<()>,
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
        let client = client.build()?;
        Ok(HubEndpoint {
            name: name.into(),
            filter: filter.into(),
            waits,
            clients: Arc::new(Clients::new(client.clone())),
            client,
            #[cfg(feature = "outbox")]
            stored,
        })
    }

    #[cfg(not(feature = "outbox"))]
    #[allow(clippy::unused_self, reason = "there is room to share where there is an outbox")]
    const fn share_room(&self, _changed: &str) {}
}

/// Ends a client when it has delivered what it has, or with an outbox its attempts that are under way.
async fn retire(old: Arc<HubEndpoint>) {
    let client = &old.client;
    if client.is_stored() {
        // It may not have begun itself.
        #[cfg(feature = "outbox")]
        if let Some(mut before) = old.stored.as_ref().map(|stored| stored.after.clone()) {
            while before.changed().await.is_ok() {}
        }
    } else {
        client.resumed().await;
        client.drained().await;
        // For what an emitter gave it that saw it in the list just before.
        client.set_held_back(false);
    }
    client.close().await;
    old.clients.ended(client);
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

//! The webhook as a plugin of a pilot daemon.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use pilot_webhook_core::{BreakerState, Notice, Stats};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::client::{Client, ClientBuilder, ClientError};
use crate::hub::{EndpointOptions, Hub, HubError};
use crate::plugin::bus::{EventBus, Payload};
use crate::plugin::gone;
use crate::plugin::persist::{PersistError, load_persisted, pilot_home, save_persisted_url};
use crate::plugin::pump::Pump;
use crate::plugin::registry::{BoxError, BoxFuture, Deps, STOP_TIMEOUT, Service};

/// The name of the service's endpoint in its hub: the one whose URL it sets and persists.
pub const ENDPOINT: &str = "pilot";
/// What the service is called.
const NAME: &str = "webhook";

/// The topic that panics of the delivery are published under.
pub const PANIC_TOPIC: &str = "plugin.webhook.panic";
/// The topic that is published once, at the third panic of the delivery: whoever supervises plugins may act on it.
pub const UNHEALTHY_TOPIC: &str = "plugin.webhook.unhealthy";
/// The panic at which the plugin is called unhealthy, as in pilot.
const UNHEALTHY_AT: u64 = 3;

/// The longest the service drains, so that it has stopped, its last step and a late timer included,
/// before the registry gives up on it ([`STOP_TIMEOUT`]).
const DRAIN_MAX: Duration = STOP_TIMEOUT.saturating_sub(Duration::from_millis(500));

/// Orders to the task that writes the file that are taken in one go; of their URLs only the last is
/// written. Arbitrary.
const ORDERS_AT_ONCE: usize = 64;

/// Delivers everything that is published on the daemon's bus, to each endpoint of a [`Hub`] whose filter lets it pass. One
/// of them, [`ENDPOINT`], is the service's own: its URL is the one that is set and persisted.
///
/// [`new`](Self::new) within a tokio runtime; [`start`](Service::start) before anything publishes,
/// so that the first event is not missed; then [`set_url`](Self::set_url) at any time; and
/// [`stop`](Service::stop) once, at the end. Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct WebhookService {
    inner: Arc<Inner>,
}

/// The options of a service.
#[derive(Debug, Default)]
pub struct ServiceOptions {
    /// The options of the service's endpoint. Its client's URL and `on_panic` are replaced; a drain takes at most 4.5 s, as
    /// the registry gives a stop 5 s.
    pub endpoint: EndpointOptions,
    /// The directory the URL is persisted in; `None` stands for [`pilot_home`].
    pub home: Option<PathBuf>,
    /// The hub that the endpoint is added to. Default: one without others.
    pub hub: Hub,
}

struct Inner {
    hub: Hub,
    /// Told when the endpoint has answered that it is gone.
    gone: mpsc::UnboundedSender<()>,
    has_url: bool,
    home: Option<PathBuf>,
    /// The bus, once started, for the panics.
    events: Arc<OnceLock<Arc<dyn EventBus>>>,
    /// Where there is a bus, once started.
    pump: OnceLock<Pump>,
    saver: Saver,
}

impl WebhookService {
    /// A service whose endpoint delivers to `initial_url`; when that is empty, to the persisted one; when
    /// there is none, nowhere.
    ///
    /// # Errors
    /// As [`Hub::add`].
    pub fn new(initial_url: &str, options: ServiceOptions) -> Result<Self, HubError> {
        let ServiceOptions { mut endpoint, home, hub } = options;
        let events: Arc<OnceLock<Arc<dyn EventBus>>> = Arc::default();
        let has_url = !initial_url.is_empty();
        let (gone, is_gone) = mpsc::unbounded_channel();
        // Without a home directory the URL is not persisted, and events are delivered all the same.
        let home = home.or_else(|| pilot_home().ok());
        let is_known_gone = home.as_deref().is_some_and(|home| gone::is_gone(home, initial_url));
        endpoint.client = equipped(endpoint.client, &events, &gone).url(initial_url);
        endpoint.client = endpoint.client.known_gone(is_known_gone);
        let client = hub.add(ENDPOINT, endpoint)?;
        hub.set_node_id(client.node_id());
        let saver = Saver::start(home.clone());
        let inner = Inner { hub, gone, has_url, home, events, pump: OnceLock::new(), saver };
        let inner = Arc::new(inner);
        tokio::spawn(note_gone(Arc::downgrade(&inner), is_gone));
        Ok(Self { inner })
    }

    /// Adds the service's endpoint again, which was removed from the hub, as [`Hub::add`] does. It delivers to `url`; when that
    /// is empty, to the persisted one; when there is none, nowhere.
    ///
    /// # Errors
    /// As `add`.
    pub fn add(&self, url: &str, mut options: EndpointOptions) -> Result<Client, HubError> {
        let Inner { hub, gone, events, saver, home, .. } = &*self.inner;
        // No URL is set meanwhile.
        saver.hold(|| {
            let is_gone = home.as_deref().is_some_and(|home| gone::is_gone(home, url));
            options.client = equipped(options.client, events, gone).url(url).known_gone(is_gone);
            let client = hub.add(ENDPOINT, options)?;
            if url.is_empty() {
                self.set_persisted(&client, |swap| Some(swap()));
            }
            Ok(client)
        })
    }

    /// Gives the service's endpoint another client, by other options, as [`Hub::replace`] does. It delivers to the same
    /// URL.
    ///
    /// # Errors
    /// As `replace`.
    pub fn replace(&self, mut options: EndpointOptions) -> Result<Client, HubError> {
        let Inner { hub, gone, events, saver, .. } = &*self.inner;
        // No URL is set meanwhile.
        saver.hold(|| {
            let old = self.client().ok_or(HubError::Unknown)?;
            let is_gone = old.stats().breaker == BreakerState::Gone;
            options.client = equipped(options.client, events, gone).target(old.target());
            options.client = options.client.known_gone(is_gone);
            hub.replace(ENDPOINT, options)
        })
    }

    /// Delivers to `url` from now on, or nowhere when it is empty, and persists that. Returns at
    /// once: the swap has happened, the file is written by a task ([`saved`](Self::saved) waits
    /// for it). Queued events go to the new URL, event ids go on, the breaker starts closed.
    ///
    /// # Errors
    /// When the URL names no destination, the service has stopped, or its endpoint was removed; nothing changed then.
    pub fn set_url(&self, url: &str) -> Result<(), HubError> {
        // In this order under one lock, so that the file ends up with the URL that counts.
        self.inner.saver.save_after(url, || {
            let endpoint = self.inner.hub.endpoint(ENDPOINT).ok_or(HubError::Unknown)?;
            Ok(endpoint.set_url(url)?)
        })
    }

    /// Completes when the last URL that was set is in the file.
    ///
    /// # Errors
    /// What the operating system said, when it could not be written.
    pub async fn saved(&self) -> Result<(), Arc<PersistError>> {
        self.inner.saver.saved().await
    }

    /// All counters, those of all endpoints together.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.hub.stats()
    }

    /// Completes when nothing that was published before is on the bus, and nothing is queued or in flight,
    /// however long that takes. (The hub's `drained` knows nothing of the bus.) Publishers may go on.
    pub async fn drained(&self) {
        if let Some(pump) = self.inner.pump.get() {
            pump.handed_over().await;
        }
        self.inner.hub.drained().await;
    }

    /// The hub, for events that do not come over the bus.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// The client of the service's endpoint; `None` when that was removed.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        self.inner.hub.get(ENDPOINT)
    }

    fn start_now(&self, deps: &Deps) -> Result<(), BoxError> {
        let hub = &self.inner.hub;
        if let Some(identity) = &deps.identity {
            hub.set_node_id(identity.node_id());
        }
        if let Some(events) = &deps.events {
            if self.inner.events.set(Arc::clone(events)).is_err() {
                return Err("started twice".into());
            }
            let subscription = events.subscribe("*");
            let (hub, identity) = (hub.clone(), deps.identity.clone());
            self.inner.pump.get_or_init(|| Pump::start(hub, subscription, identity));
        }
        if let Some(client) = self.client().filter(|_| !self.inner.has_url) {
            self.set_persisted(&client, |swap| self.inner.saver.unless_set(swap));
        }
        Ok(())
    }

    /// Loads the persisted URL, and has `set` make it the client's. A file that is invalid is logged, and there is no URL until
    /// one is set.
    fn set_persisted(
        &self,
        client: &Client,
        set: impl FnOnce(&dyn Fn() -> Result<(), ClientError>) -> Option<Result<(), ClientError>>,
    ) {
        let Some(home) = &self.inner.home else { return };
        match load_persisted(home, client.policy()) {
            Ok(None) => {}
            Ok(Some(target)) => match set(&|| {
                if gone::is_gone(home, &target.url()) {
                    client.set_gone(target.clone())
                } else {
                    client.set_target(target.clone())
                }
            }) {
                Some(Ok(())) => info!("delivering to the persisted URL"),
                Some(Err(error)) => warn!("the persisted URL is not used: {error}"),
                // Another one was set already.
                None => {}
            },
            Err(error) => warn!("the persisted URL is not used: {error}"),
        }
    }
}

impl Inner {
    /// Persists that the URL is gone, if it still is.
    fn save_gone(&self) {
        self.saver.save_gone(|| {
            let client = self.hub.get(ENDPOINT)?;
            let is_gone = client.stats().breaker == BreakerState::Gone;
            client.url().filter(|_| is_gone)
        });
    }
}

/// The options of the service's client, which tells its panics to the bus, once there is one.
fn equipped(
    client: ClientBuilder,
    events: &Arc<OnceLock<Arc<dyn EventBus>>>,
    gone: &mpsc::UnboundedSender<()>,
) -> ClientBuilder {
    let (bus, gone) = (Arc::clone(events), gone.clone());
    client
        .drain_at_most(DRAIN_MAX)
        .on_panic(move |panics| {
            if let (Some(bus), Ok(payload)) = (bus.get(), Payload::new(&Panics::new(panics))) {
                bus.publish(PANIC_TOPIC, payload.clone());
                if panics == UNHEALTHY_AT {
                    bus.publish(UNHEALTHY_TOPIC, payload);
                }
            }
        })
        .on_notice(move |notice| {
            if matches!(notice, Notice::Breaker(BreakerState::Gone)) {
                // The task is gone only with its runtime.
                let _ = gone.send(());
            }
        })
}

/// Waits for endpoints that are gone, until the service is.
async fn note_gone(inner: Weak<Inner>, mut is_gone: mpsc::UnboundedReceiver<()>) {
    while is_gone.recv().await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        inner.save_gone();
    }
}

impl Service for WebhookService {
    fn name(&self) -> &'static str {
        NAME
    }

    /// After the core's foundation (50 to 79), before application services (from 100).
    fn order(&self) -> u32 {
        90
    }

    fn start<'a>(&'a self, deps: &'a Deps) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async { self.start_now(deps) })
    }

    fn stop(&self) -> BoxFuture<'_, Result<(), BoxError>> {
        Box::pin(async {
            if let Some(pump) = self.inner.pump.get() {
                pump.stop().await;
            }
            self.inner.hub.close().await;
            Ok(self.saved().await?)
        })
    }
}

impl fmt::Debug for WebhookService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookService").field("hub", &self.inner.hub).finish_non_exhaustive()
    }
}

/// The panics so far, under pilot's keys.
#[derive(serde::Serialize)]
struct Panics {
    plugin: &'static str,
    plugin_panics: u64,
    /// Those of all plugins, in pilot. This plugin knows of its own.
    recovered_total: u64,
}

impl Panics {
    const fn new(count: u64) -> Self {
        Self { plugin: NAME, plugin_panics: count, recovered_total: count }
    }
}

/// The last write's end.
type Saved = Result<(), Arc<PersistError>>;

/// Writes the file behind the swaps: one task owns it.
struct Saver {
    orders: mpsc::UnboundedSender<Order>,
    /// Whether a URL was set. Locked over a swap and its order, so that both go in one sequence.
    is_set: Mutex<bool>,
}

enum Order {
    Save(String),
    /// This URL is gone.
    Gone(String),
    /// Tell how the last write ended, once there is nothing older to write.
    Report(oneshot::Sender<Saved>),
}

impl Saver {
    /// Must be called within a tokio runtime. The task ends with the saver.
    fn start(home: Option<PathBuf>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        tokio::spawn(save_loop(home, received));
        Self { orders, is_set: Mutex::default() }
    }

    fn save_after<E>(&self, url: &str, swap: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        swap()?;
        *is_set = true;
        // The task is gone only with its runtime.
        let _ = self.orders.send(Order::Save(url.to_owned()));
        Ok(())
    }

    /// Runs `change` while no URL is set.
    fn hold<R>(&self, change: impl FnOnce() -> R) -> R {
        let _is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        change()
    }

    /// Runs `swap`, unless a URL was set before.
    fn unless_set<R>(&self, swap: impl FnOnce() -> R) -> Option<R> {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        (!*is_set).then(swap)
    }

    /// Notes the URL that is gone, if `find` says that one is.
    fn save_gone(&self, find: impl FnOnce() -> Option<String>) {
        let _is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(url) = find() {
            let _ = self.orders.send(Order::Gone(url));
        }
    }

    async fn saved(&self) -> Saved {
        let (report, saved) = oneshot::channel();
        let _ = self.orders.send(Order::Report(report));
        saved.await.unwrap_or(Ok(()))
    }
}

async fn save_loop(home: Option<PathBuf>, mut received: mpsc::UnboundedReceiver<Order>) {
    let mut saved = Ok(());
    let mut orders = Vec::new();
    while received.recv_many(&mut orders, ORDERS_AT_ONCE).await > 0 {
        let (mut latest, mut gone, mut reports) = (None, None, Vec::new());
        for order in orders.drain(..) {
            match order {
                // It counts again, be it the same.
                Order::Save(url) => (latest, gone) = (Some(url), None),
                Order::Gone(url) => gone = Some(url),
                Order::Report(report) => reports.push(report),
            }
        }
        if let (Some(home), Some(url)) = (&home, latest) {
            let save = move |home: &Path| {
                save_persisted_url(home, &url).and_then(|()| gone::save(home, ""))
            };
            saved = write(home.clone(), save).await;
        }
        if let (Some(home), Some(url)) = (&home, gone) {
            // Who waits for a URL to be saved does not wait for this.
            let _ = write(home.clone(), move |home| gone::save(home, &url)).await;
        }
        for report in reports {
            // The receiver may have been dropped.
            let _ = report.send(saved.clone());
        }
    }
}

/// Writes the file on a thread of its own, so that it does not queue behind other work. A thread that
/// cannot be spawned is an error.
async fn write(
    home: PathBuf,
    save: impl FnOnce(&Path) -> Result<(), PersistError> + Send + 'static,
) -> Saved {
    let (done, saved) = oneshot::channel();
    let directory = home.clone();
    let saving = move || done.send(save(&directory));
    let saved = match thread::Builder::new().name("webhook url".to_owned()).spawn(saving) {
        Ok(_) => saved.await.unwrap_or_else(|_| Err(PersistError::io(&home, panicked()))),
        Err(error) => Err(PersistError::io(&home, error)),
    };
    saved.map_err(|error| {
        warn!("the webhook is not persisted: {error}");
        Arc::new(error)
    })
}

fn panicked() -> io::Error {
    io::Error::other("the thread that saves panicked")
}

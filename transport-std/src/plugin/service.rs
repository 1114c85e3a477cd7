//! The webhook as a plugin of a pilot daemon.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use pilot_webhook_core::{BreakerState, Notice, Stats};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::client::{Client, ClientBuilder, ClientError};
use crate::hub::{EndpointOptions, Hub, HubError};
use crate::plugin::bus::{EventBus, Payload};
use crate::plugin::gone;
use crate::plugin::gone_endpoints::{self, GoneEndpoints};
use crate::plugin::persist::{PersistError, load_persisted, pilot_home};
use crate::plugin::pump::Pump;
use crate::plugin::registry::{BoxError, BoxFuture, Deps, STOP_TIMEOUT, Service};
use crate::plugin::saver::{Saver, write};

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

/// Where the names of endpoints are told.
type Gone = mpsc::UnboundedSender<Arc<str>>;

struct Inner {
    hub: Hub,
    /// Told the name of an endpoint that has answered that it is gone, or is not gone any more.
    gone: Gone,
    gone_endpoints: GoneEndpoints,
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
        let gone_endpoints = home.as_deref().map(GoneEndpoints::load).unwrap_or_default();
        endpoint.client = own(endpoint.client, &events, &gone).url(initial_url);
        endpoint.client = endpoint.client.known_gone(is_known_gone);
        let client = hub.add(ENDPOINT, endpoint)?;
        hub.set_node_id(client.node_id());
        let saver = Saver::start(home.clone());
        let pump = OnceLock::new();
        let inner = Inner { hub, gone, gone_endpoints, has_url, home, events, pump, saver };
        let inner = Arc::new(inner);
        tokio::spawn(note_gone(Arc::downgrade(&inner), is_gone));
        Ok(Self { inner })
    }

    /// Adds an endpoint beside the service's own, as [`Hub::add`] does. One that has answered 410 Gone is gone after a
    /// restart, too, until its URL is set, be it the same, or it is added with another one. That is kept in the service's
    /// home. The service's own that was removed is added again so; without a URL it delivers to the persisted one.
    ///
    /// # Errors
    /// As `add`.
    pub fn add(&self, name: &str, mut options: EndpointOptions) -> Result<Client, HubError> {
        let Inner { hub, gone, gone_endpoints, saver, events, home, .. } = &*self.inner;
        let url = options.client.its_url();
        let is_persisted = name == ENDPOINT && url.is_empty();
        let is_gone = match home.as_deref() {
            Some(home) if name == ENDPOINT => gone::is_gone(home, url),
            _ => gone_endpoints.is_gone(name, url),
        };
        options.client = match name {
            ENDPOINT => own(options.client, events, gone),
            _ => watched(options.client, name, gone),
        };
        options.client = options.client.known_gone(is_gone);
        // No URL is set meanwhile.
        saver.hold(|| {
            let client = hub.add(name, options)?;
            if is_persisted {
                self.set_persisted(&client, |swap| Some(swap()));
            }
            Ok(client)
        })
    }

    /// Gives an endpoint that was [added](Self::add) another client, as [`Hub::replace`] does.
    ///
    /// # Errors
    /// As `Hub::replace`.
    pub fn replace_added(
        &self,
        name: &str,
        mut options: EndpointOptions,
    ) -> Result<Client, HubError> {
        options.client = watched(options.client, name, &self.inner.gone);
        self.inner.hub.replace(name, options)
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
            options.client = own(options.client, events, gone).target(old.target());
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
    /// Persists that the URL of an endpoint is gone, if it still is, or that it is not.
    async fn save_gone(&self, name: &str) {
        let url = || {
            let client = self.hub.get(name)?;
            let is_gone = client.stats().breaker == BreakerState::Gone;
            client.url().filter(|_| is_gone)
        };
        if name == ENDPOINT {
            return self.saver.save_gone(url);
        }
        // Not that of an endpoint that was removed: it may come back.
        let text =
            self.hub.get(name).and_then(|_| self.gone_endpoints.note(name, url().as_deref()));
        if let (Some(home), Some(text)) = (&self.home, text) {
            let saved = write(home.clone(), move |home| gone_endpoints::save(home, &text));
            // It was logged.
            let _ = saved.await;
        }
    }
}

/// The options of the service's client, which tells its panics to the bus, once there is one.
fn own(
    client: ClientBuilder,
    events: &Arc<OnceLock<Arc<dyn EventBus>>>,
    gone: &Gone,
) -> ClientBuilder {
    let bus = Arc::clone(events);
    watched(client, ENDPOINT, gone).drain_at_most(DRAIN_MAX).on_panic(move |panics| {
        if let (Some(bus), Ok(payload)) = (bus.get(), Payload::new(&Panics::new(panics))) {
            bus.publish(PANIC_TOPIC, payload.clone());
            if panics == UNHEALTHY_AT {
                bus.publish(UNHEALTHY_TOPIC, payload);
            }
        }
    })
}

/// The options of a client which tells when its URL is gone, and when it is not any more.
fn watched(client: ClientBuilder, name: &str, gone: &Gone) -> ClientBuilder {
    let (name, gone, was_gone) = (Arc::from(name), gone.clone(), AtomicBool::new(false));
    client.on_notice(move |notice| {
        if let Notice::Breaker(state) = notice {
            let is_gone = *state == BreakerState::Gone;
            if was_gone.swap(is_gone, Relaxed) || is_gone {
                // The task is gone only with its runtime.
                let _ = gone.send(Arc::clone(&name));
            }
        }
    })
}

/// Waits for endpoints that are gone, until the service is.
async fn note_gone(inner: Weak<Inner>, mut is_gone: mpsc::UnboundedReceiver<Arc<str>>) {
    while let Some(name) = is_gone.recv().await {
        let Some(inner) = inner.upgrade() else { return };
        inner.save_gone(&name).await;
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

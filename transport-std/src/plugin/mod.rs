//! The plugin: the webhook as a service of a daemon, fed by the daemon's bus.

mod bus;
mod credentials;
mod gone;
mod gone_endpoints;
mod persist;
mod pump;
mod registry;
mod replace;
mod saver;
mod service;

pub use bus::{BusEvent, EventBus, LocalBus, Payload, Subscription};
pub use persist::{
    PersistError, PersistErrorKind, load_persisted_url, pilot_home, read_home_file,
    save_persisted_url,
};
pub use registry::{
    BoxError, BoxFuture, Deps, Identity, STOP_TIMEOUT, Service, ServiceError, ServiceRegistry,
};
pub use replace::replace_file;
pub use service::{ENDPOINT, PANIC_TOPIC, ServiceOptions, UNHEALTHY_TOPIC, WebhookService};

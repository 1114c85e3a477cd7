#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod builder;
mod bus;
mod client;
mod clock;
mod glob;
mod http;
mod observer;
mod persist;
mod plugin;
mod raw_mutex;
mod scratch;
mod service;
mod throttle;

pub use builder::{ClientBuilder, ClientError, MAX_EVENT_BYTES};
pub use bus::{BusEvent, EventBus, LocalBus, Payload, Subscription};
pub use client::{Client, MAX_URL};
pub use clock::TokioClock;
pub use http::{
    HttpConfig, HttpConfigError, HttpError, HttpShared, HttpTransport, Resolve, Resolving,
    SystemResolver, USER_AGENT,
};
pub use persist::{
    PersistError, PersistErrorKind, load_persisted_url, pilot_home, save_persisted_url,
};
pub use plugin::{
    BoxError, BoxFuture, Deps, Identity, STOP_TIMEOUT, Service, ServiceError, ServiceRegistry,
};
pub use raw_mutex::StdRawMutex;
pub use service::{PANIC_TOPIC, ServiceOptions, WebhookService};

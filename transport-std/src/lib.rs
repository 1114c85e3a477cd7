#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod builder;
mod bus;
mod client;
mod clock;
mod config;
mod connection;
mod dial;
mod error;
mod glob;
mod observer;
mod persist;
mod pinned;
mod plugin;
mod raw_mutex;
mod request;
mod resolve;
mod scratch;
mod service;
mod stream;
mod throttle;
mod tls;
mod transport;

pub use builder::{ClientBuilder, ClientError, MAX_EVENT_BYTES};
pub use bus::{BusEvent, EventBus, LocalBus, Payload, Subscription};
pub use client::{Client, MAX_URL};
pub use clock::TokioClock;
pub use config::{HttpConfig, HttpShared};
pub use error::HttpError;
pub use persist::{
    PersistError, PersistErrorKind, load_persisted_url, pilot_home, save_persisted_url,
};
pub use plugin::{
    BoxError, BoxFuture, Deps, Identity, STOP_TIMEOUT, Service, ServiceError, ServiceRegistry,
};
pub use raw_mutex::StdRawMutex;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use service::{PANIC_TOPIC, ServiceOptions, WebhookService};
pub use tls::HttpConfigError;
pub use transport::{HttpTransport, USER_AGENT};

#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod client;
mod http;
#[cfg(feature = "plugin")]
mod plugin;

pub use client::{
    Client, ClientBuilder, ClientError, HttpTarget, MAX_EVENT_BYTES, MAX_URL, Over, OverHttp,
    Printable, StdRawMutex, Target, TokioClock,
};
pub use http::{
    HttpConfig, HttpConfigError, HttpError, HttpShared, HttpTransport, Resolve, Resolving,
    SystemResolver, USER_AGENT,
};
#[cfg(feature = "plugin")]
pub use plugin::{
    BoxError, BoxFuture, BusEvent, Deps, EventBus, Identity, LocalBus, PANIC_TOPIC, Payload,
    PersistError, PersistErrorKind, STOP_TIMEOUT, Service, ServiceError, ServiceOptions,
    ServiceRegistry, Subscription, WebhookService, load_persisted_url, pilot_home, read_home_file,
    save_persisted_url,
};

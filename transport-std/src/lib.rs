#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod glob;
mod http;
mod hub;
mod logging;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "outbox")]
pub mod outbox;
#[cfg(feature = "reqwest")]
mod over_reqwest;
#[cfg(feature = "plugin")]
mod plugin;
mod random;

#[cfg(feature = "outbox")]
pub use client::StoreError;
pub use client::{
    Client, ClientBuilder, ClientError, Destination, DestinationError, Ending, HttpTarget,
    Incoming, MAX_EVENT_BYTES, MAX_URL, Over, OverHttp, Receipt, Source, StdRawMutex, Target,
    TokioClock,
};
pub use http::{
    Connections, HttpConfig, HttpConfigError, HttpError, HttpReport, HttpShared, HttpTransport,
    RequestHeaders, Resolve, Resolving, SystemResolver, USER_AGENT,
};
pub use hub::{EndpointOptions, Filter, Hub, HubEndpoint, HubError};
pub use logging::{Printable, Throttle};
#[cfg(feature = "nats")]
pub use nats::{
    NatsConfig, NatsConfigError, NatsError, NatsShared, NatsTarget, NatsTargetError, NatsTransport,
};
#[cfg(feature = "outbox")]
pub use outbox::{Outbox, OutboxOptions};
#[cfg(feature = "reqwest")]
pub use over_reqwest::{Proxy, ProxyError, ReqwestTransport};
// What a client's options, answers and transports are made of: nobody needs a second dependency for it.
pub use pilot_webhook_core::http::{HeaderError, NoSuccess, Success};
pub use pilot_webhook_core::{
    Backlog, BreakerState, CloudEvents, CloudEventsBinaryFormat, CloudEventsError,
    CloudEventsFormat, Data, EmitError, EncodeError, EndpointError, ErrorKind, Event, Fate, Format,
    Json, Message, MessageId, Notice, OnFull, OnOpen, PilotFormat, PilotGoFormat, Policy, Rate,
    Refusal, Reply, Schedule, Secret, SendTransport, Signer, Stats, Timestamp, TraceContext,
    TransportError, Verdict, standard,
};
#[cfg(feature = "plugin")]
pub use plugin::{
    BoxError, BoxFuture, BusEvent, Deps, ENDPOINT, EventBus, Identity, LocalBus, PANIC_TOPIC,
    Payload, PersistError, PersistErrorKind, STOP_TIMEOUT, Service, ServiceError, ServiceOptions,
    ServiceRegistry, Subscription, UNHEALTHY_TOPIC, WebhookService, load_persisted_url, pilot_home,
    read_home_file, replace_file, save_persisted_url,
};

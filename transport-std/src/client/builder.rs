//! The options of a client.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pilot_webhook_core::{
    Config, ConfigError, EndpointError, Notice, OnFull, OnOpen, Policy, QUEUE_CAPACITY, Secret,
};
use tokio::runtime::Handle;

use crate::client::handle::{Client, MAX_WORKERS, Parts};
use crate::client::observer::{Hook, PanicHook};
use crate::{HttpConfig, HttpConfigError};

/// The longest payload on std, in bytes, unless told otherwise. Arbitrary: receivers commonly take
/// 64 KiB and more.
pub const MAX_EVENT_BYTES: usize = 65_536;
/// Bytes of queue for each event of its capacity, unless told otherwise. Arbitrary: five times the
/// middle of the captured events' payloads. Memory is touched only where it is used.
const BYTES_PER_EVENT: usize = 1_024;
/// Bytes of queue that are asked for at most, unless told otherwise: more, the queue cannot number.
const MAX_QUEUE_BYTES: usize = i32::MAX as usize;
/// The longest batch, in bytes, unless one event is longer. Arbitrary: what nginx takes unless told
/// otherwise (`client_max_body_size`).
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// Why a client could not be built, or a URL not be set.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL is not an endpoint. The operator corrects it.
    Url(EndpointError),
    /// An option is out of its range.
    Config(ConfigError),
    /// More POSTs in flight than 64, or none.
    MaxInFlight,
    /// The secret is empty.
    EmptySecret,
    /// The CA file cannot be used.
    Http(HttpConfigError),
    /// There is not so much memory as the queue is to hold.
    Memory,
    /// `build` was called outside of a tokio runtime.
    NoRuntime,
    /// The client is closed.
    Closed,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::MaxInFlight => {
                write!(f, "the POSTs in flight must be from 1 to {MAX_WORKERS}")
            }
            Self::EmptySecret => f.write_str("the secret is empty"),
            Self::Http(error) => error.fmt(f),
            Self::Memory => f.write_str("there is no memory for a queue of that capacity"),
            Self::NoRuntime => f.write_str("a client must be built within a tokio runtime"),
            Self::Closed => f.write_str("the webhook is closed"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<EndpointError> for ClientError {
    fn from(error: EndpointError) -> Self {
        Self::Url(error)
    }
}

impl From<ConfigError> for ClientError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<HttpConfigError> for ClientError {
    fn from(error: HttpConfigError) -> Self {
        Self::Http(error)
    }
}

/// The options of a [`Client`]; the defaults are the original's.
#[must_use = "`build` makes the client"]
pub struct ClientBuilder {
    url: String,
    node_id: u32,
    config: Config,
    queue_bytes: Option<usize>,
    max_in_flight: usize,
    /// An empty one is an error of the build.
    secret: Option<Option<Secret>>,
    http: HttpConfig,
    policy: Policy,
    hook: Option<Hook>,
    on_panic: Option<PanicHook>,
}

impl ClientBuilder {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            node_id: 0,
            config: Config {
                capacity: QUEUE_CAPACITY,
                max_event_bytes: MAX_EVENT_BYTES,
                ..Config::DEFAULT
            },
            queue_bytes: None,
            max_in_flight: 1,
            secret: None,
            http: HttpConfig::new(),
            policy: Policy::default(),
            hook: None,
            on_panic: None,
        }
    }

    /// Where events are delivered to; empty for nowhere yet.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// The node that events are from, unless they say otherwise. Default: 0.
    pub const fn node_id(mut self, node_id: u32) -> Self {
        self.node_id = node_id;
        self
    }

    /// The longest an attempt may take. Default: 5 s.
    pub const fn http_timeout(mut self, timeout: Duration) -> Self {
        self.config.http_timeout = timeout;
        self
    }

    /// The wait before the second attempt; it doubles for each further one. Default: 1 s.
    pub const fn retry_backoff(mut self, backoff: Duration) -> Self {
        self.config.backoff.initial = backoff;
        self
    }

    /// By how many percent, at most, waits are made longer at random, 0 to 100. Default: 0.
    pub const fn retry_jitter(mut self, percent: u8) -> Self {
        self.config.backoff.jitter_percent = percent;
        self
    }

    /// Events in a row that must use up their attempts for the breaker to open. Default: 5.
    pub const fn circuit_threshold(mut self, threshold: u16) -> Self {
        self.config.circuit_threshold = threshold;
        self
    }

    /// How long the breaker stays open before a probe. Default: 30 s.
    pub const fn circuit_cooldown(mut self, cooldown: Duration) -> Self {
        self.config.circuit_cooldown = cooldown;
        self
    }

    /// The longest a close or a clear goes on delivering. Default: 5 s.
    pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.config.drain_timeout = timeout;
        self
    }

    /// No longer than `limit`, whatever was said before.
    pub(crate) fn drain_at_most(mut self, limit: Duration) -> Self {
        self.config.drain_timeout = self.config.drain_timeout.min(limit);
        self
    }

    /// Events the queue holds, those in flight included. Default: 1,024.
    pub const fn queue_capacity(mut self, events: u32) -> Self {
        self.config.capacity = events;
        self
    }

    /// Bytes the queue holds: topic and data, and 32 for each event; 2 GiB at most. Default: 1 KiB for
    /// each event of the capacity, and at least room for two of the longest. It is address space
    /// until it is used.
    pub const fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = Some(bytes);
        self
    }

    /// The longest payload, in bytes, as far as the queue holds it. Default: 64 KiB.
    pub const fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.config.max_event_bytes = bytes;
        self
    }

    /// What happens to an event when the queue is full. Default: it is dropped.
    pub const fn on_full(mut self, on_full: OnFull) -> Self {
        self.config.on_full = on_full;
        self
    }

    /// What happens to events while the breaker is open. Default: they are skipped.
    pub const fn on_open(mut self, on_open: OnOpen) -> Self {
        self.config.on_open = on_open;
        self
    }

    /// POSTs in flight at once, 1 to 64. With more than one (the default), the order of delivery
    /// is not kept.
    pub const fn max_in_flight(mut self, posts: usize) -> Self {
        self.max_in_flight = posts;
        self
    }

    /// Events in one POST, at most. With more than one (the default), every body is a JSON array
    /// of the events that wait at that moment, with their number in `X-Pilot-Batch`; it is at most
    /// as long as the longest event may be, or 1 KiB for each event of a full batch where that is
    /// more and up to 1 MiB. The answer counts for each of them. After a 413 they come again in
    /// smaller batches.
    pub const fn batch(mut self, events: u16) -> Self {
        self.config.batch = events;
        self
    }

    /// How long a batch that is not full waits for more events. Default: not at all.
    pub const fn batch_delay(mut self, delay: Duration) -> Self {
        self.config.batch_delay = delay;
        self
    }

    /// Signs each attempt with this secret, which must not be empty: nothing is sent unsigned because a
    /// variable was not set.
    pub fn secret(mut self, secret: &[u8]) -> Self {
        self.secret = Some(Secret::new(secret));
        self
    }

    /// Also trust the CA certificates of this PEM file. May be given more than once.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.http = self.http.ca_file(path);
        self
    }

    /// Also refuse loopback, private and special-purpose destinations.
    pub fn deny_private(mut self, deny: bool) -> Self {
        self.policy = Policy { deny_private: deny };
        self.http = self.http.policy(self.policy);
        self
    }

    /// Is told of every attempt, and of the events it settled and the breaker's state it changed.
    /// (What becomes of events that wait is only counted: those skipped, dropped or abandoned then.)
    /// It is called by the workers, between attempts, so it must not block.
    pub fn on_notice(mut self, hook: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Is told, with their number so far, of panics of the workers that were caught.
    pub fn on_panic(mut self, hook: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.on_panic = Some(Arc::new(hook));
        self
    }

    /// Builds the client and starts its workers on the current tokio runtime. An empty URL gives a
    /// disabled client.
    ///
    /// # Errors
    /// When an option is wrong, or there is no runtime.
    pub fn build(mut self) -> Result<Client, ClientError> {
        self.config.validate()?;
        if !(1..=MAX_WORKERS).contains(&self.max_in_flight) {
            return Err(ClientError::MaxInFlight);
        }
        let secret = match self.secret {
            Some(None) => return Err(ClientError::EmptySecret),
            secret => secret.flatten(),
        };
        let runtime = Handle::try_current().map_err(|_| ClientError::NoRuntime)?;
        let events = usize::try_from(self.config.capacity).unwrap_or(usize::MAX);
        let least = self.config.max_event_bytes.saturating_mul(2);
        let queue_bytes = events.saturating_mul(BYTES_PER_EVENT).min(MAX_QUEUE_BYTES).max(least);
        let queue_bytes = self.queue_bytes.unwrap_or(queue_bytes);
        // No longer one is ever taken, and workers and emitters have buffers for the longest.
        self.config.max_event_bytes = self.config.max_event_bytes.min(queue_bytes);
        let batch = BYTES_PER_EVENT.saturating_mul(self.config.batch.into()).min(MAX_BATCH_BYTES);
        // The array's brackets, beside an event.
        let body_bytes = batch.max(self.config.max_event_bytes.saturating_add(2));
        Client::start(Parts {
            url: self.url,
            node_id: self.node_id,
            config: self.config,
            queue_bytes,
            body_bytes,
            max_in_flight: self.max_in_flight,
            secret,
            http: self.http.build()?,
            policy: self.policy,
            hook: self.hook,
            on_panic: self.on_panic,
            runtime,
        })
    }
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self::new("")
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

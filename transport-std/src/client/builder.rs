//! The options of a client.

mod signing;
mod start;
#[cfg(feature = "outbox")]
mod stored;
mod urls;

pub use urls::OverHttp;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pilot_webhook_core::standard::SigningKey;
use pilot_webhook_core::{
    Config, Format, Notice, OnFull, OnOpen, PilotFormat, Policy, QUEUE_CAPACITY, Rate, Schedule,
    Secret, SendTransport, Signer,
};

#[cfg(feature = "outbox")]
use crate::client::durable::StoredIn;
use crate::client::error::ClientError;
use crate::client::handle::Client;
use crate::client::observer::{Hook, PanicHook};
use crate::client::trace::Trace;
use crate::client::worker::Target;

/// Default bound of an event's topic and data on std, in bytes. Arbitrary: receivers commonly take 64 KiB
/// and more.
pub const MAX_EVENT_BYTES: usize = 65_536;
/// The options of a [`Client`]; the defaults are those of pilot's Go plugin.
///
/// `V` is what the client delivers over: [`OverHttp`], or [`Over`] for the caller's own transport.
#[must_use = "`build` makes the client"]
pub struct ClientBuilder<V = OverHttp> {
    options: Options,
    via: V,
}

/// Delivery over the caller's own transport: a function that makes one, and the target.
pub struct Over<F, To> {
    transport: F,
    target: Option<To>,
}

/// The options that do not depend on the transport.
struct Options {
    node_id: u32,
    config: Config,
    queue_bytes: Option<usize>,
    format: Arc<dyn Format + Send>,
    /// `Some(None)`: an empty secret was given, which `build` refuses.
    secret: Option<Option<Secret>>,
    keys: Vec<SigningKey>,
    signer: Arc<dyn Signer + Send>,
    trace: Trace,
    called: Option<Arc<str>>,
    hooks: Vec<Hook>,
    on_panic: Option<PanicHook>,
    #[cfg(feature = "outbox")]
    outbox: Option<StoredIn>,
    /// The target is gone: nothing is sent until one is set.
    is_gone: bool,
}

impl<F, S, To> ClientBuilder<Over<F, To>>
where
    F: Fn() -> S + Send + Sync + 'static,
    S: SendTransport<To> + 'static,
    To: Target,
{
    /// Options for a client that delivers to `target` over the caller's own transport; `None` for no
    /// target yet. `transport` makes one for each attempt that may be in flight, and another in the
    /// place of one that panicked.
    pub fn with_transport(transport: F, target: Option<To>) -> Self {
        Self { options: Options::default(), via: Over { transport, target } }
    }

    /// Builds the client and starts its workers on the current tokio runtime.
    ///
    /// # Errors
    /// When an option is wrong, or there is no runtime.
    pub fn build(self) -> Result<Client<To>, ClientError> {
        let Over { transport, target } = self.via;
        self.options.start(transport, target, Policy::default(), None, |_| String::new())
    }
}

impl<V> ClientBuilder<V> {
    /// The node that events are from, unless they say otherwise. Default: 0.
    pub const fn node_id(mut self, node_id: u32) -> Self {
        self.options.node_id = node_id;
        self
    }

    /// The longest an attempt may take. Default: 5 s.
    pub const fn http_timeout(mut self, timeout: Duration) -> Self {
        self.options.config.http_timeout = timeout;
        self
    }

    /// The wait before the second attempt; it doubles for each further one. Default: 1 s.
    pub const fn retry_backoff(mut self, backoff: Duration) -> Self {
        self.options.config.backoff.initial = backoff;
        self
    }

    /// By how many percent, at most, waits are made longer at random, 0 to 100. Default: 0.
    pub const fn retry_jitter(mut self, percent: u8) -> Self {
        self.options.config.backoff.jitter_percent = percent;
        self
    }

    /// The waits between attempts as a list, in place of the doubling backoff and its 3 attempts: `n` waits are
    /// `n + 1` attempts. Waits of hours are of use with an outbox, and with several POSTs in flight: an event
    /// that waits for its next attempt holds back those behind it otherwise. The attempts begin anew when the
    /// breaker opens, a target is set, or the program starts; with an outbox they go on over a restart.
    pub const fn retry_schedule(mut self, schedule: Schedule) -> Self {
        self.options.config.schedule = Some(schedule);
        self
    }

    /// How often attempts may begin, at most. Default: without a limit.
    pub const fn rate(mut self, rate: Rate) -> Self {
        self.options.config.rate = rate;
        self
    }

    /// Events in a row that must use up their attempts for the breaker to open. Default: 5.
    pub const fn circuit_threshold(mut self, threshold: u16) -> Self {
        self.options.config.circuit_threshold = threshold;
        self
    }

    /// How long the breaker stays open before a probe. Default: 30 s.
    pub const fn circuit_cooldown(mut self, cooldown: Duration) -> Self {
        self.options.config.circuit_cooldown = cooldown;
        self
    }

    /// The longest a close or a clear goes on delivering. Default: 5 s.
    pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.options.config.drain_timeout = timeout;
        self
    }

    /// Lowers the drain timeout to `limit` if it is longer.
    #[cfg(feature = "plugin")]
    pub(crate) fn drain_at_most(mut self, limit: Duration) -> Self {
        self.options.config.drain_timeout = self.options.config.drain_timeout.min(limit);
        self
    }

    /// Events the queue holds, those in flight included. Default: 1,024.
    pub const fn queue_capacity(mut self, events: u32) -> Self {
        self.options.config.capacity = events;
        self
    }

    /// Bytes the queue holds: topic and data, and 32 for each event; 2 GiB at most. Default: 1 KiB for
    /// each event of the capacity, and at least room for two of the longest. It is address space
    /// until it is used.
    pub const fn queue_bytes(mut self, bytes: usize) -> Self {
        self.options.queue_bytes = Some(bytes);
        self
    }

    /// The longest topic and data of an event, both as JSON, in bytes, as far as the queue holds them.
    /// Default: 64 KiB.
    pub const fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.options.config.max_event_bytes = bytes;
        self
    }

    /// What happens to an event when the queue is full. Default: it is dropped.
    pub const fn on_full(mut self, on_full: OnFull) -> Self {
        self.options.config.on_full = on_full;
        self
    }

    /// What happens to events while the breaker is open. Default: they are skipped.
    pub const fn on_open(mut self, on_open: OnOpen) -> Self {
        self.options.config.on_open = on_open;
        self
    }

    /// POSTs in flight at once, 1 to 64. Default: 1, and order is kept: an event that waits for its next
    /// attempt holds back those behind it. With more, events overtake one another, and as many as may be in
    /// flight may wait for their next attempt without holding back any.
    pub const fn max_in_flight(mut self, posts: u16) -> Self {
        self.options.config.max_in_flight = posts;
        self
    }

    /// Events in one POST, at most. With more than one (the default), every body is a JSON array
    /// of the events that wait at that moment, with their number in `X-Pilot-Batch`. A worker has
    /// 1 KiB for each event of a full batch, up to 1 MiB, for the events and their body, and at least
    /// what the longest event takes. The answer counts for each of them. After a 413 they come again in
    /// smaller batches.
    pub const fn batch(mut self, events: u16) -> Self {
        self.options.config.batch = events;
        self
    }

    /// How long a batch that is not full waits for more events. Default: not at all.
    pub const fn batch_delay(mut self, delay: Duration) -> Self {
        self.options.config.batch_delay = delay;
        self
    }

    /// The format of bodies and their headers. Default: [`PilotFormat`], that of pilot's Go plugin.
    pub fn format(mut self, format: impl Format + Send + 'static) -> Self {
        self.options.format = Arc::new(format);
        self
    }

    /// Whether each attempt has the header `traceparent` (W3C Trace Context), by which a receiver's traces show which
    /// attempts were for one message: its trace is that of its event ([`Event::with_trace`](crate::Event::with_trace)), or
    /// made from the message's id, and each attempt is a span of its own. A batch and an outbox keep no event's trace.
    /// Default: it has.
    pub const fn traceparent(mut self, is_sent: bool) -> Self {
        self.options.trace = Trace { is_wanted: is_sent };
        self
    }

    /// What the client is called in log lines, as their field `endpoint`. Default: nothing.
    pub fn name(mut self, name: &str) -> Self {
        self.options.called = Some(name.into());
        self
    }

    /// Another hook that is called with every attempt, every change of the breaker's state, and once with the end
    /// of every event that was counted. Workers call it between attempts; emitters call it when their event,
    /// or the one that it displaced, is lost. It must not block, and must not emit. A panic in it is caught.
    pub fn on_notice(mut self, hook: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Self {
        self.options.hooks.push(Box::new(hook));
        self
    }

    /// A hook that is called when a panic of a worker, or of a hook for notices, was caught, with the
    /// number of such panics so far.
    pub fn on_panic(mut self, hook: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.options.on_panic = Some(Box::new(hook));
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node_id: 0,
            config: Config {
                capacity: QUEUE_CAPACITY,
                max_event_bytes: MAX_EVENT_BYTES,
                ..Config::DEFAULT
            },
            queue_bytes: None,
            format: Arc::new(PilotFormat),
            secret: None,
            keys: Vec::new(),
            signer: Arc::new(()),
            trace: Trace { is_wanted: true },
            called: None,
            hooks: Vec::new(),
            on_panic: None,
            #[cfg(feature = "outbox")]
            outbox: None,
            is_gone: false,
        }
    }
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Client::builder("")
    }
}

impl<V> fmt::Debug for ClientBuilder<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("config", &self.options.config)
            .finish_non_exhaustive()
    }
}

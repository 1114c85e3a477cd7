//! Logs the engine's notices, and passes them to the host's hooks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use pilot_webhook_core::{BreakerState, Fate, Notice, Observer, Reply, TransportError, Verdict};
use tracing::{error, info, warn};

#[cfg(feature = "outbox")]
use crate::client::durable::Durable;
use crate::client::receipts::Receipts;
use crate::logging::Throttle;
use crate::logging::{ERROR_MAX, Printable};

/// A hook of the host for notices. Workers and emitters call it.
pub(crate) type Hook = Box<dyn Fn(&Notice<'_>) + Send + Sync>;

/// The host's hook for panics, called with their number so far.
pub(crate) type PanicHook = Box<dyn Fn(u64) + Send + Sync>;

/// The panics of workers, and of the host's hook, that were caught.
#[derive(Default)]
pub(crate) struct Panics {
    count: AtomicU64,
    hook: Option<PanicHook>,
}

impl Panics {
    pub(crate) fn new(hook: Option<PanicHook>) -> Self {
        Self { count: AtomicU64::new(0), hook }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Counts one, and calls the hook.
    pub(crate) fn caught(&self) {
        let count = self.count.fetch_add(1, Relaxed) + 1;
        if let Some(hook) = &self.hook {
            hook(count);
        }
    }
}

#[derive(Default)]
struct Throttles {
    drops: Throttle,
    attempts: Throttle,
    retries: Throttle,
    losses: Throttle,
    breaker: Throttle,
    panics: Throttle,
}

/// Logs failures, rate-limited, and passes everything on to the hooks.
pub(crate) struct LogObserver {
    /// What the client is called in log lines.
    name: Option<Arc<str>>,
    throttles: Throttles,
    hooks: Vec<Hook>,
    panics: Arc<Panics>,
    pub(crate) receipts: Receipts,
    #[cfg(feature = "outbox")]
    durable: Option<Arc<Durable>>,
}

/// The longest topic in a log line, in bytes. Arbitrary: several of pilot's.
const TOPIC_MAX: usize = 256;

/// What is said when an endpoint has answered 410.
const GONE: &str =
    "the receiver answered 410 Gone: nothing is sent until its URL is set, be it the same";

/// The end of a log line: how many like it were suppressed.
struct LeftOut(u64);

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            n => write!(f, " ({n} similar lines left out)"),
        }
    }
}

/// An event by its id, or a batch by the id of its first event and their number. (The ids of the others
/// need not follow.)
struct Which(u64, u32);

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(first, events) = self;
        match events {
            0 | 1 => write!(f, "event {first}"),
            events => write!(f, "event {first} and {} more", events - 1),
        }
    }
}

/// How an attempt ended.
struct Outcome<'a>(&'a Result<Reply, &'a dyn TransportError>);

impl std::fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Ok(reply) => write!(f, "status {}", reply.code),
            // In it may stand what a server said.
            Err(error) => Printable::new(error, ERROR_MAX).fmt(f),
        }
    }
}

impl Observer for LogObserver {
    fn notice(&self, notice: Notice<'_>) {
        self.log(&notice);
        if let Notice::Settled { event_id, fate, .. } = notice {
            self.receipts.settled(event_id, fate);
        }
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.durable {
            durable.notice(&notice);
        }
        self.pass_on(&notice);
    }
}

impl LogObserver {
    pub(crate) fn new(name: Option<Arc<str>>, hooks: Vec<Hook>, panics: Arc<Panics>) -> Self {
        Self {
            name,
            throttles: Throttles::default(),
            hooks,
            panics,
            receipts: Receipts::default(),
            #[cfg(feature = "outbox")]
            durable: None,
        }
    }

    /// What the client is called in log lines.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// With an outbox, which learns how each event ended.
    #[cfg(feature = "outbox")]
    pub(crate) fn with_durable(self, durable: Option<Arc<Durable>>) -> Self {
        Self { durable, ..self }
    }

    fn log(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Attempt { result: Ok(Reply { verdict: Verdict::Accepted, .. }), .. } => {}
            Notice::Attempt { event_id, events, attempt, result, message, .. } => {
                if let Some(n) = self.throttles.attempts.admit(Instant::now()) {
                    let (which, outcome) = (Which(*event_id, *events), Outcome(result));
                    warn!(
                        endpoint = self.name(),
                        topic = %Printable::new(message.topic.as_str(), TOPIC_MAX),
                        event = event_id,
                        attempt,
                        status = result.ok().map(|reply| reply.code),
                        error = result.err().map(|error| error.kind().name()),
                        "{which}, attempt {attempt}: {outcome}{}",
                        LeftOut(n)
                    );
                }
            }
            Notice::Retry { event_id, wait, .. } => {
                if let Some(n) = self.throttles.retries.admit(Instant::now()) {
                    info!(
                        endpoint = self.name(),
                        event = event_id,
                        next_attempt_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                        "event {event_id}: next attempt in {wait:.1?}{}",
                        LeftOut(n)
                    );
                }
            }
            Notice::Settled { fate: Fate::Delivered, .. } => {}
            Notice::Settled { event_id, fate: Fate::Dropped, .. } => {
                if let Some(n) = self.throttles.drops.admit(Instant::now()) {
                    warn!(
                        endpoint = self.name(),
                        event = event_id,
                        fate = Fate::Dropped.name(),
                        "the event queue is full: events are dropped{}",
                        LeftOut(n)
                    );
                }
            }
            // A batch is logged once, with its first event.
            Notice::Settled { event_id, message: Some(message), .. }
                if message.first != *event_id => {}
            Notice::Settled { event_id, fate, message, attempt } => {
                if let Some(n) = self.throttles.losses.admit(Instant::now()) {
                    let which = Which(*event_id, message.map_or(1, |message| message.events));
                    let words = match fate {
                        Fate::Rejected => "rejected by the receiver",
                        Fate::Exhausted => &format!("given up after attempt {attempt}"),
                        Fate::Skipped => "skipped while the breaker is open",
                        Fate::Abandoned if self.is_stored() => {
                            "left in the outbox at the end of the drain"
                        }
                        Fate::Abandoned => "abandoned at the end of the drain",
                        Fate::Oversize => "cannot be sent: too long",
                        _ => "not delivered",
                    };
                    warn!(
                        endpoint = self.name(),
                        event = event_id,
                        attempt,
                        fate = fate.name(),
                        "{which}: {words}{}",
                        LeftOut(n)
                    );
                }
            }
            Notice::Breaker(state) => {
                if let Some(n) = self.throttles.breaker.admit(Instant::now()) {
                    self.log_breaker(*state, &LeftOut(n));
                }
            }
            _ => {}
        }
    }

    /// Whether events that are not delivered now are kept.
    #[cfg_attr(not(feature = "outbox"), allow(clippy::unused_self))]
    const fn is_stored(&self) -> bool {
        #[cfg(feature = "outbox")]
        return self.durable.is_some();
        #[cfg(not(feature = "outbox"))]
        false
    }

    fn log_breaker(&self, state: BreakerState, left_out: &LeftOut) {
        let endpoint = self.name();
        match state {
            BreakerState::Open => {
                warn!(endpoint, breaker = "open", "circuit breaker opened{left_out}");
            }
            BreakerState::HalfOpen => {
                info!(endpoint, breaker = "half-open", "circuit breaker probes{left_out}");
            }
            BreakerState::Closed => {
                info!(endpoint, breaker = "closed", "circuit breaker closed{left_out}");
            }
            BreakerState::Gone => warn!(endpoint, breaker = "gone", "{GONE}{left_out}"),
        }
    }

    /// A panic in a hook stops neither workers nor emitters nor other hooks, and loses no event.
    fn pass_on(&self, notice: &Notice<'_>) {
        for hook in &self.hooks {
            if catch_unwind(AssertUnwindSafe(|| hook(notice))).is_err() {
                if let Some(n) = self.throttles.panics.admit(Instant::now()) {
                    let endpoint = self.name();
                    error!(endpoint, "a hook for notices panicked{}", LeftOut(n));
                }
                self.panics.caught();
            }
        }
    }
}

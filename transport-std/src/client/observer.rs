//! Logs the engine's notices, and passes them to the host's hooks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use log::{error, info, warn};
use pilot_webhook_core::{BreakerState, Fate, Notice, Observer, Reply, TransportError, Verdict};

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
    losses: Throttle,
    breaker: Throttle,
    panics: Throttle,
}

/// Logs failures, rate-limited, and passes everything on to the hooks.
pub(crate) struct LogObserver {
    throttles: Throttles,
    hooks: Vec<Hook>,
    panics: Arc<Panics>,
    pub(crate) receipts: Receipts,
    #[cfg(feature = "outbox")]
    durable: Option<Arc<Durable>>,
}

/// What is said when an endpoint has answered 410.
const GONE: &str =
    "the receiver answered 410 Gone: nothing is sent until a webhook is set, be it the same";

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
        match &notice {
            Notice::Attempt { event_id, events, attempt, result, .. } => {
                let failed = !matches!(result, Ok(reply) if reply.verdict == Verdict::Accepted);
                if failed && let Some(n) = self.throttles.attempts.admit(Instant::now()) {
                    let (which, result) = (Which(*event_id, *events), Outcome(result));
                    warn!("{which}, attempt {attempt}: {result}{}", LeftOut(n));
                }
            }
            Notice::Settled { fate: Fate::Delivered, .. } => {}
            Notice::Settled { fate: Fate::Dropped, .. } => {
                if let Some(n) = self.throttles.drops.admit(Instant::now()) {
                    warn!("the event queue is full: events are dropped{}", LeftOut(n));
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
                        Fate::Abandoned => "abandoned at the end of the drain",
                        Fate::Oversize => "cannot be sent: too long",
                        _ => "not delivered",
                    };
                    warn!("{which}: {words}{}", LeftOut(n));
                }
            }
            Notice::Breaker(state) => {
                if let Some(n) = self.throttles.breaker.admit(Instant::now()) {
                    match state {
                        BreakerState::Open => warn!("circuit breaker opened{}", LeftOut(n)),
                        BreakerState::HalfOpen => info!("circuit breaker probes{}", LeftOut(n)),
                        BreakerState::Closed => info!("circuit breaker closed{}", LeftOut(n)),
                        BreakerState::Gone => warn!("{GONE}{}", LeftOut(n)),
                    }
                }
            }
            _ => {}
        }
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
    pub(crate) fn new(hooks: Vec<Hook>, panics: Arc<Panics>) -> Self {
        Self {
            throttles: Throttles::default(),
            hooks,
            panics,
            receipts: Receipts::default(),
            #[cfg(feature = "outbox")]
            durable: None,
        }
    }

    /// With an outbox, which learns how each event ended.
    #[cfg(feature = "outbox")]
    pub(crate) fn with_durable(self, durable: Option<Arc<Durable>>) -> Self {
        Self { durable, ..self }
    }

    /// A panic in a hook stops neither workers nor emitters nor other hooks, and loses no event.
    fn pass_on(&self, notice: &Notice<'_>) {
        for hook in &self.hooks {
            if catch_unwind(AssertUnwindSafe(|| hook(notice))).is_err() {
                if let Some(n) = self.throttles.panics.admit(Instant::now()) {
                    error!("a hook for notices panicked{}", LeftOut(n));
                }
                self.panics.caught();
            }
        }
    }
}

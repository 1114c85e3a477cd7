//! What the std client logs, and whom else it tells.

use std::sync::Arc;
use std::time::Instant;

use log::{info, warn};
use pilot_webhook_core::{
    BreakerState, ErrorKind, Fate, Notice, Observer, Reply, TransportError, Verdict,
};

use crate::client::throttle::Throttle;

/// A host's own ear: called between attempts, by whichever worker.
pub(crate) type Hook = Arc<dyn Fn(&Notice<'_>) + Send + Sync>;

/// Is told how many panics of the workers there have been.
pub(crate) type PanicHook = Arc<dyn Fn(u64) + Send + Sync>;

#[derive(Default)]
pub(crate) struct Throttles {
    pub(crate) drops: Throttle,
    attempts: Throttle,
    losses: Throttle,
    breaker: Throttle,
}

/// Logs failures, rate-limited, and passes everything on to the hook.
pub(crate) struct LogObserver {
    pub(crate) throttles: Arc<Throttles>,
    pub(crate) hook: Option<Hook>,
    /// The number of the last attempt: the one that a settled event ended with.
    pub(crate) last_attempt: u8,
}

/// A log line's end: how many like it were left out.
pub(crate) struct LeftOut(pub(crate) u64);

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            n => write!(f, " ({n} similar lines left out)"),
        }
    }
}

/// An event by its id, or a batch by its first one's and how many there are. (The others need not be
/// the next ids.)
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

/// How an attempt ended. One without an answer may have been cut short by a drain, long before the HTTP
/// timeout.
struct Outcome<'a>(&'a Result<Reply, &'a dyn TransportError>);

impl std::fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Ok(reply) => write!(f, "status {}", reply.code),
            Err(error) if error.kind() == ErrorKind::Timeout => {
                f.write_str("no answer in time (the HTTP timeout, or what a drain left of it)")
            }
            Err(error) => error.fmt(f),
        }
    }
}

impl Observer for LogObserver {
    fn notice(&mut self, notice: Notice<'_>) {
        let now = Instant::now();
        match &notice {
            Notice::Attempt { event_id, events, attempt, result, .. } => {
                self.last_attempt = *attempt;
                let failed = !matches!(result, Ok(reply) if reply.verdict == Verdict::Accepted);
                if failed && let Some(n) = self.throttles.attempts.admit(now) {
                    let (which, result) = (Which(*event_id, *events), Outcome(result));
                    warn!("{which}, attempt {attempt}: {result}{}", LeftOut(n));
                }
            }
            Notice::Settled { fate: Fate::Delivered, .. } => {}
            Notice::Settled { event_id, events, fate } => {
                if let Some(n) = self.throttles.losses.admit(now) {
                    let (which, last) = (Which(*event_id, *events), self.last_attempt);
                    let words = match fate {
                        Fate::Rejected => "rejected by the receiver",
                        Fate::Exhausted => &format!("given up after attempt {last}"),
                        Fate::Skipped => "skipped while the breaker is open",
                        Fate::Abandoned => "abandoned at the end of the drain",
                        Fate::Oversize => "cannot be sent: too long for its format",
                        _ => "not delivered",
                    };
                    warn!("{which}: {words}{}", LeftOut(n));
                }
            }
            Notice::Breaker(state) => {
                if let Some(n) = self.throttles.breaker.admit(now) {
                    match state {
                        BreakerState::Open => warn!("circuit breaker opened{}", LeftOut(n)),
                        BreakerState::HalfOpen => info!("circuit breaker probes{}", LeftOut(n)),
                        BreakerState::Closed => info!("circuit breaker closed{}", LeftOut(n)),
                    }
                }
            }
            _ => {}
        }
        self.pass_on(&notice);
    }
}

impl LogObserver {
    fn pass_on(&self, notice: &Notice<'_>) {
        if let Some(hook) = &self.hook {
            hook(notice);
        }
    }
}

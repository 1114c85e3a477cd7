//! What is counted of an endpoint's attempts as they end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use pilot_webhook_core::{ErrorKind, Notice, Reply, Timestamp, TransportError, Verdict};
use prometheus_client::metrics::histogram::Histogram;

/// The upper bounds of the buckets of how long an attempt takes, in seconds: those that Prometheus' libraries have, and
/// what a long `--http-timeout` allows.
const DURATIONS: [f64; 13] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// The same of how old events are when they are delivered: from at once to after a day without a receiver.
const AGES: [f64; 13] =
    [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

/// The ways in which an attempt ends, as labels: by the first digit of the status, or by the kind of the error.
pub(super) const CLASSES: [&str; 13] = [
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "other",
    "resolve",
    "refused",
    "connect",
    "tls",
    "timeout",
    "disconnected",
    "protocol",
    "local",
];
const OTHER: usize = 4;

/// The place of an attempt's end among the [`CLASSES`].
fn class(result: &Result<Reply, &dyn TransportError>) -> usize {
    match result {
        Ok(reply) => match reply.code {
            200..300 => 0,
            300..400 => 1,
            400..500 => 2,
            500..600 => 3,
            _ => OTHER,
        },
        Err(error) => match error.kind() {
            ErrorKind::Resolve => 5,
            ErrorKind::Refused => 6,
            ErrorKind::Connect => 7,
            ErrorKind::Tls => 8,
            ErrorKind::Timeout => 9,
            ErrorKind::Disconnected => 10,
            ErrorKind::Protocol => 11,
            ErrorKind::Local => 12,
            _ => OTHER,
        },
    }
}

/// The attempts of an endpoint.
#[derive(Debug)]
pub(super) struct Recorded {
    attempts: [AtomicU64; CLASSES.len()],
    pub(super) durations: Histogram,
    pub(super) ages: Histogram,
}

impl Default for Recorded {
    fn default() -> Self {
        Self {
            attempts: Default::default(),
            durations: Histogram::new(DURATIONS),
            ages: Histogram::new(AGES),
        }
    }
}

impl Recorded {
    /// Counts an attempt. It allocates nothing.
    pub(super) fn notice(&self, notice: &Notice<'_>) {
        let Notice::Attempt { result, contents, took, ended, .. } = notice else { return };
        self.attempt(result, *took);
        if matches!(result, Ok(reply) if reply.verdict == Verdict::Accepted) {
            for event in contents.iter() {
                self.ages.observe(seconds_between(event.timestamp, *ended));
            }
        }
    }

    pub(super) fn attempt(&self, result: &Result<Reply, &dyn TransportError>, took: Duration) {
        self.attempts[class(result)].fetch_add(1, Relaxed);
        self.durations.observe(took.as_secs_f64());
    }

    /// How many attempts ended in each way.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLASSES.into_iter().zip(self.attempts.iter().map(|count| count.load(Relaxed)))
    }
}

/// 0 when the event is of the future, by a clock that is not ours or was set.
fn seconds_between(then: Timestamp, now: Timestamp) -> f64 {
    let of =
        |time: Timestamp| i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanos());
    let nanos = (of(now) - of(then)).max(0);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).as_secs_f64()
}

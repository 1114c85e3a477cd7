//! What the engine can be told, checked once.

use core::fmt;
use core::time::Duration;

use crate::clock::micros;
use crate::engine::breaker::{CIRCUIT_COOLDOWN, CIRCUIT_OPEN_THRESHOLD};
use crate::engine::rate::Rate;
use crate::engine::retry::{Backoff, MAX_RETRIES};
use crate::engine::schedule::Schedule;
use crate::format::Format;

/// The longest an attempt may take (the HTTP client timeout of pilot's Go plugin).
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest a close or a clear goes on delivering (the drain timeout of pilot's Go plugin).
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Events the queue holds on std (the channel capacity of pilot's Go plugin).
pub const QUEUE_CAPACITY: u32 = 1_024;
/// The longest topic and data of an event, as JSON, in bytes, unless told otherwise. Arbitrary: twelve
/// times the longest of the captured events, and the whole of it fits a small node's buffers.
pub const MAX_EVENT_BYTES: usize = 4_096;

/// What happens to an event when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It is dropped (the behaviour of pilot's Go plugin).
    #[default]
    DropNewest,
    /// The oldest waiting events are dropped to make room, but never one that is in flight.
    DropOldest,
}

/// What happens to events while the breaker is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOpen {
    /// They are skipped (the behaviour of pilot's Go plugin), and an event that used up its attempts is
    /// given up as exhausted.
    #[default]
    Skip,
    /// They stay queued until the probe, and an event that used up its attempts goes back to its
    /// place in the queue for another round of them: no outage loses one while there is room. An event
    /// whose rounds fail [`POISON_ROUNDS`](crate::POISON_ROUNDS) more times while others are delivered
    /// between them is given up as exhausted.
    Hold,
}

/// How the engine behaves. `Config::DEFAULT` is the behaviour of pilot's Go plugin.
///
/// ```
/// use core::time::Duration;
/// use pilot_webhook_core::{Config, ConfigError, OnOpen};
/// let config = Config { on_open: OnOpen::Hold, ..Config::DEFAULT };
/// assert_eq!(config.validate(), Ok(()));
/// let config = Config { http_timeout: Duration::ZERO, ..Config::DEFAULT };
/// assert_eq!(config.validate(), Err(ConfigError::HttpTimeout));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Attempts an event gets (with [`OnOpen::Hold`]: in each round). 1 to 255.
    pub max_attempts: u8,
    /// The wait between attempts.
    pub backoff: Backoff,
    /// The waits between attempts in place of the backoff, whose jitter they have, and of `max_attempts`.
    pub schedule: Option<Schedule>,
    /// How often attempts may begin, whatever they are for.
    pub rate: Rate,
    /// The longest an attempt may take, from the look-up of the name to the end of the answer.
    pub http_timeout: Duration,
    /// The longest a close or a clear goes on delivering.
    pub drain_timeout: Duration,
    /// Events in a row that must use up their attempts for the breaker to open. 1 to 65,535.
    pub circuit_threshold: u16,
    /// How long the breaker stays open before a probe.
    pub circuit_cooldown: Duration,
    /// What happens to events while the breaker is open.
    pub on_open: OnOpen,
    /// What happens to an event when the queue is full.
    pub on_full: OnFull,
    /// Events the queue holds at most, those in flight included. Its bytes are a bound of their
    /// own: an event takes 32, its topic and its data as JSON. 1 and up.
    pub capacity: u32,
    /// The longest topic and data of an event, both as JSON, in bytes. A worker's buffer must be long
    /// enough for them: [`Bound::buffer`](crate::Bound::buffer). 1 and up.
    pub max_event_bytes: usize,
    /// Events in one POST, at most. With more than 1, every body is a JSON array of events, as many
    /// as wait at that moment and fit the worker's buffer; its answer is the answer to each of them;
    /// after a 413 the batches of this endpoint are half as long. 1 and up.
    pub batch: u16,
    /// How long a worker waits for a batch to fill, from when it was free for it and an event waited. A time in which
    /// the rate or a `Retry-After` lets nothing go counts.
    pub batch_delay: Duration,
    /// Messages under way at once, by as many workers. With 1, order is kept: an event that waits for its
    /// next attempt holds back those behind it. With more, others overtake it, unless as many wait as may
    /// be under way (or the dispatcher's `SLOTS` is smaller than both together). 1 and up.
    pub max_in_flight: u16,
    /// What a drain does with a wait that would outlast it.
    pub long_waits: LongWaits,
}

/// What a drain does with a wait for an attempt that would outlast it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongWaits {
    /// The attempt is made at once.
    Cut,
    /// The events are abandoned at once: for a host that keeps them, and the time when they are due, for its next start.
    #[cfg(feature = "resume")]
    Keep,
}

/// Which rule a [`Config`] breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigError {
    /// `max_attempts` is 0.
    MaxAttempts,
    /// `http_timeout` is 0.
    HttpTimeout,
    /// `circuit_threshold` is 0.
    CircuitThreshold,
    /// `capacity` is 0.
    Capacity,
    /// `max_event_bytes` is 0.
    MaxEventBytes,
    /// The backoff's jitter is over 100 percent.
    Jitter,
    /// `batch` is 0.
    Batch,
    /// `max_in_flight` is 0.
    MaxInFlight,
    /// `batch` is more than 1, and the format has no batches.
    NoBatches,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaxAttempts => "an event needs at least one attempt",
            Self::HttpTimeout => "the HTTP timeout must be longer than zero",
            Self::CircuitThreshold => "the circuit threshold must be at least 1",
            Self::Capacity => "the queue must hold at least one event",
            Self::MaxEventBytes => "an event must be allowed at least one byte",
            Self::Jitter => "the jitter must be at most 100 percent",
            Self::Batch => "a batch must hold at least one event",
            Self::MaxInFlight => "at least one message must be allowed in flight",
            Self::NoBatches => "the format has no batches",
        })
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// The behaviour of pilot's Go plugin, with a queue bounded by its bytes only.
    pub const DEFAULT: Self = Self {
        max_attempts: MAX_RETRIES,
        backoff: Backoff::DEFAULT,
        schedule: None,
        rate: Rate::UNLIMITED,
        http_timeout: HTTP_TIMEOUT,
        drain_timeout: DRAIN_TIMEOUT,
        circuit_threshold: CIRCUIT_OPEN_THRESHOLD,
        circuit_cooldown: CIRCUIT_COOLDOWN,
        on_open: OnOpen::Skip,
        on_full: OnFull::DropNewest,
        capacity: u32::MAX,
        max_event_bytes: MAX_EVENT_BYTES,
        batch: 1,
        batch_delay: Duration::ZERO,
        max_in_flight: 1,
        long_waits: LongWaits::Cut,
    };

    /// Attempts an event gets in a round.
    pub(crate) const fn attempts(&self) -> u8 {
        match &self.schedule {
            Some(schedule) => schedule.attempts(),
            None => self.max_attempts,
        }
    }

    /// The wait after so many failed attempts, in microseconds. What this machine fails is not for a schedule, which may
    /// take days.
    pub(crate) fn wait(&self, attempts: u8, is_local: bool, random: u32) -> u64 {
        let schedule = self.schedule.as_ref().filter(|_| !is_local);
        match schedule.and_then(|schedule| schedule.wait(attempts)) {
            Some(wait) => self.backoff.longer(micros(wait), random),
            None => self.backoff.wait(attempts, random),
        }
    }

    /// Checks the rules. The engine does not fail on a config that breaks one (it takes 1 for the
    /// 0), but the author of such a config is better told.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub const fn validate(&self) -> Result<(), ConfigError> {
        if self.max_attempts == 0 {
            Err(ConfigError::MaxAttempts)
        } else if self.http_timeout.is_zero() {
            Err(ConfigError::HttpTimeout)
        } else if self.circuit_threshold == 0 {
            Err(ConfigError::CircuitThreshold)
        } else if self.capacity == 0 {
            Err(ConfigError::Capacity)
        } else if self.max_event_bytes == 0 {
            Err(ConfigError::MaxEventBytes)
        } else if self.backoff.jitter_percent > 100 {
            Err(ConfigError::Jitter)
        } else if self.batch == 0 {
            Err(ConfigError::Batch)
        } else if self.max_in_flight == 0 {
            Err(ConfigError::MaxInFlight)
        } else {
            Ok(())
        }
    }

    /// Checks the rules, and whether `format` can do what is asked for.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate_for(&self, format: &dyn Format) -> Result<(), ConfigError> {
        self.validate()?;
        if self.batch > 1 && !format.has_batches() { Err(ConfigError::NoBatches) } else { Ok(()) }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

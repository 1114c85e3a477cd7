//! How long an event waits before its next attempt.

use core::time::Duration;

use crate::clock::micros;

/// Attempts an event gets in all (`MaxRetries` of pilot's Go plugin, which counts attempts).
pub const MAX_RETRIES: u8 = 3;
/// The wait before the second attempt; it doubles for each further one.
pub const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
/// Attempts of an event that this machine, and not the receiver, fails. Their waits, a second doubling, last
/// for two minutes: Linux keeps the port of a connection that it closed for one (`TCP_TIMEWAIT_LEN`).
pub const LOCAL_ATTEMPTS: u8 = 8;
/// Rounds of attempts that an event of a receiver that takes others uses up, after its first, before it is
/// given up with [`OnOpen::Hold`](crate::OnOpen::Hold). Arbitrary: one could be an outage between two
/// deliveries, two in a row hardly are.
pub const POISON_ROUNDS: u8 = 2;
/// The longest `Retry-After` that is waited out with the event at hand. Beyond it the breaker
/// opens. Arbitrary: two orders over the backoff, well below a deployment's patience.
pub const RETRY_AFTER_WAIT: Duration = Duration::from_secs(60);
/// The longest `Retry-After` that is believed. Arbitrary: a receiver that asks for a week is more
/// likely wrong than patient, and one request an hour hurts nobody.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Exponential backoff with optional jitter: a pure function of the attempt's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failed attempt.
    pub initial: Duration,
    /// By how many percent, at most, a wait is made longer at random, 0 to 100: between attempts, of an
    /// open breaker, and beyond the end of a `Retry-After`, so that many nodes behind one receiver do not
    /// come back at one instant. With 0 (the default) all of them are exact.
    pub jitter_percent: u8,
}

impl Backoff {
    /// One second, doubling, exact.
    pub const DEFAULT: Self = Self { initial: INITIAL_BACKOFF, jitter_percent: 0 };

    /// The wait after `attempts` failed attempts (from 1): `initial * 2^(attempts - 1)`, and up to
    /// `jitter_percent` more by `random`. Saturates.
    ///
    /// ```
    /// use core::time::Duration;
    /// use pilot_webhook_core::Backoff;
    /// assert_eq!(Backoff::DEFAULT.delay(1, 0), Duration::from_secs(1));
    /// assert_eq!(Backoff::DEFAULT.delay(2, 0), Duration::from_secs(2));
    /// ```
    #[must_use]
    pub fn delay(self, attempts: u8, random: u32) -> Duration {
        Duration::from_micros(self.wait(attempts, random))
    }

    /// [`delay`](Self::delay) in microseconds.
    pub(crate) fn wait(self, attempts: u8, random: u32) -> u64 {
        let exponent = u32::from(attempts.saturating_sub(1)).min(63);
        let initial = micros(self.initial);
        let exact = if initial.leading_zeros() < exponent { u64::MAX } else { initial << exponent };
        self.longer(exact, random)
    }

    /// A wait that is up to `jitter_percent` longer, by `random`; both in microseconds. Saturates.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn longer(self, exact: u64, random: u32) -> u64 {
        exact.saturating_add(self.jitter(exact, random))
    }

    /// By how much a wait is made longer, all in microseconds.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn jitter(self, exact: u64, random: u32) -> u64 {
        let percent = u64::from(self.jitter_percent.min(100));
        // In steps of 1/100 of the percentage, without floating point.
        let share = percent * u64::from(random % 101);
        exact / 10_000 * share
    }
}

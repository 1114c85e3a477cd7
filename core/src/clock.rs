//! Time as the engine sees it: an integer handed in, never read inside a decision.

use core::future::Future;
use core::ops::Add;
use core::time::Duration;

use crate::event::Timestamp;

/// A point in monotonic time, in microseconds since an arbitrary start (boot, say).
///
/// ```
/// use core::time::Duration;
/// use pilot_webhook_core::Instant;
/// let start = Instant::from_micros(5);
/// assert_eq!(start + Duration::from_millis(1), Instant::from_micros(1_005));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero when `earlier` is the later of the two.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// So many microseconds later. Saturates.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) const fn later(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time (584,000 years), so an absurd duration means "never".
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn add(self, duration: Duration) -> Self {
        self.later(micros(duration))
    }
}

/// Where a home gets its time from: tokio, embassy-time, or a test's virtual time.
pub trait Clock {
    /// The monotonic time now. It never goes back.
    fn now(&self) -> Instant;

    /// The wall-clock time now, in UTC. It may jump.
    fn wall(&self) -> Timestamp;

    /// Completes at `deadline` or as soon after it as the platform's timer allows. What has arrived from
    /// the network by then is to be known to the tasks that wait for it: where a timer that was held up
    /// may come before such news, the news gets a turn first.
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()>;
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> Instant {
        C::now(self)
    }

    fn wall(&self) -> Timestamp {
        C::wall(self)
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> {
        C::sleep_until(self, deadline)
    }
}

/// The microseconds of a duration, at most 2⁶³ of them, which is 292,000 years. (`as_micros` counts
/// in 128 bits, and `saturating_mul` looks for an overflow in as many, which a small core does slowly
/// and at length.)
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) const fn micros(duration: Duration) -> u64 {
    const MAX: u64 = 1 << 63;
    if duration.as_secs() >= MAX / 1_000_000 {
        return MAX;
    }
    duration.as_secs() * 1_000_000 + duration.subsec_micros() as u64
}

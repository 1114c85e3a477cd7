//! How often attempts may begin.

use core::time::Duration;

use crate::clock::{Instant, micros};

/// The most attempts in a time. They begin at even distances: of `n` a second, two are a share of `1/n` second
/// apart, so that no second has more than `n`.
///
/// ```
/// use core::time::Duration;
/// use pilot_webhook_core::Rate;
/// let rate = Rate::new(50, Duration::from_secs(1)).unwrap();
/// assert_eq!(rate.distance(), Duration::from_millis(20));
/// assert_eq!(Rate::new(0, Duration::from_secs(1)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds from the beginning of an attempt to that of the next.
    distance: u64,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { distance: 0 };
    /// No attempts at all, until another rate is set.
    pub const PAUSED: Self = Self { distance: u64::MAX };

    /// So many `attempts` in the time `per`, at most; `None` for no attempts at all.
    #[must_use]
    pub const fn new(attempts: u32, per: Duration) -> Option<Self> {
        if attempts == 0 {
            return None;
        }
        // Rounded up, so that there are never more.
        Some(Self { distance: micros(per).div_ceil(attempts as u64) })
    }

    /// The time from the beginning of an attempt to that of the next, at least. Zero without a limit.
    #[must_use]
    pub const fn distance(self) -> Duration {
        Duration::from_micros(self.distance)
    }
}

/// When the next attempt may begin.
#[derive(Clone, Copy)]
pub(crate) struct Pace(Instant);

impl Pace {
    /// At any time.
    pub(crate) const ANY: Self = Self(Instant::from_micros(0));

    /// That after an attempt which begins `now`.
    pub(crate) const fn after(rate: Rate, now: Instant) -> Self {
        if rate.distance == 0 { Self::ANY } else { Self(now.later(rate.distance)) }
    }

    pub(crate) const fn begin(self) -> Instant {
        self.0
    }
}

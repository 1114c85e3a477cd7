//! The time of day.

use core::time::Duration;

use embassy_time::Instant;

use super::semihosting::unix_seconds;

/// The time of day: the host's, carried on by the node's own clock.
///
/// The host gives whole seconds, so this lags by up to one; enough for the validity of
/// a certificate. Reading it makes no call to the host and suits an interrupt handler.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    /// The time of day when the node's clock stood at zero.
    epoch: Duration,
}

impl WallClock {
    /// Asks the host.
    #[must_use]
    pub fn from_host() -> Self {
        let now = Duration::from_secs(unix_seconds() as u64);
        Self { epoch: now.saturating_sub(uptime()) }
    }

    /// The time since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.epoch + uptime()
    }
}

fn uptime() -> Duration {
    Duration::from_micros(Instant::now().as_micros())
}

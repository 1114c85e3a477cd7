//! What a service manager is told: systemd, or another that speaks its `sd_notify`.
//!
//! Without one, nothing is sent.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// Events are taken from now on.
pub(crate) fn ready(summary: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(summary)]);
}

/// The daemon drains, and ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Says that the daemon is alive, twice in the time that the manager waits for it: as all tasks run on this
/// thread, one that hangs is noticed.
pub(crate) async fn alive() -> Infallible {
    let Some(patience) = watchdog_enabled() else { return pending().await };
    // A period of 0 is refused.
    let mut ticks = interval((patience / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        warn!("the service manager cannot be told: {error}");
    }
}

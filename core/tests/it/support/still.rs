//! A clock that stands still.

use std::future::{Future, pending};

use pilot_webhook_core::{Clock, Instant, Timestamp};

/// It is always this time, and no wait ends.
pub(crate) struct Still(pub(crate) Instant);

impl Clock for Still {
    fn now(&self) -> Instant {
        self.0
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn sleep_until(&self, _: Instant) -> impl Future<Output = ()> {
        pending()
    }
}

//! How a client ends.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use pilot_webhook_core::Clock as _;
use tokio::task::JoinHandle;

use super::{Client, Handles};
use crate::client::within::within;
use crate::client::worker::Target;

/// How much longer than its drain timeout a close may take: the workers' last steps.
const CLOSE_GRACE: Duration = Duration::from_millis(250);

impl<To: Target> Client<To> {
    /// The first part of [`close`](Self::close): refuses new events, and sets the deadline of the others.
    pub(crate) fn begin_close(&self) {
        self.handle.is_closing.store(true, Relaxed);
        let shared = &self.handle.shared;
        shared.dispatcher.close(shared.clock.now());
        self.handle.stop_feeding();
        shared.pausing.closed();
        self.handle.retargeted.notify_waiters();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.handle.is_closing.load(Relaxed)
    }

    /// Refuses new events, delivers what is queued for at most the drain timeout, counts the rest
    /// as abandoned, and ends the workers. Idempotent, and cancel-safe: it goes on without the
    /// caller. Also outside of a tokio runtime, and when the client's own has ended.
    pub async fn close(&self) {
        self.begin_close();
        let shared = &self.handle.shared;
        let limit = self.handle.drain_timeout.saturating_add(CLOSE_GRACE);
        let closed = self.handle.end.until(shared.dispatcher.closed());
        // A worker tells the observer of the last event after that is accounted for.
        let told = async {
            let mut working = self.handle.working.clone();
            while working.changed().await.is_ok() {}
        };
        if !within(limit, closed).await || !within(CLOSE_GRACE, told).await {
            // Reached only when a worker could not run: its runtime is stalled or gone.
            self.handle.workers().iter().for_each(JoinHandle::abort);
        }
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.handle.durable {
            durable.close(limit).await;
        }
    }
}

impl<To> Handles<To> {
    /// What stands in an outbox stays there.
    fn stop_feeding(&self) {
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.durable {
            durable.stop();
        }
    }
}

impl<To> Drop for Handles<To> {
    fn drop(&mut self) {
        self.shared.dispatcher.close(self.shared.clock.now());
        self.stop_feeding();
    }
}

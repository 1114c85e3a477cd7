//! What the admin address knows of endpoints beside what their clients tell.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use pilot_webhook_std::ClientBuilder;

use super::history::Histories;
use crate::metrics::Metrics;

/// What is remembered and counted of endpoints, by hooks of their clients.
#[derive(Default)]
pub(crate) struct Watch {
    pub(super) histories: Histories,
    pub(super) metrics: Metrics,
    is_stopping: AtomicBool,
}

impl Watch {
    /// Has the client of an endpoint tell of its attempts.
    pub(crate) fn client(&self, endpoint: &str, builder: ClientBuilder) -> ClientBuilder {
        builder.on_notice(self.metrics.hook(endpoint)).on_notice(self.histories.of(endpoint).hook())
    }

    /// The daemon takes nothing more.
    pub(crate) fn stopping(&self) {
        self.is_stopping.store(true, Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Relaxed)
    }
}

//! What the admin address knows of endpoints beside what their clients tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use pilot_webhook_std::{ClientBuilder, HubEndpoint};

use super::condition::Condition;
use super::history::Histories;
use crate::metrics::Metrics;
use crate::tally::Tally;

/// What is remembered and counted of endpoints, by hooks of their clients, and of what comes in.
#[derive(Default)]
pub(crate) struct Watch {
    pub(super) histories: Histories,
    pub(super) metrics: Metrics,
    pub(super) tally: Arc<Tally>,
    is_stopping: AtomicBool,
}

impl Watch {
    /// Has the client of an endpoint tell of its attempts.
    pub(crate) fn client(&self, endpoint: &str, builder: ClientBuilder) -> ClientBuilder {
        builder.on_notice(self.metrics.hook(endpoint)).on_notice(self.histories.of(endpoint).hook())
    }

    /// How an endpoint is.
    pub(super) fn condition(&self, endpoint: &HubEndpoint) -> Condition {
        Condition::of(endpoint, &self.histories.of(endpoint.name()))
    }

    /// What the daemon itself counts.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// The daemon takes nothing more.
    pub(crate) fn stopping(&self) {
        self.is_stopping.store(true, Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Relaxed)
    }
}

//! The counters as one JSON line.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use pilot_webhook_core::Stats;
use pilot_webhook_std::Hub;
use pilot_webhook_std::outbox::Ledger;
use serde::Serialize;
use tokio::time::timeout;

use crate::aside::aside;
use crate::tally::Tally;
use crate::{Failure, print, stats_file};

/// How long the exit waits until the counters are read. Arbitrary: ample for any reader.
const PRINT_MAX: Duration = Duration::from_secs(2);

/// All counters of the endpoints, their sum and the daemon's own.
///
/// Every line and every posted event is in one of them, as [`Tally`] says. (What the daemon itself emits, which are
/// panics of the delivery, comes on top of `emitted`.) With an outbox, `emitted` counts what was taken out of it to be
/// delivered, and a line that could not be stored is a bad line.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The sum of all endpoints.
    #[serde(flatten)]
    stats: Stats,
    bad_lines: u64,
    lines: u64,
    not_taken: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unmatched: u64,
    messages: u64,
    bad_messages: u64,
    requests: u64,
    bad_requests: u64,
    posted: u64,
    repeats: u64,
    sent_back: u64,
    /// The events that at least one of several endpoints took or counted as lost. Also when others were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    /// The counters of each of them, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints: Option<BTreeMap<String, Stats>>,
    /// What became of all events of the outbox's file, over its whole life.
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox: Option<Ledger>,
}

impl Report {
    /// With `has_several`, the counters of each endpoint are told, also when there is only one now.
    pub(crate) fn new(hub: &Hub, tally: &Tally, has_several: bool) -> Self {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let endpoints = hub.endpoints();
        let each = || endpoints.iter().map(|it| (it.name().to_owned(), it.stats())).collect();
        let stats = hub.stats();
        // There may have been others.
        let differs = hub.outbox().is_none() && hub.events() != stats.emitted;
        Self {
            events: (has_several || differs).then(|| hub.events()),
            stats,
            endpoints: has_several.then(each),
            outbox: hub.outbox().and_then(|outbox| outbox.ledger().ok()),
            bad_lines: count(&tally.bad_lines),
            lines: count(&tally.lines),
            not_taken: count(&tally.not_taken),
            unmatched: count(&tally.unmatched),
            messages: count(&tally.messages),
            bad_messages: count(&tally.bad_messages),
            requests: count(&tally.requests),
            bad_requests: count(&tally.bad_requests),
            posted: count(&tally.posted),
            repeats: count(&tally.repeats),
            sent_back: count(&tally.sent_back),
        }
    }

    /// Whether all was delivered. What was left to a sender is still the sender's.
    ///
    /// # Errors
    /// When not: the number of events with each other fate, by the keys of the report.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let Stats { emitted, delivered, .. } = self.stats;
        let all = emitted + self.bad_lines + self.not_taken;
        if all == delivered {
            return Ok(());
        }
        let fates = [
            ("rejected", self.stats.rejected),
            ("exhausted", self.stats.exhausted),
            ("skipped", self.stats.skipped),
            ("dropped", self.stats.dropped),
            ("oversize", self.stats.oversize),
            ("abandoned", self.stats.abandoned),
            ("bad_lines", self.bad_lines),
            ("not_taken", self.not_taken),
        ];
        let fates = fates.iter().filter(|(_, count)| *count > 0);
        let fates: Vec<_> = fates.map(|(fate, count)| format!("{fate} {count}")).collect();
        Err(Failure::undelivered(format!(
            "{} of {all} events were not delivered: {}",
            all - delivered,
            fates.join(", ")
        )))
    }

    /// The report as JSON, without an end of the line.
    ///
    /// # Errors
    /// None that are known.
    pub(crate) fn line(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(Failure::runtime)
    }

    /// Prints the report, and writes it to `file` if there is one.
    ///
    /// # Errors
    /// When one of the two fails; the other was done all the same.
    pub(crate) async fn publish(&self, file: Option<&Path>) -> Result<(), Failure> {
        let line = self.line()?;
        let printed = print_in_time(line.clone()).await;
        if !self.stats.is_balanced() {
            tracing::error!("the counters do not add up: this is a bug");
        }
        if let Some(path) = file {
            stats_file::write(path, &(line + "\n"))
                .map_err(|error| Failure::runtime(format!("{}: {error}", path.display())))?;
        }
        printed
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Prints it, unless the pipe is full and nobody reads it.
async fn print_in_time(line: String) -> Result<(), Failure> {
    let printed = timeout(PRINT_MAX, aside(move || print(&line))).await;
    printed.unwrap_or_else(|_| Err(Failure::runtime("standard output: nobody reads it")))?
}

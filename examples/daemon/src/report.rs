//! The stats as they are printed: one JSON line.

use std::fs;
use std::path::Path;

use pilot_webhook_core::Stats;
use serde::Serialize;

use crate::{Failure, print};

/// All counters of the webhook, and the daemon's own.
#[derive(Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    stats: Stats,
    bad_lines: u64,
}

impl Report {
    pub(crate) const fn new(stats: Stats, bad_lines: u64) -> Self {
        Self { stats, bad_lines }
    }

    /// Prints the report, and writes it to `file` if there is one.
    ///
    /// # Errors
    /// When one of the two fails; the other was done all the same.
    pub(crate) fn publish(&self, file: Option<&Path>) -> Result<(), Failure> {
        let line = serde_json::to_string(self).map_err(Failure::runtime)?;
        let printed = print(&line);
        if !self.stats.is_balanced() {
            log::error!("the counters do not add up: this is a bug");
        }
        if let Some(path) = file {
            fs::write(path, line + "\n")
                .map_err(|error| Failure::runtime(format!("{}: {error}", path.display())))?;
        }
        printed
    }
}

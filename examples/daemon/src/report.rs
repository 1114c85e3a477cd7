//! The stats as they are printed: one JSON line.

use std::fs;
use std::path::Path;

use pilot_webhook_core::Stats;
use serde::Serialize;

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
    /// When the file cannot be written; it was printed all the same.
    pub(crate) fn publish(&self, file: Option<&Path>) -> std::io::Result<()> {
        let mut line = serde_json::to_string(self)?;
        println!("{line}");
        if !self.stats.is_balanced() {
            log::error!("the counters do not add up: this is a bug");
        }
        line.push('\n');
        file.map_or(Ok(()), |path| fs::write(path, line))
    }
}

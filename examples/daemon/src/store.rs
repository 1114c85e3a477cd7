//! The options of `run` that store events in an outbox.

use std::path::PathBuf;
use std::time::Duration;

use pilot_webhook_std::{Outbox, OutboxOptions};

use crate::Failure;
use crate::args::duration;

#[derive(clap::Args)]
pub(crate) struct Store {
    /// Keep events in this SQLite file until they are delivered: nothing is lost when the daemon dies.
    #[arg(long, value_name = "FILE")]
    pub(crate) outbox: Option<PathBuf>,
    /// The room for events in the outbox, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30, requires = "outbox")]
    outbox_max_bytes: u64,
    /// Events that are older are lost, and counted. Default: none.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "outbox")]
    outbox_max_age: Option<Duration>,
    /// How long an event may be in memory only, so that many are written at once.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = duration, requires = "outbox")]
    outbox_delay: Duration,
    /// Dead letters that are kept; the oldest go first, and are counted.
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "outbox")]
    dead_max: u64,
}

impl Store {
    /// Opens the outbox, if there is to be one. Blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn open(&self) -> Result<Option<Outbox>, Failure> {
        let mut options = OutboxOptions::default();
        options.max_bytes = self.outbox_max_bytes;
        options.max_age = self.outbox_max_age;
        options.delay = self.outbox_delay;
        options.dead_max = self.dead_max;
        let open = |path: &PathBuf| Outbox::open(path, options);
        self.outbox.as_ref().map(open).transpose().map_err(Failure::usage)
    }
}

//! The numbers of one moment.

use pilot_webhook_core::{Backlog, Stats, Timestamp};
use pilot_webhook_std::Connections;
use pilot_webhook_std::outbox::Ledger;

/// What is read of an endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) name: String,
    pub(crate) stats: Stats,
    pub(crate) backlog: Backlog,
    /// When the event happened that waits longest, in the queue or in the outbox.
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) connections: Connections,
    pub(crate) panics: u64,
    pub(crate) is_paused: bool,
    /// Its account in the outbox, where there is one.
    pub(crate) ledger: Option<Ledger>,
    /// Messages that wait in the stream for it, where there is one.
    pub(crate) in_stream: Option<u64>,
}

/// What is read of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings {
    pub(crate) endpoints: Vec<Reading>,
    /// Those for which something is in the outbox, and which are not there: by their names.
    pub(crate) gone: Vec<(String, Ledger)>,
    /// Where there is an outbox.
    pub(crate) file: Option<FileReading>,
    /// What came in, by the names of the daemon's own counters.
    pub(crate) input: Vec<(&'static str, u64)>,
}

/// What is read of the outbox's file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileReading {
    /// The room that its events take, in bytes.
    pub(crate) bytes: u64,
    /// The room that there is.
    pub(crate) capacity_bytes: u64,
}

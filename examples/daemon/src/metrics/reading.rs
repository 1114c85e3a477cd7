//! The numbers of an endpoint at one moment.

use pilot_webhook_core::{Backlog, Stats};
use pilot_webhook_std::outbox::Ledger;
use pilot_webhook_std::{Client, Connections};

/// What is read of an endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) name: String,
    pub(crate) stats: Stats,
    pub(crate) backlog: Backlog,
    pub(crate) connections: Connections,
    pub(crate) panics: u64,
    /// Its account in the outbox, where there is one.
    pub(crate) ledger: Option<Ledger>,
}

/// What is read of the outbox's file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileReading {
    /// The room that its events take, in bytes.
    pub(crate) bytes: u64,
}

impl Reading {
    pub(crate) fn of(name: &str, client: &Client, ledger: Option<Ledger>) -> Self {
        Self {
            name: name.to_owned(),
            stats: client.stats(),
            backlog: client.backlog(),
            connections: client.connections(),
            panics: client.panics(),
            ledger,
        }
    }
}

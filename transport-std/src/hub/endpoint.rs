//! An endpoint of a hub, as it is at one moment.

use std::fmt;
use std::sync::Arc;

use pilot_webhook_core::Stats;

use super::clients::Clients;
use super::filter::Filter;
#[cfg(feature = "outbox")]
use super::stored::Stored;
use crate::client::{Client, ClientBuilder};
use crate::http::Connections;

/// The options of an endpoint.
#[derive(Debug, Default)]
pub struct EndpointOptions {
    /// Which events it gets. Default: all.
    pub filter: Filter,
    /// Whether sources that can wait do so when it has no room, or no target. It slows all other endpoints then.
    /// Otherwise (the default) events for which it has no room are lost, as its client's
    /// [`OnFull`](crate::OnFull) says, and counted there.
    pub waits: bool,
    /// The options of its client.
    pub client: ClientBuilder,
}

impl From<ClientBuilder> for EndpointOptions {
    fn from(client: ClientBuilder) -> Self {
        Self { client, ..Self::default() }
    }
}

/// An endpoint of a [`Hub`](crate::Hub) as it was when it was asked for.
#[derive(Clone)]
pub struct HubEndpoint {
    pub(super) name: Arc<str>,
    pub(super) filter: Arc<Filter>,
    pub(super) waits: bool,
    pub(super) client: Client,
    /// The clients that deliver for it now.
    pub(super) clients: Arc<Clients>,
    #[cfg(feature = "outbox")]
    pub(super) stored: Option<Stored>,
}

impl HubEndpoint {
    /// Whether an endpoint may have this name: 1 to 64 small letters, digits, `-` and `_`.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let is_letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        (1..=64).contains(&name.len()) && name.bytes().all(is_letter)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which events it gets.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether sources that can wait do so for it.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.waits
    }

    /// Its client. Another one takes its place when the endpoint is [replaced](crate::Hub::replace), and delivers beside it
    /// then: what is to be so for both, as a pause or another URL, is said to the endpoint.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// All counters since it was added, those of the clients that it had before included.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.clients.stats()
    }

    /// The connections over HTTP since it was added, those of the clients that it had before included.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.clients.connections()
    }

    /// Panics of delivery tasks since it was added, those of the clients that it had before included.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.clients.panics()
    }

    /// Events that wait for it or are being sent: with an outbox all that are on disk, otherwise those in the queue.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let stats = self.stats();
        let in_queue = u64::from(stats.queued) + u64::from(stats.in_flight);
        #[cfg(feature = "outbox")]
        if let Some(stored) = &self.stored {
            return stored.endpoint.waiting().max(in_queue);
        }
        in_queue
    }

    /// Its dead letters, as they are on disk: what another process does to them is known within a second. None without an
    /// outbox.
    #[cfg(feature = "outbox")]
    #[must_use]
    pub fn dead(&self) -> u64 {
        self.stored.as_ref().map_or(0, |stored| stored.endpoint.dead())
    }
}

impl fmt::Debug for HubEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubEndpoint")
            .field("name", &self.name)
            .field("filter", &self.filter)
            .field("waits", &self.waits)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

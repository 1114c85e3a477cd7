//! The endpoints that the page is about.

use std::sync::Arc;

use pilot_webhook_std::{Client, Stats};

/// An endpoint.
#[derive(Clone)]
pub(crate) struct HubEndpoint {
    name: String,
    client: Client,
}

impl HubEndpoint {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn stats(&self) -> Stats {
        self.client.stats()
    }
}

/// All endpoints.
#[derive(Clone)]
pub(crate) struct Hub(Arc<[HubEndpoint]>);

impl Hub {
    pub(crate) fn new(all: impl IntoIterator<Item = (String, Client)>) -> Self {
        Self(all.into_iter().map(|(name, client)| HubEndpoint { name, client }).collect())
    }

    pub(crate) fn endpoints(&self) -> Vec<HubEndpoint> {
        self.0.to_vec()
    }
}

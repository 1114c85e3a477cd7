//! The endpoints that were removed: those that still end, by their names, and what all others counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilot_webhook_core::Stats;
use tokio::sync::watch;

use super::clients::Clients;
use super::endpoint::HubEndpoint;
use super::past::add;
use crate::client::Client;

#[derive(Default)]
pub(super) struct Removed(Mutex<State>);

#[derive(Default)]
struct State {
    /// What those counted that have ended.
    ended: Stats,
    /// By their names.
    ending: HashMap<Arc<str>, Ending>,
}

/// An endpoint that was removed, whose clients still deliver what they have.
pub(super) struct Ending {
    pub(super) clients: Arc<Clients>,
    /// The other end is gone when all of them have ended.
    end: watch::Receiver<()>,
}

impl Removed {
    /// An endpoint is removed, and has ended when the other end of `end` is gone.
    pub(super) fn add(&self, endpoint: &HubEndpoint, end: watch::Receiver<()>) {
        let (name, clients) = (Arc::clone(&endpoint.name), Arc::clone(&endpoint.clients));
        // One of this name that ended before was taken when this one was added.
        self.state().ending.insert(name, Ending { clients, end });
    }

    /// The endpoint that was called so, if it still ends: another one goes on with its counters.
    pub(super) fn take(&self, name: &str) -> Option<Ending> {
        self.state().ending.remove(name)
    }

    /// All clients of an endpoint have ended, unless another one goes on with it.
    pub(super) fn ended(&self, endpoint: &HubEndpoint) {
        let mut state = self.state();
        let is_it = |it: &Ending| Arc::ptr_eq(&it.clients, &endpoint.clients);
        if state.ending.get(&endpoint.name).is_some_and(is_it) && endpoint.clients.all().is_empty()
        {
            state.ending.remove(&endpoint.name);
            add(&mut state.ended, &endpoint.clients.stats());
        }
    }

    /// The clients that have not ended.
    pub(super) fn clients(&self) -> Vec<Client> {
        self.state().ending.values().flat_map(|it| it.clients.all()).collect()
    }

    /// Adds what they counted to `sum`.
    pub(super) fn add_to(&self, sum: &mut Stats) {
        let state = self.state();
        add(sum, &state.ended);
        state.ending.values().for_each(|it| add(sum, &it.clients.stats()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ending {
    /// Completes when all of its clients have ended.
    pub(super) async fn ended(mut self) {
        while self.end.changed().await.is_ok() {}
    }
}

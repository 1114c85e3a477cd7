//! The endpoints of a hub. Who hands in events takes a snapshot, which no change of the list delays.

use std::ops::Deref;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::endpoint::HubEndpoint;
use super::error::HubError;
use super::index::Index;

/// The endpoints at one moment, in the order in which they were added.
pub(super) type Snapshot = Arc<Endpoints>;

#[derive(Default)]
pub(super) struct Endpoints {
    all: Vec<Arc<HubEndpoint>>,
    /// Whether sources wait for more than one of them.
    pub(super) several_wait: bool,
    /// Made when the first event comes, since many endpoints may be added before.
    index: OnceLock<Index>,
}

impl Endpoints {
    fn new(all: Vec<Arc<HubEndpoint>>) -> Self {
        let several_wait = all.iter().filter(|it| it.waits).nth(1).is_some();
        Self { all, several_wait, index: OnceLock::new() }
    }

    pub(super) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(self.all.iter().map(|it| &*it.filter)))
    }

    /// One endpoint alone.
    #[cfg(feature = "outbox")]
    pub(super) fn of(only: Arc<HubEndpoint>) -> Snapshot {
        Arc::new(Self::new(vec![only]))
    }
}

impl Deref for Endpoints {
    type Target = [Arc<HubEndpoint>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

/// What became of an endpoint whose client is closed.
pub(super) enum After {
    Removed,
    Replaced(Arc<HubEndpoint>),
    /// It is closed, with the hub or by itself.
    Closed,
}

#[derive(Default)]
pub(super) struct List {
    state: RwLock<State>,
    changed: Notify,
}

#[derive(Clone, Default)]
struct State {
    endpoints: Snapshot,
    is_closed: bool,
}

impl List {
    pub(super) fn now(&self) -> Snapshot {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).endpoints)
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<HubEndpoint>> {
        self.now().iter().find(|it| &*it.name == name).cloned()
    }

    /// Completes at the first change after this was called.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Whether the list that was looked at is the list still.
    pub(super) fn is_now(&self, seen: &Snapshot) -> bool {
        Arc::ptr_eq(seen, &self.now())
    }

    /// What became of an endpoint whose client is closed.
    pub(super) fn after(&self, closed: &HubEndpoint) -> After {
        match self.get(&closed.name) {
            None => After::Removed,
            Some(it) if it.client.is_same(&closed.client) => After::Closed,
            Some(it) => After::Replaced(it),
        }
    }

    /// Whether an endpoint whose client is closed was replaced or removed.
    pub(super) fn is_replaced(&self, closed: &HubEndpoint) -> bool {
        !matches!(self.after(closed), After::Closed)
    }

    /// Appends an endpoint.
    pub(super) fn add(&self, endpoint: Arc<HubEndpoint>) -> Result<(), HubError> {
        self.change(|endpoints| {
            if endpoints.iter().any(|it| it.name == endpoint.name) {
                return Err(HubError::Exists);
            }
            endpoints.push(endpoint);
            Ok(())
        })
    }

    /// Puts what `change` makes of an endpoint in its place. Returns what was there.
    pub(super) fn replace(
        &self,
        name: &str,
        change: impl FnOnce(&HubEndpoint) -> HubEndpoint,
    ) -> Result<Arc<HubEndpoint>, HubError> {
        self.change(|endpoints| {
            let place = endpoints.iter_mut().find(|it| &*it.name == name);
            let place = place.ok_or(HubError::Unknown)?;
            let new = Arc::new(change(place));
            Ok(std::mem::replace(place, new))
        })
    }

    /// Takes an endpoint out, which `keep` is shown before it is gone. Returns it.
    pub(super) fn remove(
        &self,
        name: &str,
        keep: impl FnOnce(&HubEndpoint),
    ) -> Result<Arc<HubEndpoint>, HubError> {
        self.change(|endpoints| {
            let place = endpoints.iter().position(|it| &*it.name == name);
            let removed = endpoints.remove(place.ok_or(HubError::Unknown)?);
            keep(&removed);
            Ok(removed)
        })
    }

    /// Refuses all changes from now on.
    pub(super) fn close(&self) -> Snapshot {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        let endpoints = Arc::clone(&state.endpoints);
        drop(state);
        self.changed.notify_waiters();
        endpoints
    }

    fn change<R>(
        &self,
        step: impl FnOnce(&mut Vec<Arc<HubEndpoint>>) -> Result<R, HubError>,
    ) -> Result<R, HubError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            return Err(HubError::Closed);
        }
        let mut endpoints = state.endpoints.to_vec();
        let done = step(&mut endpoints)?;
        // The old list goes when the lock is free: with it may go a client.
        let new = Arc::new(Endpoints::new(endpoints));
        let old = std::mem::replace(&mut state.endpoints, new);
        drop(state);
        drop(old);
        self.changed.notify_waiters();
        Ok(done)
    }
}

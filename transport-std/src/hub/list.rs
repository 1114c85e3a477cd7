//! The endpoints of a hub. Who hands in events takes a snapshot, which no change of the list delays.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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

/// Names are found, endpoints added and removed without a look at the others. What emitters look at is made when somebody
/// looks, so that many changes, one after the other, make it once.
#[derive(Default)]
pub(super) struct List {
    state: RwLock<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By numbers that go up in the order in which they were added.
    all: BTreeMap<u64, Arc<HubEndpoint>>,
    numbers: HashMap<Arc<str>, u64>,
    /// `None` when nobody has looked since the last change.
    snapshot: Option<Snapshot>,
    is_closed: bool,
}

impl State {
    fn get(&self, name: &str) -> Option<&Arc<HubEndpoint>> {
        self.all.get(self.numbers.get(name)?)
    }

    fn snapshot(&mut self) -> Snapshot {
        let all = &self.all;
        let make = || Arc::new(Endpoints::new(all.values().cloned().collect()));
        Arc::clone(self.snapshot.get_or_insert_with(make))
    }
}

impl List {
    pub(super) fn now(&self) -> Snapshot {
        if let Some(snapshot) = &self.read().snapshot {
            return Arc::clone(snapshot);
        }
        self.write().snapshot()
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<HubEndpoint>> {
        self.read().get(name).cloned()
    }

    /// How many there are.
    #[cfg(feature = "outbox")]
    pub(super) fn len(&self) -> usize {
        self.read().all.len()
    }

    /// Completes at the first change after this was called.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Whether the list that was looked at is the list still.
    pub(super) fn is_now(&self, seen: &Snapshot) -> bool {
        self.read().snapshot.as_ref().is_some_and(|now| Arc::ptr_eq(seen, now))
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

    /// Appends what `complete` makes of an endpoint.
    pub(super) fn add(
        &self,
        endpoint: HubEndpoint,
        complete: impl FnOnce(HubEndpoint) -> HubEndpoint,
    ) -> Result<(), HubError> {
        self.change(|state| {
            if state.numbers.contains_key(&endpoint.name) {
                return Err(HubError::Exists);
            }
            let endpoint = Arc::new(complete(endpoint));
            let number = state.all.keys().next_back().map_or(0, |last| last + 1);
            state.numbers.insert(Arc::clone(&endpoint.name), number);
            state.all.insert(number, endpoint);
            Ok(())
        })
    }

    /// Puts what `change` makes of an endpoint in its place, if it agrees. Returns what was there.
    pub(super) fn replace(
        &self,
        name: &str,
        change: impl FnOnce(&HubEndpoint) -> Result<HubEndpoint, HubError>,
    ) -> Result<Arc<HubEndpoint>, HubError> {
        self.change(|state| {
            let place = state.numbers.get(name).and_then(|number| state.all.get_mut(number));
            let place = place.ok_or(HubError::Unknown)?;
            let new = Arc::new(change(place)?);
            Ok(std::mem::replace(place, new))
        })
    }

    /// Takes an endpoint out, which `keep` is shown before it is gone. Returns it.
    pub(super) fn remove(
        &self,
        name: &str,
        keep: impl FnOnce(&HubEndpoint),
    ) -> Result<Arc<HubEndpoint>, HubError> {
        self.change(|state| {
            let number = state.numbers.remove(name).ok_or(HubError::Unknown)?;
            let removed = state.all.remove(&number).ok_or(HubError::Unknown)?;
            keep(&removed);
            Ok(removed)
        })
    }

    /// Refuses all changes from now on.
    pub(super) fn close(&self) -> Snapshot {
        let mut state = self.write();
        state.is_closed = true;
        let endpoints = state.snapshot();
        drop(state);
        self.changed.notify_waiters();
        endpoints
    }

    fn change<R>(
        &self,
        step: impl FnOnce(&mut State) -> Result<R, HubError>,
    ) -> Result<R, HubError> {
        let mut state = self.write();
        if state.is_closed {
            return Err(HubError::Closed);
        }
        let done = step(&mut state)?;
        // The old list goes when the lock is free: with it may go a client.
        let old = state.snapshot.take();
        drop(state);
        drop(old);
        self.changed.notify_waiters();
        Ok(done)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::client::Client;
    use crate::hub::Hub;

    fn add(hub: &Hub, name: &str) {
        hub.add(name, Client::builder("http://127.0.0.1:9/").into()).unwrap();
    }

    /// Ten thousand endpoints at the start of a daemon were copied ten thousand times.
    #[tokio::test]
    async fn many_changes_copy_the_list_once() {
        let hub = Hub::new();
        add(&hub, "a");
        let it = hub.inner.list.get("a").unwrap();
        // The list has it, and this test.
        assert_eq!(Arc::strong_count(&it), 2);
        ["b", "c", "d"].iter().for_each(|name| add(&hub, name));
        hub.set_waits("b", true).unwrap();
        assert_eq!(Arc::strong_count(&it), 2, "nobody has looked");
        let now = hub.inner.list.now();
        assert_eq!(Arc::strong_count(&it), 3);
        assert!(Arc::ptr_eq(&now, &hub.inner.list.now()) && hub.inner.list.is_now(&now));
        add(&hub, "e");
        assert!(!hub.inner.list.is_now(&now));
        drop(now);
        assert_eq!(Arc::strong_count(&it), 2, "it is let go of with the first change");
    }

    #[tokio::test]
    async fn they_stay_in_the_order_in_which_they_were_added() {
        let hub = Hub::new();
        let names = || hub.endpoints().iter().map(|it| it.name().to_owned()).collect::<Vec<_>>();
        ["c", "b", "a"].iter().for_each(|name| add(&hub, name));
        assert_eq!(names(), ["c", "b", "a"]);
        hub.set_waits("c", true).unwrap();
        hub.remove("b").await.unwrap();
        add(&hub, "b");
        assert_eq!(names(), ["c", "a", "b"]);
        hub.close().await;
        assert_eq!(names(), ["c", "a", "b"]);
    }
}

//! The endpoints of an open outbox, as its writer and their holders share them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::event::EndpointId;
use super::ledger::{Account, count};
use crate::logging::Throttle;

/// The line of events before an endpoint.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) id: EndpointId,
    pub(crate) name: String,
    /// The last event that was stored for it, or an earlier one when the outbox was opened.
    newest: AtomicU64,
    /// Its readers wait here for a newer one, or for the end of the outbox.
    pub(crate) news: Notify,
    /// How much may wait for it, in bytes; the greatest number for no bound.
    max_bytes: AtomicI64,
    /// That is its share of the room, and not a number of its own.
    has_share: AtomicBool,
    /// How old what waits for it may be, in milliseconds; the greatest number for no bound.
    max_age: AtomicI64,
    /// The last event that was read, and is in its deliverer's hands or has ended. Locked over a read, and while events are
    /// aged out.
    taken: Mutex<u64>,
    /// Events that wait for it, on disk.
    waiting: AtomicU64,
    /// Its dead letters, on disk.
    dead: AtomicU64,
    is_removed: AtomicBool,
    /// What waits for it is being removed.
    is_clearing: AtomicBool,
    /// Events that were dropped, and that no client has counted yet.
    dropped: AtomicU64,
    /// What is logged of these.
    pub(crate) drops: Throttle,
}

impl Line {
    fn new(id: EndpointId, name: String, newest: u64, max_age: i64) -> Self {
        Self {
            id,
            name,
            newest: newest.into(),
            news: Notify::new(),
            max_bytes: i64::MAX.into(),
            has_share: false.into(),
            max_age: max_age.into(),
            taken: 0.into(),
            waiting: 0.into(),
            dead: 0.into(),
            is_removed: false.into(),
            is_clearing: false.into(),
            dropped: 0.into(),
            drops: Throttle::default(),
        }
    }

    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Relaxed)
    }

    pub(crate) fn set_max_bytes(&self, bytes: u64) {
        self.max_bytes.store(as_bound(bytes), Relaxed);
        self.has_share.store(false, Relaxed);
    }

    pub(crate) fn set_share(&self) {
        self.has_share.store(true, Relaxed);
    }

    pub(crate) fn max_age(&self) -> i64 {
        self.max_age.load(Relaxed)
    }

    pub(crate) fn set_max_age(&self, milliseconds: i64) {
        self.max_age.store(milliseconds, Relaxed);
    }

    /// The last event that was read: what is behind it may be aged out while this is held.
    pub(crate) fn taken(&self) -> MutexGuard<'_, u64> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    pub(crate) fn dead(&self) -> u64 {
        self.dead.load(Relaxed)
    }

    /// Its account is this, on disk.
    pub(crate) fn set_account(&self, account: &Account) {
        self.waiting.store(count(account.stored()), Relaxed);
        self.dead.store(count(account.dead()), Relaxed);
    }

    /// Whether something of it may have to go without being delivered: it becomes too old, or is removed.
    fn is_looked_after(&self) -> bool {
        self.is_clearing() || (self.max_age() != i64::MAX && self.waiting() > 0)
    }

    /// Whether nothing more is to wait for it.
    pub(crate) fn is_removed(&self) -> bool {
        self.is_removed.load(Relaxed)
    }

    /// Nothing more is to wait for it, and what waits is to be removed.
    pub(crate) fn remove(&self) {
        self.is_removed.store(true, Relaxed);
        self.is_clearing.store(true, Relaxed);
    }

    /// Events may wait for it again.
    pub(crate) fn restore(&self) {
        self.is_clearing.store(false, Relaxed);
        self.is_removed.store(false, Relaxed);
    }

    pub(crate) fn is_clearing(&self) -> bool {
        self.is_clearing.load(Relaxed)
    }

    /// Nothing waits for it any more.
    pub(crate) fn cleared(&self) {
        self.is_clearing.store(false, Relaxed);
    }

    pub(crate) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Relaxed)
    }

    /// So many events were dropped, and when `newest` is not 0, that one was stored for it.
    pub(crate) fn committed(&self, newest: u64, dropped: u64) {
        self.dropped.fetch_add(dropped, Relaxed);
        if newest > 0 {
            self.newest.store(newest, Relaxed);
            self.news.notify_waiters();
        }
    }
}

fn as_bound(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// All endpoints of a file.
#[derive(Debug)]
pub(crate) struct Lines {
    /// That of the endpoint `pilot`, which every file has.
    pub(crate) pilot: Arc<Line>,
    all: Mutex<All>,
    /// How much may wait for each that has a share of the room, in bytes.
    share: AtomicI64,
    /// The greatest age where an endpoint says nothing else, in milliseconds.
    max_age: i64,
}

/// Each is in both.
#[derive(Debug, Default)]
struct All {
    by_id: BTreeMap<EndpointId, Arc<Line>>,
    by_name: HashMap<String, Arc<Line>>,
}

impl All {
    fn add(&mut self, line: &Arc<Line>) {
        self.by_id.insert(line.id, Arc::clone(line));
        self.by_name.insert(line.name.clone(), Arc::clone(line));
    }
}

impl Lines {
    /// Those that the file has, whose last event is `newest`. `None` when `pilot` is missing.
    pub(crate) fn new(
        accounts: Vec<(EndpointId, String, Account)>,
        newest: u64,
        max_age: i64,
    ) -> Option<Self> {
        let mut all = All::default();
        for (id, name, account) in accounts {
            let line = Line::new(id, name, newest, max_age);
            line.set_account(&account);
            all.add(&Arc::new(line));
        }
        let pilot = Arc::clone(all.by_id.get(&EndpointId::PILOT)?);
        Some(Self { pilot, all: all.into(), share: i64::MAX.into(), max_age })
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_share(&self, bytes: u64) {
        self.share.store(as_bound(bytes), Relaxed);
    }

    /// How much may wait for an endpoint, in bytes; the greatest number for no bound.
    pub(crate) fn max_bytes(&self, line: &Line) -> i64 {
        let bound = if line.has_share.load(Relaxed) { &self.share } else { &line.max_bytes };
        bound.load(Relaxed)
    }

    pub(crate) fn get(&self, id: EndpointId) -> Option<Arc<Line>> {
        self.all().by_id.get(&id).cloned()
    }

    /// Those of which something may have to go without being delivered.
    pub(crate) fn looked_after(&self) -> Vec<Arc<Line>> {
        self.all().by_id.values().filter(|line| line.is_looked_after()).cloned().collect()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Line>> {
        self.all().by_name.get(name).cloned()
    }

    /// That which is called so; where there is none, a new one, for which `write` sees to it that the file gets it.
    pub(crate) fn find_or_add<E>(
        &self,
        name: &str,
        write: impl FnOnce(EndpointId) -> Result<(), E>,
    ) -> Result<Arc<Line>, E> {
        let mut all = self.all();
        if let Some(line) = all.by_name.get(name) {
            return Ok(Arc::clone(line));
        }
        let id = EndpointId(all.by_id.keys().next_back().map_or(0, |last| last.0) + 1);
        write(id)?;
        let line = Arc::new(Line::new(id, name.to_owned(), 0, self.max_age));
        all.add(&line);
        Ok(line)
    }

    /// Wakes all that wait.
    pub(crate) fn wake_all(&self) {
        self.all().by_id.values().for_each(|line| line.news.notify_waiters());
    }
}

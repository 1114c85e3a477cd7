//! The endpoints of an open outbox, as its writer and their holders share them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::event::EndpointId;

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
    /// How old what waits for it may be, in milliseconds; the greatest number for no bound.
    max_age: AtomicI64,
    is_removed: AtomicBool,
    /// What waits for it is being removed.
    is_clearing: AtomicBool,
    /// Events that were dropped since the outbox was opened.
    dropped: AtomicU64,
}

impl Line {
    fn new(id: EndpointId, name: String, newest: u64, max_age: i64) -> Self {
        Self {
            id,
            name,
            newest: newest.into(),
            news: Notify::new(),
            max_bytes: i64::MAX.into(),
            max_age: max_age.into(),
            is_removed: false.into(),
            is_clearing: false.into(),
            dropped: 0.into(),
        }
    }

    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Relaxed)
    }

    pub(crate) fn max_bytes(&self) -> i64 {
        self.max_bytes.load(Relaxed)
    }

    pub(crate) fn set_max_bytes(&self, bytes: u64) {
        self.max_bytes.store(i64::try_from(bytes).unwrap_or(i64::MAX), Relaxed);
    }

    pub(crate) fn max_age(&self) -> i64 {
        self.max_age.load(Relaxed)
    }

    pub(crate) fn set_max_age(&self, milliseconds: i64) {
        self.max_age.store(milliseconds, Relaxed);
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

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
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

/// All endpoints of a file.
#[derive(Debug)]
pub(crate) struct Lines {
    /// That of the endpoint `pilot`, which every file has.
    pub(crate) pilot: Arc<Line>,
    lines: Mutex<BTreeMap<EndpointId, Arc<Line>>>,
    /// The greatest age where an endpoint says nothing else, in milliseconds.
    max_age: i64,
}

impl Lines {
    /// Those that the file has, whose last event is `newest`. `None` when `pilot` is missing.
    pub(crate) fn new(
        names: impl IntoIterator<Item = (EndpointId, String)>,
        newest: u64,
        max_age: i64,
    ) -> Option<Self> {
        let line = |(id, name)| (id, Arc::new(Line::new(id, name, newest, max_age)));
        let lines: BTreeMap<_, _> = names.into_iter().map(line).collect();
        let pilot = Arc::clone(lines.get(&EndpointId::PILOT)?);
        Some(Self { pilot, lines: lines.into(), max_age })
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<EndpointId, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: EndpointId) -> Option<Arc<Line>> {
        self.lines().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Line>> {
        self.lines().values().cloned().collect()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Line>> {
        self.lines().values().find(|line| line.name == name).cloned()
    }

    /// That which is called so; where there is none, a new one, for which `write` sees to it that the file gets it.
    pub(crate) fn find_or_add<E>(
        &self,
        name: &str,
        write: impl FnOnce(EndpointId) -> Result<(), E>,
    ) -> Result<Arc<Line>, E> {
        let mut lines = self.lines();
        if let Some(line) = lines.values().find(|line| line.name == name) {
            return Ok(Arc::clone(line));
        }
        let id = EndpointId(lines.keys().next_back().map_or(0, |last| last.0) + 1);
        write(id)?;
        let line = Arc::new(Line::new(id, name.to_owned(), 0, self.max_age));
        lines.insert(id, Arc::clone(&line));
        Ok(line)
    }

    /// Wakes all that wait.
    pub(crate) fn wake_all(&self) {
        self.lines().values().for_each(|line| line.news.notify_waiters());
    }
}

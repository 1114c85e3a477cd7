//! How many connections there were, and are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The connections of a client over HTTP, counted since it was made. Over a proxy there is one for each answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Those that were made.
    pub made: u64,
    /// How often a message went over one that was kept.
    pub reused: u64,
    /// Those that are open now.
    pub open: u64,
}

impl Connections {
    pub(crate) const fn plus(self, more: Self) -> Self {
        Self {
            made: self.made + more.made,
            reused: self.reused + more.reused,
            open: self.open + more.open,
        }
    }
}

/// Counts them.
#[derive(Default)]
pub(crate) struct Counted {
    made: AtomicU64,
    reused: AtomicU64,
    /// Each connection has a clone.
    open: Arc<()>,
}

/// One that is open, until it is dropped.
#[derive(Default)]
pub(crate) struct Open {
    _counted: Arc<()>,
}

impl Counted {
    pub(crate) fn made(&self) -> Open {
        self.made.fetch_add(1, Relaxed);
        Open { _counted: Arc::clone(&self.open) }
    }

    pub(crate) fn reused(&self) {
        self.reused.fetch_add(1, Relaxed);
    }

    pub(crate) fn now(&self) -> Connections {
        Connections {
            made: self.made.load(Relaxed),
            reused: self.reused.load(Relaxed),
            open: Arc::strong_count(&self.open) as u64 - 1,
        }
    }
}

//! What becomes of events that have no room, as the configuration says at the moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a POST waits for room. Arbitrary: less than half of the five seconds that the original waits for an answer.
const ROOM_WAIT: Duration = Duration::from_secs(2);

/// What becomes of an event that has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// It waits for room: a line as long as it takes, a posted one as long as its POST has not waited so long; then it is
    /// sent back. For which of several endpoints is the hub's business.
    Wait(Duration),
    /// It is sent back, where it was posted.
    SendBack,
    /// The oldest event makes room. The endpoints' options say so, too.
    DropOldest,
}

impl Default for WhenFull {
    fn default() -> Self {
        Self::Wait(ROOM_WAIT)
    }
}

/// What counts now. All clones are one: a reload sets it, and those who bring events look at it for each.
#[derive(Clone)]
pub(crate) struct FullNow(Arc<Mutex<WhenFull>>);

impl FullNow {
    pub(crate) fn new(when_full: WhenFull) -> Self {
        Self(Arc::new(Mutex::new(when_full)))
    }

    pub(crate) fn get(&self) -> WhenFull {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, when_full: WhenFull) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = when_full;
    }

    /// Whether readers of events wait, for one endpoint at least.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.get(), WhenFull::Wait(_))
    }
}

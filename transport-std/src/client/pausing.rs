//! A client that is paused, and the rate that it goes back to.

use std::sync::{Mutex, PoisonError};

use pilot_webhook_core::Rate;
use tokio::sync::Notify;

/// Which rate counts: that of the options and of the receiver, or none at all.
pub(crate) struct Pausing {
    state: Mutex<State>,
    /// It was paused, or goes on, or was closed.
    changed: Notify,
}

struct State {
    rate: Rate,
    is_paused: bool,
    /// Another client delivers in its place.
    is_held_back: bool,
}

impl Pausing {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            state: Mutex::new(State { rate, is_paused: false, is_held_back: false }),
            changed: Notify::new(),
        }
    }

    /// Another rate, which `set` is given unless it is paused.
    pub(crate) fn set_rate(&self, rate: Rate, set: impl FnOnce(Rate)) {
        self.change(|state| state.rate = rate, set);
    }

    /// Pauses, or goes on: `set` is given the rate that counts now, if that is another one.
    pub(crate) fn set_paused(&self, is_paused: bool, set: impl FnOnce(Rate)) {
        self.change(|state| state.is_paused = is_paused, set);
        self.changed.notify_waiters();
    }

    /// Holds back, or goes on, as [`set_paused`](Self::set_paused) does, and beside it.
    pub(crate) fn set_held_back(&self, is_held_back: bool, set: impl FnOnce(Rate)) {
        self.change(|state| state.is_held_back = is_held_back, set);
    }

    /// The client is closed.
    pub(crate) fn closed(&self) {
        self.changed.notify_waiters();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_paused
    }

    /// Completes when that is so, which is asked again after each change: it is told whether it is paused.
    pub(crate) async fn until(&self, is_so: impl Fn(bool) -> bool) {
        loop {
            // Made before it is looked at, so that no change is missed.
            let changed = self.changed.notified();
            if is_so(self.is_paused()) {
                return;
            }
            changed.await;
        }
    }

    /// `set` is called under the lock, so that the last rate is the one that counts.
    fn change(&self, step: impl FnOnce(&mut State), set: impl FnOnce(Rate)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.counts();
        step(&mut state);
        let after = state.counts();
        if before != after {
            set(after);
        }
    }
}

impl State {
    const fn counts(&self) -> Rate {
        if self.is_paused || self.is_held_back { Rate::PAUSED } else { self.rate }
    }
}

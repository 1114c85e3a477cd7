//! What the outbox dropped for an endpoint, as its clients count it, one after the other: each drop is counted once.

use std::sync::{Mutex, PoisonError};

use crate::outbox::OutboxEndpoint;

/// The share of one client.
#[derive(Debug, Default)]
pub(crate) struct Dropped(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Another client delivers still.
    #[default]
    Before,
    /// It delivers, and counts what was dropped after so many.
    After(u64),
    /// It has ended, and so many were dropped meanwhile.
    Ended(u64),
}

impl Dropped {
    /// The client delivers from now on. What was dropped since the one before it ended counts for it.
    pub(crate) fn begin(&self, endpoint: &OutboxEndpoint) {
        self.change(|state| match state {
            State::Before => State::After(endpoint.dropped_counted()),
            state => state,
        });
    }

    /// The client delivers no more. What is dropped from now on counts for the next one.
    pub(crate) fn end(&self, endpoint: &OutboxEndpoint) {
        self.change(|state| match state {
            State::Before => State::Ended(0),
            State::After(before) => {
                let now = endpoint.dropped();
                endpoint.count_dropped(now);
                State::Ended(now - before)
            }
            state @ State::Ended(_) => state,
        });
    }

    /// How many events count for the client.
    pub(crate) fn count(&self, endpoint: &OutboxEndpoint) -> u64 {
        match self.change(|state| state) {
            State::Before => 0,
            State::After(before) => endpoint.dropped() - before,
            State::Ended(count) => count,
        }
    }

    fn change(&self, step: impl FnOnce(State) -> State) -> State {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = step(*state);
        *state
    }
}

//! The receipts of events that are in the engine, by the events' ids.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pilot_webhook_core::{EmitError, Fate};

use super::source::{Ending, Owed};

#[derive(Default)]
pub(crate) struct Receipts {
    /// Receipts that are kept or about to be. Read without a lock, as most events have none.
    expected: AtomicUsize,
    /// Held while an event is handed in, so that one is at a time.
    turn: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<u64, Owed>,
    /// An event is handed in whose id is not known yet. It may have ended before its emitter learns the id.
    is_handing_in: bool,
    /// The events that ended meanwhile.
    ended: Vec<(u64, Fate)>,
}

impl Receipts {
    /// Hands an event in with `emit`, which must not wait, and keeps its receipt if it was taken.
    pub(crate) fn hand_in(
        &self,
        receipt: &mut Option<Owed>,
        emit: impl FnOnce() -> Result<Option<u64>, EmitError>,
    ) -> Result<Option<u64>, EmitError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the event can end: whoever ends it got it from the engine's lock, which comes after this.
        self.expected.fetch_add(1, Relaxed);
        self.state().is_handing_in = true;
        let answer = emit();
        let mut state = self.state();
        state.is_handing_in = false;
        let mut told = None;
        if let Ok(Some(id)) = answer
            && let Some(owed) = receipt.take()
        {
            match state.ended.iter().find(|(ended, _)| *ended == id) {
                Some((_, fate)) => told = Some((owed, *fate)),
                None => _ = state.kept.insert(id, owed),
            }
        }
        if told.is_some() || !matches!(answer, Ok(Some(_))) {
            self.expected.fetch_sub(1, Relaxed);
        }
        state.ended.clear();
        drop(state);
        if let Some((owed, fate)) = told {
            owed.tell(Ending::Ended(fate));
        }
        answer
    }

    /// An event ended.
    pub(crate) fn settled(&self, id: u64, fate: Fate) {
        if self.expected.load(Relaxed) == 0 {
            return;
        }
        let mut state = self.state();
        let owed = state.kept.remove(&id);
        if owed.is_some() {
            self.expected.fetch_sub(1, Relaxed);
        } else if state.is_handing_in {
            state.ended.push((id, fate));
        }
        drop(state);
        if let Some(owed) = owed {
            owed.tell(Ending::Ended(fate));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

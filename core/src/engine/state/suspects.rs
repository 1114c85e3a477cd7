//! Events that may be why a receiver fails, with [`OnOpen::Hold`](crate::OnOpen::Hold), which otherwise gives
//! none up: one event that no receiver takes must not stall all others for ever.

use super::State;
use crate::engine::retry::POISON_ROUNDS;

/// An event that used up its attempts, or whose probe failed.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq, Hash))]
pub(super) struct Suspect {
    pub(super) id: u64,
    /// How often that happened although another event had been delivered since the time before.
    pub(super) strikes: u8,
    /// Whether another event has been delivered since.
    pub(super) is_up: bool,
}

impl<B, T, const SLOTS: usize> State<B, T, SLOTS> {
    /// An event's round of attempts, or its probe, ended without success; whether the event is given up:
    /// the receiver is there for others.
    pub(super) fn note_failure(&mut self, id: u64) -> bool {
        self.last_failed = id;
        let Some(known) = self.suspects.iter_mut().find(|known| known.id == id) else {
            if self.suspects.is_full() {
                self.suspects.remove(0);
            }
            let _ = self.suspects.push(Suspect { id, strikes: 0, is_up: false });
            return false;
        };
        known.strikes += u8::from(core::mem::take(&mut known.is_up));
        known.strikes >= POISON_ROUNDS
    }

    /// An event was delivered, so the receiver is there.
    pub(super) fn note_delivery(&mut self) {
        self.suspects.iter_mut().for_each(|known| known.is_up = true);
    }
}

//! What becomes of an event that is handed in.

use super::{Phase, State};
use crate::engine::config::OnFull;
use crate::event::EmitError;
use crate::queue::Encoded;

impl<B, T> State<B, T> {
    /// Whether an event that comes now is turned away unseen, and how.
    fn turned_away(&self) -> Option<Result<Option<u64>, EmitError>> {
        match self.phase {
            Phase::Active => None,
            Phase::Disabled | Phase::Clearing { .. } => Some(Ok(None)),
            Phase::Closing { .. } | Phase::Closed => Some(Err(EmitError::Closed)),
        }
    }

    const fn is_full(&self) -> bool {
        self.queue.queued() + self.queue.leased() >= self.config.capacity
    }

    /// Whether an event that comes now will be turned away or dropped, whatever is in it.
    pub(crate) fn is_refusing(&self) -> bool {
        self.turned_away().is_some()
            || (self.is_full() && self.config.on_full == OnFull::DropNewest)
    }

    /// Accounts for an event that [`is_refusing`](Self::is_refusing) turns away; `None` when it
    /// does not after all.
    pub(crate) fn refuse(&mut self) -> Option<Result<Option<u64>, EmitError>> {
        if let Some(answer) = self.turned_away() {
            return Some(answer);
        }
        self.is_refusing().then(|| {
            self.give_id();
            self.counters.dropped += 1;
            Err(EmitError::Full)
        })
    }

    /// Takes in an event: every one that is counted has an id of its own, so that a gap in the ids
    /// at the receiver is a loss.
    const fn give_id(&mut self) -> u64 {
        self.counters.emitted += 1;
        self.last_id += 1;
        self.last_id
    }

    /// Accounts for an event that could not be encoded.
    pub(crate) fn refuse_payload(
        &mut self,
        error: crate::EncodeError,
    ) -> Result<Option<u64>, EmitError> {
        if let Some(answer) = self.turned_away() {
            return answer;
        }
        self.give_id();
        self.counters.oversize += 1;
        Err(EmitError::Payload(error))
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, T> State<B, T> {
    /// Whether at least half of the queue is free.
    pub(crate) fn is_roomy(&self) -> bool {
        let held = self.queue.queued() + self.queue.leased();
        held <= self.config.capacity / 2 && self.queue.free() >= self.queue.capacity() / 2
    }

    /// Takes in an encoded event. With `wait`, a full queue is no loss: `Full` is not counted.
    pub(crate) fn push(
        &mut self,
        event: &Encoded<'_>,
        wait: bool,
    ) -> Result<Option<u64>, EmitError> {
        if let Some(answer) = self.turned_away() {
            return answer;
        }
        let entry = event.entry(self.last_id + 1);
        let size = entry.size();
        if event.texts.len() > self.config.max_event_bytes || size > self.queue.capacity() {
            return self.refuse_payload(crate::EncodeError::TooLong);
        }
        if !self.make_room(size, wait) {
            if !wait {
                self.give_id();
                self.counters.dropped += 1;
            }
            return Err(EmitError::Full);
        }
        self.queue.push(entry, event.texts);
        Ok(Some(self.give_id()))
    }

    /// Whether `size` bytes and one more event fit now, or do after dropping the oldest.
    fn make_room(&mut self, size: usize, wait: bool) -> bool {
        let fits = |state: &Self| !state.is_full() && size <= state.queue.free();
        if fits(self) {
            return true;
        }
        let can_drop = !wait
            && self.config.on_full == OnFull::DropOldest
            && size <= self.queue.capacity() - self.queue.leased_bytes();
        if !can_drop {
            return false;
        }
        while !fits(self) && self.queue.drop_oldest() {
            self.counters.dropped += 1;
        }
        fits(self)
    }
}

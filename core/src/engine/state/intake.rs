//! What becomes of an event that is handed in.

use super::{Phase, State};
use crate::engine::config::OnFull;
use crate::engine::delivery::Fate;
use crate::event::EmitError;
use crate::json::EncodeError;
use crate::queue::Encoded;

impl<B, T, const SLOTS: usize> State<B, T, SLOTS> {
    /// Whether an event that comes now is turned away unseen, and how.
    fn turned_away(&self) -> Option<Result<Option<u64>, EmitError>> {
        match self.phase {
            Phase::Active => None,
            Phase::Disabled | Phase::Clearing => Some(Ok(None)),
            Phase::Closing | Phase::Closed => Some(Err(EmitError::Closed)),
        }
    }

    const fn is_full(&self) -> bool {
        self.queue.held() >= self.config.capacity
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
        self.is_refusing().then(|| self.turn_away(None, Fate::Dropped, EmitError::Full))
    }

    /// Accounts for an event that is not taken in.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn turn_away(
        &mut self,
        given: Option<u64>,
        fate: Fate,
        error: EmitError,
    ) -> Result<Option<u64>, EmitError> {
        let id = self.take_in(self.next_id(given)?);
        self.end(id, fate);
        Err(error)
    }

    /// The id of the event that comes. One that its source gives goes up while others are queued.
    const fn next_id(&self, given: Option<u64>) -> Result<u64, EmitError> {
        match given {
            None if self.last_id < u64::MAX => Ok(self.last_id + 1),
            Some(id) if id > self.last_id || self.queue.held() == 0 => Ok(id),
            _ => Err(EmitError::Id),
        }
    }

    /// Takes in an event: every one that is counted has an id of its own, so that a gap in the ids
    /// at the receiver is a loss.
    const fn take_in(&mut self, id: u64) -> u64 {
        self.counters.emitted += 1;
        self.last_id = id;
        id
    }

    /// Accounts for an event that could not be encoded.
    pub(crate) fn refuse_payload(
        &mut self,
        given: Option<u64>,
        error: EncodeError,
    ) -> Result<Option<u64>, EmitError> {
        if let Some(answer) = self.turned_away() {
            return answer;
        }
        self.turn_away(given, Fate::Oversize, EmitError::Payload(error))
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>, T, const SLOTS: usize> State<B, T, SLOTS> {
    /// Whether at least half of the queue is free.
    pub(crate) fn is_roomy(&self) -> bool {
        self.queue.held() <= self.config.capacity / 2
            && self.queue.free() >= self.queue.capacity() / 2
    }

    /// Whether an event that had no room is worth another try: half of the queue is free, or it is turned away
    /// for another reason.
    pub(crate) fn is_worth_a_try(&self) -> bool {
        self.turned_away().is_some() || self.is_roomy()
    }

    /// What [`push`](Self::push) that waits would answer, if it would turn this event away, unseen or for want of room.
    /// `None` for an event that cannot be encoded: it is counted when it comes.
    pub(crate) fn would_refuse(
        &self,
        event: Option<&Encoded<'_>>,
    ) -> Option<Result<Option<u64>, EmitError>> {
        let has_no_room = |event: &Encoded<'_>| {
            let size = event.entry(0).size();
            let fits =
                event.texts.len() <= self.config.max_event_bytes && size <= self.queue.capacity();
            fits && (self.is_full() || size > self.queue.free())
        };
        self.turned_away()
            .or_else(|| event.filter(|event| has_no_room(event)).map(|_| Err(EmitError::Full)))
    }

    /// Takes in an encoded event. With `wait`, a full queue is no loss: `Full` is not counted. `None`
    /// when the oldest event was dropped to make room: call it again.
    pub(crate) fn push(
        &mut self,
        event: &Encoded<'_>,
        wait: bool,
    ) -> Option<Result<Option<u64>, EmitError>> {
        if let Some(answer) = self.turned_away() {
            return Some(answer);
        }
        let id = match self.next_id(event.id) {
            Ok(id) => id,
            Err(error) => return Some(Err(error)),
        };
        let entry = event.entry(id);
        let size = entry.size();
        if event.texts.len() > self.config.max_event_bytes || size > self.queue.capacity() {
            return Some(self.refuse_payload(event.id, EncodeError::TooLong));
        }
        if self.is_full() || size > self.queue.free() {
            return self.make_room(event.id, size, wait);
        }
        self.queue.push(entry, event.texts);
        Some(Ok(Some(self.take_in(id))))
    }

    /// Drops the oldest event for one that has no room, or else that one.
    fn make_room(
        &mut self,
        given: Option<u64>,
        size: usize,
        wait: bool,
    ) -> Option<Result<Option<u64>, EmitError>> {
        if wait {
            return Some(Err(EmitError::Full));
        }
        // What is in flight stays: without it, the event must have room.
        let helps = self.config.on_full == OnFull::DropOldest
            && size <= self.queue.capacity() - self.queue.leased_bytes();
        match helps.then(|| self.queue.oldest()).flatten() {
            Some(oldest) => {
                self.end_waiting(oldest, Fate::Dropped);
                None
            }
            None => Some(self.turn_away(given, Fate::Dropped, EmitError::Full)),
        }
    }
}

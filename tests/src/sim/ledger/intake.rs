//! What comes in, and what a full queue does with it.

use pilot_webhook_core::{EmitError, EncodeError, Fate, OnFull};

use super::{Entry, Ledger, Phase, size, texts};

impl Ledger {
    /// Whether this body has room now.
    pub(crate) fn fits(&self, body: &str) -> bool {
        let used: usize = self.live.values().map(Entry::size).sum();
        self.live.len() < self.config.capacity as usize && size(body) <= self.queue_bytes - used
    }

    /// Whether at least half of the queue is free: tasks that wait for room are woken then.
    pub(crate) fn is_half_empty(&self) -> bool {
        let used: usize = self.live.values().map(Entry::size).sum();
        self.live.len() <= self.config.capacity as usize / 2
            && self.queue_bytes - used >= self.queue_bytes / 2
    }

    pub(crate) fn body(&self, tail: &str) -> String {
        format!("{{\"event_id\":{}{tail}", self.counts.emitted + 1)
    }

    /// An event was handed in, and `answer` came back.
    pub(crate) fn emitted(
        &mut self,
        tail: &str,
        waits: bool,
        answer: Result<Option<u64>, EmitError>,
    ) {
        let expected = self.take_in(tail, waits);
        self.note(|| format!("emit -> {answer:?}"));
        if answer != expected {
            self.fail("an emit is answered as specified", format!("{answer:?}, not {expected:?}"));
        }
    }

    fn take_in(&mut self, tail: &str, waits: bool) -> Result<Option<u64>, EmitError> {
        match self.phase {
            Phase::Active => {}
            Phase::Disabled | Phase::Clearing { .. } => return Ok(None),
            Phase::Closing { .. } | Phase::Closed => return Err(EmitError::Closed),
        }
        let capacity = self.config.capacity as usize;
        let drops_newest = self.config.on_full == OnFull::DropNewest;
        let body = self.body(tail);
        let is_full = self.live.len() >= capacity;
        let id = self.counts.emitted + 1;
        if !(is_full && drops_newest && !waits)
            && (texts(&body) > self.config.max_event_bytes || size(&body) > self.queue_bytes)
        {
            self.counts.emitted = id;
            self.ends(id, Fate::Oversize);
            return Err(EmitError::Payload(EncodeError::TooLong));
        }
        let pinned = || self.live.values().filter(|entry| entry.is_leased);
        let pinned_bytes: usize = pinned().map(Entry::size).sum();
        let could_fit =
            pinned().count() < capacity && size(&body) <= self.queue_bytes - pinned_bytes;
        while !self.fits(&body) {
            let oldest = self.oldest_queued().filter(|_| could_fit && !drops_newest && !waits);
            let Some(oldest) = oldest else {
                self.counts.emitted = id;
                self.ends(id, Fate::Dropped);
                return Err(EmitError::Full);
            };
            self.ends(oldest, Fate::Dropped);
            self.remove(oldest);
        }
        self.counts.emitted = id;
        self.live.insert(id, Entry { body, is_leased: false, accepted: 0, unsure: 0 });
        Ok(Some(id))
    }
}

//! The methods by which events come in one by one.

use pilot_webhook_core::{Clock as _, Data, EmitError, Event};
use tracing::info;

use super::Client;
#[cfg(feature = "outbox")]
use crate::client::durable::emit_error;
use crate::client::scratch::Scratch;
use crate::client::worker::Target;
#[cfg(feature = "outbox")]
use crate::outbox::Tell;

impl<To: Target> Client<To> {
    pub(super) fn event<'a>(&self, topic: &'a str) -> Event<'a> {
        Event::new(topic, self.node_id(), self.handle.shared.clock.wall())
    }

    /// Takes in an event that happened now on this node; returns its id, or `None` when there is
    /// no target. Never blocks; may be called from any thread.
    ///
    /// # Errors
    /// When the event is not queued. It is counted, unless the client is closed.
    pub fn emit<D: Data + ?Sized>(&self, topic: &str, data: &D) -> Result<Option<u64>, EmitError> {
        #[cfg(feature = "outbox")]
        if self.handle.durable.is_some() {
            return self.emit_event(&self.event(topic), data);
        }
        // Asked first, since an event that is refused needs no time stamp.
        match self.dispatcher().refuse() {
            Some(answer) => answer,
            None => self.emit_event(&self.event(topic), data),
        }
    }

    /// Takes in an event whose node id, time stamp and id the caller sets.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    pub fn emit_event<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        self.take_in(event, data, true)
    }

    /// Takes in an event if there is room. One that has none is the caller's still, and is not counted.
    ///
    /// # Errors
    /// When the event is not queued.
    pub fn emit_if_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        self.take_in(event, data, false)
    }

    /// Takes in an event. With `counts`, one that finds no room is lost and counted; else it is the caller's still.
    fn take_in<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        counts: bool,
    ) -> Result<Option<u64>, EmitError> {
        let mut scratch = Scratch::take(self.handle.scratch_bytes());
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.handle.durable {
            let data = self.checked(event, data, scratch.bytes()).map_err(EmitError::Payload)?;
            let answer = durable.submit(event, data);
            let answer = if counts { durable.count(answer) } else { answer };
            return answer.map(|()| None).map_err(emit_error);
        }
        if counts {
            self.dispatcher().emit(event, data, scratch.bytes())
        } else {
            self.dispatcher().emit_if_room(event, data, scratch.bytes())
        }
    }

    /// What [`emit_if_room`](Self::emit_if_room) would answer to an event that it would not take for what is in the queue
    /// or for want of a target; `None` when it would take it. It is not counted. Not for a client with an outbox.
    pub(crate) fn would_refuse<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
    ) -> Option<Result<Option<u64>, EmitError>> {
        let mut scratch = Scratch::take(self.handle.scratch_bytes());
        self.dispatcher().would_refuse(event, data, scratch.bytes())
    }

    /// Completes when there is a target, or the client is closed.
    pub(crate) async fn has_target(&self) {
        loop {
            // Made before it is looked at, so that no target is missed.
            let retargeted = self.handle.retargeted.notified();
            if self.is_closing() || self.target().is_some() {
                return;
            }
            info!("there is no webhook: the events wait for one");
            retargeted.await;
        }
    }

    /// Takes in an event as soon as there is room, for sources that can wait (a file, a pipe).
    /// Any number of tasks may wait. Cancel-safe.
    ///
    /// # Errors
    /// When it cannot be encoded or the client is closed.
    pub async fn emit_when_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        let mut scratch = Scratch::take(self.handle.scratch_bytes());
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.handle.durable {
            let data = self.checked(event, data, scratch.bytes()).map_err(EmitError::Payload)?;
            let stored =
                durable.submit_at(durable.stored(event, data), None, true, || Tell::Nobody).await;
            return stored.map(|()| None).map_err(emit_error);
        }
        let emitted = self.dispatcher().emit_when_room(event, data, scratch.bytes());
        self.handle.room.until(emitted).await
    }

    /// Completes when at least half of the queue is free, or when events are turned away for another reason: the
    /// moment to emit again after [`EmitError::Full`], for sources that wait so long and no longer. Any number
    /// of tasks may wait. Cancel-safe. With an outbox, when there is room in it for the longest event.
    pub async fn room(&self) {
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.handle.durable {
            // One that never has so much room is full for short events, too.
            let _ = durable.outbox().room(self.handle.scratch_bytes() as u64).await;
            return;
        }
        self.handle.room.until(self.dispatcher().room()).await;
    }
}

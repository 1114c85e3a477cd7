//! The methods of a client with an outbox.

use pilot_webhook_core::{Data, EncodeError, Event};

use super::Client;
use crate::client::durable::checked;
use crate::client::error::StoreError;
use crate::client::scratch::Scratch;
use crate::client::worker::Target;
use crate::outbox::{Outbox, Pending, PutError};

impl<To: Target> Client<To> {
    /// Stores an event that happened now on this node, and returns its id when it is on disk.
    ///
    /// # Errors
    /// When it is not stored. [`StoreError::NoOutbox`] without an outbox.
    pub async fn emit_durable<D: Data + ?Sized>(
        &self,
        topic: &str,
        data: &D,
    ) -> Result<u64, StoreError> {
        Ok(self.put_event(&self.event(topic), None, data)?.await?)
    }

    /// Hands an event to the outbox whose node id and time stamp the caller sets, and gives a receipt, which completes
    /// with its id when it is on disk. An event with the `origin_id`, the node id and the time stamp of one that
    /// was stored before is that one, and is not stored again: for origins that send again what was not
    /// acknowledged.
    ///
    /// # Errors
    /// When it was not taken. [`StoreError::NoOutbox`] without an outbox.
    pub fn put_event<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        origin_id: Option<u64>,
        data: &D,
    ) -> Result<Pending, StoreError> {
        let durable = self.handle.durable.as_ref().ok_or(StoreError::NoOutbox)?;
        let mut scratch = Scratch::take(self.handle.scratch_bytes());
        Ok(durable.put(event, origin_id, self.checked(event, data, scratch.bytes())?)?)
    }

    /// The outbox, if there is one.
    #[must_use]
    pub fn outbox(&self) -> Option<&Outbox> {
        self.handle.durable.as_ref().map(|durable| durable.outbox())
    }

    /// The longest topic and data of an event, both as JSON.
    pub(crate) fn max_event_bytes(&self) -> usize {
        self.handle.max_event_bytes
    }

    /// Counts an event that an outbox did not take for want of room, which nobody waits for.
    pub(crate) fn count_dropped(&self, error: PutError) {
        if let Some(durable) = &self.handle.durable {
            let _ = durable.count(Err(error));
        }
    }

    /// The data as JSON text, when the event is not too long.
    pub(super) fn checked<'s, D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        scratch: &'s mut [u8],
    ) -> Result<&'s str, EncodeError> {
        checked(event, data, self.handle.max_event_bytes, scratch)
    }
}

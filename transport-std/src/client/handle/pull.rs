//! The one way in for sources.

use pilot_webhook_core::{Data, EmitError, Event};
use tracing::info;

use super::Client;
#[cfg(feature = "outbox")]
use crate::client::durable::{Durable, emit_error};
#[cfg(feature = "outbox")]
use crate::client::scratch::Scratch;
use crate::client::source::{Ending, Incoming, Owed, Receipt, Source, refused};
use crate::client::worker::Target;
#[cfg(feature = "outbox")]
use crate::outbox::{Host, Tell};

impl<To: Target> Client<To> {
    /// Hands in what a source yields, to its end. Events of a source that can wait wait for room, and for a target.
    /// When the client is closed, it says so to the events that still come: such a source learns it when it is
    /// [`answered`](Source::answered).
    ///
    /// A receipt is told how its event ended: delivered, or lost in one of the ways that have a name. With an outbox it
    /// is told when the event is on disk.
    pub async fn pull<S: Source>(&self, source: &mut S) {
        loop {
            let can_wait = source.can_wait();
            let Some(mut item) = source.next().await else { return };
            let mut receipt = item.receipt.take().map(Owed::new);
            let answer = self.hand_in(&item, &mut receipt, can_wait).await;
            source.answered(told(answer, receipt));
        }
    }

    /// Hands an event in. A receipt that is still there afterwards is that of an event that was not taken.
    /// Cancel-safe, but with an outbox.
    pub(crate) async fn hand_in<R: Receipt>(
        &self,
        item: &Incoming<'_, R>,
        receipt: &mut Option<Owed>,
        can_wait: bool,
    ) -> Result<Option<u64>, EmitError> {
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.handle.durable {
            return self.store(durable, item, receipt, can_wait).await;
        }
        loop {
            let answer = self.queue(item, receipt, can_wait).await;
            if answer != Ok(None) || !can_wait {
                return answer;
            }
            // Made before it is tried again, so that no target is missed.
            let retargeted = self.handle.retargeted.notified();
            let answer = self.queue(item, receipt, can_wait).await;
            if answer != Ok(None) {
                return answer;
            }
            info!("there is no webhook: the events wait for one");
            retargeted.await;
        }
    }

    /// As [`emit_event`](Self::emit_event), with a receipt, which is still there when the event was not taken.
    pub(crate) fn hand_in_now<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        receipt: &mut Option<Owed>,
    ) -> Result<Option<u64>, EmitError> {
        self.keeping(receipt, || self.emit_event(event, data))
    }

    /// As [`emit_if_room`](Self::emit_if_room), with a receipt, which is still there when the event was not taken.
    pub(crate) fn hand_in_if_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
        receipt: &mut Option<Owed>,
    ) -> Result<Option<u64>, EmitError> {
        self.keeping(receipt, || self.emit_if_room(event, data))
    }

    /// Hands an event in with `emit`, and keeps its receipt if there is one and the event was taken.
    fn keeping(
        &self,
        receipt: &mut Option<Owed>,
        emit: impl FnOnce() -> Result<Option<u64>, EmitError>,
    ) -> Result<Option<u64>, EmitError> {
        if receipt.is_none() {
            return emit();
        }
        self.dispatcher().observer().receipts.hand_in(receipt, emit)
    }

    /// Hands it to the engine, and keeps its receipt.
    async fn queue<R: Receipt>(
        &self,
        item: &Incoming<'_, R>,
        receipt: &mut Option<Owed>,
        can_wait: bool,
    ) -> Result<Option<u64>, EmitError> {
        let Incoming { event, data, .. } = item;
        match (receipt.is_some(), can_wait) {
            (false, true) => return self.emit_when_room(event, data).await,
            (false, false) => return self.emit_event(event, data),
            (true, false) => return self.hand_in_now(event, data, receipt),
            (true, true) => {}
        }
        loop {
            let answer = self.hand_in_if_room(event, data, receipt);
            if answer != Err(EmitError::Full) {
                return answer;
            }
            self.room().await;
        }
    }

    /// Hands it to the outbox, which tells its receipt when it is on disk.
    #[cfg(feature = "outbox")]
    async fn store<R: Receipt>(
        &self,
        durable: &Durable,
        item: &Incoming<'_, R>,
        receipt: &mut Option<Owed>,
        can_wait: bool,
    ) -> Result<Option<u64>, EmitError> {
        let mut scratch = Scratch::take(self.handle.scratch_bytes());
        let data = self.checked(&item.event, &item.data, scratch.bytes());
        let mut event = durable.stored(&item.event, data.map_err(EmitError::Payload)?);
        event.origin_id = item.origin_id;
        let reply = || when_stored(receipt.take());
        let answer = durable.submit_at(event, item.position, can_wait, reply).await;
        // One that waits was not dropped.
        let answer = if can_wait { answer } else { durable.count(answer) };
        answer.map(|()| None).map_err(emit_error)
    }
}

/// Has the outbox tell a receipt.
#[cfg(feature = "outbox")]
pub(crate) fn when_stored(receipt: Option<Owed>) -> Tell {
    match receipt {
        None => Tell::Nobody,
        Some(receipt) => Tell::Host(Host(Box::new(|stored| {
            receipt.tell(stored.map_or(Ending::NotTaken, Ending::Stored));
        }))),
    }
}

/// The receipt that is still there is that of an event that was not taken.
pub(crate) fn told(
    answer: Result<Option<u64>, EmitError>,
    receipt: Option<Owed>,
) -> Result<Option<u64>, EmitError> {
    if let Some(receipt) = receipt {
        receipt.tell(answer.err().map_or(Ending::NotTaken, refused));
    }
    answer
}

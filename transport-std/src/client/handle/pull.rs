//! The one way in for sources.

use pilot_webhook_core::EmitError;
use tracing::info;

use super::Client;
#[cfg(feature = "outbox")]
use crate::client::durable::{Durable, emit_error, stored};
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
            let Some(item) = source.next().await else { return };
            let answer = self.hand_in(item, can_wait).await;
            source.answered(answer);
        }
    }

    async fn hand_in<R: Receipt>(
        &self,
        mut item: Incoming<'_, R>,
        can_wait: bool,
    ) -> Result<Option<u64>, EmitError> {
        let mut receipt = item.receipt.take().map(Owed::new);
        #[cfg(feature = "outbox")]
        if let Some(durable) = &self.handle.durable {
            let answer = self.store(durable, &item, &mut receipt, can_wait).await;
            return told(answer, receipt);
        }
        loop {
            let answer = self.queue(&item, &mut receipt, can_wait).await;
            if answer != Ok(None) || !can_wait {
                return told(answer, receipt);
            }
            // Made before it is tried again, so that no target is missed.
            let retargeted = self.handle.retargeted.notified();
            let answer = self.queue(&item, &mut receipt, can_wait).await;
            if answer != Ok(None) {
                return told(answer, receipt);
            }
            info!("there is no webhook: the events wait for one");
            retargeted.await;
        }
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
            (true, _) => {}
        }
        let receipts = &self.dispatcher().observer().receipts;
        loop {
            let answer = receipts.hand_in(receipt, || match can_wait {
                true => self.emit_if_room(event, data),
                false => self.emit_event(event, data),
            });
            if answer != Err(EmitError::Full) || !can_wait {
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
        let mut event = stored(&item.event, data.map_err(EmitError::Payload)?);
        event.origin_id = item.origin_id;
        let reply = || match receipt.take() {
            None => Tell::Nobody,
            Some(receipt) => Tell::Host(Host(Box::new(|stored| {
                receipt.tell(stored.map_or(Ending::NotTaken, Ending::Stored));
            }))),
        };
        let answer = durable.submit_at(event, item.position, can_wait, reply).await;
        // One that waits was not dropped.
        let answer = if can_wait { answer } else { durable.count(answer) };
        answer.map(|()| None).map_err(emit_error)
    }
}

/// The receipt that is still there is that of an event that was not taken.
fn told(
    answer: Result<Option<u64>, EmitError>,
    receipt: Option<Owed>,
) -> Result<Option<u64>, EmitError> {
    if let Some(receipt) = receipt {
        receipt.tell(answer.err().map_or(Ending::NotTaken, refused));
    }
    answer
}

//! The ways in for sources that wait.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use pilot_webhook_core::{Data, EmitError, Event, to_json};

use super::Hub;
use super::emit::{Answer, Tried};
use super::endpoint::HubEndpoint;
use crate::client::{Ending, Incoming, MAX_EVENT_BYTES, Owed, Receipt, Scratch, Source, told};

impl Hub {
    /// Hands in what a source yields, to its end, as [`Client::pull`](crate::Client::pull) does. Each event goes to each
    /// endpoint whose filter lets it pass; one that is for none ends at once, and the source is told
    /// ([`unmatched`](Source::unmatched)). Events of a source that can wait do so for the endpoints that say so.
    ///
    /// A receipt is told once, when its event has ended at each endpoint, with the ending that is worst for the source:
    /// one that was not delivered somewhere is not delivered.
    pub async fn pull<S: Source>(&self, source: &mut S) {
        loop {
            let can_wait = source.can_wait();
            let Some(mut item) = source.next().await else { return };
            let mut receipt = item.receipt.take().map(Owed::new);
            match self.hand_in(&item, &mut receipt, can_wait).await {
                Some(answer) => source.answered(told(answer, receipt)),
                None => {
                    if let Some(receipt) = receipt {
                        receipt.tell(Ending::NoEndpoint);
                    }
                    source.unmatched();
                }
            }
        }
    }

    /// Hands in an event as soon as the endpoints that sources wait for, of those that are to have it, have room and a
    /// target. Cancel-safe: when the future is dropped, no endpoint has it.
    ///
    /// # Errors
    /// When it cannot be encoded, or the hub is closed.
    pub async fn emit_when_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        // Once, and not at each try.
        let mut scratch = Scratch::take(MAX_EVENT_BYTES);
        match to_json(data, scratch.bytes()) {
            Ok(text) => {
                let item = Incoming::<std::convert::Infallible>::new(*event, text);
                self.hand_in(&item, &mut None, true).await.unwrap_or(Ok(None))
            }
            // It is too long for some of the endpoints, or all of them: none waits for it.
            Err(_) => self.emit_event(event, data),
        }
    }

    /// `None` for an event that is for no endpoint. The receipt is still there when it was not told.
    async fn hand_in<R: Receipt>(
        &self,
        item: &Incoming<'_, R>,
        receipt: &mut Option<Owed>,
        can_wait: bool,
    ) -> Option<Answer> {
        #[cfg(feature = "outbox")]
        if let Some(outbox) = self.outbox() {
            return self.store(outbox, item, receipt, can_wait).await;
        }
        loop {
            // Made before the list is looked at, so that no change is missed.
            let changed = self.inner.list.changed();
            let list = self.inner.list.now();
            match self.try_all(&list, &item.event, &item.data, receipt, can_wait) {
                Tried::Unmatched => return None,
                Tried::Answered(answer) => return Some(answer),
                Tried::Blocked(_, answer @ Err(EmitError::Closed)) => {
                    if self.inner.list.is_now(&list) {
                        return Some(answer);
                    }
                }
                Tried::Blocked(endpoint, answer) => first(ready(&endpoint, answer), changed).await,
            }
        }
    }
}

/// Completes when an endpoint may take what it answered this to.
async fn ready(endpoint: &HubEndpoint, answer: Answer) {
    match answer {
        Err(_) => endpoint.client.room().await,
        Ok(_) => endpoint.client.has_target().await,
    }
}

/// Completes with the first of two.
async fn first(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| {
        let is_over = one.as_mut().poll(cx).is_ready() || other.as_mut().poll(cx).is_ready();
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

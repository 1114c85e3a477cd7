//! The ways in for sources that wait.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use pilot_webhook_core::{Data, EmitError, Event, to_json};

use super::Hub;
use super::emit::{Answer, Tried};
use super::endpoint::HubEndpoint;
#[cfg(feature = "outbox")]
use super::list::Endpoints;
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
            let answer = self.hand_in(&item, &mut receipt, can_wait).await;
            tell(source, answer, receipt);
        }
    }

    /// As [`pull`](Self::pull), but hands events to this endpoint alone, for a source that each endpoint has for itself:
    /// so its events wait for this endpoint, whether or not other sources do, and for no other. One that its filter does
    /// not let pass ends at once, and the source is told ([`unmatched`](Source::unmatched)). It goes on when the endpoint
    /// is replaced; when there is none of this name, or the hub is closed, the source is told that it is closed.
    ///
    /// Cancel-safe as far as the source is: an event that is in no endpoint's hands then has its receipt told that it was
    /// abandoned.
    pub async fn pull_to<S: Source>(&self, name: &str, source: &mut S) {
        loop {
            let can_wait = source.can_wait();
            let Some(mut item) = source.next().await else { return };
            let mut receipt = item.receipt.take().map(Owed::new);
            let answer = self.hand_to_one(name, &item, &mut receipt, can_wait).await;
            tell(source, answer, receipt);
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
            return self.store(outbox, &self.inner.list.now(), item, receipt, can_wait).await;
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

    /// As [`hand_in`](Self::hand_in), to one endpoint alone.
    async fn hand_to_one<R: Receipt>(
        &self,
        name: &str,
        item: &Incoming<'_, R>,
        receipt: &mut Option<Owed>,
        can_wait: bool,
    ) -> Option<Answer> {
        let answer = loop {
            // Made before the list is looked at, so that no change is missed.
            let changed = self.inner.list.changed();
            let Some(endpoint) = self.inner.list.get(name) else {
                return Some(Err(EmitError::Closed));
            };
            #[cfg(feature = "outbox")]
            if let Some(outbox) = self.outbox() {
                let only = Endpoints::of(endpoint);
                return self.store(outbox, &only, item, receipt, can_wait).await;
            }
            if !endpoint.filter.lets_pass(&item.event) {
                return None;
            }
            let answer = if can_wait {
                endpoint.client.hand_in_if_room(&item.event, &item.data, receipt)
            } else {
                endpoint.client.hand_in_now(&item.event, &item.data, receipt)
            };
            match answer {
                Err(EmitError::Closed) if self.inner.list.is_replaced(&endpoint) => {}
                Ok(None) | Err(EmitError::Full) if can_wait => {
                    first(ready(&endpoint, answer), changed).await;
                }
                answer => break answer,
            }
        };
        self.count(answer);
        Some(answer)
    }
}

/// Tells a source what became of the event that it yielded last, `None` when it is for no endpoint.
fn tell<S: Source>(source: &mut S, answer: Option<Answer>, receipt: Option<Owed>) {
    match answer {
        Some(answer) => source.answered(told(answer, receipt)),
        None => {
            if let Some(receipt) = receipt {
                receipt.tell(Ending::NoEndpoint);
            }
            source.unmatched();
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

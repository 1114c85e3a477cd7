//! How an event comes to each endpoint that is to have it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use pilot_webhook_core::{Clock as _, Data, EmitError, Event};

use super::Hub;
use super::endpoint::HubEndpoint;
use super::fan::Shares;
use super::index::Matching;
use super::list::{After, Snapshot};
#[cfg(feature = "outbox")]
use crate::client::MAX_EVENT_BYTES;
use crate::client::Owed;

/// What an endpoint, or all of them together, said to an event: as [`Client::emit`](crate::Client::emit) says it.
pub(super) type Answer = Result<Option<u64>, EmitError>;

/// What became of an event that was handed in.
pub(super) enum Tried {
    /// No endpoint is to have it.
    Unmatched,
    /// All that are to have it said something.
    Answered(Answer),
    /// It was handed to none, as this endpoint, for which sources wait, would not take it.
    Blocked(Arc<HubEndpoint>, Answer),
}

impl Hub {
    /// Hands an event that happened now on this node to each endpoint that is to have it. Never blocks; may be called
    /// from any thread. Returns the id that one of the endpoints gave it, or `None` when none took it: there is none for
    /// it, or they have no target.
    ///
    /// # Errors
    /// When no endpoint took it, and one of them counted it as lost; or when the hub is closed.
    pub fn emit<D: Data + ?Sized>(&self, topic: &str, data: &D) -> Result<Option<u64>, EmitError> {
        self.emit_event(&Event::new(topic, self.node_id(), self.inner.clock.wall()), data)
    }

    /// As [`emit`](Self::emit), with an event whose node id, time stamp and id the caller sets.
    ///
    /// # Errors
    /// As `emit`.
    pub fn emit_event<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        #[cfg(feature = "outbox")]
        if let Some(outbox) = self.outbox() {
            return self.submit(outbox, event, data, true);
        }
        match self.try_all(&self.inner.list.now(), event, data, &mut None, false) {
            Tried::Unmatched => Ok(None),
            Tried::Answered(answer) | Tried::Blocked(_, answer) => answer,
        }
    }

    /// As [`emit_event`](Self::emit_event), but where an endpoint that sources
    /// [wait for](crate::EndpointOptions::waits) has no room or no target, no endpoint gets the event: it is the
    /// caller's still, and is not counted.
    ///
    /// # Errors
    /// When the event is not taken.
    pub fn emit_if_room<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        data: &D,
    ) -> Result<Option<u64>, EmitError> {
        #[cfg(feature = "outbox")]
        if let Some(outbox) = self.outbox() {
            return self.submit(outbox, event, data, false);
        }
        loop {
            let list = self.inner.list.now();
            match self.try_all(&list, event, data, &mut None, true) {
                Tried::Unmatched => return Ok(None),
                Tried::Blocked(_, Err(EmitError::Closed)) if !self.inner.list.is_now(&list) => {}
                Tried::Answered(answer) | Tried::Blocked(_, answer) => return answer,
            }
        }
    }

    /// Whether an endpoint is to have such an event.
    #[must_use]
    pub fn has_endpoint_for(&self, event: &Event<'_>) -> bool {
        Matching::of(&self.inner.list.now(), event).len() > 0
    }

    /// Completes when the endpoints that an event is for, and that sources wait for, have room: the moment to hand it in
    /// again after [`EmitError::Full`]. Cancel-safe.
    pub async fn room_for(&self, event: &Event<'_>) {
        #[cfg(feature = "outbox")]
        if let Some(outbox) = self.outbox() {
            // One that never has so much room is full for short events, too.
            let _ = outbox.room(MAX_EVENT_BYTES as u64).await;
            return;
        }
        let list = self.inner.list.now();
        for endpoint in Matching::of(&list, event).of_list(&list).filter(|it| it.waits) {
            endpoint.client.room().await;
        }
    }

    /// Hands an event to all endpoints that are to have it. With `can_wait`, to none of them when one that sources wait
    /// for would not take it; the receipt is still there then. What was answered is told to it otherwise.
    pub(super) fn try_all<D: Data + ?Sized>(
        &self,
        list: &Snapshot,
        event: &Event<'_>,
        data: &D,
        receipt: &mut Option<Owed>,
        can_wait: bool,
    ) -> Tried {
        let matching = Matching::of(list, event);
        let all = || matching.of_list(list);
        let waiting = || all().filter(|it| can_wait && it.waits);
        let that_wait = waiting().count();
        if matching.len() == 0 {
            return Tried::Unmatched;
        }
        // Nothing comes between what they would say and what they say.
        let is_careful = list.several_wait;
        let turn = || self.inner.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = is_careful.then(turn);
        if that_wait > 1 {
            for it in waiting() {
                if let Some(answer) = it.client.would_refuse(event, data) {
                    return Tried::Blocked(Arc::clone(it), answer);
                }
            }
        }
        let mut shares = Shares::new(receipt.take(), matching.len());
        let mut sum = Ok(None);
        let only = waiting().next().filter(|_| that_wait == 1);
        if let Some(it) = only {
            let mut share = shares.share();
            let answer = it.client.hand_in_if_room(event, data, &mut share);
            if matches!(answer, Ok(None) | Err(EmitError::Full | EmitError::Closed)) {
                *receipt = shares.give_back(share);
                return Tried::Blocked(Arc::clone(it), answer);
            }
            sum = shares.tell(answer, share);
        }
        for it in all().filter(|it| only.is_none_or(|only| !Arc::ptr_eq(only, it))) {
            sum = better(sum, self.hand_to(it, event, data, &mut shares));
        }
        self.count(sum);
        Tried::Answered(sum)
    }

    /// Counts an event that an endpoint took or counted as lost.
    pub(super) fn count(&self, answer: Answer) {
        if matches!(answer, Ok(Some(_)) | Err(EmitError::Full | EmitError::Payload(_))) {
            self.inner.events.fetch_add(1, Relaxed);
        }
    }

    /// Hands an event to one endpoint, whether or not it has room.
    fn hand_to<D: Data + ?Sized>(
        &self,
        endpoint: &Arc<HubEndpoint>,
        event: &Event<'_>,
        data: &D,
        shares: &mut Shares,
    ) -> Answer {
        let mut share = shares.share();
        let mut answer = endpoint.client.hand_in_now(event, data, &mut share);
        let mut endpoint = Arc::clone(endpoint);
        while answer == Err(EmitError::Closed) {
            match self.inner.list.after(&endpoint) {
                After::Closed => break,
                After::Replaced(by) if by.filter.lets_pass(event) => {
                    answer = by.client.hand_in_now(event, data, &mut share);
                    endpoint = by;
                }
                After::Replaced(_) | After::Removed => answer = Ok(None),
            }
        }
        shares.tell(answer, share)
    }
}

/// The answer of two endpoints together: that one took it, or else counted it.
fn better(one: Answer, other: Answer) -> Answer {
    let rank = |answer: &Answer| match answer {
        Ok(Some(_)) => 0,
        Err(EmitError::Full) => 1,
        Err(EmitError::Payload(_)) => 2,
        Err(EmitError::Id) => 3,
        Err(_) => 4,
        Ok(None) => 5,
    };
    if rank(&other) < rank(&one) { other } else { one }
}

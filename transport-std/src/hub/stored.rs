//! A hub with an outbox: an event is stored once, with a delivery for each endpoint that is to have it.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;

use pilot_webhook_core::{Data, EmitError, EncodeError, Event};
use tokio::sync::watch;
use tracing::{error, warn};

use super::Hub;
use super::emit::Answer;
use super::endpoint::HubEndpoint;
use super::index::Matching;
use super::list::Snapshot;
use crate::client::{
    Incoming, Owed, Receipt, Scratch, StoreError, checked, emit_error, scratch_bytes, stored,
    when_stored,
};
use crate::outbox::{
    EndpointBounds, EndpointId, NewEvent, Outbox, OutboxEndpoint, Pending, PutError,
};

/// What an endpoint has in the outbox.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) endpoint: OutboxEndpoint,
    /// Its client delivers when the other end of this is gone.
    pub(super) after: watch::Receiver<()>,
}

impl Hub {
    /// A hub without endpoints, whose events stand in this outbox until they have ended at each endpoint that they are
    /// for: an event is stored once. Sources wait for the disk, and for no endpoint. The outbox is closed with the hub.
    ///
    /// What may wait for one of several endpoints is bounded by its share of the outbox's room, so that one that does not
    /// deliver fills it for no other: what comes beyond that is dropped for this endpoint, and counted there. For one that
    /// sources [wait](crate::EndpointOptions::waits) for there is no such bound: when it has filled the outbox, they wait.
    /// Events that wait for an endpoint that was removed are in the file, too.
    #[must_use]
    pub fn with_outbox(outbox: Outbox) -> Self {
        let hub = Self::new();
        // Nobody else has it yet.
        let _ = hub.inner.outbox.set(outbox);
        hub
    }

    /// The outbox, if there is one.
    #[must_use]
    pub fn outbox(&self) -> Option<&Outbox> {
        self.inner.outbox.get()
    }

    /// Hands an event to the outbox, as [`Client::put_event`](crate::Client::put_event) does.
    ///
    /// # Errors
    /// When it was not taken. [`StoreError::NoOutbox`] without an outbox, [`PutError::NoEndpoint`] when it is for no
    /// endpoint.
    pub fn put_event<D: Data + ?Sized>(
        &self,
        event: &Event<'_>,
        origin_id: Option<u64>,
        data: &D,
    ) -> Result<Pending, StoreError> {
        let outbox = self.outbox().ok_or(StoreError::NoOutbox)?;
        let to_store = ToStore::new(&self.inner.list.now(), event);
        if to_store.ids.0.is_empty() {
            return Err(PutError::NoEndpoint.into());
        }
        let mut scratch = Scratch::take(to_store.scratch_bytes());
        let new = NewEvent { origin_id, ..to_store.event(event, data, scratch.bytes())? };
        let pending = outbox.put(new)?;
        self.inner.events.fetch_add(1, Relaxed);
        Ok(pending)
    }

    /// Hands an event to the outbox, without waiting. One that has no room is counted as dropped where it was to go, if
    /// `is_counted`.
    pub(super) fn submit<D: Data + ?Sized>(
        &self,
        outbox: &Outbox,
        event: &Event<'_>,
        data: &D,
        is_counted: bool,
    ) -> Answer {
        let list = self.inner.list.now();
        let to_store = ToStore::new(&list, event);
        if to_store.ids.0.is_empty() {
            return Ok(None);
        }
        let mut scratch = Scratch::take(to_store.scratch_bytes());
        let new = to_store.event(event, data, scratch.bytes()).map_err(emit_payload)?;
        let answer = outbox.submit(new);
        self.stored(&list, event, answer, is_counted)
    }

    /// Hands an event of a source to the outbox, for those of these endpoints that it is for. Its receipt is told when it
    /// is on disk. `None`: it is for none of them.
    pub(super) async fn store<R: Receipt>(
        &self,
        outbox: &Outbox,
        list: &Snapshot,
        item: &Incoming<'_, R>,
        receipt: &mut Option<Owed>,
        can_wait: bool,
    ) -> Option<Answer> {
        let to_store = ToStore::new(list, &item.event);
        if to_store.ids.0.is_empty() {
            return None;
        }
        let mut scratch = Scratch::take(to_store.scratch_bytes());
        let new = match to_store.event(&item.event, &item.data, scratch.bytes()) {
            Ok(new) => NewEvent { origin_id: item.origin_id, ..new },
            Err(error) => return Some(Err(emit_payload(error))),
        };
        let reply = || when_stored(receipt.take());
        let answer = outbox.submit_at(new, item.position, can_wait, || true, reply).await;
        Some(self.stored(list, &item.event, answer, !can_wait))
    }

    /// Counts what became of an event that was handed to the outbox.
    fn stored(
        &self,
        list: &Snapshot,
        event: &Event<'_>,
        answer: Result<(), PutError>,
        is_counted: bool,
    ) -> Answer {
        if let Err(error @ (PutError::Full | PutError::Disk)) = answer
            && is_counted
        {
            let all = Matching::of(list, event);
            all.of_list(list).for_each(|it| it.client.count_dropped(error));
        }
        if answer.is_ok() || is_counted {
            self.inner.events.fetch_add(1, Relaxed);
        }
        answer.map(|()| None).map_err(emit_error)
    }

    /// Gives each of several endpoints its share of the room, but for those that sources wait for. This one is new, or is
    /// waited for or not from now on, or was removed.
    pub(super) fn share_room(&self, changed: &str) {
        let Some(outbox) = self.outbox() else { return };
        if let Some(it) = self.inner.list.get(changed)
            && let Some(stored) = &it.stored
        {
            match it.waits {
                true => stored.endpoint.set_bounds(EndpointBounds::default()),
                false => stored.endpoint.share_room(),
            }
        }
        let endpoints = self.inner.list.len() as u64;
        // One share is for what is on its way to the disk.
        let share = if endpoints > 1 { outbox.max_bytes() / (endpoints + 1) } else { u64::MAX };
        outbox.set_share(share);
    }

    /// Closes the outbox, when all clients are.
    pub(super) async fn close_outbox(&self) {
        if let Some(outbox) = self.outbox()
            && let Err(error) = outbox.close().await
        {
            error!("{error}");
        }
    }
}

/// Says what an endpoint that was removed leaves behind.
pub(super) fn say_left(removed: &HubEndpoint) {
    let ledger = removed.stored.as_ref().and_then(|it| it.endpoint.ledger().ok());
    let (left, name) = (ledger.map_or(0, |ledger| ledger.stored), removed.name());
    if left > 0 {
        warn!(
            "{left} events wait in the outbox for the endpoint {name}, which was removed: they are delivered when it is \
             there again, and take room until then or until they are purged"
        );
    }
}

const fn emit_payload(error: EncodeError) -> EmitError {
    EmitError::Payload(error)
}

thread_local! {
    static KEPT: Cell<Vec<EndpointId>> = const { Cell::new(Vec::new()) };
}

/// The endpoints that an event is for. Each thread keeps one list, so that no event takes an allocation.
struct Ids(Vec<EndpointId>);

impl Drop for Ids {
    fn drop(&mut self) {
        let mut ids = std::mem::take(&mut self.0);
        ids.clear();
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.set(ids));
    }
}

/// For whom an event is stored, and how long it may be.
struct ToStore {
    ids: Ids,
    max_bytes: usize,
}

impl ToStore {
    fn new(list: &Snapshot, event: &Event<'_>) -> Self {
        let mut ids = Ids(KEPT.try_with(Cell::take).unwrap_or_default());
        let mut max_bytes = 0;
        for it in Matching::of(list, event).of_list(list) {
            if let Some(stored) = &it.stored {
                ids.0.push(stored.endpoint.id());
                max_bytes = max_bytes.max(it.client.max_event_bytes());
            }
        }
        Self { ids, max_bytes }
    }

    const fn scratch_bytes(&self) -> usize {
        scratch_bytes(self.max_bytes)
    }

    /// The event as it is stored, when it is not too long for all that are to have it.
    fn event<'e, D: Data + ?Sized>(
        &'e self,
        event: &Event<'e>,
        data: &D,
        scratch: &'e mut [u8],
    ) -> Result<NewEvent<'e>, EncodeError> {
        Ok(stored(event, checked(event, data, self.max_bytes, scratch)?, &self.ids.0))
    }
}

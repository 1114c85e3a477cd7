//! Decides what becomes of an event that was posted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pilot_webhook_core::{Clock as _, EmitError, EncodeError, Event, Json};
use pilot_webhook_std::outbox::{Pending, PutError};
use pilot_webhook_std::{Hub, Offered, StoreError, TokioClock};
use tokio::time::{Instant, timeout_at};

use super::body::Posted;
use super::repeats::{Origin, Repeats};
use super::when_full::{FullNow, WhenFull};
use crate::tally::Tally;

/// How long a POST waits for the disk. Arbitrary: less than the five seconds that the original waits for an answer.
const STORE_WAIT: Duration = Duration::from_secs(4);

/// Hands events to the hub, each once.
pub(crate) struct Intake {
    hub: Hub,
    when_full: FullNow,
    repeats: Mutex<Repeats>,
    tally: Arc<Tally>,
}

/// Of the events of a POST not all are queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shortfall {
    /// How many are, now or from an earlier POST.
    pub(crate) queued: usize,
    /// How many were posted.
    pub(crate) of: usize,
    /// Why an event is not: the last reason.
    pub(crate) why: Why,
}

/// Why an event was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It cannot be delivered: post no such event. Those after it were looked at.
    Unfit(EncodeError),
    /// The queue is full: post it, and those after it, again.
    NoRoom,
    /// The outbox is full: the same.
    OutboxFull,
    /// The disk of the outbox is full, or fails: the same.
    DiskFull,
    /// There is no webhook: post it, and those after it, again.
    NoWebhook,
    /// The daemon ends: post it, and those after it, again.
    Ending,
    /// It is not on disk yet: post all again, those that are by then are repeats.
    NotStored,
}

impl Why {
    /// Whether it is worth waiting for room.
    const fn is_room(self) -> bool {
        matches!(self, Self::NoRoom | Self::OutboxFull | Self::DiskFull)
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of > 1 {
            write!(f, "{} of {} events are queued: ", self.queued, self.of)?;
        }
        match self.why {
            Why::Unfit(error) => error.fmt(f),
            Why::NoRoom => f.write_str("the event queue is full"),
            Why::OutboxFull => f.write_str("the outbox is full"),
            Why::DiskFull => f.write_str("the disk of the outbox is full or fails"),
            Why::NoWebhook => f.write_str("there is no webhook to deliver to"),
            Why::Ending => f.write_str("the daemon is ending"),
            Why::NotStored => f.write_str("the disk did not take it in time"),
        }
    }
}

impl Intake {
    pub(crate) fn new(hub: Hub, when_full: FullNow, tally: Arc<Tally>) -> Self {
        Self { hub, when_full, repeats: Mutex::new(Repeats::new()), tally }
    }

    /// Takes the events of one POST, in their order. One that was accepted before is not queued again. Where there
    /// is no room, the rest of them is the sender's still. With an outbox they are on disk when this completes.
    /// Cancel-safe: what was not decided is the sender's, too.
    ///
    /// # Errors
    /// When not all are queued.
    pub(crate) async fn accept(&self, events: &[Posted<'_>]) -> Result<(), Shortfall> {
        let wait = match self.when_full.get() {
            WhenFull::Wait(wait) => wait,
            WhenFull::SendBack | WhenFull::DropOldest => Duration::ZERO,
        };
        let (room_by, stored_by) = (Instant::now() + wait, Instant::now() + STORE_WAIT);
        let (mut queued, mut reason, mut receipts) = (0, None, Vec::new());
        for (before, posted) in events.iter().enumerate() {
            let mut taken = self.take(posted);
            if taken.as_ref().is_err_and(|why| why.is_room()) && !wait.is_zero() {
                let _ = timeout_at(room_by, self.hub.room_for(&self.event(posted))).await;
                taken = self.take(posted);
            }
            match taken {
                Ok(receipt) => {
                    queued += 1;
                    receipts.extend(receipt);
                }
                Err(why @ Why::Unfit(_)) => {
                    // Otherwise the engine counts it.
                    let is_stored = self.hub.outbox().is_some();
                    add(&self.tally.sent_back, usize::from(is_stored));
                    reason = Some(why);
                }
                Err(why) => {
                    let rest = events.len() - before;
                    add(&self.tally.posted, rest);
                    add(&self.tally.sent_back, rest);
                    reason = Some(why);
                    break;
                }
            }
            add(&self.tally.posted, 1);
        }
        for receipt in receipts {
            if !matches!(timeout_at(stored_by, receipt).await, Ok(Ok(_))) {
                queued -= 1;
                reason = Some(Why::NotStored);
            }
        }
        reason.map_or(Ok(()), |why| Err(Shortfall { queued, of: events.len(), why }))
    }

    /// Hands an event on, unless it was before. With an outbox it is safe when the receipt has come.
    fn take(&self, posted: &Posted<'_>) -> Result<Option<Pending>, Why> {
        let event = self.event(posted);
        if !self.hub.has_endpoint_for(&event) {
            add(&self.tally.unmatched, 1);
            return Ok(None);
        }
        let data = Json(posted.data());
        // Without a time of its own, two of these are two events.
        let event_id = posted.event_id.filter(|_| posted.timestamp.is_some());
        if self.hub.outbox().is_some() {
            // It knows its origins itself, also after a restart.
            return self.hub.put_event(&event, event_id, &data).map(Some).map_err(not_stored);
        }
        let origin = event_id.map(|event_id| Origin {
            node_id: event.node_id,
            event_id,
            timestamp: event.timestamp,
        });
        // Held until it is remembered, so that of two equal events at once the later one is a repeat.
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        if origin.is_some_and(|origin| repeats.knows(&origin)) {
            add(&self.tally.repeats, 1);
            return Ok(None);
        }
        match self.hand_on(&event, &data) {
            // Where it is lost at each endpoint that it is for, each has counted it.
            Offered::Handed(Ok(Some(_)) | Err(EmitError::Full)) => {
                origin.into_iter().for_each(|origin| repeats.remember(origin));
                Ok(None)
            }
            Offered::Handed(Ok(None)) | Offered::Refused(Ok(_)) => Err(Why::NoWebhook),
            Offered::Handed(Err(error)) | Offered::Refused(Err(error)) => Err(why(error)),
        }
    }

    fn event<'p>(&self, posted: &'p Posted<'_>) -> Event<'p> {
        posted.event(|| self.hub.node_id(), || TokioClock::new().wall())
    }

    /// Hands it to the hub, once. An event for which sources wait is the sender's still where there is no room, and no loss.
    fn hand_on(&self, event: &Event<'_>, data: &Json<'_>) -> Offered {
        match self.when_full.get() {
            WhenFull::DropOldest => Offered::Handed(self.hub.emit_event(event, data)),
            WhenFull::Wait(_) | WhenFull::SendBack => self.hub.offer(event, data),
        }
    }
}

const fn why(error: EmitError) -> Why {
    match error {
        EmitError::Payload(error) => Why::Unfit(error),
        EmitError::Full => Why::NoRoom,
        _ => Why::Ending,
    }
}

const fn not_stored(error: StoreError) -> Why {
    match error {
        StoreError::Payload(error) => Why::Unfit(error),
        StoreError::Outbox(PutError::TooLarge) => Why::Unfit(EncodeError::TooLong),
        StoreError::Outbox(PutError::Full) => Why::OutboxFull,
        StoreError::Outbox(PutError::Disk) => Why::DiskFull,
        _ => Why::Ending,
    }
}

fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Relaxed);
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;

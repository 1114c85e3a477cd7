//! Decides what becomes of an event that was posted.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pilot_webhook_core::{Clock as _, EmitError, EncodeError, Event, Json};
use pilot_webhook_std::{Client, TokioClock};
use tokio::time::{Instant, timeout_at};

use super::body::Posted;
use super::repeats::{Origin, Repeats};
use crate::tally::Tally;

/// Hands events to the client, each once.
pub(crate) struct Intake {
    client: Client,
    when_full: WhenFull,
    repeats: Mutex<Repeats>,
    tally: Arc<Tally>,
}

/// What becomes of an event that has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// It waits for room, as long as its POST has not waited so long; then it is sent back.
    Wait(Duration),
    /// It is sent back.
    SendBack,
    /// The oldest event makes room. The client's options say so, too.
    DropOldest,
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
    /// There is no webhook: post it, and those after it, again.
    NoWebhook,
    /// The daemon ends: post it, and those after it, again.
    Ending,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of > 1 {
            write!(f, "{} of {} events are queued: ", self.queued, self.of)?;
        }
        match self.why {
            Why::Unfit(error) => error.fmt(f),
            Why::NoRoom => f.write_str("the event queue is full"),
            Why::NoWebhook => f.write_str("there is no webhook to deliver to"),
            Why::Ending => f.write_str("the daemon is ending"),
        }
    }
}

impl Intake {
    pub(crate) fn new(client: Client, when_full: WhenFull, tally: Arc<Tally>) -> Self {
        Self { client, when_full, repeats: Mutex::new(Repeats::new()), tally }
    }

    /// Takes the events of one POST, in their order. One that was accepted before is not queued again. Where there
    /// is no room, the rest of them is the sender's still. Cancel-safe: what was not decided is the sender's, too.
    ///
    /// # Errors
    /// When not all are queued.
    pub(crate) async fn accept(&self, events: &[Posted<'_>]) -> Result<(), Shortfall> {
        let wait = match self.when_full {
            WhenFull::Wait(wait) => wait,
            WhenFull::SendBack | WhenFull::DropOldest => Duration::ZERO,
        };
        let deadline = Instant::now() + wait;
        let (mut queued, mut reason) = (0, None);
        for (before, posted) in events.iter().enumerate() {
            let mut taken = self.take(posted);
            if taken == Err(Why::NoRoom) && !wait.is_zero() {
                let _ = timeout_at(deadline, self.client.room()).await;
                taken = self.take(posted);
            }
            match taken {
                Ok(()) => queued += 1,
                Err(why @ Why::Unfit(_)) => reason = Some(why),
                Err(why) => {
                    let rest = events.len() - before;
                    // Of these the engine counts the first one where it was to drop another.
                    let is_counted = self.when_full == WhenFull::DropOldest && why == Why::NoRoom;
                    add(&self.tally.posted, rest);
                    add(&self.tally.sent_back, rest - usize::from(is_counted));
                    reason = Some(why);
                    break;
                }
            }
            add(&self.tally.posted, 1);
        }
        reason.map_or(Ok(()), |why| Err(Shortfall { queued, of: events.len(), why }))
    }

    fn take(&self, posted: &Posted<'_>) -> Result<(), Why> {
        // Held until it is remembered, so that of two equal events at once the later one is a repeat.
        let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
        let node_id = posted.node_id.unwrap_or_else(|| self.client.node_id());
        let origin = match (posted.event_id, posted.timestamp) {
            (Some(event_id), Some(timestamp)) => Some(Origin { node_id, event_id, timestamp }),
            // Two of these are two events.
            _ => None,
        };
        if origin.is_some_and(|origin| repeats.knows(&origin)) {
            add(&self.tally.repeats, 1);
            return Ok(());
        }
        let timestamp = posted.timestamp.unwrap_or_else(|| TokioClock::new().wall());
        match self.emit(&Event::new(&posted.event, node_id, timestamp), &Json(posted.data())) {
            Ok(Some(_)) => {
                origin.into_iter().for_each(|origin| repeats.remember(origin));
                Ok(())
            }
            Ok(None) => Err(Why::NoWebhook),
            Err(EmitError::Payload(error)) => Err(Why::Unfit(error)),
            Err(EmitError::Full) => Err(Why::NoRoom),
            Err(_) => Err(Why::Ending),
        }
    }

    /// Hands it to the client. An event that has no room is the sender's still, and no loss.
    fn emit(&self, event: &Event<'_>, data: &Json<'_>) -> Result<Option<u64>, EmitError> {
        let at_once = {
            let emitted = pin!(self.client.emit_when_room(event, data));
            emitted.poll(&mut Context::from_waker(Waker::noop()))
        };
        match at_once {
            Poll::Ready(answer) => answer,
            Poll::Pending if self.when_full == WhenFull::DropOldest => {
                self.client.emit_event(event, data)
            }
            Poll::Pending => Err(EmitError::Full),
        }
    }
}

fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Relaxed);
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;

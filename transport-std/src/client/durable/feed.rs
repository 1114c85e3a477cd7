//! What hands stored events to the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use pilot_webhook_core::{Backlog, Clock, EmitError, Event, Instant, Json, Timestamp};
use tracing::error;

use super::{Durable, READ_AGAIN};
use crate::client::worker::{Shared, Target};
use crate::logging::Throttle;
use crate::outbox::{OutboxErrorKind, Stored, Tried};

/// How much is read from the file at once, at most.
const WINDOW_EVENTS: usize = 256;
const WINDOW_BYTES: usize = 256 * 1024;

/// How many events and bytes are read at once: half of the engine's queue, which is a window over the file, takes them.
fn window(queue: &Backlog) -> (usize, usize) {
    let most_events = usize::try_from(queue.capacity / 2).unwrap_or(usize::MAX);
    (most_events.clamp(1, WINDOW_EVENTS), WINDOW_BYTES.min(queue.capacity_bytes / 2))
}

/// Hands what is stored to the engine, in the order of ids, as there is room, until either is closed.
pub(crate) async fn feed<To: Target>(shared: Arc<Shared<To>>, durable: Arc<Durable>) {
    let throttle = Throttle::default();
    let (mut after, mut scratch) = (0, Vec::new());
    let endpoint = &durable.endpoint;
    let mut times = Times::new(&shared.clock);
    loop {
        // What is read and has no room would be in memory as long as the receiver is dead.
        shared.dispatcher.room().await;
        let (most_events, most_bytes) = window(&shared.dispatcher.backlog());
        // What is stored later is not in what is read now, and is waited for.
        let newest = endpoint.newest();
        match endpoint.read(after, most_events, most_bytes).await {
            Ok(events) if events.is_empty() => {
                if !endpoint.changed(newest.max(after)).await {
                    return;
                }
            }
            Ok(events) => {
                for event in events {
                    match hand_in(&shared, &event, &times, &mut scratch).await {
                        Handed::Taken => {
                            after = event.id;
                            durable.fed.send_replace(after);
                        }
                        Handed::NoTarget => {
                            durable.resumed.notified().await;
                            break;
                        }
                        Handed::Closed => return,
                    }
                }
            }
            Err(error) if matches!(error.kind(), OutboxErrorKind::Closed) => return,
            Err(error) => {
                if throttle.admit(std::time::Instant::now()).is_some() {
                    error!(endpoint = durable.endpoint.name(), "{error}");
                }
                tokio::time::sleep(READ_AGAIN).await;
            }
        }
        if durable.ends.has_left.swap(false, Relaxed) {
            // What the engine let go of comes again, once all that it has has ended and is noted.
            shared.dispatcher.drained().await;
            if durable.settled().await.is_err() {
                return;
            }
            after = 0;
            times = Times::new(&shared.clock);
        }
    }
}

/// One moment by both clocks, so that the same time of the file is the same here: a batch's events are due together.
struct Times {
    now: Instant,
    wall: Timestamp,
}

impl Times {
    fn new(clock: &impl Clock) -> Self {
        Self { now: clock.now(), wall: clock.wall() }
    }

    /// A clock that was set back makes no wait longer.
    fn tried(&self, Tried { attempts, failed_at, wait, .. }: Tried) -> pilot_webhook_core::Tried {
        let due = self.now + wait.saturating_sub(since(failed_at, self.wall));
        pilot_webhook_core::Tried { attempts, due }
    }
}

/// The time from one moment to a later one, in milliseconds; zero if it is not later.
fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    let millis =
        |at: Timestamp| i128::from(at.seconds()) * 1_000 + i128::from(at.nanos() / 1_000_000);
    Duration::from_millis(u64::try_from(millis(later) - millis(earlier)).unwrap_or(0))
}

enum Handed {
    Taken,
    NoTarget,
    Closed,
}

async fn hand_in<To: Target>(
    shared: &Shared<To>,
    stored: &Stored,
    times: &Times,
    scratch: &mut Vec<u8>,
) -> Handed {
    let event = Event::new(&stored.topic, stored.node_id, stored.timestamp).with_id(stored.id);
    let tried = stored.tried.map(|tried| times.tried(tried));
    // A letter of a topic takes six bytes at most, as in `\u0007`.
    let length = stored.topic.len() * 6 + stored.data.as_ref().map_or(0, String::len) + 8;
    scratch.resize(length.max(scratch.len()), 0);
    let dispatcher = &shared.dispatcher;
    let emitted = match (&stored.data, tried) {
        (Some(data), None) => dispatcher.emit_when_room(&event, &Json(data), scratch).await,
        (None, None) => dispatcher.emit_when_room(&event, &(), scratch).await,
        (Some(data), Some(tried)) => {
            dispatcher.emit_tried(&event, &Json(data), scratch, tried).await
        }
        (None, Some(tried)) => dispatcher.emit_tried(&event, &(), scratch, tried).await,
    };
    match emitted {
        Ok(None) => Handed::NoTarget,
        Err(EmitError::Closed) => Handed::Closed,
        // What cannot be sent was told to the observer.
        Ok(Some(_)) | Err(_) => Handed::Taken,
    }
}

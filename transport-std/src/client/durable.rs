//! A client whose events stand in an outbox until their story is over: what goes into the engine, and what
//! becomes of it.

mod feed;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pilot_webhook_core::{
    BreakerState, Data, EmitError, EncodeError, Event, Fate, MessageId, Notice, Reply, Stats,
    TransportError, Verdict, to_json,
};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tracing::{error, warn};

pub(crate) use feed::feed;

use crate::client::within::within;
use crate::client::worker::{Shared, Target};
use crate::logging::Throttle;
use crate::logging::{ERROR_MAX, Printable};
use crate::outbox::{
    DeadFate, DeadReason, End, EndpointId, NewEvent, Outbox, OutboxEndpoint, Pending, Position,
    PutError, Tell,
};

/// The pause after a file that could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Where a client's events are stored.
pub(crate) struct StoredIn {
    pub(crate) endpoint: OutboxEndpoint,
    /// The outbox is closed with the client.
    pub(crate) owns: bool,
    /// Nothing is delivered before the other end of it is gone.
    pub(crate) after: Option<watch::Receiver<()>>,
}

/// The outbox of a client, and what its observer notes for it.
pub(crate) struct Durable {
    endpoint: OutboxEndpoint,
    /// The endpoint's number, alone: events are for it.
    endpoints: [EndpointId; 1],
    /// The outbox is closed with the client.
    owns: bool,
    is_closed: AtomicBool,
    /// What it had read and did not deliver is for the next client.
    is_released: AtomicBool,
    /// The task that hands events to the engine.
    feeder: OnceLock<AbortHandle>,
    ends: Ends,
    /// A target was set, or the engine let go of events.
    resumed: Notify,
    /// The last event that was handed to the engine.
    fed: watch::Sender<u64>,
    /// Events for which there was no room: those of sources that cannot wait, and those that the outbox dropped.
    dropped: AtomicU64,
    drops: Throttle,
}

/// What the engine's notices mean for what is stored.
#[derive(Default)]
struct Ends {
    /// How the last attempt of a message failed, by the id of its first event.
    failures: Mutex<HashMap<u64, Failure>>,
    /// Where events go, for people.
    url: Mutex<String>,
    /// The engine let go of events that are to be delivered later.
    has_left: AtomicBool,
}

#[derive(Clone, Default)]
struct Failure {
    status: Option<u16>,
    error: Option<String>,
}

impl Durable {
    /// With `owns` the outbox is closed with the client.
    pub(crate) fn new(endpoint: OutboxEndpoint, owns: bool) -> Arc<Self> {
        Arc::new(Self {
            endpoints: [endpoint.id()],
            owns,
            is_closed: AtomicBool::new(false),
            is_released: AtomicBool::new(false),
            feeder: OnceLock::new(),
            ends: Ends::default(),
            resumed: Notify::new(),
            fed: watch::channel(0).0,
            dropped: AtomicU64::new(0),
            drops: Throttle::default(),
            endpoint,
        })
    }

    pub(crate) const fn outbox(&self) -> &Outbox {
        self.endpoint.outbox()
    }

    /// The outbox, as long as the client takes events.
    fn open(&self) -> Result<&Outbox, PutError> {
        if self.is_closed.load(Relaxed) { Err(PutError::Closed) } else { Ok(self.outbox()) }
    }

    /// This task hands events to the engine.
    pub(crate) fn fed_by(&self, feeder: AbortHandle) {
        let _ = self.feeder.set(feeder);
    }

    /// Nothing more is taken, and nothing more is handed to the engine.
    pub(crate) fn stop(&self) {
        // When it is dropped it is stopped again, and nobody reads its counters any more.
        if !self.is_closed.swap(true, Relaxed) {
            self.count_dropped();
        }
        if let Some(feeder) = self.feeder.get() {
            feeder.abort();
        }
    }

    /// Completes when all that the engine told is on disk, after [`stop`](Self::stop); or after `limit`, when the outbox
    /// goes on without the client.
    pub(crate) async fn close(&self, limit: Duration) {
        if !self.owns {
            // Of an outbox that is closed before, or whose disk fails, nobody learns more here.
            let settled = async {
                let _ = self.settled().await;
            };
            within(limit, settled).await;
            // Another client may have the endpoint afterwards.
            if !self.is_released.swap(true, Relaxed) {
                self.endpoint.release(0);
            }
        } else if let Err(error) = self.outbox().close().await {
            error!("{error}");
        }
    }

    /// Events go to this target, which was set. With `begins_anew`, the attempts of all events begin anew there.
    pub(crate) fn resume(&self, url: String, begins_anew: bool) {
        *self.ends.url.lock().unwrap_or_else(PoisonError::into_inner) = url;
        if begins_anew {
            self.endpoint.all_anew();
        }
        self.resumed.notify_one();
    }

    /// The engine tells something. Allocates only for what failed.
    pub(crate) fn notice(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Attempt { event_id, result, .. } => self.ends.note(*event_id, result),
            Notice::Settled { event_id, fate, message, attempt } => {
                match self.ends.end(*event_id, *fate, *message, *attempt) {
                    Some(end) => self.endpoint.end(*event_id, end),
                    None => {
                        self.ends.has_left.store(true, Relaxed);
                        self.resumed.notify_one();
                    }
                }
            }
            Notice::Retry { event_id, last_id, attempts, wait } => {
                self.endpoint.tried(*event_id, *last_id, *attempts, *wait);
            }
            // What waited for its next attempt went back to the queue.
            Notice::Breaker(BreakerState::Open | BreakerState::Gone) => self.endpoint.all_anew(),
            _ => {}
        }
    }

    /// Hands in an event, without waiting for the disk or for room.
    pub(crate) fn put(
        &self,
        event: &Event<'_>,
        origin_id: Option<u64>,
        data: &str,
    ) -> Result<Pending, PutError> {
        self.open()?.put(NewEvent { origin_id, ..self.stored(event, data) })
    }

    /// Counts an event that was dropped, if that is why it was not taken. The engine never sees it.
    pub(crate) fn count(&self, answer: Result<(), PutError>) -> Result<(), PutError> {
        if let Err(error @ (PutError::Full | PutError::Disk)) = answer {
            self.dropped.fetch_add(1, Relaxed);
            if let Some(left_out) = self.drops.admit(Instant::now()) {
                let endpoint = self.endpoint.name();
                warn!(endpoint, "{error}: events are dropped ({left_out} similar lines left out)");
            }
        }
        answer
    }

    /// Counts what the outbox dropped, if no other client of the endpoint has.
    fn count_dropped(&self) {
        self.dropped.fetch_add(self.endpoint.take_dropped(), Relaxed);
    }

    /// With the events that were dropped before the engine saw them.
    pub(crate) fn stats(&self, engine: Stats) -> Stats {
        // What comes later is for the next client to count.
        if !self.is_closed.load(Relaxed) {
            self.count_dropped();
        }
        let dropped = self.dropped.load(Relaxed);
        Stats { emitted: engine.emitted + dropped, dropped: engine.dropped + dropped, ..engine }
    }

    /// As `put`, and nobody waits for the disk.
    pub(crate) fn submit(&self, event: &Event<'_>, data: &str) -> Result<(), PutError> {
        self.open()?.submit(self.stored(event, data))
    }

    /// As `submit`, and as one unit with how far its source was read. `reply` is made when the event is taken. With
    /// `can_wait` it waits for room.
    pub(crate) async fn submit_at(
        &self,
        event: NewEvent<'_>,
        position: Option<Position<'_>>,
        can_wait: bool,
        reply: impl FnMut() -> Tell,
    ) -> Result<(), PutError> {
        let is_open = || self.open().is_ok();
        self.outbox().submit_at(event, position, can_wait, is_open, reply).await
    }

    /// As it is stored, for this endpoint.
    pub(crate) fn stored<'e>(&'e self, event: &Event<'e>, data: &'e str) -> NewEvent<'e> {
        stored(event, data, &self.endpoints)
    }

    /// Completes when nothing waits in the file or in the engine, of what was handed in before.
    pub(crate) async fn drained<To: Target>(&self, shared: &Shared<To>) {
        loop {
            // All that was handed in is on disk then, ends included.
            if self.settled().await.is_err() {
                return;
            }
            let Ok(ledger) = self.endpoint.ledger() else { return };
            if ledger.stored == 0 {
                return;
            }
            let mut fed = self.fed.subscribe();
            shared.dispatcher.drained().await;
            if fed.has_changed().is_ok_and(|changed| changed) {
                continue;
            }
            // Nothing is in the engine, and something is in the file: it is on its way, or has no target.
            let _ = tokio::time::timeout(READ_AGAIN, fed.changed()).await;
        }
    }

    /// Completes when all that was handed in is on disk.
    async fn settled(&self) -> Result<(), PutError> {
        self.outbox().put_all(&[], None)?.await.map(drop)
    }
}

impl Ends {
    fn note(&self, first: u64, result: &Result<Reply, &dyn TransportError>) {
        let failure = match result {
            Ok(reply) if reply.verdict == Verdict::Accepted => return,
            Ok(reply) => Failure { status: Some(reply.code), error: None },
            Err(error) => {
                Failure { status: None, error: Some(Printable::new(error, ERROR_MAX).to_string()) }
            }
        };
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).insert(first, failure);
    }

    /// How an event ended; `None` when it is to be delivered later.
    fn end(&self, id: u64, fate: Fate, message: Option<MessageId>, attempt: u8) -> Option<End> {
        let first = message.map_or(id, |message| message.first);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = failures.get(&first).cloned();
        if message.is_none_or(|message| message.last == id) {
            failures.remove(&first);
        }
        drop(failures);
        let fate = match fate {
            Fate::Delivered => return Some(End::Delivered),
            Fate::Rejected => DeadFate::Rejected,
            Fate::Exhausted => DeadFate::Exhausted,
            Fate::Oversize => DeadFate::Oversize,
            _ => return None,
        };
        let Failure { status, error } = failure.unwrap_or_default();
        let url = self.url.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let attempts = attempt.into();
        Some(End::Dead(Box::new(DeadReason { fate, attempts, status, error, url })))
    }
}

/// The data as JSON text, when the event is not too long.
pub(crate) fn checked<'s, D: Data + ?Sized>(
    event: &Event<'_>,
    data: &D,
    max_event_bytes: usize,
    scratch: &'s mut [u8],
) -> Result<&'s str, EncodeError> {
    let data = to_json(data, scratch)?;
    // The quotes of the topic count, too.
    if event.topic.len() + 2 + data.len() > max_event_bytes {
        return Err(EncodeError::TooLong);
    }
    Ok(data)
}

/// As it is stored, for these endpoints. `null` is no data, as in the engine.
pub(crate) fn stored<'e>(
    event: &Event<'e>,
    data: &'e str,
    endpoints: &'e [EndpointId],
) -> NewEvent<'e> {
    let new = NewEvent::new(event.topic, event.node_id, event.timestamp).for_endpoints(endpoints);
    if data == "null" { new } else { new.with_data(data) }
}

pub(crate) const fn emit_error(error: PutError) -> EmitError {
    match error {
        // A client's events are for its endpoint.
        PutError::Closed | PutError::NoEndpoint => EmitError::Closed,
        PutError::TooLarge => EmitError::Payload(EncodeError::TooLong),
        // Without a disk there is no room.
        PutError::Full | PutError::Disk => EmitError::Full,
    }
}

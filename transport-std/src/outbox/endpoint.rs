//! One of those who get events, as its deliverer holds it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::batch::{Attempt, Ended};
use super::error::{OutboxError, OutboxErrorKind};
use super::event::{End, EndpointId, Stored};
use super::handle::Outbox;
use super::ledger::Ledger;
use super::lines::Line;
use super::reader::Read;
use super::rows::{now, signed};
use super::run::Run;

/// What may wait for an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointBounds {
    /// How much may wait for it, in bytes: topic and data of each event, and 32. Events that come while there is more are
    /// dropped for this endpoint, and counted. `None`: there is no bound but the file's, at which sources wait.
    pub max_bytes: Option<u64>,
    /// Events that wait for longer, by the system's clock, are lost, and counted as such. `None`: as
    /// [`OutboxOptions::max_age`](crate::outbox::OutboxOptions::max_age) says.
    pub max_age: Option<Duration>,
}

/// An endpoint of an outbox: the events that wait for it, in order, and how they end. Cheap to clone.
///
/// Two who deliver for the same endpoint would deliver everything twice.
#[derive(Clone, Debug)]
pub struct OutboxEndpoint {
    outbox: Outbox,
    line: Arc<Line>,
}

impl OutboxEndpoint {
    pub(crate) const fn new(outbox: Outbox, line: Arc<Line>) -> Self {
        Self { outbox, line }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.line.name
    }

    /// Its number, for [`NewEvent::for_endpoints`](crate::outbox::NewEvent::for_endpoints).
    #[must_use]
    pub fn id(&self) -> EndpointId {
        self.line.id
    }

    /// The outbox.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// What may wait for it from now on. Until this is called there are no bounds but the file's.
    pub fn set_bounds(&self, bounds: EndpointBounds) {
        self.line.set_max_bytes(bounds.max_bytes.unwrap_or(u64::MAX));
        self.line.set_max_age(bounds.max_age.map_or(self.outbox.max_age(), milliseconds));
    }

    /// What may wait for it is its share of the room from now on, as [`Outbox::set_share`] says.
    pub(crate) fn share_room(&self) {
        self.line.set_share();
    }

    /// Tells how an event ended. It never blocks on the disk. After a crash within
    /// [`OutboxOptions::delay`](crate::outbox::OutboxOptions::delay) the event waits again. An event that has ended is
    /// not ended again. Once the outbox is closed, this changes nothing: the event waits.
    pub fn end(&self, id: u64, end: End) {
        self.outbox.end(Ended { endpoint: self.line.id, id, end });
    }

    /// Tells that an attempt at the event `first` failed just now, or at a batch up to the event `last`, and that the next one
    /// is made after `wait`: the file knows it like an end. `attempts` of the round have failed with it, 0 when the next one
    /// begins another round.
    pub fn tried(&self, first: u64, last: u64, attempts: u8, wait: Duration) {
        let run = Run { first: signed(first), last: signed(last) };
        let (failed_at, wait) = (now(), milliseconds(wait));
        let endpoint = self.line.id;
        self.outbox.attempted(Attempt { endpoint, run, attempts, failed_at, wait });
    }

    /// Tells that every event that waits begins another round of attempts, as its first attempt: what was told by
    /// [`tried`](Self::tried) is of the past.
    pub fn all_anew(&self) {
        self.outbox.all_anew(self.line.id);
    }

    /// What waits after the id `after`, in the order of ids: at most `most_events`, and of topics and data at
    /// most `most_bytes`, but for the first event, which may be longer. An empty answer means that there is
    /// nothing yet.
    ///
    /// What was read is in the hands of who delivers: it does not become too old any more, until it is
    /// [released](Self::release).
    ///
    /// # Errors
    /// When the file cannot be read, or the outbox is closed.
    pub async fn read(
        &self,
        after: u64,
        most_events: usize,
        most_bytes: usize,
    ) -> Result<Vec<Stored>, OutboxError> {
        let (reply, answer) = oneshot::channel();
        let line = Arc::clone(&self.line);
        self.outbox.ask(Read { line, after, most_events, most_bytes, reply });
        match answer.await {
            Ok(Ok(events)) => Ok(events),
            Ok(Err(error)) => Err(self.outbox.says(error.into())),
            Err(_) => Err(self.outbox.says(OutboxErrorKind::Closed)),
        }
    }

    /// Nobody has what was read behind the id `after`: it may become too old again.
    pub fn release(&self, after: u64) {
        let mut taken = self.line.taken();
        *taken = after.min(*taken);
    }

    /// Completes when an event with a greater id than `after` was stored or replayed: true. When the outbox
    /// is closed: false.
    pub async fn changed(&self, after: u64) -> bool {
        loop {
            // Made before the look, so that news between the two are not missed.
            let news = self.line.news.notified();
            if self.line.newest() > after {
                return true;
            }
            if !self.outbox.is_open() {
                return false;
            }
            news.await;
        }
    }

    /// The last event that was stored for it, or an earlier one of the file when it was opened: what a read finds after a
    /// look at this is all until then.
    pub(crate) fn newest(&self) -> u64 {
        self.line.newest()
    }

    /// Events that wait for it, as they are on disk.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.line.waiting()
    }

    /// Its dead letters, as they are on disk: what another process does to them is known within a second.
    #[must_use]
    pub fn dead(&self) -> u64 {
        self.line.dead()
    }

    /// Events that were dropped, each for one caller: of several clients of the endpoint one counts it.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.line.take_dropped()
    }

    /// Its counters, as they are on disk. It blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ledger(&self) -> Result<Ledger, OutboxError> {
        self.outbox.ledger_by_id(self.line.id)
    }
}

/// As it is kept: the greatest number is no bound.
pub(crate) fn milliseconds(age: Duration) -> i64 {
    i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}

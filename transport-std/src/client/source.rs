//! Where events come from, and how a source is told what became of them.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pilot_webhook_core::{EmitError, Event, Fate, Json};
use tracing::error;

#[cfg(feature = "outbox")]
use crate::outbox::Position;

/// Yields events, which [`Client::pull`](crate::Client::pull) hands to the client: a bus, a file, a subscription.
pub trait Source: Send {
    /// What is told how an event ended; `Infallible` where nobody asks.
    type Receipt: Receipt;

    /// Whether its events wait for room, and for a target. Otherwise they are dropped and counted when there is no
    /// room, as the client's [`OnFull`](crate::OnFull) says. Asked before every event.
    fn can_wait(&self) -> bool {
        true
    }

    /// The next event; `None` at the end. One that blocks has a thread to itself, which blocks on `pull`.
    fn next(&mut self) -> impl Future<Output = Option<Incoming<'_, Self::Receipt>>> + Send;

    /// What the client said to the event that came last, as [`Client::emit`](crate::Client::emit) says it. It costs
    /// less than a receipt, for a source that need not know more.
    fn answered(&mut self, answer: Result<Option<u64>, EmitError>) {
        let _ = answer;
    }

    /// No endpoint of a [`Hub`](crate::Hub) is to have the event that came last. Told in place of an answer.
    fn unmatched(&mut self) {}
}

/// Told how an event ended, exactly once.
pub trait Receipt: Send + 'static {
    /// It ended. Called from any thread, by whoever ended it, without a lock: it must not block, and must not emit.
    fn ended(self, ending: Ending);
}

/// Of events whose end nobody asks for.
impl Receipt for Infallible {
    fn ended(self, _: Ending) {
        match self {}
    }
}

/// How an event ended, for its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// Its story is over. (`Abandoned` also when the client is gone and its runtime with it, so that nobody knows
    /// whether it was delivered.)
    Ended(Fate),
    /// It is on disk, with this id: from now on the outbox answers for it.
    Stored(u64),
    /// It was not taken, as there is no target, or the client is closed. It is the source's still.
    NotTaken,
    /// No endpoint of a [`Hub`](crate::Hub) is to have it.
    NoEndpoint,
}

/// An event of a source.
#[derive(Debug)]
pub struct Incoming<'a, R = Infallible> {
    pub(crate) event: Event<'a>,
    pub(crate) data: Json<'a>,
    pub(crate) receipt: Option<R>,
    #[cfg(feature = "outbox")]
    pub(crate) origin_id: Option<u64>,
    #[cfg(feature = "outbox")]
    pub(crate) position: Option<Position<'a>>,
}

impl<'a, R> Incoming<'a, R> {
    /// An event with its data, JSON text. Nobody asks how it ends.
    #[must_use]
    pub const fn new(event: Event<'a>, data: &'a str) -> Self {
        Self {
            event,
            data: Json(data),
            receipt: None,
            #[cfg(feature = "outbox")]
            origin_id: None,
            #[cfg(feature = "outbox")]
            position: None,
        }
    }

    /// With a receipt, which takes an allocation.
    #[must_use]
    pub fn with_receipt(self, receipt: R) -> Self {
        Self { receipt: Some(receipt), ..self }
    }

    /// With the id that its origin gave it: an outbox stores it once, however often it comes from the same node with
    /// the same time. Without an outbox this changes nothing.
    #[cfg(feature = "outbox")]
    #[must_use]
    pub fn with_origin_id(self, id: u64) -> Self {
        Self { origin_id: Some(id), ..self }
    }

    /// With how far its source was read, which an outbox stores with it, as one unit: after a crash the source goes on
    /// behind the last event that is stored.
    #[cfg(feature = "outbox")]
    #[must_use]
    pub fn at(self, position: Position<'a>) -> Self {
        Self { position: Some(position), ..self }
    }
}

/// A receipt that is told once, whatever happens: at the latest when it is dropped.
pub(crate) struct Owed(Option<Box<dyn FnOnce(Ending) + Send>>);

impl Owed {
    pub(crate) fn new(receipt: impl Receipt) -> Self {
        Self(Some(Box::new(|ending| receipt.ended(ending))))
    }

    pub(crate) fn tell(mut self, ending: Ending) {
        self.tell_once(ending);
    }

    /// It is the host's code: a panic in it stops neither workers nor the outbox.
    fn tell_once(&mut self, ending: Ending) {
        if let Some(receipt) = self.0.take()
            && catch_unwind(AssertUnwindSafe(|| receipt(ending))).is_err()
        {
            error!("a receipt panicked");
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.tell_once(Ending::Ended(Fate::Abandoned));
    }
}

/// How an event ended that the client did not take.
pub(crate) const fn refused(error: EmitError) -> Ending {
    match error {
        EmitError::Full => Ending::Ended(Fate::Dropped),
        EmitError::Payload(_) => Ending::Ended(Fate::Oversize),
        _ => Ending::NotTaken,
    }
}

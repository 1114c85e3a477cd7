//! What was handed in and is not on disk yet.

use std::fmt;
use std::ops::Range;

use pilot_webhook_core::Timestamp;
use tokio::sync::oneshot;

use super::error::PutError;
use super::event::{End, EndpointId, NewEvent, Position};
use super::run::Run;

/// Memory of a batch that was large is given back beyond this, in bytes a list.
const KEEPS: usize = 128 << 10;

/// Events, in the order in which they came, and ends. It is written as a whole, or not at all. Its memory is kept and
/// used again.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Topic and data of each event, one after another.
    texts: String,
    events: Vec<Queued>,
    /// The endpoints of each event, one after another.
    endpoints: Vec<EndpointId>,
    receipts: Vec<Receipt>,
    /// How far each source was read: its name, and its last position.
    positions: Vec<(String, String)>,
    /// What was tried, before it ended.
    pub(crate) rounds: Vec<Round>,
    pub(crate) ends: Vec<Ended>,
    /// Endpoints that the file does not have yet.
    pub(crate) names: Vec<(EndpointId, String)>,
    /// The room that the events take.
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    topic: usize,
    data: Option<usize>,
    node_id: u32,
    timestamp: Timestamp,
    origin_id: Option<u64>,
    endpoints: usize,
}

/// How an event ended for an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) endpoint: EndpointId,
    pub(crate) id: u64,
    pub(crate) end: End,
}

/// An attempt at events that failed, after which they wait for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) endpoint: EndpointId,
    /// The events, and others for which the endpoint does not wait.
    pub(crate) run: Run,
    /// Of this round, with this one.
    pub(crate) attempts: u8,
    /// Milliseconds since 1970.
    pub(crate) failed_at: i64,
    /// Milliseconds.
    pub(crate) wait: i64,
}

/// What the file is to know of rounds of attempts, in the order in which it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// It goes on after an attempt.
    GoesOn(Attempt),
    /// Every event that waits for the endpoint begins another one.
    AllAnew(EndpointId),
}

impl Round {
    pub(crate) const fn endpoint(&self) -> EndpointId {
        match self {
            Self::GoesOn(attempt) => attempt.endpoint,
            Self::AllAnew(endpoint) => *endpoint,
        }
    }
}

/// Somebody waits for these events.
#[derive(Debug)]
struct Receipt {
    events: Range<usize>,
    reply: Tell,
}

/// Who is told the ids.
#[derive(Debug)]
pub(crate) enum Tell {
    Nobody,
    One(oneshot::Sender<Result<u64, PutError>>),
    All(oneshot::Sender<Result<Vec<u64>, PutError>>),
    /// It must not block.
    Host(Host),
}

/// Told the id of the last event of a unit, or why it was not stored.
pub(crate) struct Host(pub(crate) Box<dyn FnOnce(Result<u64, PutError>) + Send>);

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

impl Batch {
    pub(crate) fn push(
        &mut self,
        events: &[NewEvent<'_>],
        position: Option<Position<'_>>,
        reply: Tell,
    ) {
        let first = self.events.len();
        for event in events {
            self.texts.push_str(event.topic);
            self.texts.push_str(event.data.unwrap_or_default());
            self.events.push(Queued {
                topic: event.topic.len(),
                data: event.data.map(str::len),
                node_id: event.node_id,
                timestamp: event.timestamp,
                origin_id: event.origin_id,
                endpoints: event.endpoints.len(),
            });
            self.endpoints.extend_from_slice(event.endpoints);
            self.bytes += event.size();
        }
        if let Some(Position { source, text }) = position {
            match self.positions.iter_mut().find(|(name, _)| name == source) {
                Some((_, last)) => text.clone_into(last),
                None => self.positions.push((source.to_owned(), text.to_owned())),
            }
        }
        if !matches!(reply, Tell::Nobody) {
            self.receipts.push(Receipt { events: first..self.events.len(), reply });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
            && self.rounds.is_empty()
            && self.receipts.is_empty()
            && self.positions.is_empty()
            && self.names.is_empty()
    }

    /// Events and ends.
    pub(crate) const fn len(&self) -> usize {
        self.events.len() + self.ends.len()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = NewEvent<'_>> {
        let mut texts = self.texts.as_str();
        let mut take = move |length: usize| {
            let (taken, rest) = texts.split_at(length);
            texts = rest;
            taken
        };
        let mut rest = self.endpoints.as_slice();
        self.events.iter().map(move |event| {
            let endpoints;
            (endpoints, rest) = rest.split_at(event.endpoints);
            NewEvent {
                topic: take(event.topic),
                data: event.data.map(&mut take),
                node_id: event.node_id,
                timestamp: event.timestamp,
                origin_id: event.origin_id,
                endpoints,
            }
        })
    }

    pub(crate) fn positions(&self) -> impl Iterator<Item = Position<'_>> {
        self.positions.iter().map(|(source, text)| Position { source, text })
    }

    /// Everything is on disk, the events with these ids. Who waits is told, and the batch is empty.
    pub(crate) fn stored(&mut self, ids: &[u64]) {
        for Receipt { events, reply } in self.receipts.drain(..) {
            let its = ids.get(events).unwrap_or_default();
            // Who has dropped its receipt does not want to know.
            match reply {
                Tell::Nobody => {}
                Tell::One(to) => _ = to.send(its.last().copied().ok_or(PutError::Closed)),
                Tell::All(to) => _ = to.send(Ok(its.to_vec())),
                Tell::Host(Host(tell)) => tell(its.last().copied().ok_or(PutError::Closed)),
            }
        }
        self.clear();
    }

    /// Nothing is on disk, and nobody will try again. Returns how many events are lost.
    pub(crate) fn lost(&mut self) -> usize {
        let lost = self.events.len();
        for Receipt { reply, .. } in self.receipts.drain(..) {
            match reply {
                Tell::Nobody => {}
                Tell::One(to) => _ = to.send(Err(PutError::Disk)),
                Tell::All(to) => _ = to.send(Err(PutError::Disk)),
                Tell::Host(Host(tell)) => tell(Err(PutError::Disk)),
            }
        }
        self.clear();
        lost
    }

    fn clear(&mut self) {
        self.texts.clear();
        self.texts.shrink_to(KEEPS);
        self.events.clear();
        self.events.shrink_to(KEEPS / size_of::<Queued>());
        self.endpoints.clear();
        self.endpoints.shrink_to(KEEPS / size_of::<EndpointId>());
        self.receipts.clear();
        self.receipts.shrink_to(KEEPS / size_of::<Receipt>());
        self.positions.clear();
        self.names.clear();
        self.rounds.clear();
        self.rounds.shrink_to(KEEPS / size_of::<Round>());
        self.ends.clear();
        self.ends.shrink_to(KEEPS / size_of::<Ended>());
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_source_the_last_position_is_kept_and_each_receipt_has_its_own_ids() {
        let mut batch = Batch::default();
        let event = NewEvent::new("a", 7, Timestamp::UNIX_EPOCH);
        let at = |source, text| Some(Position { source, text });
        let (one, mut first) = oneshot::channel();
        let (all, mut second) = oneshot::channel();
        batch.push(&[event], at("x", "1"), Tell::One(one));
        batch.push(&[event; 2], at("y", "2"), Tell::Nobody);
        batch.push(&[event; 2], at("x", "3"), Tell::All(all));
        let positions: Vec<_> = batch.positions().map(|at| (at.source, at.text)).collect();
        assert_eq!(positions, [("x", "3"), ("y", "2")]);
        batch.stored(&[11, 12, 13, 14, 15]);
        assert_eq!(first.try_recv(), Ok(Ok(11)));
        assert_eq!(second.try_recv(), Ok(Ok(vec![14, 15])));
        assert!(batch.is_empty() && batch.positions().next().is_none());
    }
}

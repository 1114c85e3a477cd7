//! What was handed in and is not on disk yet.

use std::fmt;

use pilot_webhook_core::Timestamp;
use tokio::sync::oneshot;

use super::error::PutError;
use super::event::{End, NewEvent, Position};

/// Memory of a batch that was large is given back beyond this, in bytes.
const KEEPS: usize = 1 << 20;

/// Units of events, in the order in which they came, and ends. Its memory is kept and used again.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Topic and data of each event, one after another.
    texts: String,
    events: Vec<Queued>,
    units: Vec<Unit>,
    pub(crate) ends: Vec<(u64, End)>,
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
}

#[derive(Debug)]
struct Unit {
    events: usize,
    position: Option<(String, String)>,
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
        for event in events {
            self.texts.push_str(event.topic);
            self.texts.push_str(event.data.unwrap_or_default());
            self.events.push(Queued {
                topic: event.topic.len(),
                data: event.data.map(str::len),
                node_id: event.node_id,
                timestamp: event.timestamp,
                origin_id: event.origin_id,
            });
            self.bytes += event.size();
        }
        let position = position.map(|at| (at.source.to_owned(), at.text.to_owned()));
        self.units.push(Unit { events: events.len(), position, reply });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.units.is_empty() && self.ends.is_empty()
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
        self.events.iter().map(move |event| NewEvent {
            topic: take(event.topic),
            data: event.data.map(&mut take),
            node_id: event.node_id,
            timestamp: event.timestamp,
            origin_id: event.origin_id,
        })
    }

    pub(crate) fn positions(&self) -> impl Iterator<Item = Position<'_>> {
        let positions = self.units.iter().filter_map(|unit| unit.position.as_ref());
        positions.map(|(source, text)| Position { source, text })
    }

    /// Everything is on disk, the events with these ids. Who waits is told, and the batch is empty.
    pub(crate) fn stored(&mut self, ids: &[u64]) {
        let mut ids = ids.iter().copied();
        for unit in self.units.drain(..) {
            let its = ids.by_ref().take(unit.events);
            // Who has dropped its receipt does not want to know.
            match unit.reply {
                Tell::Nobody => its.for_each(drop),
                Tell::One(to) => _ = to.send(its.last().ok_or(PutError::Closed)),
                Tell::All(to) => _ = to.send(Ok(its.collect())),
                Tell::Host(Host(tell)) => tell(its.last().ok_or(PutError::Closed)),
            }
        }
        self.clear();
    }

    /// Nothing is on disk, and nobody will try again. Returns how many events are lost.
    pub(crate) fn lost(&mut self) -> usize {
        let lost = self.events.len();
        for unit in self.units.drain(..) {
            match unit.reply {
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
        self.units.clear();
        self.units.shrink_to(KEEPS / size_of::<Unit>());
        self.ends.clear();
        self.ends.shrink_to(KEEPS / size_of::<(u64, End)>());
        self.bytes = 0;
    }
}

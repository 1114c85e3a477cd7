//! The daemon's event bus, as far as a plugin sees it, and one within the process.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use pilot_webhook_core::{Clock as _, Data, EncodeError, Timestamp, to_json};
use tokio::sync::mpsc;

use crate::client::builder::MAX_EVENT_BYTES;
use crate::client::clock::TokioClock;
use crate::client::scratch::Scratch;
use crate::glob;

/// Events a subscriber may be behind before it loses some. Arbitrary: as many as the queue holds.
const SUBSCRIBER_CAPACITY: usize = 1_024;

/// An event's data as JSON text. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Arc<str>);

impl Payload {
    /// Encodes `data`, by the rules of an event's data: any `Serialize` type, or [`Json`](crate::Json)
    /// text. (`Serialize` types that only serde_json understands are not among them: a `RawValue` goes
    /// in as `Json(raw.get())`.)
    ///
    /// # Errors
    /// When it is longer than 64 KiB, or cannot be expressed in JSON.
    pub fn new<D: Data + ?Sized>(data: &D) -> Result<Self, EncodeError> {
        let mut scratch = Scratch::take(MAX_EVENT_BYTES);
        to_json(data, scratch.bytes()).map(|text| Self(text.into()))
    }

    /// No data.
    #[must_use]
    pub fn none() -> Self {
        Self("null".into())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An event as it goes over a bus.
#[derive(Clone, Debug)]
pub struct BusEvent {
    /// The topic.
    pub topic: Arc<str>,
    /// The data.
    pub payload: Payload,
    /// When it was published.
    pub timestamp: Timestamp,
}

/// What a daemon publishes its events on.
pub trait EventBus: Send + Sync {
    /// Hands an event to every subscriber whose pattern matches. Never blocks: a subscriber that is too
    /// slow loses it.
    fn publish(&self, topic: &str, payload: Payload);

    /// Everything published from now on whose topic matches `pattern`, where `*` stands for any
    /// text.
    fn subscribe(&self, pattern: &str) -> Subscription;
}

/// A subscriber's end of a bus. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    events: mpsc::Receiver<BusEvent>,
}

impl Subscription {
    /// A subscription that gets what is sent to `events`, for other implementations of a bus.
    #[must_use]
    pub const fn new(events: mpsc::Receiver<BusEvent>) -> Self {
        Self { events }
    }

    /// The next event; `None` when the bus is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<BusEvent> {
        self.events.recv().await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<BusEvent>> {
        self.events.poll_recv(cx)
    }

    /// Events that came and were not received.
    pub(crate) fn waiting(&self) -> usize {
        self.events.len()
    }

    /// The next event, if there is one now.
    pub(crate) fn take(&mut self) -> Option<BusEvent> {
        self.events.try_recv().ok()
    }

    /// Takes no further events; those that came before can still be received.
    pub(crate) fn close(&mut self) {
        self.events.close();
    }
}

/// A bus within the process.
#[derive(Default)]
pub struct LocalBus {
    subscribers: RwLock<Vec<Subscriber>>,
    lost: AtomicU64,
}

struct Subscriber {
    pattern: String,
    events: mpsc::Sender<BusEvent>,
}

impl LocalBus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Events lost because a subscriber was too slow.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

impl EventBus for LocalBus {
    fn publish(&self, topic: &str, payload: Payload) {
        let timestamp = TokioClock::new().wall();
        let event = BusEvent { topic: topic.into(), payload, timestamp };
        let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
        for subscriber in subscribers.iter().filter(|s| glob::matches(&s.pattern, topic)) {
            if let Err(mpsc::error::TrySendError::Full(_)) =
                subscriber.events.try_send(event.clone())
            {
                self.lost.fetch_add(1, Relaxed);
            }
        }
    }

    fn subscribe(&self, pattern: &str) -> Subscription {
        let (events, subscription) = mpsc::channel(SUBSCRIBER_CAPACITY);
        let mut subscribers = self.subscribers.write().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| !subscriber.events.is_closed());
        subscribers.push(Subscriber { pattern: pattern.to_owned(), events });
        Subscription::new(subscription)
    }
}

impl fmt::Debug for LocalBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBus").field("lost", &self.lost()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use pilot_webhook_core::Json;

    use super::*;

    #[test]
    fn json_text_is_taken_as_the_value_that_it_is() {
        let raw: Box<serde_json::value::RawValue> = serde_json::from_str(r#"{"a": 1}"#).unwrap();
        let payload = Payload::new(&Json(raw.get())).unwrap();
        assert_eq!(payload.as_str(), r#"{"a":1}"#);
        assert!(Payload::new(&Json("{")).is_err());
    }

    #[tokio::test]
    async fn a_subscriber_gets_what_matches_in_order() {
        let bus = LocalBus::new();
        let mut tunnels = bus.subscribe("tunnel.*");
        bus.publish("conn.fin", Payload::none());
        bus.publish("tunnel.established", Payload::new(&[1]).unwrap());
        bus.publish("tunnel.relay_activated", Payload::none());
        let first = tunnels.next().await.unwrap();
        assert_eq!((&*first.topic, first.payload.as_str()), ("tunnel.established", "[1]"));
        assert_eq!(&*tunnels.next().await.unwrap().topic, "tunnel.relay_activated");
        drop(bus);
        assert!(tunnels.next().await.is_none());
    }

    #[tokio::test]
    async fn who_is_too_slow_loses_the_newest_and_is_counted() {
        let bus = LocalBus::new();
        let mut slow = bus.subscribe("*");
        for n in 0..SUBSCRIBER_CAPACITY + 5 {
            bus.publish("t", Payload::new(&n).unwrap());
        }
        assert_eq!(bus.lost(), 5);
        assert_eq!(slow.next().await.unwrap().payload.as_str(), "0");
    }

    #[test]
    fn a_dropped_subscription_is_forgotten() {
        let bus = LocalBus::new();
        for _ in 0..100 {
            drop(bus.subscribe("*"));
        }
        bus.publish("t", Payload::none());
        assert_eq!(bus.lost(), 0);
        assert!(bus.subscribers.read().unwrap().len() <= 1);
    }
}

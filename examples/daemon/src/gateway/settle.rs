//! What becomes of the messages that are with this gateway.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{AckKind, Context, Message};
use pilot_webhook_core::{Fate, MESSAGE_ID_HEADER};
use pilot_webhook_std::{Ending, Receipt, Throttle};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::gateway::fit::ACK_WAIT;
use crate::gateway::subjects::dead_subject;

/// When a message comes again whose dead letter could not be stored. Arbitrary: long enough for a server to be back.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the server has to store a dead letter.
const STORE_MAX: Duration = Duration::from_secs(5);

/// Settles messages; cheap to clone.
#[derive(Clone)]
pub(super) struct Settle(mpsc::UnboundedSender<Order>);

enum Order {
    /// A message is with this gateway, in one of the places that there are.
    Hold(u64, Arc<Message>, OwnedSemaphorePermit),
    /// Its event ended so.
    End(u64, Ending),
    /// It is no event, for this reason.
    Bad(u64, String),
}

/// A message that is with this gateway, until its end is told.
pub(super) struct Held {
    pub(super) message: Arc<Message>,
    pub(super) settled: Settled,
}

/// Tells the end of a message once, at the latest when it is dropped: the message is given back then.
pub(super) struct Settled {
    key: u64,
    settle: Option<Settle>,
}

impl Settled {
    /// It will never be an event: it becomes a dead letter.
    pub(super) fn bad(mut self, why: String) {
        if let Some(settle) = self.settle.take() {
            let _ = settle.0.send(Order::Bad(self.key, why));
        }
    }

    fn tell(&mut self, ending: Ending) {
        if let Some(settle) = self.settle.take() {
            let _ = settle.0.send(Order::End(self.key, ending));
        }
    }
}

impl Receipt for Settled {
    fn ended(mut self, ending: Ending) {
        self.tell(ending);
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        self.tell(Ending::NotTaken);
    }
}

impl Settle {
    /// Starts the task that settles for an endpoint, and that says for all of its messages that are here that they are
    /// worked on. It ends when the end of each was told, and all clones are gone.
    pub(super) fn start(context: Context, of: Sender, tasks: &mut JoinSet<()>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let task = Task { context, of, held: HashMap::new(), complaints: Throttle::default() };
        tasks.spawn(task.run(received));
        Self(orders)
    }

    /// Keeps a message until its end is told; its place is free then.
    pub(super) fn hold(&self, message: Message, place: OwnedSemaphorePermit) -> Held {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        let (key, message) = (KEYS.fetch_add(1, Relaxed), Arc::new(message));
        let _ = self.0.send(Order::Hold(key, Arc::clone(&message), place));
        Held { message, settled: Settled { key, settle: Some(self.clone()) } }
    }
}

/// Who sends a dead letter.
pub(super) struct Sender {
    pub(super) endpoint: String,
    /// The endpoint's consumer.
    pub(super) consumer: String,
}

struct Task {
    context: Context,
    of: Sender,
    held: HashMap<u64, (Arc<Message>, OwnedSemaphorePermit)>,
    complaints: Throttle,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut ticks = interval(ACK_WAIT / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.execute(order).await,
                    None => break,
                },
                _ = ticks.tick() => {
                    for (message, _place) in self.held.values() {
                        self.say(message, AckKind::Progress).await;
                    }
                }
            }
        }
        // What is acknowledged is on its way when this ends.
        let _ = timeout(STORE_MAX, self.context.client().flush()).await;
    }

    async fn execute(&mut self, order: Order) {
        match order {
            Order::Hold(key, message, place) => drop(self.held.insert(key, (message, place))),
            Order::End(key, ending) => {
                if let Some((message, _place)) = self.held.remove(&key) {
                    self.settle(&message, ending).await;
                }
            }
            Order::Bad(key, why) => {
                if let Some((message, _place)) = self.held.remove(&key) {
                    self.bury(&message, &why).await;
                }
            }
        }
    }

    async fn settle(&self, message: &Message, ending: Ending) {
        match ending {
            // No other gateway of this kind has an endpoint for it.
            Ending::NoEndpoint
            | Ending::Stored(_)
            | Ending::Ended(Fate::Delivered | Fate::Rejected) => {
                self.say(message, AckKind::Ack).await;
            }
            Ending::Ended(Fate::Exhausted) => self.bury(message, "exhausted").await,
            Ending::Ended(Fate::Oversize) => self.bury(message, "oversize").await,
            // Another gateway gets it, or this one once more.
            _ => self.say(message, AckKind::Nak(None)).await,
        }
    }

    /// Makes a dead letter of it, and acknowledges it when that is stored.
    async fn bury(&self, message: &Message, why: &str) {
        let stream = message.info().map(|info| info.stream.to_owned()).unwrap_or_default();
        let letter = PublishMessage::build().headers(self.headers(message, why));
        let letter = letter.payload(message.payload.clone());
        let letter = match id(message) {
            // Those of two endpoints are two letters.
            Some(id) => letter.message_id(format!("{id}/{}", self.of.consumer)),
            None => letter,
        };
        let stored =
            async { self.context.send_publish(dead_subject(&stream), letter).await?.await };
        let stored = timeout(STORE_MAX, stored).await;
        match stored
            .map_err(|_| "no answer".to_owned())
            .and_then(|it| it.map_err(|e| e.to_string()))
        {
            Ok(_) => self.say(message, AckKind::Ack).await,
            Err(error) => {
                self.complain("a dead letter was not stored, so its message comes again", &error);
                self.say(message, AckKind::Nak(Some(AGAIN))).await;
            }
        }
    }

    /// The headers of a dead letter: those of the message, but for what they would tell the server again, and what is to be
    /// known of it.
    fn headers(&self, message: &Message, why: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
            if !AsRef::<str>::as_ref(name).starts_with("Nats-") {
                values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
            }
        }
        if let Some(id) = id(message) {
            headers.insert(MESSAGE_ID_HEADER, id);
        }
        headers.insert("X-Pilot-Reason", why);
        headers.insert("X-Pilot-Subject", message.subject.as_str());
        headers.insert("X-Pilot-Endpoint", self.of.endpoint.as_str());
        headers
    }

    async fn say(&self, message: &Message, what: AckKind) {
        // It only hands the words to the connection's task. Words that are lost bring the message once more.
        if let Err(error) = message.ack_with(what).await {
            self.complain("a message was not settled, so it comes again", &error);
        }
    }

    fn complain(&self, what: &str, error: &dyn std::fmt::Display) {
        if self.complaints.admit(Instant::now()).is_some() {
            warn!("{what}: {error}");
        }
    }
}

/// The id that its publisher gave a message, if it can stand in a header and in JSON as it is.
pub(super) fn id(message: &Message) -> Option<&str> {
    let id = message.headers.as_ref()?.get(NATS_MESSAGE_ID)?.as_str();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    (!id.is_empty() && id.len() <= ID_MAX && id.bytes().all(is_plain)).then_some(id)
}

/// The longest id that is kept. Arbitrary: ours have 80 bytes at most.
const ID_MAX: usize = 256;

//! What becomes of the messages that are with this gateway.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{AckKind, Context, Message};
use pilot_webhook_core::Fate;
use pilot_webhook_std::{Ending, Receipt, Throttle};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::gateway::consume::{ACK_WAIT, dead_subject};

/// When a message comes again whose dead letter could not be stored. Arbitrary: long enough for a server to be back.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the server has to store a dead letter.
const STORE_MAX: Duration = Duration::from_secs(5);

/// Settles messages; cheap to clone.
#[derive(Clone)]
pub(crate) struct Settle(mpsc::UnboundedSender<Order>);

enum Order {
    /// A message is with this gateway, in one of the places that there are.
    Hold(u64, Arc<Message>, OwnedSemaphorePermit),
    /// Its event ended so.
    End(u64, Ending),
    /// It is no event, for this reason.
    Bad(u64, String),
}

/// A message that is with this gateway, until its end is told.
pub(crate) struct Held {
    pub(crate) message: Arc<Message>,
    pub(crate) settled: Settled,
}

/// Tells the end of a message once, at the latest when it is dropped: the message is given back then.
pub(crate) struct Settled {
    key: u64,
    settle: Option<Settle>,
}

impl Settled {
    /// It will never be an event: it becomes a dead letter.
    pub(crate) fn bad(mut self, why: String) {
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
    /// Starts the task that settles, and that says for all messages that are here that they are worked on. It ends when
    /// the end of each was told, and all clones are gone.
    pub(crate) fn start(context: Context) -> (Self, JoinHandle<()>) {
        let (orders, received) = mpsc::unbounded_channel();
        let task = Task { context, held: HashMap::new(), complaints: Throttle::default() };
        (Self(orders), tokio::spawn(task.run(received)))
    }

    /// Keeps a message until its end is told; its place is free then.
    pub(crate) fn hold(&self, message: Message, place: OwnedSemaphorePermit) -> Held {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        let (key, message) = (KEYS.fetch_add(1, Relaxed), Arc::new(message));
        let _ = self.0.send(Order::Hold(key, Arc::clone(&message), place));
        Held { message, settled: Settled { key, settle: Some(self.clone()) } }
    }
}

struct Task {
    context: Context,
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
        let mut headers = message.headers.clone().unwrap_or_default();
        headers.insert("X-Pilot-Reason", why);
        headers.insert("X-Pilot-Subject", message.subject.as_str());
        let letter = PublishMessage::build().headers(headers).payload(message.payload.clone());
        let letter = match id(message) {
            Some(id) => letter.message_id(id),
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
pub(crate) fn id(message: &Message) -> Option<&str> {
    let id = message.headers.as_ref()?.get(NATS_MESSAGE_ID)?.as_str();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    (!id.is_empty() && id.len() <= ID_MAX && id.bytes().all(is_plain)).then_some(id)
}

/// The longest id that is kept. Arbitrary: ours have 80 bytes at most.
const ID_MAX: usize = 256;

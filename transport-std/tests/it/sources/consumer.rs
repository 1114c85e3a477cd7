//! A source as a consumer of a durable stream is one: a message is acknowledged when its fate is known, kept alive until
//! then, and so many are in flight, no more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilot_webhook_std::{
    Ending, ErrorKind, Event, Fate, Incoming, OnOpen, Receipt, Reply, Source, Timestamp, Verdict,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::{ACCEPTED, builder};

/// How long the server waits for a sign of life before it gives a message out again.
const ACK_WAIT: Duration = Duration::from_secs(2);
/// When a message comes again that was not taken.
const LATER: Duration = Duration::from_millis(300);
const MAX_ACK_PENDING: usize = 16;

/// The server's side of the consumer.
#[derive(Clone, Default)]
struct Stream(Arc<(Mutex<Messages>, Notify)>);

#[derive(Default)]
struct Messages {
    /// To be given out.
    ready: VecDeque<u64>,
    /// Given out, until when it must be acknowledged.
    pending: HashMap<u64, Instant>,
    acknowledged: Vec<u64>,
    /// The stream for those that nobody takes.
    dead: Vec<u64>,
    given_out: BTreeMap<u64, u32>,
    most_pending: usize,
}

impl Stream {
    fn with<R>(&self, f: impl FnOnce(&mut Messages) -> R) -> R {
        let result = f(&mut self.0.0.lock().unwrap());
        self.0.1.notify_waiters();
        result
    }

    /// The next message; `None` when all are acknowledged.
    async fn pull(&self) -> Option<u64> {
        loop {
            let changed = self.0.1.notified();
            let now = Instant::now();
            let (next, first) = {
                let mut messages = self.0.0.lock().unwrap();
                let late: Vec<u64> = messages
                    .pending
                    .iter()
                    .filter(|(_, until)| **until <= now)
                    .map(|(sequence, _)| *sequence)
                    .collect();
                for sequence in late {
                    messages.pending.remove(&sequence);
                    messages.ready.push_back(sequence);
                }
                let next = messages.ready.pop_front();
                if let Some(sequence) = next {
                    messages.pending.insert(sequence, now + ACK_WAIT);
                    *messages.given_out.entry(sequence).or_default() += 1;
                    messages.most_pending = messages.most_pending.max(messages.pending.len());
                }
                (next, messages.pending.values().min().copied())
            };
            match (next, first) {
                (Some(sequence), _) => return Some(sequence),
                (None, None) => return None,
                (None, Some(first)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(first) => {}
                },
            }
        }
    }
}

/// The consumer, and the task that acknowledges.
struct Consumer {
    stream: Stream,
    places: Arc<Semaphore>,
    ended: mpsc::UnboundedSender<(Message, Ending)>,
    taken: mpsc::UnboundedSender<u64>,
    data: String,
}

/// A message that is in flight.
struct Message {
    sequence: u64,
    _place: OwnedSemaphorePermit,
}

struct Acknowledgement(Message, mpsc::UnboundedSender<(Message, Ending)>);

impl Receipt for Acknowledgement {
    fn ended(self, ending: Ending) {
        let _ = self.1.send((self.0, ending));
    }
}

impl Consumer {
    fn new(stream: Stream) -> Self {
        let (ended, endings) = mpsc::unbounded_channel();
        let (taken, in_flight) = mpsc::unbounded_channel();
        tokio::spawn(acknowledge(stream.clone(), endings, in_flight));
        let places = Arc::new(Semaphore::new(MAX_ACK_PENDING));
        Self { stream, places, ended, taken, data: String::new() }
    }
}

/// Goes on while the client waits for room, and when the source has ended.
async fn acknowledge(
    stream: Stream,
    mut endings: mpsc::UnboundedReceiver<(Message, Ending)>,
    mut taken: mpsc::UnboundedReceiver<u64>,
) {
    let mut in_flight = Vec::new();
    let mut alive = interval(ACK_WAIT / 2);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(sequence) = taken.recv() => in_flight.push(sequence),
            _ = alive.tick() => stream.with(|messages| {
                for sequence in &in_flight {
                    messages.pending.insert(*sequence, Instant::now() + ACK_WAIT);
                }
            }),
            ended = endings.recv() => {
                let Some((message, ending)) = ended else { return };
                while let Ok(sequence) = taken.try_recv() {
                    in_flight.push(sequence);
                }
                in_flight.retain(|sequence| *sequence != message.sequence);
                stream.with(|messages| {
                    messages.pending.remove(&message.sequence);
                    match ending {
                        Ending::Ended(Fate::Delivered | Fate::Rejected) | Ending::Stored(_) => {
                            messages.acknowledged.push(message.sequence);
                        }
                        Ending::Ended(Fate::Exhausted | Fate::Oversize) => {
                            messages.dead.push(message.sequence);
                            messages.acknowledged.push(message.sequence);
                        }
                        // Skipped, dropped, abandoned, not taken: it is given out again, after a while.
                        _ => {
                            let later = Instant::now() + LATER;
                            messages.pending.insert(message.sequence, later);
                        }
                    }
                });
            }
        }
    }
}

impl Source for Consumer {
    type Receipt = Acknowledgement;

    async fn next(&mut self) -> Option<Incoming<'_, Acknowledgement>> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let sequence = self.stream.pull().await?;
        let _ = self.taken.send(sequence);
        self.data = sequence.to_string();
        let event = Event::new("t", 7, Timestamp::UNIX_EPOCH);
        let acknowledgement =
            Acknowledgement(Message { sequence, _place: place }, self.ended.clone());
        Some(Incoming::new(event, &self.data).with_receipt(acknowledgement))
    }
}

/// Some messages nobody takes, some are refused, a receiver that is slow takes longer than the server waits, and
/// others use up their attempts: every message is acknowledged once, none is given out twice while it is in the engine's hands.
#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_when_its_fate_is_known_and_kept_alive_until_then() {
    const MESSAGES: u64 = 300;
    let stream = Stream::default();
    stream.with(|messages| messages.ready.extend(1..=MESSAGES));
    let client = builder(|id| match id % 50 {
        7 => Ok(Reply { verdict: Verdict::Refused, code: 404 }),
        9 => Err(ErrorKind::Timeout),
        // Each of its attempts is seconds after the one before.
        11 => Ok(Reply { verdict: Verdict::Later(None), code: 503 }),
        _ => ACCEPTED,
    });
    let client = client.queue_capacity(4).max_in_flight(2).on_open(OnOpen::Skip);
    let client = client.retry_backoff(Duration::from_secs(3)).build().unwrap();
    client.pull(&mut Consumer::new(stream.clone())).await;
    client.close().await;
    stream.with(|messages| {
        let mut acknowledged = messages.acknowledged.clone();
        acknowledged.sort_unstable();
        assert_eq!(acknowledged, (1..=MESSAGES).collect::<Vec<_>>());
        assert!(messages.given_out.values().all(|times| *times == 1), "{:?}", messages.given_out);
        assert!(!messages.dead.is_empty());
        assert!(messages.most_pending <= MAX_ACK_PENDING);
    });
}

/// What the engine passes over is the stream's still, and comes again.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_skipped_is_given_out_again() {
    let stream = Stream::default();
    stream.with(|messages| messages.ready.extend(1..=40));
    let client = builder(|id| if id <= 20 { Err(ErrorKind::Connect) } else { ACCEPTED });
    let client = client.on_open(OnOpen::Skip).circuit_threshold(2).queue_capacity(4);
    let client = client.circuit_cooldown(Duration::from_secs(1)).build().unwrap();
    client.pull(&mut Consumer::new(stream.clone())).await;
    client.close().await;
    assert!(client.stats().skipped > 0);
    stream.with(|messages| {
        let mut acknowledged = messages.acknowledged.clone();
        acknowledged.sort_unstable();
        assert_eq!(acknowledged, (1..=40).collect::<Vec<_>>());
        assert_eq!(messages.dead.len() as u64, client.stats().exhausted);
    });
}

//! The consumers of a stream, and the tasks that pull from them.

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::jetstream::stream::{self, Stream, SubjectTransform};
use futures_util::StreamExt as _;
use pilot_webhook_std::Throttle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

use crate::Failure;
use crate::gateway::settle::{Held, Settle};

/// How long the server waits for a word about a message before it gives it to another gateway: that is how long the
/// messages of a gateway that died take to come again. Arbitrary: far longer than a pause of a busy machine.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(10);
/// The pause before a consumer that cannot be used is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// The messages of a consumer that are with all gateways together, at most. Arbitrary: far more than any number of
/// gateways have places.
const OUT_MAX: i64 = 100_000;
/// How long a pull waits for messages at the server. Arbitrary.
const EXPIRES: Duration = Duration::from_secs(10);

/// What is consumed.
#[derive(Clone)]
pub(crate) struct Consumers {
    pub(crate) context: Context,
    /// The stream's name.
    pub(crate) stream: String,
    /// The durable consumer's name, or the beginning of those of the partitions.
    pub(crate) name: String,
    pub(crate) partitions: Option<u32>,
    /// The messages that are here at once.
    pub(crate) places: u32,
    /// The prefix of subjects of a stream that is to be made.
    pub(crate) create: Option<String>,
}

/// Where the dead letters of a stream go.
pub(crate) fn dead_subject(stream: &str) -> String {
    format!("dead.{stream}")
}

/// How the subjects in a partitioned stream begin: with the partition's number, which the server makes of the first
/// wildcard, the node's id.
fn destination_begin(partitions: u32) -> String {
    format!("part.{{{{partition({partitions},1)}}}}")
}

impl Consumers {
    /// Finds the stream, or makes it where that is wanted, and one for its dead letters.
    ///
    /// # Errors
    /// When there is no such stream, or it is not partitioned as it should be.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        let stream = self.stream().await?;
        let letters = stream::Config {
            name: format!("{}-dead", self.stream),
            subjects: vec![dead_subject(&self.stream)],
            ..stream::Config::default()
        };
        let made = self.context.get_or_create_stream(letters).await;
        made.map_err(|error| Failure::runtime(format!("no stream for dead letters: {error}")))?;
        if let Some(partitions) = self.partitions {
            let transform = stream.cached_info().config.subject_transform.as_ref();
            let begin = destination_begin(partitions);
            if !transform.is_some_and(|it| it.destination.starts_with(&begin)) {
                return Err(Failure::usage(format!(
                    "--partitions: the subjects of the stream {} are not transformed to {begin}... (docs/fleet.md)",
                    self.stream
                )));
            }
        }
        for partition in self.parts() {
            self.consumer(&stream, partition).await.map_err(Failure::runtime)?;
        }
        Ok(())
    }

    /// Pulls from all consumers until the receiver is gone. What goes wrong is said, and tried again.
    pub(crate) async fn pull(self, settle: Settle, held: mpsc::UnboundedSender<Held>) {
        let mut tasks = JoinSet::new();
        for partition in self.parts() {
            let part = Part {
                consumers: self.clone(),
                partition,
                places: Arc::new(Semaphore::new(usize::try_from(self.places()).unwrap_or(1))),
                settle: settle.clone(),
                held: held.clone(),
            };
            tasks.spawn(part.pull());
        }
        drop((settle, held));
        while tasks.join_next().await.is_some() {}
    }

    async fn stream(&self) -> Result<Stream, Failure> {
        let missing = |error: &dyn Display| {
            Failure::runtime(format!(
                "no stream {}: {error} (--create-stream PREFIX makes it)",
                self.stream
            ))
        };
        let Some(prefix) = &self.create else {
            return self.context.get_stream(&self.stream).await.map_err(|error| missing(&error));
        };
        let config = stream::Config {
            name: self.stream.clone(),
            subjects: vec![format!("{prefix}.>")],
            subject_transform: self.partitions.map(|partitions| SubjectTransform {
                source: format!("{prefix}.*.>"),
                destination: format!(
                    "{}.{prefix}.{{{{wildcard(1)}}}}.>",
                    destination_begin(partitions)
                ),
            }),
            ..stream::Config::default()
        };
        self.context.get_or_create_stream(config).await.map_err(|error| missing(&error))
    }

    async fn consumer(
        &self,
        stream: &Stream,
        partition: Option<u32>,
    ) -> Result<PullConsumer, String> {
        let name = match partition {
            None => self.name.clone(),
            Some(partition) => format!("{}-{partition}", self.name),
        };
        let filter_subject = match partition {
            None => String::new(),
            Some(partition) => format!("part.{partition}.>"),
        };
        let config = pull::Config {
            durable_name: Some(name.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: if partition.is_some() { 1 } else { OUT_MAX },
            filter_subject,
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer(&name, config).await;
        consumer.map_err(|error| format!("no consumer {name}: {error}"))
    }

    /// The messages of a consumer that are here at once. One, of a partition: that is what keeps its order, whichever
    /// gateways pull.
    fn places(&self) -> u32 {
        if self.partitions.is_some() { 1 } else { self.places.max(1) }
    }

    fn parts(&self) -> impl Iterator<Item = Option<u32>> + use<> {
        let (all, parts) =
            (self.partitions.is_none().then_some(None), self.partitions.unwrap_or(0));
        all.into_iter().chain((0..parts).map(Some))
    }
}

/// The pulling from one consumer.
struct Part {
    consumers: Consumers,
    partition: Option<u32>,
    places: Arc<Semaphore>,
    settle: Settle,
    held: mpsc::UnboundedSender<Held>,
}

impl Part {
    async fn pull(self) {
        let complaints = Throttle::default();
        loop {
            let outcome = tokio::select! {
                Err(error) = self.pull_on() => error,
                () = self.held.closed() => return,
            };
            if complaints.admit(Instant::now()).is_some() {
                warn!("the stream {}: {outcome}", self.consumers.stream);
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = self.held.closed() => return,
            }
        }
    }

    /// Asks for as many messages as there are free places, again and again. What comes is held at once, so that the
    /// server hears of it while it waits.
    async fn pull_on(&self) -> Result<Infallible, String> {
        let text = |error: &dyn Display| error.to_string();
        let stream = self.consumers.stream().await.map_err(|failure| failure.message)?;
        let consumer = self.consumers.consumer(&stream, self.partition).await?;
        // Not for one at a time, where there are many.
        let least = (self.consumers.places() / 4).max(1);
        loop {
            let free = self.places.acquire_many(least).await.map_err(|error| text(&error))?;
            let more = self.places.available_permits();
            drop(free);
            let number = usize::try_from(least).unwrap_or(1) + more;
            let batch = consumer.batch().max_messages(number).expires(EXPIRES);
            let mut batch = batch.messages().await.map_err(|error| text(&error))?;
            while let Some(message) = batch.next().await {
                let message = message.map_err(|error| text(&error))?;
                let place = Arc::clone(&self.places).acquire_owned().await;
                let place = place.map_err(|error| text(&error))?;
                // When nobody takes it any more, it is given back.
                let _ = self.held.send(self.settle.hold(message, place));
            }
        }
    }
}

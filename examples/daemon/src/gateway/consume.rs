//! The consumers of a stream.

use std::fmt::Display;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{
    AckPolicy, DeliverPolicy, FromConsumer as _, PullConsumer, pull,
};
use async_nats::jetstream::stream::{self, RetentionPolicy, Stream, SubjectTransform};
use pilot_webhook_std::NatsTarget;
use tracing::warn;

use crate::Failure;
use crate::delivery::{EndpointArgs, PILOT};
use crate::gateway::fit::{ACK_WAIT, fit};
use crate::gateway::subjects::{dead_subject, may_take, subjects};

/// The messages of a consumer that are with all gateways together, at most. Arbitrary: far more than any number of
/// gateways have places.
const OUT_MAX: i64 = 100_000;

/// The stream, and how it is consumed: the same for all endpoints.
pub(super) struct Origin {
    pub(super) context: Context,
    /// The server, and the stream in place of a prefix.
    pub(super) target: NatsTarget,
    /// The stream's name.
    pub(super) stream: String,
    /// The durable consumer's name, or the beginning of those of endpoints and partitions.
    pub(super) consumer: String,
    pub(super) partitions: Option<u32>,
    /// The prefix of the nodes' subjects, where the server is to filter.
    pub(super) subject_prefix: Option<String>,
    /// The prefix of subjects of a stream that is to be made.
    pub(super) create: Option<String>,
}

/// What an endpoint takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) endpoint: String,
    /// The messages that are here at once.
    places: u32,
    /// The subjects that the server is to send; all where there is none. `None`: it is not told.
    subjects: Option<Vec<String>>,
    /// The prefix of the subjects that it publishes to, at the same server.
    publishes: Option<String>,
}

/// Where a consumer begins that is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// With all that is in the stream.
    All,
    /// With what comes from now on.
    New,
}

/// How the subjects in a partitioned stream begin: with the partition's number, which the server makes of the first
/// wildcard, the node's id.
fn destination_begin(partitions: u32) -> String {
    format!("part.{{{{partition({partitions},1)}}}}")
}

impl Origin {
    /// What an endpoint takes.
    pub(super) fn wanted(&self, args: &EndpointArgs, url: &str) -> Wanted {
        let prefix = self.subject_prefix.as_deref();
        let to = NatsTarget::parse(url, args.delivery.endpoint.policy()).ok();
        let to = to.filter(|to| to.is_same_server(&self.target));
        Wanted {
            endpoint: args.name.clone(),
            places: args.delivery.queue_capacity,
            subjects: prefix.map(|prefix| subjects(prefix, &args.topics, &args.nodes)),
            publishes: to.map(|to| to.prefix().to_owned()),
        }
    }

    /// The name of an endpoint's consumer, or the beginning of those of its partitions.
    pub(super) fn consumer_name(&self, endpoint: &str) -> String {
        match endpoint {
            PILOT => self.consumer.clone(),
            endpoint => format!("{}-{endpoint}", self.consumer),
        }
    }

    /// Finds the stream, or makes it where that is wanted, one for its dead letters, and the consumers.
    ///
    /// # Errors
    /// When there is no such stream, or it is not as it should be.
    pub(super) async fn check(&self, wanted: &[Wanted]) -> Result<(), Failure> {
        if self.partitions.is_some() && !self.is_of_2_10() {
            let version = self.context.client().server_info().version;
            return Err(Failure::usage(format!(
                "--partitions: the server must be of version 2.10 or newer, and is of {version}"
            )));
        }
        let stream = self.stream().await?;
        let letters = stream::Config {
            name: format!("{}-dead", self.stream),
            subjects: vec![dead_subject(&self.stream)],
            ..stream::Config::default()
        };
        let made = self.context.get_or_create_stream(letters).await;
        made.map_err(|error| Failure::runtime(format!("no stream for dead letters: {error}")))?;
        let config = &stream.cached_info().config;
        if let Some(partitions) = self.partitions {
            let transform = config.subject_transform.as_ref();
            let begin = destination_begin(partitions);
            if !transform.is_some_and(|it| it.destination.starts_with(&begin)) {
                return Err(Failure::usage(format!(
                    "--partitions: the subjects of the stream {} are not transformed to {begin}... (docs/fleet.md)",
                    self.stream
                )));
            }
        }
        if wanted.len() > 1 && config.retention == RetentionPolicy::WorkQueue {
            return Err(Failure::usage(format!(
                "the stream {} has the retention workqueue, which gives a message to one endpoint only: it must be limits or interest",
                self.stream
            )));
        }
        for wanted in wanted {
            self.declare_at(&stream, wanted, Begin::All).await.map_err(Failure::runtime)?;
        }
        Ok(())
    }

    /// Makes the consumers of an endpoint, or gives them the filter that is wanted now.
    ///
    /// # Errors
    /// Why not. Some may be made.
    pub(super) async fn declare(&self, wanted: &Wanted, begin: Begin) -> Result<(), String> {
        let stream = self.stream().await.map_err(|failure| failure.message)?;
        self.declare_at(&stream, wanted, begin).await
    }

    async fn declare_at(
        &self,
        stream: &Stream,
        wanted: &Wanted,
        begin: Begin,
    ) -> Result<(), String> {
        for part in self.parts() {
            self.declared(stream, wanted, part, begin).await?;
        }
        Ok(())
    }

    pub(super) async fn stream(&self) -> Result<Stream, Failure> {
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

    /// The consumer of an endpoint, as it is. One that is missing is made.
    pub(super) async fn consumer(
        &self,
        stream: &Stream,
        wanted: &Wanted,
        part: Option<u32>,
        begin: Begin,
    ) -> Result<PullConsumer, String> {
        let name = match (self.consumer_name(&wanted.endpoint), part) {
            (name, None) => name,
            (name, Some(part)) => format!("{name}-{part}"),
        };
        let mut config = pull::Config {
            durable_name: Some(name.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: if part.is_some() { 1 } else { OUT_MAX },
            deliver_policy: match begin {
                Begin::All => DeliverPolicy::All,
                Begin::New => DeliverPolicy::New,
            },
            ..pull::Config::default()
        };
        set_filter(&mut config, self.filter(wanted, part).unwrap_or_default());
        let consumer = stream.get_or_create_consumer(&name, config).await;
        consumer.map_err(|error| format!("no consumer {name}: {error}"))
    }

    /// The consumer of an endpoint, with the filter that is wanted now. Whatever else an operator gave it stays.
    pub(super) async fn declared(
        &self,
        stream: &Stream,
        wanted: &Wanted,
        part: Option<u32>,
        begin: Begin,
    ) -> Result<PullConsumer, String> {
        let own = &stream.cached_info().config.subjects;
        if let Some(prefix) = &wanted.publishes
            && own.iter().any(|subject| may_take(subject, prefix))
        {
            let (name, stream) = (&wanted.endpoint, &self.stream);
            return Err(format!(
                "{name}: every event would come back for ever: the stream {stream} has what is published to {prefix}"
            ));
        }
        let consumer = self.consumer(stream, wanted, part, begin).await?;
        let info = consumer.cached_info();
        fit(&info.config, part.is_some()).map_err(|what| {
            let name = &info.name;
            format!("the consumer {name} is not as a gateway makes it: {what}; delete it, or name another with --consumer")
        })?;
        let mut has = info.config.filter_subjects.clone();
        if !info.config.filter_subject.is_empty() {
            has.push(info.config.filter_subject.clone());
        }
        has.sort_unstable();
        let Some(filter) = self.filter(wanted, part) else {
            if !has.is_empty() {
                let (name, has) = (&info.name, has.join(", "));
                warn!("the consumer {name} has a filter: {} gets only {has}", wanted.endpoint);
            }
            return Ok(consumer);
        };
        if has == filter {
            return Ok(consumer);
        }
        let text = |error: &dyn Display| format!("the consumer {}: {error}", info.name);
        let mut config = pull::Config::try_from_consumer_config(info.config.clone())
            .map_err(|error| text(&error))?;
        set_filter(&mut config, filter);
        stream.create_consumer(config).await.map_err(|error| text(&error))
    }

    /// The subjects that a consumer is to have, in order. `None`: those that it has.
    fn filter(&self, wanted: &Wanted, part: Option<u32>) -> Option<Vec<String>> {
        // An older server takes one subject alone, and one whose filter is changed skips messages.
        let wanted = wanted.subjects.clone().filter(|_| self.is_of_2_10());
        if wanted.is_none() && part.is_none() {
            return None;
        }
        let mut subjects = wanted.unwrap_or_default();
        if let Some(part) = part {
            if subjects.is_empty() {
                subjects.push(">".to_owned());
            }
            subjects.iter_mut().for_each(|it| it.insert_str(0, &format!("part.{part}.")));
        }
        subjects.sort_unstable();
        Some(subjects)
    }

    fn is_of_2_10(&self) -> bool {
        self.context.client().is_server_compatible(2, 10, 0)
    }

    /// The messages of a consumer that are here at once. One, of a partition: that is what keeps its order, whichever
    /// gateways pull.
    pub(super) fn places(&self, wanted: &Wanted) -> u32 {
        if self.partitions.is_some() { 1 } else { wanted.places.max(1) }
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = Option<u32>> + use<> {
        let (all, parts) =
            (self.partitions.is_none().then_some(None), self.partitions.unwrap_or(0));
        all.into_iter().chain((0..parts).map(Some))
    }
}

/// Has the server send these subjects, or all.
fn set_filter(config: &mut pull::Config, mut subjects: Vec<String>) {
    config.filter_subject = if subjects.len() == 1 { subjects.remove(0) } else { String::new() };
    config.filter_subjects = subjects;
}

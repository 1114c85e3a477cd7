//! A JetStream stream as a source of events: many gateways share the work of one stream.
//!
//! Each endpoint has a consumer of its own, so that none waits for another. A message is acknowledged when it is known how
//! its event ended there. A gateway that dies has acknowledged nothing that was not delivered, refused or stored, so
//! another one gets it.

mod consume;
mod fit;
mod options;
mod pull;
mod relay;
mod settle;
mod source;
mod subjects;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use pilot_webhook_core::OnOpen;
use pilot_webhook_std::{ClientBuilder, Hub};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::Failure;
use crate::args::Run;
use crate::config::Declared;
use crate::delivery::EndpointArgs;
use crate::gateway::consume::{Begin, Origin, Wanted};
pub(crate) use crate::gateway::options::FromStream;
use crate::gateway::pull::Pulling;
use crate::gateway::relay::Relay;
use crate::gateway::settle::{Sender, Settle};
use crate::gateway::source::StreamSource;
use crate::tally::Tally;

/// How long a reload waits for consumers. Arbitrary: far longer than a server takes.
const DECLARE_MAX: Duration = Duration::from_secs(5);

/// A stream whose events are going to be taken.
pub(crate) struct Gateway {
    origin: Arc<Origin>,
    wanted: Vec<Wanted>,
}

/// Takes events for endpoints, until it is stopped.
pub(crate) struct Taking {
    origin: Arc<Origin>,
    hub: Hub,
    tally: Arc<Tally>,
    running: BTreeMap<String, Running>,
    settling: JoinSet<()>,
}

/// What takes the events of one endpoint.
struct Running {
    wanted: Wanted,
    pulling: JoinSet<()>,
    source: JoinHandle<()>,
}

/// The options of an endpoint whose events come from a stream: it has what the receiver does not take now, and bodies are
/// sent as they were published.
pub(crate) fn relayed(client: ClientBuilder) -> ClientBuilder {
    client.on_open(OnOpen::Hold).format(Relay)
}

impl Gateway {
    /// Connects, and finds the stream. `None` if the options name none. Without a configuration there is one endpoint.
    ///
    /// # Errors
    /// When the options are wrong, the server does not answer, or there is no such stream.
    pub(crate) async fn open(
        options: &Run,
        endpoints: Option<&[Declared]>,
    ) -> Result<Option<Self>, Failure> {
        let from = &options.from_stream;
        let target = from.target().map_err(|error| Failure::usage(format!("--from: {error}")))?;
        let Some(target) = target else { return Ok(None) };
        if endpoints.is_none() && options.delivery.batch > 1 {
            return Err(Failure::usage(
                "--from and --batch: events keep their messages' ids, so each goes out alone",
            ));
        }
        let shared = options.delivery.nats().build().map_err(Failure::usage)?;
        let client = shared.client(&target).await.map_err(Failure::runtime)?;
        let origin = Origin {
            context: ContextBuilder::new().build(client),
            stream: target.prefix().to_owned(),
            target,
            consumer: from.consumer.clone(),
            partitions: from.partitions,
            subject_prefix: from.subject_prefix.clone(),
            create: from.create_stream.clone(),
        };
        let wanted = match endpoints {
            Some(endpoints) => {
                endpoints.iter().map(|it| origin.wanted(&it.args, &it.url)).collect()
            }
            None => {
                let pilot = EndpointArgs::pilot(options.delivery.clone());
                vec![origin.wanted(&pilot, &options.webhook)]
            }
        };
        origin.check(&wanted).await?;
        Ok(Some(Self { origin: Arc::new(origin), wanted }))
    }

    /// Hands the stream's events to the endpoints of the hub.
    pub(crate) fn start(self, hub: Hub, tally: Arc<Tally>) -> Taking {
        let Self { origin, wanted } = self;
        info!("taking the events of the stream {}", origin.stream);
        let (running, settling) = (BTreeMap::new(), JoinSet::new());
        let mut taking = Taking { origin, hub, tally, running, settling };
        wanted.into_iter().for_each(|wanted| taking.take(wanted, None));
        taking
    }
}

impl Taking {
    /// Takes for these endpoints from now on, when the hub has them. One that is new begins with the messages that come
    /// from now on, unless its consumer is there; nothing changes for one that takes what it took. Says what is to be known
    /// of the consumers, a line each.
    pub(crate) async fn follow(&mut self, endpoints: &[Declared]) -> Vec<String> {
        let there = endpoints.iter().filter(|it| self.hub.get(&it.args.name).is_some());
        let mut wanted: BTreeMap<_, _> =
            there.map(|it| (it.args.name.clone(), self.origin.wanted(&it.args, &it.url))).collect();
        let is_as_wanted = |(name, it): &(&String, &Running)| {
            wanted.get(*name) == Some(&it.wanted) && !it.source.is_finished()
        };
        let others = self.running.iter().filter(|it| !is_as_wanted(it));
        let others: Vec<_> = others.map(|(name, _)| name.clone()).collect();
        let until = Instant::now() + DECLARE_MAX;
        let mut lines = Vec::new();
        for name in others {
            if let Some(running) = self.running.remove(&name) {
                running.stop().await;
            }
            match wanted.remove(&name) {
                Some(changed) => lines.extend(self.begin(changed, Begin::All, until).await),
                None => lines.push(format!(
                    "{name}: its consumer {} keeps its place in the stream {}, until you delete it",
                    self.origin.consumer_name(&name),
                    self.origin.stream
                )),
            }
        }
        wanted.retain(|name, _| !self.running.contains_key(name));
        for wanted in wanted.into_values() {
            lines.extend(self.begin(wanted, Begin::New, until).await);
        }
        // Those of endpoints that are gone.
        while self.settling.try_join_next().is_some() {}
        lines
    }

    /// Takes no more; what was taken and not handed in is given back.
    pub(crate) async fn stop(&mut self) {
        while let Some((_, running)) = self.running.pop_first() {
            running.stop().await;
        }
    }

    /// Completes when the server was told of every message, once the hub is closed.
    pub(crate) async fn settled(mut self) {
        while self.settling.join_next().await.is_some() {}
    }

    /// Takes what is wanted for an endpoint. Its consumers are there afterwards; or else it is said why not, and tried
    /// again.
    async fn begin(&mut self, wanted: Wanted, begin: Begin, until: Instant) -> Option<String> {
        let declared = timeout_at(until, self.origin.declare(&wanted, begin)).await;
        let declared = declared.unwrap_or_else(|_| Err("the server does not answer".to_owned()));
        let problem =
            declared.err().map(|why| format!("{}: {why}; it goes on trying", wanted.endpoint));
        self.take(wanted, problem.as_ref().map(|_| begin));
        problem
    }

    /// Takes what is wanted for an endpoint, whose consumers begin so where they are not declared yet.
    fn take(&mut self, wanted: Wanted, declare: Option<Begin>) {
        let name = wanted.endpoint.clone();
        let of = Sender { endpoint: name.clone(), consumer: self.origin.consumer_name(&name) };
        let settle = Settle::start(self.origin.context.clone(), of, &mut self.settling);
        let (held, messages) = mpsc::unbounded_channel();
        let (origin, tally) = (Arc::clone(&self.origin), Arc::clone(&self.tally));
        let pulling = Pulling {
            origin,
            wanted: wanted.clone(),
            declare,
            settle,
            held,
            tally: Arc::clone(&tally),
        };
        let pulling = pulling.start();
        let (hub, to) = (self.hub.clone(), name.clone());
        let mut source = StreamSource::new(messages, tally, hub.outbox().is_some());
        let source = tokio::spawn(async move { hub.pull_to(&to, &mut source).await });
        self.running.insert(name, Running { wanted, pulling, source });
    }
}

impl Running {
    /// Completes when no more is handed in. The event that waits for room, and what is behind it, is given back.
    async fn stop(mut self) {
        // Before something is given back, which would be sent here again.
        self.pulling.shutdown().await;
        // The library says so to the server in a task of its own.
        yield_now().await;
        self.source.abort();
        let _ = self.source.await;
    }
}

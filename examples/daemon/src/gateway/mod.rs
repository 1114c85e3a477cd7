//! A JetStream stream as a source of events: many gateways share the work of one stream.
//!
//! A message is acknowledged when it is known how its event ended. A gateway that dies has acknowledged nothing
//! that was not delivered, refused or stored, so another one gets it.

mod consume;
mod options;
mod relay;
mod settle;
mod source;

use std::sync::Arc;

use async_nats::jetstream::context::ContextBuilder;
use pilot_webhook_core::Policy;
use pilot_webhook_std::{Hub, NatsTarget};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::info;

use crate::Failure;
use crate::args::Run;
use crate::gateway::consume::Consumers;
pub(crate) use crate::gateway::options::FromStream;
pub(crate) use crate::gateway::relay::Relay;
use crate::gateway::settle::Settle;
use crate::gateway::source::StreamSource;
use crate::tally::Tally;

/// A stream whose events are going to be taken.
pub(crate) struct Gateway(Consumers);

/// Takes events, until it is stopped.
pub(crate) struct Taking {
    stop: watch::Sender<bool>,
    source: JoinHandle<()>,
    settling: JoinHandle<()>,
}

impl Gateway {
    /// Connects, and finds the stream. `None` if the options name none.
    ///
    /// # Errors
    /// When the options are wrong, the server does not answer, or there is no such stream.
    pub(crate) async fn open(options: &Run) -> Result<Option<Self>, Failure> {
        let from = &options.from_stream;
        let Some(url) = &from.from else { return Ok(None) };
        let target = NatsTarget::parse(url, Policy::default())
            .map_err(|error| Failure::usage(format!("--from: {error}")))?;
        let stream = target.prefix().to_owned();
        if stream.contains('.') {
            return Err(Failure::usage("--from: the path is the name of a stream, without dots"));
        }
        if options.delivery.batch > 1 {
            return Err(Failure::usage(
                "--from and --batch: events keep their messages' ids, so each goes out alone",
            ));
        }
        let shared = options.delivery.nats().build().map_err(Failure::usage)?;
        let client = shared.client(&target).await.map_err(Failure::runtime)?;
        let consumers = Consumers {
            context: ContextBuilder::new().build(client),
            stream,
            name: from.consumer.clone(),
            partitions: from.partitions,
            places: options.delivery.queue_capacity,
            create: from.create_stream.clone(),
        };
        consumers.check().await?;
        Ok(Some(Self(consumers)))
    }

    /// Hands the stream's events to the hub.
    pub(crate) fn start(self, hub: Hub, tally: Arc<Tally>) -> Taking {
        let (settle, settling) = Settle::start(self.0.context.clone());
        let (held, messages) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        info!("taking the events of the stream {}", self.0.stream);
        tokio::spawn(self.0.pull(settle, held));
        let mut source = StreamSource::new(messages, stopped, tally, hub.outbox().is_some());
        let source = tokio::spawn(async move { hub.pull(&mut source).await });
        Taking { stop, source, settling }
    }
}

impl Taking {
    /// Takes no more; what was taken and not handed in is given back.
    pub(crate) async fn stop(&mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.source).await;
    }

    /// Completes when the server was told of every message, once the hub is closed.
    pub(crate) async fn settled(self) {
        let _ = self.settling.await;
    }
}

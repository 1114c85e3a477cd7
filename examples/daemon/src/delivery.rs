//! The options that each endpoint has for itself: how events are brought to it.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use pilot_webhook_core::{OnFull, OnOpen};
/// The endpoint whose URL is set over the socket.
pub(crate) use pilot_webhook_std::ENDPOINT as PILOT;
use pilot_webhook_std::{Client, ClientBuilder, ClientError, HubEndpoint};
#[cfg(feature = "nats")]
use pilot_webhook_std::{NatsConfig, NatsConfigError};

use crate::args::duration;
use crate::endpoint::Endpoint;
use crate::ingress::WhenFull;
use crate::wrong::Wrong;

/// An endpoint: a table `[[endpoint]]` of the configuration, whose keys are these options.
#[derive(Clone, clap::Args)]
pub(crate) struct EndpointArgs {
    /// What the endpoint is called in logs, counters and commands: 1 to 64 small letters, digits, `_` and `-`. No two have the
    /// same. `pilot` is the one that set-webhook sets.
    #[arg(long, value_name = "NAME", required = true, value_parser = name)]
    pub(crate) name: String,
    /// Where its events are delivered to.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The file that the URL is in, where it is a secret.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub(crate) url_file: Option<PathBuf>,
    /// The topics of its events, as in conn.*; a star stands for any text. Without it: all.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    /// The topics of which it gets no events, of those in `topics`.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) exclude: Vec<String>,
    /// The nodes of its events. Without it: all.
    #[arg(long, value_name = "N")]
    pub(crate) nodes: Vec<u32>,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
}

/// How events are brought to an endpoint: the options of `run` that each endpoint may have otherwise.
#[derive(Clone, clap::Args)]
pub(crate) struct Delivery {
    /// The wait before the second attempt; it doubles for each further one.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) retry_backoff: Duration,
    /// By how many percent, at most, waits between attempts are made longer at random, 0 to 100.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) retry_jitter: u8,
    /// Events in a row that must use up their attempts for the breaker to open.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) circuit_threshold: u16,
    /// How long the breaker stays open before a probe.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) circuit_cooldown: Duration,
    /// Events the queue holds. With more than 64 endpoints the default is their share of 65536, and at least 64 and twice what
    /// may be in flight.
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) queue_capacity: u32,
    /// What happens to an event when the queue is full: who brings it waits, or an event is lost. In a file with several
    /// endpoints, one for which nothing is said is drop-newest.
    #[arg(long, value_name = "POLICY", default_value = "block")]
    pub(crate) on_full: OnFullArg,
    /// What happens to events while the breaker is open.
    #[arg(long, value_name = "POLICY", default_value = "skip")]
    pub(crate) on_open: OnOpenArg,
    /// POSTs in flight at once, 1 to 64; with more than one, their order is not kept.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) max_in_flight: u16,
    /// Events in one POST, at most; with more than one, every body is a JSON array.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batch: u16,
    /// How long a batch that is not full waits for more events.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(crate) batch_delay: Duration,
    /// Another word for `--on-full block`, and stronger than any other `--on-full`.
    #[arg(long)]
    pub(crate) block_when_full: bool,
    #[command(flatten)]
    pub(crate) endpoint: Endpoint,
    /// The credentials file for NATS, as nsc writes it: for --from, and for a webhook that is nats:// or tls://.
    #[cfg(feature = "nats")]
    #[arg(long, value_name = "FILE")]
    nats_creds: Option<PathBuf>,
    /// The file with the key of a NATS user, a seed that begins with SU, in place of a credentials file.
    #[cfg(feature = "nats")]
    #[arg(long, value_name = "FILE", conflicts_with = "nats_creds")]
    nats_nkey: Option<PathBuf>,
}

impl EndpointArgs {
    /// The endpoint that is set over the socket.
    pub(crate) fn pilot(delivery: Delivery) -> Self {
        Self {
            name: PILOT.to_owned(),
            url: None,
            url_file: None,
            topics: Vec::new(),
            exclude: Vec::new(),
            nodes: Vec::new(),
            delivery,
        }
    }
}

impl Delivery {
    /// A client that delivers so, and keeps the first `answers` bytes of what receivers answer. Reads files, which may be
    /// pipes.
    ///
    /// # Errors
    /// When an option or a file cannot be used.
    pub(crate) fn client(&self, url: &str, answers: usize) -> Result<ClientBuilder, Wrong> {
        let builder = Client::builder(url)
            .retry_backoff(self.retry_backoff)
            .retry_jitter(self.retry_jitter)
            .circuit_threshold(self.circuit_threshold)
            .circuit_cooldown(self.circuit_cooldown)
            .queue_capacity(self.queue_capacity)
            .on_full(self.on_full.into())
            .on_open(self.on_open.into())
            .max_in_flight(self.max_in_flight)
            .batch(self.batch)
            .batch_delay(self.batch_delay);
        let builder = self.endpoint.client(builder)?.http(self.endpoint.http()?.answers(answers));
        #[cfg(feature = "nats")]
        let builder = builder.nats(self.nats());
        Ok(builder)
    }

    /// All that is wrong with the options together, and with what is in their files, which may be pipes.
    pub(crate) fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = self.endpoint.wrong();
        if self.batch > 1 && !self.endpoint.format.has_batches() {
            wrong.push(Wrong::new(
                "batch",
                "the format has one event in a body: take batch away, or choose the format cloudevents",
            ));
        }
        #[cfg(feature = "nats")]
        if let Err(error @ NatsConfigError::Credentials { .. }) = self.nats().build() {
            wrong.push(Wrong::new("nats_creds", error));
        }
        // What nobody thought of here.
        if wrong.is_empty()
            && let Ok(Err(error)) = self.client("", 0).map(|client| client.check())
        {
            let is_long = matches!(error, ClientError::Memory);
            wrong.push(Wrong::new(if is_long { "queue_capacity" } else { "" }, error));
        }
        wrong
    }

    /// How connections to NATS servers are made.
    #[cfg(feature = "nats")]
    pub(crate) fn nats(&self) -> NatsConfig {
        let mut config = NatsConfig::new();
        if let Some(path) = &self.nats_creds {
            config = config.credentials_file(path);
        }
        if let Some(path) = &self.nats_nkey {
            config = config.nkey_file(path);
        }
        if let Some(path) = &self.endpoint.ca_file {
            config = config.ca_file(path);
        }
        config
    }

    /// Whether the reader of events waits while they cannot be taken.
    pub(crate) fn blocks(&self) -> bool {
        self.block_when_full || self.on_full == OnFullArg::Block
    }

    /// What becomes of a posted event that has no room.
    pub(crate) fn when_full(&self) -> WhenFull {
        match self.on_full {
            _ if self.blocks() => WhenFull::default(),
            OnFullArg::Block | OnFullArg::DropNewest => WhenFull::SendBack,
            OnFullArg::DropOldest => WhenFull::DropOldest,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFullArg {
    Block,
    DropNewest,
    DropOldest,
}

impl From<OnFullArg> for OnFull {
    fn from(arg: OnFullArg) -> Self {
        match arg {
            // What is on the bus cannot wait.
            OnFullArg::Block | OnFullArg::DropNewest => Self::DropNewest,
            OnFullArg::DropOldest => Self::DropOldest,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum OnOpenArg {
    Skip,
    Hold,
}

impl From<OnOpenArg> for OnOpen {
    fn from(arg: OnOpenArg) -> Self {
        match arg {
            OnOpenArg::Skip => Self::Skip,
            OnOpenArg::Hold => Self::Hold,
        }
    }
}

/// The name of an endpoint.
fn name(text: &str) -> Result<String, String> {
    if HubEndpoint::is_name(text) {
        return Ok(text.to_owned());
    }
    Err("expected 1 to 64 small letters, digits, `_` and `-`".to_owned())
}

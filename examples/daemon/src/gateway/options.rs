//! The options of a stream as the source of events.

use clap::builder::NonEmptyStringValueParser;

/// The most partitions. Arbitrary: one message of each is in flight at once, and more than 64 posts are not.
const PARTITIONS_MAX: i64 = 64;

#[derive(clap::Args)]
pub(crate) struct FromStream {
    /// Take events from a NATS JetStream stream: nats://HOST:PORT/STREAM, or tls://. Several daemons that name the
    /// same consumer share the work.
    #[arg(long, value_name = "URL", conflicts_with_all = ["events", "listen", "format", "source", "type_prefix"])]
    pub(crate) from: Option<String>,
    /// The durable consumer whose messages are taken. It is made if it is missing.
    #[arg(long, value_name = "NAME", default_value = "pilot-webhook", requires = "from", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) consumer: String,
    /// Make the stream if it is missing, for all subjects that begin with this prefix.
    #[arg(long, value_name = "PREFIX", requires = "from")]
    pub(crate) create_stream: Option<String>,
    /// Keep the order of each partition, by one consumer each: the stream's subjects must have the partition's number
    /// behind the prefix (docs/fleet.md).
    #[arg(long, value_name = "N", requires = "from", value_parser = clap::value_parser!(u32).range(1..=PARTITIONS_MAX))]
    pub(crate) partitions: Option<u32>,
}

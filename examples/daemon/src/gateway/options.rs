//! The options of a stream as the source.

use pilot_webhook_core::Policy;
use pilot_webhook_std::NatsTarget;

/// The most partitions. Arbitrary: one message of each is in flight at once, and more than 64 posts are not.
const PARTITIONS_MAX: i64 = 64;
/// The longest name of a consumer. Arbitrary: with that of an endpoint it is far shorter than a file's name may be, which
/// the server makes of it.
const CONSUMER_MAX: usize = 64;

#[derive(clap::Args)]
pub(crate) struct FromStream {
    /// Take events from a NATS JetStream stream: nats://HOST:PORT/STREAM, or tls://. Several daemons that name the
    /// same consumer share the work.
    #[arg(long, value_name = "URL", conflicts_with_all = ["events", "listen", "format", "source", "type_prefix"])]
    pub(crate) from: Option<String>,
    /// The durable consumer whose messages are taken. It is made if it is missing. Each `[[endpoint]]` has one of its own,
    /// whose name is this one, `-`, and that of the endpoint.
    #[arg(long, value_name = "NAME", default_value = "pilot-webhook", requires = "from", value_parser = consumer)]
    pub(crate) consumer: String,
    /// Make the stream if it is missing, for all subjects that begin with this prefix.
    #[arg(long, value_name = "PREFIX", requires = "from", value_parser = prefix)]
    pub(crate) create_stream: Option<String>,
    /// The prefix that nodes publish to, as in nats://HOST/PREFIX: the server then sends an endpoint only what its topics
    /// and nodes let pass, as far as subjects can say that (docs/fleet.md).
    #[arg(long, value_name = "PREFIX", requires = "from", value_parser = prefix)]
    pub(crate) subject_prefix: Option<String>,
    /// Keep the order of each partition, by one consumer each: the stream's subjects must have the partition's number
    /// behind the prefix (docs/fleet.md).
    #[arg(long, value_name = "N", requires = "from", value_parser = clap::value_parser!(u32).range(1..=PARTITIONS_MAX))]
    pub(crate) partitions: Option<u32>,
}

impl FromStream {
    /// Whether events come from a stream.
    pub(crate) const fn is_given(&self) -> bool {
        self.from.is_some()
    }

    /// Where from.
    pub(crate) fn url(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// What is wrong with where from.
    pub(crate) fn problem(&self) -> Option<String> {
        self.target().err()
    }

    /// The server and the stream, as the prefix of a target. `None` if there is none.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(super) fn target(&self) -> Result<Option<NatsTarget>, String> {
        let Some(url) = self.url() else { return Ok(None) };
        let target =
            NatsTarget::parse(url, Policy::default()).map_err(|error| error.to_string())?;
        if target.prefix().contains('.') {
            return Err("the path is the name of a stream, without dots".to_owned());
        }
        Ok(Some(target))
    }
}

fn is_word(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.bytes().all(is_letter)
}

/// The name of a consumer.
fn consumer(text: &str) -> Result<String, String> {
    if is_word(text) && text.len() <= CONSUMER_MAX {
        return Ok(text.to_owned());
    }
    Err("expected 1 to 64 letters, digits, `_` and `-`".to_owned())
}

/// The beginning of subjects.
fn prefix(text: &str) -> Result<String, String> {
    if text.split('.').all(is_word) {
        return Ok(text.to_owned());
    }
    Err("expected letters, digits, `_` and `-`, in tokens with dots between them".to_owned())
}

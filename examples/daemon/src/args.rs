//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, PathBufValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};
use pilot_webhook_receiver::secrets::Sign;

use crate::Failure;
use crate::admin::AdminOptions;
use crate::delivery::Delivery;
use crate::endpoint::NodeId;
use crate::gateway::FromStream;
use crate::ingress::address;
use crate::ipc::{OnLost, default_socket};
use crate::outbox_commands::OutboxCommand;
use crate::store::Store;
use crate::test_url::Test;

/// Delivers the events of a pilot daemon to a webhook.
#[derive(Parser)]
#[command(name = "pilot-webhookd", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Read events and deliver them.
    Run(Box<Run>),
    /// Deliver the events of a stream: `run` with --from, which must be given.
    #[cfg(feature = "nats")]
    Gateway(Box<Run>),
    /// Check the options of `run`, those of --config with them, and say all that is wrong.
    Check(Box<Run>),
    /// Have a running daemon deliver to another URL.
    SetWebhook {
        /// Where events are delivered to from now on.
        #[arg(value_parser = NonEmptyStringValueParser::new(), required_unless_present = "webhook_file")]
        url: Option<String>,
        /// The file that the URL is in, so that it is not on the command line, which everybody can read.
        #[arg(long, value_name = "FILE", conflicts_with = "url")]
        webhook_file: Option<PathBuf>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Have a running daemon deliver nowhere.
    ClearWebhook(Remote),
    /// Show how a running daemon is.
    Info(Remote),
    /// Have a running daemon read its configuration again. Without one, what is in files.
    Reload(Remote),
    /// Send one event to a webhook, and say in plain words what happened.
    Test(Box<Test>),
    /// Look at the file of `run --outbox`, and correct it, also while a daemon has it.
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Write what a package holds beside the program.
    #[command(subcommand)]
    Generate(Generate),
    /// Show it at work on this machine, in under 20 seconds.
    Demo {
        /// The time between two events. All other times of the demo are multiples of it.
        #[arg(long, value_name = "TIME", default_value = "150ms", value_parser = duration, hide = true)]
        pace: Duration,
    },
}

impl Command {
    /// The options of the commands that have a configuration.
    pub(crate) fn run(&self) -> Option<&Run> {
        match self {
            Self::Run(run) | Self::Check(run) => Some(run),
            #[cfg(feature = "nats")]
            Self::Gateway(run) => Some(run),
            _ => None,
        }
    }
}

/// What is made of the definition of the command line.
#[derive(Subcommand)]
pub(crate) enum Generate {
    /// A manual page for each command.
    Man {
        /// Where they are written to.
        directory: PathBuf,
    },
    /// The completions of bash, zsh, fish and others.
    Completions {
        /// Where they are written to.
        directory: PathBuf,
    },
}

/// How to speak with a running daemon.
#[derive(clap::Args)]
pub(crate) struct Remote {
    /// The daemon's socket; `default` is pilot's own: $XDG_RUNTIME_DIR/pilot.sock, else
    /// /tmp/pilot.sock.
    #[arg(long, value_name = "PATH", default_value = "default", value_parser = socket())]
    pub(crate) socket: PathBuf,
    /// Print the daemon's answer as it is: one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Run {
    /// Take options from this TOML file, too: each is a key there, with `_` for `-`, and each [[endpoint]] may have its
    /// own. Those of the command line override it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where events are delivered to. Without it: the URL in --webhook-file, in $PILOT_WEBHOOK_URL, in pilot's
    /// config.json, or the one that was set over the socket.
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub(crate) webhook: String,
    /// The file that the URL is in, so that it is not on the command line, which everybody can read.
    #[arg(long, value_name = "FILE", conflicts_with = "webhook")]
    pub(crate) webhook_file: Option<PathBuf>,
    /// Read events from a file (or `-`: standard input), one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) from_stream: FromStream,
    /// The file of events goes on: what is appended is read, also after a rotation, and a named pipe's next writer.
    #[arg(long, requires = "events", conflicts_with = "exit_at_end")]
    pub(crate) follow: bool,
    /// Take events at this address, too: the POSTs of pilot's own webhook. A port alone is one on loopback.
    #[arg(long, value_name = "ADDR", value_parser = address::parse)]
    pub(crate) listen: Option<SocketAddr>,
    /// Take only POSTs that are signed with the secret in this file (white space at its end is ignored). With --listen-sign
    /// standard-webhooks there may be several keys, a line each, and the option may be given more than once: one of
    /// them must have signed.
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub(crate) listen_secret_file: Vec<PathBuf>,
    /// How POSTs must be signed: as pilot does (X-Pilot-Signature-256), by Standard Webhooks, or, with a comma between, both.
    /// Pilot's secret is the first file then, and the keys are in the others: shared ones (whsec_), and the public halves
    /// of pairs (whpk_).
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        default_value = "pilot",
        requires = "listen_secret_file"
    )]
    pub(crate) listen_sign: Vec<Sign>,
    #[command(flatten)]
    pub(crate) node: NodeId,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
    #[command(flatten)]
    pub(crate) store: Store,
    /// Take commands at this socket; `default` is pilot's own: $XDG_RUNTIME_DIR/pilot.sock, else
    /// /tmp/pilot.sock.
    #[arg(long, value_name = "PATH", value_parser = socket())]
    pub(crate) socket: Option<PathBuf>,
    /// What happens when somebody else takes the socket's path: it is taken back when it is free, or the daemon ends.
    #[arg(long, value_name = "POLICY", default_value = "rebind")]
    pub(crate) on_socket_lost: OnSocketLost,
    /// Keep the URL that was set over the socket in this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) admin: AdminOptions,
    /// Even with a socket, or an address to listen at, end at the end of the events.
    #[arg(long)]
    pub(crate) exit_at_end: bool,
    /// How long what is queued is delivered after a signal, at most.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration, hide = true)]
    pub(crate) drain_timeout: Duration,
    /// How log lines look on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Also write the final stats to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) stats_file: Option<PathBuf>,
}

impl Run {
    /// Whether something brings events.
    pub(crate) fn has_source(&self) -> bool {
        self.events.is_some() || self.listen.is_some() || self.from_stream.is_given()
    }

    /// Whether more may come when all events are read.
    pub(crate) fn goes_on(&self) -> bool {
        (self.socket.is_some() || self.listen.is_some()) && !self.exit_at_end
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum OnSocketLost {
    Rebind,
    End,
}

impl From<OnSocketLost> for OnLost {
    fn from(arg: OnSocketLost) -> Self {
        match arg {
            OnSocketLost::Rebind => Self::Rebind,
            OnSocketLost::End => Self::End,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// A path, or `default`.
fn socket() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new()
        .map(|path| if path.as_os_str() == "default" { default_socket() } else { path })
}

/// What is said of another text.
const TIME_EXPECTED: &str =
    "expected a time such as 5s or 1h30m, in us, ms, s, m or h (a day is 24h)";

/// `5s`, `250ms`, `1m30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration = text.parse().map_err(|_| TIME_EXPECTED.to_owned())?;
    Duration::try_from(duration).map_err(|_| "a time cannot be negative".to_owned())
}

/// As [`duration`], and not none.
pub(crate) fn duration_above_0(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("expected a time above 0".to_owned()),
        time => Ok(time),
    }
}

/// The first line of what clap has to say.
pub(crate) fn one_line(error: &clap::Error) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::usage("it needs a command (see --help)");
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let mut message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    if message.ends_with(':') {
        // A list follows, one item a line.
        let items: Vec<_> =
            text.lines().skip(1).map_while(|line| line.strip_prefix("  ")).map(str::trim).collect();
        message = format!("{message} {}", items.join(", "));
    }
    Failure::usage(format!("{} (see --help)", plain(&message)))
}

/// What Rust and clap say of a number, in words.
pub(crate) fn plain(text: &str) -> String {
    const NO_NUMBER: &str = "expected a whole number, without a unit";
    let text = text
        .replace("invalid digit found in string", NO_NUMBER)
        .replace("cannot parse integer from empty string", NO_NUMBER)
        .replace("number too large to fit in target type", "the number is too large");
    let Some((begin, range)) = text.rsplit_once(" is not in ") else { return text };
    let Some((least, most)) = range.split_once("..=") else { return text };
    // The number stands before it already.
    let begin = begin.rsplit_once(' ').map_or(String::new(), |(before, _)| format!("{before} "));
    format!("{begin}expected a number from {least} to {most}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spoken_of_plainly() {
        for (text, expected) in [
            ("101 is not in 0..=100", "expected a number from 0 to 100"),
            (
                "invalid value '0' for '--batch <N>': 0 is not in 1..=65535",
                "invalid value '0' for '--batch <N>': expected a number from 1 to 65535",
            ),
            ("invalid digit found in string", "expected a whole number, without a unit"),
            ("the file is not in use", "the file is not in use"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("1d").unwrap_err().contains("24h"));
        assert!(duration("5").is_err());
        assert!(duration("-5s").is_err());
        assert!(duration("").is_err());
    }
}

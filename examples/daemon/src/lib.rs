//! `pilot-webhookd`: a pilot daemon's events to a webhook.
//!
//! The program is [`main`]. The parsers of external input are public for the fuzzers only, and [`follow`] for who
//! stores how far it has read; they are not a stable interface.

mod admin;
mod args;
mod aside;
mod asks;
mod config;
mod delivery;
mod demo;
#[cfg(all(test, feature = "nats", feature = "proxy"))]
mod docs_tests;
mod endpoint;
pub mod events;
pub mod follow;
mod format;
#[cfg_attr(not(feature = "nats"), path = "no_gateway.rs")]
mod gateway;
mod generate;
mod in_stream;
pub mod ingress;
mod input;
pub mod ipc;
mod lines;
mod logging;
mod metrics;
mod outbox_commands;
mod reader;
mod reload;
mod report;
mod rfc3339;
mod run;
mod setup;
mod signals;
mod signing;
mod stats_file;
mod stderr;
mod store;
mod supervisor;
mod tally;
mod test_url;
mod turns;
mod webhook_url;
mod wrong;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

use crate::args::{Args, Command, Generate};
use crate::config::{Config, Source};
use crate::run::Configured;

/// How long the exit waits until the last log lines are read. Arbitrary: ample for any reader.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The message of a failed command, and its exit status.
#[derive(Debug)]
struct Failure {
    message: String,
    status: u8,
}

impl Failure {
    /// Something is wrong with how the command was called.
    #[allow(clippy::needless_pass_by_value, reason = "errors are passed on as they come")]
    fn usage(error: impl ToString) -> Self {
        Self { message: error.to_string(), status: 2 }
    }

    /// Something went wrong while it ran.
    #[allow(clippy::needless_pass_by_value, reason = "errors are passed on as they come")]
    fn runtime(error: impl ToString) -> Self {
        Self { message: error.to_string(), status: 1 }
    }

    /// It ran to its end, and not all that was to be delivered was.
    const fn undelivered(message: String) -> Self {
        Self { message, status: 3 }
    }
}

/// Prints lines on standard output.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // The reader may have closed the pipe.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::runtime(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let argv: Vec<OsString> = env::args_os().collect();
    let result = match Source::named(&argv) {
        Some(source) => start(|| {
            let Config { command, endpoints, process, warnings } = source.load()?;
            Ok((command, Some(Configured { source, endpoints, process, warnings })))
        }),
        None => match Args::try_parse_from(&argv) {
            Ok(args) => start(|| Ok((args.command, None))),
            Err(error) if error.use_stderr() => Err(args::one_line(&error)),
            Err(help) => {
                let _ = help.print();
                return ExitCode::SUCCESS;
            }
        },
    };
    match result {
        Ok(()) => {
            stderr::flush(LAST_WORDS);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            // If it cannot be printed, the exit status tells.
            let (before, last) =
                failure.message.rsplit_once('\n').unwrap_or(("", &failure.message));
            let before = if before.is_empty() { String::new() } else { format!("{before}\n") };
            let line = format!("{before}pilot-webhookd: {last}\n");
            stderr::last_line(line.as_bytes(), LAST_WORDS);
            ExitCode::from(failure.status)
        }
    }
}

/// Whether there are as many files as the runtime opens when it is made, two for each pair: where there are not, it
/// panics.
fn check_files() -> io::Result<()> {
    let pairs: io::Result<Vec<_>> = (0..4).map(|_| UnixStream::pair()).collect();
    pairs.map(drop)
}

/// What a command line asks for, with a configuration or without one.
type Asked = (Command, Option<Configured>);

fn start(ask: impl FnOnce() -> Result<Asked, Failure>) -> Result<(), Failure> {
    check_files().map_err(|error| Failure::runtime(format!("no files to start with: {error}")))?;
    // One thread: there is nothing to compute, and an event need not cross threads to be sent.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::runtime)?;
    let within = runtime.enter();
    let (command, configured) = ask()?;
    drop(within);
    let result = match command {
        Command::Run(options) => runtime.block_on(run::run(options.into(), configured)),
        #[cfg(feature = "nats")]
        Command::Gateway(options) if !options.from_stream.is_given() => {
            Err(Failure::usage("gateway needs --from nats://HOST:PORT/STREAM (see --help)"))
        }
        #[cfg(feature = "nats")]
        Command::Gateway(options) => runtime.block_on(run::run(options.into(), configured)),
        Command::Check(_) => match configured {
            Some(it) => print(&config::summary(it.source.path(), &it.endpoints, &it.warnings)),
            None => Err(Failure::usage("check needs --config FILE")),
        },
        Command::SetWebhook { url, webhook_file, remote } => {
            webhook_url::given(url, webhook_file.as_deref()).and_then(|url| {
                runtime.block_on(ipc::client::set_webhook(&remote.socket, url, remote.json))
            })
        }
        Command::ClearWebhook(remote) => {
            runtime.block_on(ipc::client::clear_webhook(&remote.socket, remote.json))
        }
        Command::Reload(remote) => {
            runtime.block_on(ipc::client::reload(&remote.socket, remote.json))
        }
        Command::Info(remote) => runtime.block_on(ipc::client::info(&remote.socket, remote.json)),
        Command::Test(options) => runtime.block_on(test_url::test(options.into())),
        Command::Outbox(command) => outbox_commands::run(&command),
        Command::Generate(Generate::Man { directory }) => generate::man(&directory),
        Command::Generate(Generate::Completions { directory }) => generate::completions(&directory),
        Command::Demo { pace } => runtime.block_on(demo::demo(pace)),
    };
    // Does not wait for a DNS look-up that was given up.
    runtime.shutdown_background();
    result
}

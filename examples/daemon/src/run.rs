//! `run`: read events, deliver them, account for them; take commands meanwhile.

use std::convert::Infallible;
use std::fs::{self, File};
use std::future::pending;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use log::{info, warn};
use pilot_webhook_core::{EmitError, Event, Json, Timestamp};
use pilot_webhook_std::{Client, ClientBuilder};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::Failure;
use crate::args::Run;
use crate::events::{Line, Lines};
use crate::ipc::{self, Handler, Server};
use crate::logging;
use crate::report::Report;

pub(crate) async fn run(options: Run) -> Result<(), Failure> {
    logging::start(options.log_format);
    let client = builder(&options)?.build().map_err(Failure::usage)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::runtime)?;
    let server = match options.socket.as_deref() {
        Some(path) => Some(Server::bind(path).await.map_err(Failure::runtime)?),
        None => None,
    };
    let bad_lines = Arc::new(AtomicU64::new(0));
    let input = options.events.as_deref().map(open).transpose()?;
    let commands =
        Commands { client: client.clone(), node_id: options.node_id, start: Instant::now() };

    let delivered = async {
        let outcome = tokio::select! {
            outcome = deliver(&client, input, &options, &bad_lines) => outcome,
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        };
        client.close().await;
        outcome
    };
    // Commands are answered until all is over, so that the draining can be watched.
    let outcome = tokio::select! {
        outcome = delivered => outcome,
        never = serve(server, commands) => match never {},
    };
    let report = Report::new(client.stats(), bad_lines.load(Relaxed));
    report.publish(options.stats_file.as_deref()).map_err(Failure::runtime)?;
    outcome
}

async fn serve(server: Option<Server>, commands: Commands) -> Infallible {
    let Some(server) = server else { return pending().await };
    info!("taking commands at {}", server.path().display());
    server.serve(Arc::new(commands)).await
}

/// What commands over the socket do.
struct Commands {
    client: Client,
    node_id: u32,
    start: Instant,
}

impl Handler for Commands {
    fn set_webhook(&self, url: &str) -> Result<(), String> {
        self.client.set_url(url).map_err(|error| error.to_string())?;
        info!("the webhook was {} over the socket", if url.is_empty() { "cleared" } else { "set" });
        Ok(())
    }

    fn info(&self) -> serde_json::Value {
        let url = self.client.url();
        ipc::info(self.node_id, "", self.start.elapsed(), &self.client.stats(), url.as_deref())
    }
}

fn builder(options: &Run) -> Result<ClientBuilder, Failure> {
    let mut builder = Client::builder(options.webhook.as_str())
        .node_id(options.node_id)
        .http_timeout(options.http_timeout)
        .retry_backoff(options.retry_backoff)
        .circuit_threshold(options.circuit_threshold)
        .circuit_cooldown(options.circuit_cooldown)
        .queue_capacity(options.queue_capacity)
        .on_full(options.on_full.into())
        .on_open(options.on_open.into())
        .deny_private(options.deny_private);
    if let Some(path) = &options.secret_file {
        let secret = fs::read(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        let secret = secret.trim_ascii_end();
        if secret.is_empty() {
            return Err(Failure::usage(format!("{}: the secret is empty", path.display())));
        }
        builder = builder.secret(secret);
    }
    if let Some(path) = &options.ca_file {
        builder = builder.ca_file(path);
    }
    Ok(builder)
}

fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file =
        File::open(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(Box::new(BufReader::new(file)))
}

/// Delivers the whole input. Without one, or with a socket, waits for a signal then.
async fn deliver(
    client: &Client,
    input: Option<Box<dyn BufRead + Send>>,
    options: &Run,
    bad_lines: &Arc<AtomicU64>,
) -> Result<(), Failure> {
    let Some(input) = input else { return pending().await };
    let reader = Reader {
        client: client.clone(),
        runtime: Handle::current(),
        node_id: options.node_id,
        block_when_full: options.block_when_full,
        bad_lines: Arc::clone(bad_lines),
    };
    let (done, end) = oneshot::channel();
    // A thread of its own: reading a pipe blocks, and is left behind when a signal comes.
    thread::spawn(move || done.send(reader.read(input)));
    let outcome = end.await.map_err(|_| Failure::runtime("the reader stopped"))?;
    info!("end of the events, draining");
    client.drained().await;
    outcome.map_err(|error| Failure::runtime(format!("the events could not be read: {error}")))?;
    if options.socket.is_some() && !options.exit_at_end {
        return pending().await;
    }
    Ok(())
}

struct Reader {
    client: Client,
    runtime: Handle,
    node_id: u32,
    block_when_full: bool,
    bad_lines: Arc<AtomicU64>,
}

impl Reader {
    fn read(&self, input: impl BufRead) -> io::Result<()> {
        let mut lines = Lines::new(input);
        while let Some((number, line)) = lines.next()? {
            match line {
                Ok(line) => match self.emit(&line) {
                    Ok(_) => {}
                    // Counted and logged by the client.
                    Err(EmitError::Full) => {}
                    Err(EmitError::Closed) => return Ok(()),
                    Err(error) => warn!("line {number}: {error}"),
                },
                Err(bad) => {
                    self.bad_lines.fetch_add(1, Relaxed);
                    warn!("line {number}: {bad}");
                }
            }
        }
        Ok(())
    }

    fn emit(&self, line: &Line<'_>) -> Result<Option<u64>, EmitError> {
        let event = Event {
            topic: &line.topic,
            node_id: line.node_id.unwrap_or(self.node_id),
            timestamp: line.timestamp().unwrap_or_else(now),
        };
        let data = Json(line.data());
        if self.block_when_full {
            self.runtime.block_on(self.client.emit_when_room(&event, &data))
        } else {
            self.client.emit_event(&event, &data)
        }
    }
}

fn now() -> Timestamp {
    let now = jiff::Timestamp::now();
    Timestamp::new(now.as_second(), now.subsec_nanosecond().unsigned_abs())
}

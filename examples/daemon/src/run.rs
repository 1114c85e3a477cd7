//! `run`: reads events, delivers them, accounts for them, and answers commands meanwhile.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pilot_webhook_core::Policy;
use pilot_webhook_std::{
    Client, Deps, Destination, EventBus, Identity, LocalBus, ServiceRegistry, Throttle,
    WebhookService,
};
use tokio::signal::unix::Signal;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::Failure;
use crate::admin::{Admin, Hub, Watch};
use crate::args::Run;
use crate::aside::aside;
#[cfg(feature = "nats")]
use crate::gateway::Gateway;
use crate::ingress::{Ingress, Intake, Serving, leads_back};
use crate::input;
use crate::ipc::{self, Handler, Lost, Server};
use crate::lines::LineOptions;
use crate::logging;
use crate::reader::{self, Reading};
use crate::report::Report;
use crate::setup;
use crate::signals::Signals;
use crate::signing;
use crate::stats_file;
use crate::supervisor;
use crate::tally::Tally;

/// Which part of the drain's time the posts under way have at the end, before it.
const POSTS_SHARE: u32 = 5;

pub(crate) async fn run(options: Arc<Run>) -> Result<(), Failure> {
    // Before anything that waits.
    let mut signals = Signals::listen().map_err(Failure::runtime)?;
    logging::start(options.log_format);
    if let Some(path) = &options.stats_file {
        stats_file::check(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    }
    // Before the client, which may have an outbox to deliver: a signal ends this at once.
    #[cfg(feature = "nats")]
    let gateway = tokio::select! {
        gateway = Gateway::open(&options) => gateway?,
        () = signals.ends.recv() => return Ok(()),
    };
    let watch = Arc::<Watch>::default();
    let (for_setup, for_hooks) = (Arc::clone(&options), Arc::clone(&watch));
    let setup = aside(move || {
        Ok((setup::service(&for_setup, &for_hooks)?, signing::listen_secret(&for_setup)?))
    });
    let (service, listen_secret) = tokio::select! {
        setup = setup => setup??,
        () = signals.ends.recv() => return Ok(()),
    };
    let client = service.client().clone();
    let server = match options.socket.as_deref() {
        Some(path) => {
            let on_lost = options.on_socket_lost.into();
            Some(Server::bind(path, on_lost).await.map_err(Failure::runtime)?)
        }
        None => None,
    };
    let ingress = match options.listen {
        Some(address) => Some(Ingress::bind(address).await?),
        None => None,
    };
    let admin = Admin::bind(
        &options.admin,
        options.home.as_deref(),
        options.socket.as_deref(),
        Arc::clone(&watch),
    )
    .await?;
    let listens = ingress.as_ref().map(Ingress::address);
    let tally = Arc::<Tally>::default();
    let open = |path: &Path| {
        // With an outbox, a file that is followed goes on behind the last line that was stored.
        let stored = client.outbox().filter(|_| options.follow);
        let begin = stored.map(|outbox| outbox.position(&input::name(path))).transpose();
        let begin = begin.map_err(Failure::runtime)?.flatten();
        input::open(path, options.follow, begin.as_deref())
    };
    let input = options.events.as_deref().map(open).transpose()?;

    // Before anything publishes: the webhook subscribes here.
    let mut registry = ServiceRegistry::new();
    registry.register(Arc::new(service.clone()));
    let bus: Arc<dyn EventBus> = Arc::new(LocalBus::new());
    let identity: Arc<dyn Identity> = Arc::new(Node(options.node.node_id));
    let deps = Deps { events: Some(bus), identity: Some(identity) };
    registry.start(&deps).await.map_err(Failure::runtime)?;

    let has_source = input.is_some() || listens.is_some() || options.takes_from_stream();
    if has_source && server.is_none() && client.url().is_none() {
        return Err(Failure::usage(
            "there is no webhook for the events: give --webhook, or --socket, over which one can be set",
        ));
    }
    if comes_back(client.target().as_ref(), listens) {
        return Err(Failure::usage(format!("the webhook {COMES_BACK}: give another --webhook")));
    }
    let summary = setup::summary(&options, listens, client.url().as_deref());
    info!("{summary}");
    if listens.is_some_and(|address| !address.ip().is_loopback()) && listen_secret.is_none() {
        warn!("whoever reaches that address can post events: there is no --listen-secret-file");
    }
    let is_stored = client.outbox().is_some();
    let lines = LineOptions {
        node_id: options.node.node_id,
        can_wait: options.delivery.blocks() || is_stored,
        is_stored,
        name: options.events.as_deref().map(input::name).unwrap_or_default(),
        tally: Arc::clone(&tally),
    };
    let commands = Commands {
        service,
        listens,
        node_id: options.node.node_id,
        start: Instant::now(),
        refusals: Throttle::default(),
    };
    let (socket_lost, mut lost_socket) = oneshot::channel();
    let delivered = async {
        let reading = input.map(|input| reader::start(client.clone(), input, lines));
        let mut reading = reading.transpose()?;
        let serving = ingress.map(|ingress| {
            let intake =
                Intake::new(client.clone(), options.delivery.when_full(), Arc::clone(&tally));
            ingress.start(intake, listen_secret, Arc::clone(&tally))
        });
        #[cfg(feature = "nats")]
        let mut taking = gateway.map(|it| it.start(client.clone(), Arc::clone(&tally)));
        supervisor::ready(&summary);
        let outcome = tokio::select! {
            outcome = deliver(&client, reading.as_mut(), &options) => outcome.map(|()| End::Input),
            () = signals.ends.recv() => Ok(End::Signal),
            Ok(Lost) = &mut lost_socket => {
                Err(Failure::runtime("the socket was taken away: commands would not arrive"))
            }
            never = reload(&client, serving.as_ref(), &options, &mut signals.hang_up) => match never {},
            never = tell(&client, &tally, &mut signals.user_1) => match never {},
        };
        supervisor::stopping();
        watch.stopping();
        #[cfg(feature = "nats")]
        if let Some(taking) = &mut taking {
            taking.stop().await;
        }
        // Before the client refuses what is posted.
        if let Some(serving) = serving {
            serving.stop(options.drain_timeout / POSTS_SHARE).await;
        }
        for error in registry.stop().await {
            warn!("{error}");
        }
        // Where stopping took too long, what is left is accounted for here.
        client.close().await;
        #[cfg(feature = "nats")]
        if let Some(taking) = taking {
            taking.settled().await;
        }
        if let Some(reading) = reading {
            reading.stop().await;
        }
        outcome
    };
    // The socket listens already: said before anything is read, so that who waits for this line
    // has missed no other.
    if let Some(server) = &server {
        info!("taking commands at {}", server.path().display());
    }
    // Commands are answered until all is over, so that the draining can be watched.
    let outcome = tokio::select! {
        outcome = delivered => outcome,
        never = serve(server, commands, socket_lost) => match never {},
        never = administer(admin, &client, &options) => match never {},
        never = supervisor::alive() => match never {},
    };
    let report = Report::new(&client, &tally);
    let published = report.publish(options.stats_file.as_deref()).await;
    let outcome = outcome.and_then(|end| match end {
        End::Input => report.verdict(),
        End::Signal => Ok(()),
    });
    match (outcome, published) {
        // What became of the events is what counts; the other one is said, too.
        (Err(outcome), Err(unpublished)) => {
            error!("{}", unpublished.message);
            Err(outcome)
        }
        (outcome, published) => outcome.and(published),
    }
}

/// Reads again, at each signal, what is in files.
async fn reload(
    client: &Client,
    serving: Option<&Serving>,
    options: &Arc<Run>,
    hang_up: &mut Signal,
) -> Infallible {
    while hang_up.recv().await.is_some() {
        setup::reload(client, serving, options).await;
    }
    pending().await
}

/// Logs the counters at each signal.
async fn tell(client: &Client, tally: &Tally, user_1: &mut Signal) -> Infallible {
    while user_1.recv().await.is_some() {
        match Report::new(client, tally).line() {
            Ok(line) => info!("{line}"),
            Err(failure) => warn!("{}", failure.message),
        }
    }
    pending().await
}

/// Why the run ended.
enum End {
    /// The whole input was read.
    Input,
    /// A signal came first.
    Signal,
}

/// This node.
struct Node(u32);

impl Identity for Node {
    fn node_id(&self) -> u32 {
        self.0
    }
}

/// Serves the page, where there is one.
async fn administer(admin: Option<Admin>, client: &Client, options: &Run) -> Infallible {
    match admin {
        Some(admin) => {
            let hub = Hub::new([("pilot".to_owned(), client.clone())]);
            admin.serve(hub, options.store.outbox.clone()).await
        }
        None => pending().await,
    }
}

/// Answers commands. That the socket was lost, where that is the end, is told.
async fn serve(
    server: Option<Server>,
    commands: Commands,
    socket_lost: oneshot::Sender<Lost>,
) -> Infallible {
    if let Some(server) = server {
        let _ = socket_lost.send(server.serve(Arc::new(commands)).await);
    }
    pending().await
}

/// What is wrong with a webhook from which events come back.
const COMES_BACK: &str =
    "is the address that --listen takes events at, so they would go round for ever";

/// Whether what is delivered to `target` comes back to the address that is listened at.
fn comes_back(target: Option<&Destination>, listens: Option<SocketAddr>) -> bool {
    let target = target.and_then(Destination::http);
    target.zip(listens).is_some_and(|(target, own)| leads_back(&target.get(), own))
}

/// Executes commands from the socket.
struct Commands {
    service: WebhookService,
    listens: Option<SocketAddr>,
    node_id: u32,
    start: Instant,
    refusals: Throttle,
}

impl Commands {
    /// Logs that a URL was refused, since the client may not report it (pilotctl does not).
    fn refused(&self, error: &str) {
        match self.refusals.admit(Instant::now()) {
            None => {}
            Some(0) => warn!("a webhook that came over the socket is refused: {error}"),
            Some(n) => {
                warn!("a webhook that came over the socket is refused, after {n} more: {error}");
            }
        }
    }
}

impl Handler for Commands {
    async fn set_webhook(&self, url: &str) -> Result<(), String> {
        let target = Destination::parse(url, Policy::default()).ok();
        let set = if comes_back(target.as_ref(), self.listens) {
            Err(format!("the webhook {COMES_BACK}"))
        } else {
            self.service.set_url(url).map_err(|error| error.to_string())
        };
        set.inspect_err(|error| self.refused(error))?;
        let done = if url.is_empty() { "cleared" } else { "set" };
        info!("the webhook was {done} over the socket");
        // Answered when it is in the file, so that it survives what comes next.
        self.service.saved().await.map_err(|error| {
            format!("the webhook is {done} until the daemon ends, but not saved: {error}")
        })
    }

    fn info(&self) -> serde_json::Value {
        let url = self.service.client().url();
        ipc::info(self.node_id, "", self.start.elapsed(), &self.service.stats(), url.as_deref())
    }

    fn health(&self) -> serde_json::Value {
        ipc::health(self.start.elapsed(), &self.service.stats())
    }
}

/// Delivers the whole input. Without one, or when more may come, waits for a signal then.
async fn deliver(
    client: &Client,
    reading: Option<&mut Reading>,
    options: &Run,
) -> Result<(), Failure> {
    let Some(reading) = reading else { return pending().await };
    let outcome = reading.end().await;
    info!("end of the events, draining");
    client.drained().await;
    outcome?;
    if options.goes_on() {
        return pending().await;
    }
    Ok(())
}

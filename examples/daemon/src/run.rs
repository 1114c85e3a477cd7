//! `run`: reads events, delivers them, accounts for them, and answers commands meanwhile.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pilot_webhook_core::Policy;
use pilot_webhook_std::{
    Deps, Destination, EventBus, Hub, Identity, LocalBus, ServiceRegistry, Throttle, WebhookService,
};
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use crate::Failure;
use crate::admin::{Admin, Watch};
use crate::args::Run;
use crate::aside::aside;
use crate::config::{Declared, NO_SOURCE, Settings, Source};
use crate::delivery::PILOT;
use crate::gateway::Gateway;
use crate::ingress::{COMES_BACK, FullNow, Ingress, Intake, comes_back};
use crate::input;
use crate::ipc::{self, Handler, Lost, Server};
use crate::lines::LineOptions;
use crate::logging;
use crate::reader::{self, Reading};
use crate::reload::{self, Asked, Reloader};
use crate::report::Report;
use crate::setup::{self, Setup};
use crate::signals::Signals;
use crate::signing;
use crate::stats_file;
use crate::supervisor;
use crate::tally::Tally;

/// Which part of the drain's time the posts under way have at the end, before it.
const POSTS_SHARE: u32 = 5;

/// What the configuration file has, beside the options.
pub(crate) struct Configured {
    pub(crate) source: Source,
    pub(crate) endpoints: Vec<Declared>,
    /// What is set for the process.
    pub(crate) process: Settings,
    /// What `check` warns of.
    pub(crate) warnings: Vec<&'static str>,
}

/// Runs until the events are at their end, or a signal comes.
pub(crate) async fn run(options: Arc<Run>, configured: Option<Configured>) -> Result<(), Failure> {
    // Before anything that waits.
    let mut signals = Signals::listen().map_err(Failure::runtime)?;
    logging::start(options.log_format);
    if let Some(path) = &options.stats_file {
        stats_file::check(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    }
    // Before the client, which may have an outbox to deliver: a signal ends this at once.
    let declared = configured.as_ref().map(|it| &it.endpoints[..]);
    let gateway = tokio::select! {
        gateway = Gateway::open(&options, declared) => gateway?,
        () = signals.ends.recv() => return Ok(()),
    };
    let watch = Arc::<Watch>::default();
    let setup = Setup { options: Arc::clone(&options), watch: Arc::clone(&watch) };
    let (source, endpoints, process) = match configured {
        Some(Configured { source, endpoints, process, .. }) => (Some(source), endpoints, process),
        None => (None, Vec::new(), Settings::new()),
    };
    let has_several = source.is_some();
    let made = aside(move || {
        let endpoints = match source {
            Some(_) => endpoints,
            None => vec![Declared::of_options(&setup.options)?],
        };
        let service = setup.service(&endpoints)?;
        let check = signing::check_of_posts(&setup.options);
        let check =
            check.map_err(|what| Failure::usage(format!("--listen-secret-file: {what}")))?;
        let when_full = FullNow::new(reload::when_full(&endpoints));
        let reloader =
            Reloader { setup, service, source, endpoints, process, listens: None, when_full };
        Ok::<_, Failure>((reloader, check))
    });
    let (mut reloader, check) = tokio::select! {
        made = made => made??,
        () = signals.ends.recv() => return Ok(()),
    };
    let service = reloader.service.clone();
    if reloader.endpoints.iter().all(|it| it.args.name != PILOT) {
        service.hub().remove(PILOT).await.map_err(Failure::runtime)?;
    }
    let hub = service.hub().clone();
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
    reloader.listens = listens;
    let tally = watch.tally();
    let open = |path: &Path| {
        // With an outbox, a file that is followed goes on behind the last line that was stored.
        let stored = hub.outbox().filter(|_| options.follow);
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

    let url = service.client().and_then(|pilot| pilot.url());
    let targets = || hub.endpoints().into_iter().filter_map(|it| it.client().target());
    if options.has_source() && server.is_none() && targets().next().is_none() {
        return Err(Failure::usage(
            "there is no webhook for the events: give --webhook, or --socket, over which one can be set",
        ));
    }
    if targets().any(|target| comes_back(Some(&target), listens)) {
        return Err(Failure::usage(format!("the webhook {COMES_BACK}: give another --webhook")));
    }
    let summary = setup::summary(&options, listens, &reloader.endpoints, url.as_deref());
    info!("{summary}");
    if !options.has_source() {
        warn!("{NO_SOURCE}");
    }
    if listens.is_some_and(|address| !address.ip().is_loopback()) && check.headers().is_empty() {
        warn!("whoever reaches that address can post events: there is no --listen-secret-file");
    }
    let is_stored = hub.outbox().is_some();
    let lines = LineOptions {
        node_id: options.node.node_id,
        when_full: reloader.when_full.clone(),
        is_stored,
        name: options.events.as_deref().map(input::name).unwrap_or_default(),
        tally: Arc::clone(&tally),
    };
    let (ask, asked) = mpsc::channel(1);
    let when_full = reloader.when_full.clone();
    let commands = Commands {
        ask,
        service: service.clone(),
        listens,
        node_id: options.node.node_id,
        start: Instant::now(),
        refusals: Throttle::default(),
    };
    let (socket_lost, mut lost_socket) = oneshot::channel();
    let delivered = async {
        let reading = input.map(|input| reader::start(hub.clone(), input, lines));
        let mut reading = reading.transpose()?;
        let serving = ingress.map(|ingress| {
            let intake = Intake::new(hub.clone(), when_full, Arc::clone(&tally));
            ingress.start(intake, check, Arc::clone(&tally))
        });
        let mut taking = gateway.map(|it| it.start(hub.clone(), Arc::clone(&tally)));
        supervisor::ready(&summary);
        let outcome = tokio::select! {
            outcome = deliver(&hub, reading.as_mut(), &options) => outcome.map(|()| End::Input),
            () = signals.ends.recv() => Ok(End::Signal),
            Ok(Lost) = &mut lost_socket => {
                Err(Failure::runtime("the socket was taken away: commands would not arrive"))
            }
            never = reloader.serve(serving.as_ref(), taking.as_mut(), &mut signals.hang_up, asked) => match never {},
            never = tell(&hub, &tally, has_several, &mut signals.user_1) => match never {},
        };
        supervisor::stopping();
        watch.stopping();
        if let Some(taking) = &mut taking {
            taking.stop().await;
        }
        // Before the hub refuses what is posted.
        if let Some(serving) = serving {
            serving.stop(options.drain_timeout / POSTS_SHARE).await;
        }
        for error in registry.stop().await {
            warn!("{error}");
        }
        // Where stopping took too long, what is left is accounted for here.
        hub.close().await;
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
        never = administer(admin, &hub, &options) => match never {},
        never = supervisor::alive() => match never {},
    };
    let report = Report::new(&hub, &tally, has_several);
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

/// Logs the counters at each signal.
async fn tell(hub: &Hub, tally: &Tally, has_several: bool, user_1: &mut Signal) -> Infallible {
    while user_1.recv().await.is_some() {
        match Report::new(hub, tally, has_several).line() {
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
async fn administer(admin: Option<Admin>, hub: &Hub, options: &Run) -> Infallible {
    match admin {
        Some(admin) => admin.serve(hub.clone(), options.store.outbox.clone()).await,
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

/// Executes commands from the socket.
struct Commands {
    /// To whom reloads are asked for.
    ask: mpsc::Sender<Asked>,
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
        } else if self.service.client().is_none() {
            Err(format!("the configuration has no endpoint called {PILOT}, whose webhook this is"))
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
        let url = self.service.client().and_then(|pilot| pilot.url());
        let (up, stats) = (self.start.elapsed(), self.service.stats());
        ipc::info(self.node_id, "", up, &stats, url.as_deref(), &self.service.hub().endpoints())
    }

    fn health(&self) -> serde_json::Value {
        ipc::health(self.start.elapsed(), &self.service.stats())
    }

    async fn reload(&self) -> Result<Vec<String>, String> {
        let (tell, told) = oneshot::channel();
        // Nobody is there to take it, or to answer it, when the daemon ends.
        let _ = self.ask.send(tell).await;
        told.await.map_err(|_| "the daemon is ending".to_owned())?
    }
}

/// Delivers the whole input. Without one, or when more may come, waits for a signal then.
async fn deliver(hub: &Hub, reading: Option<&mut Reading>, options: &Run) -> Result<(), Failure> {
    let Some(reading) = reading else { return pending().await };
    let outcome = reading.end().await;
    info!("end of the events, draining");
    hub.drained().await;
    outcome?;
    if options.goes_on() {
        return pending().await;
    }
    Ok(())
}

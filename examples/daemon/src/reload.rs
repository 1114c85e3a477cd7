//! Applies a configuration to the running daemon, and reads again what is in files.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::net::SocketAddr;

use pilot_webhook_std::{Destination, EndpointOptions, Hub, HubError, WebhookService};
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::Failure;
use crate::aside::aside;
use crate::config::{Change, Config, Declared, Settings, Source, differences, plan};
use crate::delivery::PILOT;
use crate::gateway::Taking;
use crate::ingress::{COMES_BACK, FullNow, Serving, WhenFull, comes_back};
use crate::setup::{self, Setup};
use crate::signing;
use crate::turns::Turns;

/// Keys of the process that are about the endpoint `pilot`, and are applied there.
const OF_PILOT: [&str; 2] = ["webhook", "webhook_file"];

/// What was done, a line each, or why nothing was.
pub(crate) type Outcome = Result<Vec<String>, String>;

/// Somebody who asks for a reload, and is told how it went.
pub(crate) type Asked = oneshot::Sender<Outcome>;

/// Endpoints by their names.
type Named<'d> = HashMap<&'d str, &'d Declared>;

/// What the daemon is made of, so that it can be made otherwise.
pub(crate) struct Reloader {
    pub(crate) setup: Setup,
    pub(crate) service: WebhookService,
    /// The file, if there is one.
    pub(crate) source: Option<Source>,
    pub(crate) endpoints: Vec<Declared>,
    pub(crate) process: Settings,
    pub(crate) listens: Option<SocketAddr>,
    /// What those who bring events look at.
    pub(crate) when_full: FullNow,
}

impl Reloader {
    /// Reloads at each signal, and whenever somebody asks for it, one after the other.
    pub(crate) async fn serve(
        mut self,
        serving: Option<&Serving>,
        mut taking: Option<&mut Taking>,
        hang_up: &mut Signal,
        mut asked: mpsc::Receiver<Asked>,
    ) -> Infallible {
        loop {
            let asked = tokio::select! {
                Some(()) = hang_up.recv() => None,
                Some(asked) = asked.recv() => Some(asked),
                else => return pending().await,
            };
            let outcome = self.reload(serving, taking.as_deref_mut()).await;
            match &outcome {
                Ok(done) => done.iter().for_each(|line| info!("{line}")),
                Err(why) => why.lines().for_each(|line| warn!("{line}")),
            }
            if let Some(asked) = asked {
                // Who asked may be gone.
                let _ = asked.send(outcome);
            }
        }
    }

    async fn reload(&mut self, serving: Option<&Serving>, taking: Option<&mut Taking>) -> Outcome {
        let done = match self.source.clone() {
            Some(source) => self.apply(source, taking).await.map_err(|failure| failure.message)?,
            None => vec!["certificates, secrets and headers are read again".to_owned()],
        };
        let has_several = self.endpoints.len() > 1;
        // Those without files of their own share what the system trusts, which is read for all of them.
        let mut has_system = false;
        let mut turns = Turns::new();
        for Declared { args, .. } in &self.endpoints {
            let of = if has_several { format!(" of {}", args.name) } else { String::new() };
            let Some(endpoint) = self.service.hub().endpoint(&args.name) else { continue };
            if args.delivery.endpoint.has_certificates() {
                setup::read_trust_again(&endpoint, &of).await;
            } else if !std::mem::replace(&mut has_system, true) {
                setup::read_trust_again(&endpoint, "").await;
            }
            setup::read_again(&endpoint, args, &of).await;
            turns.next().await;
        }
        signing::reload_of_posts(serving, &self.setup.options).await;
        Ok(done)
    }

    /// Reads the file, and does what it says. Nothing is done when something is wrong with it.
    async fn apply(
        &mut self,
        source: Source,
        taking: Option<&mut Taking>,
    ) -> Result<Vec<String>, Failure> {
        let Config { endpoints, process, .. } = aside(move || source.load_again()).await??;
        for Declared { args, url, .. } in &endpoints {
            let target = Destination::parse(url, args.delivery.endpoint.policy()).ok();
            if comes_back(target.as_ref(), self.listens) {
                return Err(Failure::usage(format!("{}: the webhook {COMES_BACK}", args.name)));
            }
        }
        let mut turns = Turns::new();
        let named = endpoints.iter().map(|it| (it.args.name.as_str(), it)).collect();
        let steps = self.steps(&endpoints, &named, &mut turns).await?;
        let mut done = Vec::new();
        for step in steps {
            done.push(self.step(step, &named).await);
            turns.next().await;
        }
        self.set_waits(&endpoints, &mut turns).await;
        if let Some(taking) = taking {
            done.extend(taking.follow(&endpoints).await);
        }
        let later = differences(&self.process, &process);
        let later: Vec<_> =
            later.into_iter().filter(|key| !OF_PILOT.contains(&key.as_str())).collect();
        if !later.is_empty() {
            done.push(format!("from the next start on: {}", later.join(", ")));
        }
        // What counts later is still a difference at the next reload.
        self.endpoints = endpoints;
        self.when_full.set(when_full(&self.endpoints));
        if done.is_empty() {
            done.push("the configuration is as it was".to_owned());
        }
        Ok(done)
    }

    /// Has sources wait for those endpoints that say so, and for no others.
    async fn set_waits(&self, endpoints: &[Declared], turns: &mut Turns) {
        let hub = self.service.hub();
        let now: HashMap<_, _> =
            hub.endpoints().iter().map(|it| (it.name().to_owned(), it.waits())).collect();
        for declared in endpoints {
            let (name, waits) = (&declared.args.name, declared.waits(endpoints.len() > 1));
            if now.get(name).is_some_and(|now| *now != waits) {
                // Those that are not there were said.
                let _ = hub.set_waits(name, waits);
                turns.next().await;
            }
        }
    }

    /// What is to be done, each with the options that it takes: all of them can be used.
    async fn steps(
        &self,
        endpoints: &[Declared],
        named: &Named<'_>,
        turns: &mut Turns,
    ) -> Result<Vec<(Change, Option<EndpointOptions>)>, Failure> {
        let mut steps = Vec::new();
        for change in plan(&self.endpoints, endpoints) {
            let options = match &change {
                Change::Add(name) | Change::Replace(name) => {
                    let found = named.get(name.as_str());
                    let made =
                        found.map(|it| self.setup.endpoint(&it.args, &it.url)).transpose()?;
                    let waits = found.is_some_and(|it| it.waits(endpoints.len() > 1));
                    made.map(|options| EndpointOptions { waits, ..options })
                }
                _ => None,
            };
            steps.push((change, options));
            turns.next().await;
        }
        Ok(steps)
    }

    /// Does one thing, and says what was done, or why not.
    async fn step(
        &self,
        (change, options): (Change, Option<EndpointOptions>),
        named: &Named<'_>,
    ) -> String {
        let hub = self.service.hub();
        let declared = |name: &str| named.get(name).copied();
        let (name, what, result) = match change {
            Change::Add(name) => {
                let added = options.map(|options| self.service.add(&name, options).map(drop));
                (name, "is new", added.unwrap_or(Ok(())))
            }
            Change::Replace(name) => {
                let replaced = options.map(|options| self.replace(&name, options, declared(&name)));
                (name, "delivers by other options", replaced.unwrap_or(Ok(())))
            }
            Change::Filter(name) => {
                let filter = declared(&name).map(|it| setup::filter(&it.args));
                let set = filter.map(|filter| hub.set_filter(&name, filter));
                (name, "gets other events", set.unwrap_or(Ok(())))
            }
            Change::Url(name) => {
                let set = declared(&name).map(|it| set_url(hub, it));
                (name, "delivers to another URL", set.unwrap_or(Ok(())))
            }
            Change::Remove(name) => {
                let removed = begin_removal(hub, &name).await;
                (name, "is gone", removed)
            }
        };
        match result {
            Ok(()) => format!("{name} {what}"),
            Err(error) => format!("{name} is as it was: {error}"),
        }
    }

    fn replace(
        &self,
        name: &str,
        options: EndpointOptions,
        declared: Option<&Declared>,
    ) -> Result<(), HubError> {
        if name != PILOT {
            return self.service.replace_added(name, options).map(drop);
        }
        // It delivers to the URL that it has, which may have been set over the socket.
        self.service.replace(options)?;
        let before = self.endpoints.iter().find(|it| it.args.name == name);
        match declared.filter(|it| before.is_some_and(|before| before.url != it.url)) {
            Some(declared) => set_url(self.service.hub(), declared),
            None => Ok(()),
        }
    }
}

/// What those who bring events do where there is no room. For which of several they wait is the hub's business.
pub(crate) fn when_full(endpoints: &[Declared]) -> WhenFull {
    match endpoints {
        [only] => only.args.delivery.when_full(),
        _ => WhenFull::default(),
    }
}

fn set_url(hub: &Hub, declared: &Declared) -> Result<(), HubError> {
    let endpoint = hub.endpoint(&declared.args.name).ok_or(HubError::Unknown)?;
    Ok(endpoint.set_url(&declared.url)?)
}

/// Removes an endpoint. What it has is delivered meanwhile, and nobody waits for that.
async fn begin_removal(hub: &Hub, name: &str) -> Result<(), HubError> {
    tokio::select! {
        biased;
        // It is out of the hub at the first poll, and the rest goes on without the caller.
        removed = hub.remove(name) => removed,
        () = ready(()) => Ok(()),
    }
}

//! The page for operators: what it shows of endpoints, and what it changes.
//!
//! `html` has the templates, `view` the texts in them, `live` sends the texts that change. Without a script the page
//! shows what was when it was loaded, and its forms work.

mod chart;
mod dead;
mod html;
mod live;
mod view;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use pilot_webhook_std::{Hub, HubEndpoint};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use self::dead::{Chosen, Letters, Place, Reader};
use self::view::{Card, Row};
use super::condition::Condition;
use super::watch::Watch;
use crate::aside::aside;
use crate::test_url::TOPIC;

/// Endpoints on one page.
const PER_PAGE: usize = 50;
/// Pages that are kept live at a time.
const READERS: usize = 16;
/// How often endpoints are looked at.
const TICK: Duration = Duration::from_secs(1);

/// What the pages are made from.
pub(super) struct Pages {
    hub: Hub,
    watch: Arc<Watch>,
    /// The outbox's file.
    outbox: Option<PathBuf>,
    readers: Arc<Semaphore>,
    ticks: watch::Receiver<()>,
    tick: watch::Sender<()>,
}

impl Pages {
    pub(super) fn new(hub: Hub, watch: Arc<Watch>, outbox: Option<PathBuf>) -> Self {
        let (tick, ticks) = watch::channel(());
        let readers = Arc::new(Semaphore::new(READERS));
        Self { hub, watch, outbox, readers, ticks, tick }
    }

    /// Looks at all endpoints once a second, for ever.
    pub(super) async fn look(&self) -> ! {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let endpoints = self.hub.endpoints();
            for endpoint in &endpoints {
                let history = self.watch.histories.of(endpoint.name());
                history.sample(endpoint.stats().delivered, endpoint.waiting());
            }
            let names: HashSet<_> = endpoints.iter().map(HubEndpoint::name).collect();
            self.watch.histories.keep(|name| names.contains(name));
            self.tick.send_replace(());
        }
    }

    /// Where the dead letters of an endpoint are. `None`: there is no outbox.
    fn letters(&self, endpoint: &str, after: u64) -> Option<Place> {
        let (outbox, path) = (self.hub.outbox()?.clone(), self.outbox.clone()?);
        Some(Place { outbox, path, endpoint: endpoint.to_owned(), after })
    }

    fn find(&self, name: &str) -> Option<HubEndpoint> {
        self.hub.endpoints().into_iter().find(|endpoint| endpoint.name() == name)
    }
}

/// In one sentence.
fn summary(endpoints: &[HubEndpoint], watch: &Watch) -> String {
    let states = endpoints.iter().map(|it| (it.name(), watch.condition(it)));
    let states: Vec<_> = states.collect();
    let count = |wanted| states.iter().filter(|(_, state)| *state == wanted).count();
    let trouble: Vec<_> =
        states.iter().filter(|(_, state)| state.is_trouble()).map(|(name, _)| *name).collect();
    let mut text = format!("{} delivering", count(Condition::Well));
    for (state, word) in [(Condition::Paused, "paused"), (Condition::Idle, "without a webhook")] {
        match count(state) {
            0 => {}
            count => text += &format!(", {count} {word}"),
        }
    }
    if trouble.is_empty() {
        return text + ".";
    }
    let more = if trouble.len() > 10 { " and others" } else { "" };
    let names = trouble.iter().take(10).copied().collect::<Vec<_>>().join(", ");
    text + &format!(", {} in trouble: {names}{more}.", trouble.len())
}

/// The endpoints of a page, from 1.
fn cards_of(pages: &Pages, endpoints: &[HubEndpoint], page: usize) -> Vec<Card> {
    let first = page.saturating_sub(1).saturating_mul(PER_PAGE);
    let shown = endpoints.iter().skip(first).take(PER_PAGE);
    shown.map(|it| Card::new(it, &pages.watch.histories.of(it.name()))).collect()
}

fn answer(markup: maud::Markup) -> Response {
    Html(markup.into_string()).into_response()
}

/// Where the token is asked for.
pub(super) fn log_in(then: Option<&str>, was_wrong: bool) -> Response {
    answer(html::page("Log in", None, false, &html::log_in(then, was_wrong)))
}

/// Where a log-in leads to: the page of an endpoint, or that of all.
pub(super) fn after_log_in(pages: &Pages, then: &str) -> Redirect {
    match pages.find(then) {
        Some(_) => Redirect::to(&format!("/endpoints/{then}")),
        None => Redirect::to("/"),
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    page: Option<usize>,
}

/// What everybody may see who reaches the address.
pub(super) fn open<S>(pages: Arc<Pages>) -> Router<S> {
    Router::new()
        .route("/live", get(live_overview))
        .route("/page.css", get(style))
        .route("/page.js", get(script))
        .route("/icon.svg", get(icon))
        .with_state(pages)
}

/// What shows payloads, or changes something.
pub(super) fn kept<S>(pages: Arc<Pages>) -> Router<S> {
    Router::new()
        .route("/endpoints/{name}", get(endpoint))
        .route("/endpoints/{name}/live", get(live_endpoint))
        .route("/endpoints/{name}/{action}", post(act))
        .with_state(pages)
}

/// All endpoints.
pub(super) fn overview(pages: &Pages, page: &Page, is_in: bool) -> Response {
    let endpoints = pages.hub.endpoints();
    let (page, of) = (page.page.unwrap_or(1).max(1), endpoints.len().div_ceil(PER_PAGE));
    let cards = cards_of(pages, &endpoints, page);
    let content = html::overview(&summary(&endpoints, &pages.watch), &cards, page, of);
    answer(html::page("Endpoints", Some(&format!("/live?page={page}")), is_in, &content))
}

async fn live_overview(pages: State<Arc<Pages>>, page: Query<Page>) -> Response {
    live::stream(&pages, live::Of::Overview(page.page.unwrap_or(1)))
}

/// What an endpoint's page is asked with.
#[derive(Deserialize)]
struct Shown {
    done: Option<String>,
    after: Option<u64>,
}

async fn endpoint(
    pages: State<Arc<Pages>>,
    Path(name): Path<String>,
    shown: Query<Shown>,
) -> Response {
    let Some(endpoint) = pages.find(&name) else { return unknown() };
    let history = pages.watch.histories.of(&name);
    let after = shown.after.unwrap_or(0);
    let letters = match pages.letters(&name, after) {
        Some(place) => aside(move || place.read()).await.unwrap_or(Letters::Unreadable),
        None => Letters::NoOutbox,
    };
    let rows: Vec<_> = history.attempts(0).iter().map(Row::new).collect();
    let said = shown.done.as_deref().and_then(Done::words);
    let content = html::endpoint(&Card::new(&endpoint, &history), said, &rows, &letters);
    let seen = rows.last().map_or(0, |newest| newest.number);
    let live = format!("/endpoints/{}/live?seen={seen}&after={after}", endpoint.name());
    answer(html::page(endpoint.name(), Some(&live), true, &content))
}

#[derive(Deserialize)]
struct Seen {
    /// The number of the newest attempt that the reader has.
    #[serde(default)]
    seen: u64,
    /// The id behind which it shows dead letters.
    #[serde(default)]
    after: u64,
}

async fn live_endpoint(
    pages: State<Arc<Pages>>,
    Path(name): Path<String>,
    seen: Query<Seen>,
) -> Response {
    if pages.find(&name).is_none() {
        return unknown();
    }
    let Seen { seen, after } = *seen;
    let letters = pages.letters(&name, after).map(Reader::new);
    live::stream(&pages, live::Of::Endpoint { name, seen, letters })
}

/// What was done, as the page is asked to say it. Only these words are ever said.
struct Done;

impl Done {
    const ALL: [(&'static str, &'static str); 10] = [
        ("pause", "Paused: events wait."),
        ("resume", "Resumed."),
        ("test", "A test event is on its way."),
        (
            "full",
            "The test event was not taken: the queue or the outbox is full, or no webhook is set.",
        ),
        ("retry", "Set again: events are sent there."),
        ("unset", "There is no webhook to be set again."),
        ("replay", "Replayed: within a second or two the events wait again, at the end."),
        ("discard", "Discarded for good."),
        ("unsure", "Nothing was discarded: say that it is for good."),
        ("failed", "The outbox could not be changed. The log says why."),
    ];

    fn words(word: &str) -> Option<&'static str> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, words)| *words)
    }
}

/// What can be done with an endpoint.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Pause,
    Resume,
    Test,
    /// It is gone, and is tried again.
    Retry,
    Replay,
    Discard,
}

#[derive(Deserialize)]
struct Choice {
    /// One dead letter, and not all.
    id: Option<u64>,
    sure: Option<String>,
}

async fn act(
    pages: State<Arc<Pages>>,
    Path((name, action)): Path<(String, Action)>,
    Form(choice): Form<Choice>,
) -> Response {
    let Some(endpoint) = pages.find(&name) else { return unknown() };
    let client = endpoint.client();
    let chosen = choice.id.map_or(Chosen::All, Chosen::One);
    let done = match action {
        Action::Pause => {
            endpoint.pause();
            info!("endpoint {name} was paused on the page");
            "pause"
        }
        Action::Resume => {
            endpoint.resume();
            info!("endpoint {name} was resumed on the page");
            "resume"
        }
        Action::Test => match client.emit(TOPIC, &json!({"sender": "pilot-webhookd's page"})) {
            Ok(Some(_)) => "test",
            // It has no id before it is on disk.
            Ok(None) if client.outbox().is_some() => "test",
            Ok(None) | Err(_) => "full",
        },
        Action::Retry => {
            // The same one: its breaker begins anew.
            let set = client.target().map(|target| endpoint.set_target(&target));
            info!("the URL of endpoint {name} was set again on the page");
            if matches!(set, Some(Ok(()))) { "retry" } else { "unset" }
        }
        Action::Replay => {
            changed(&pages, &name, "replay", move |path, of| dead::replay(path, of, chosen)).await
        }
        Action::Discard if choice.id.is_none() && choice.sure.as_deref() != Some("yes") => "unsure",
        Action::Discard => {
            changed(&pages, &name, "discard", move |path, of| dead::discard(path, of, chosen)).await
        }
    };
    Redirect::to(&format!("/endpoints/{name}?done={done}")).into_response()
}

/// Changes the outbox's file, and says how that went.
async fn changed<E: std::fmt::Display + Send + 'static>(
    pages: &Pages,
    name: &str,
    done: &'static str,
    change: impl FnOnce(&std::path::Path, &str) -> Result<u64, E> + Send + 'static,
) -> &'static str {
    let Some(path) = pages.outbox.clone() else { return "failed" };
    let of = name.to_owned();
    match aside(move || change(&path, &of)).await {
        Ok(Ok(count)) => {
            info!("{done} on the page: {count} dead letters of endpoint {name}");
            done
        }
        Ok(Err(error)) => {
            warn!("the page could not change the outbox: {error}");
            "failed"
        }
        Err(failure) => {
            warn!("{}", failure.message);
            "failed"
        }
    }
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "there is no endpoint of this name\n").into_response()
}

/// What is served from memory, beside the pages.
async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page.css"))
}

/// The same.
async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js"))
}

/// The same.
async fn icon() -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("icon.svg"))
}

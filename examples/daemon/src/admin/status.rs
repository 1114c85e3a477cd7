//! What machines ask for, without a token: the metrics, and whether the daemon is well.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::FutureExt as _;
use pilot_webhook_std::outbox::{Ledger, OutboxError};
use pilot_webhook_std::{Hub, HubEndpoint};
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::watch::Watch;
use crate::aside::aside;
use crate::metrics::{FileReading, Form, Reading, Readings};

/// What an event takes in an outbox that is still said to have room, in bytes. Arbitrary: more than the usual.
const EVENT: u64 = 4 * 1024;

/// The most endpoints that are named. Arbitrary.
const NAMED_MAX: usize = 100;
/// How many texts of metrics are sent at once: with a thousand endpoints one has 4 MB, which a slow reader keeps in memory.
/// Arbitrary: two Prometheus servers, and two people.
const TEXTS: usize = 4;

/// What machines are told from.
pub(super) struct Status {
    hub: Hub,
    watch: Arc<Watch>,
    /// Held while metrics are written: with many endpoints they are long.
    turn: Mutex<()>,
    /// One for each text that is being sent.
    texts: Arc<Semaphore>,
}

/// Metrics that are being sent.
struct Sent {
    text: String,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// Why no events are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Reason {
    /// The daemon is about to end.
    Stopping,
    /// No endpoint has a URL, and there is no outbox.
    NoWebhook,
    /// The outbox is full, or its disk fails.
    OutboxNotWritable,
}

pub(super) fn open<S>(status: Arc<Status>) -> Router<S> {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .with_state(status)
}

/// That the process answers, and which endpoints somebody should look at. Nobody is to restart the daemon for these.
async fn health(State(status): State<Arc<Status>>) -> String {
    let endpoints = status.hub.endpoints();
    let conditions = endpoints.iter().map(|it| (it.name(), status.watch.condition(it)));
    let trouble = conditions.filter(|(_, condition)| condition.is_trouble()).take(NAMED_MAX);
    trouble.fold("ok\n".to_owned(), |text, (name, condition)| {
        text + name + ": " + condition.words() + "\n"
    })
}

async fn readiness(State(status): State<Arc<Status>>) -> Response {
    let reasons = status.reasons();
    let is_ready = reasons.is_empty();
    let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({"ready": is_ready, "reasons": reasons}).to_string();
    (code, [(CONTENT_TYPE, "application/json")], body + "\n").into_response()
}

async fn metrics(State(status): State<Arc<Status>>, headers: HeaderMap) -> Response {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let form = Form::accepted(&accepts.collect::<Vec<_>>().join(","));
    let Ok(place) = Arc::clone(&status.texts).try_acquire_owned() else {
        let why = "metrics are being sent to several already\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], why).into_response();
    };
    let _turn = status.turn.lock().await;
    let for_text = Arc::clone(&status);
    match aside(move || for_text.text(form)).await {
        Ok(Ok(text)) => {
            let text = Bytes::from_owner(Sent { text, _place: place });
            ([(CONTENT_TYPE, form.content_type())], text).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Status {
    pub(super) fn new(hub: Hub, watch: Arc<Watch>) -> Self {
        Self { hub, watch, turn: Mutex::default(), texts: Arc::new(Semaphore::new(TEXTS)) }
    }

    fn reasons(&self) -> Vec<Reason> {
        let has_target = self.hub.endpoints().iter().any(|it| it.client().target().is_some());
        let outbox = self.hub.outbox();
        let takes = outbox.as_ref().map(|outbox| {
            // It waits for room otherwise.
            matches!(outbox.room(EVENT.min(outbox.max_bytes())).now_or_never(), Some(Ok(())))
        });
        [
            (self.watch.is_stopping(), Reason::Stopping),
            (!has_target && outbox.is_none(), Reason::NoWebhook),
            (takes == Some(false), Reason::OutboxNotWritable),
        ]
        .into_iter()
        .filter_map(|(is_so, reason)| is_so.then_some(reason))
        .collect()
    }

    /// The metrics. It blocks on the disk where there is an outbox, and takes its time where there are many endpoints.
    fn text(&self, form: Form) -> Result<String, std::fmt::Error> {
        let outbox = self.hub.outbox();
        let stored = outbox.as_ref().and_then(|outbox| {
            let read = || Ok((outbox.ledgers()?, outbox.oldest()?));
            let read = read().inspect_err(|error: &OutboxError| warn!("{error}"));
            read.ok()
        });
        let file = outbox.zip(stored.as_ref()).map(|(outbox, (ledgers, _))| FileReading {
            bytes: ledgers.file.stored_bytes,
            capacity_bytes: outbox.max_bytes(),
        });
        let (ledgers, oldest) = stored.unwrap_or_default();
        let (ledgers, oldest): (HashMap<_, _>, HashMap<_, _>) =
            (ledgers.endpoints.into_iter().collect(), oldest.into_iter().collect());
        let endpoints = self.hub.endpoints();
        let reading = |it: &HubEndpoint| {
            let (name, client) = (it.name(), it.client());
            let backlog = client.backlog();
            Reading {
                name: name.to_owned(),
                stats: it.stats(),
                backlog,
                oldest: oldest.get(name).copied().or(backlog.oldest),
                connections: it.connections(),
                panics: it.panics(),
                is_paused: it.is_paused(),
                ledger: ledgers.get(name).copied(),
                in_stream: self.watch.tally.in_stream.of(name),
            }
        };
        let is_there = |name: &str| endpoints.iter().any(|it| it.name() == name);
        let holds = |it: &Ledger| it.stored > 0 || it.dead > 0;
        let mut gone: Vec<_> = ledgers
            .iter()
            .filter(|(name, ledger)| holds(ledger) && !is_there(name))
            .map(|(name, ledger)| (name.clone(), *ledger))
            .collect();
        gone.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let endpoints = endpoints.iter().map(reading).collect();
        let input = self.watch.tally.counts().to_vec();
        self.watch.metrics.text(form, Readings { endpoints, gone, file, input })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reads slowly, or not at all, keeps a text in memory.
    #[tokio::test]
    async fn few_texts_are_sent_at_once() {
        let status = Arc::new(Status::new(Hub::new(), Arc::default()));
        let ask = async || metrics(State(Arc::clone(&status)), HeaderMap::new()).await;
        let mut sending = Vec::new();
        for _ in 0..TEXTS {
            sending.push(ask().await);
        }
        assert!(sending.iter().all(|answer| answer.status() == StatusCode::OK));
        let further = ask().await;
        assert_eq!(further.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(further.headers().contains_key(RETRY_AFTER));
        sending.pop();
        assert_eq!(ask().await.status(), StatusCode::OK);
    }
}

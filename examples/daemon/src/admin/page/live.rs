//! What changes on a page, by server-sent events: once a second, as texts for the places that they stand in.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::dead::{Change, Reader};
use super::view::{Card, Row};
use super::{Pages, cards_of, summary};
use crate::aside::aside;

/// Messages of a stream before the browser asks again, so that it is asked for its log-in again: ten minutes.
const LENGTH: usize = 600;

/// Which page.
pub(super) enum Of {
    Overview(usize),
    /// With the number of the newest attempt that the reader has.
    Endpoint {
        name: String,
        seen: u64,
        /// Of the dead letters, where there is an outbox.
        letters: Option<Reader>,
    },
}

/// A message.
#[derive(Serialize)]
struct Now {
    fields: BTreeMap<&'static str, String>,
    cards: Vec<Card>,
    attempts: Vec<Row>,
    letters: Option<Change>,
}

/// The messages about a page, until its reader goes. There are not many readers at a time: the answer is 503 then.
pub(super) fn stream(pages: &Arc<Pages>, of: Of) -> Response {
    let Ok(place) = Arc::clone(&pages.readers).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n").into_response();
    };
    let mut ticks = pages.ticks.clone();
    // The first one is sent at once.
    ticks.mark_changed();
    let state = (Arc::clone(pages), ticks, of);
    let messages = stream::unfold(state, |(pages, mut ticks, mut of)| async move {
        ticks.changed().await.ok()?;
        let now = match &mut of {
            Of::Overview(page) => overview(&pages, *page),
            Of::Endpoint { name, seen, letters } => endpoint(&pages, name, seen, letters).await?,
        };
        let text = serde_json::to_string(&now).ok()?;
        Some((Ok::<_, Infallible>(Event::default().data(text)), (pages, ticks, of)))
    });
    // The place is free when the stream is gone.
    let messages = messages.take(LENGTH).inspect(move |_| {
        let _ = &place;
    });
    Sse::new(messages).into_response()
}

fn overview(pages: &Pages, page: usize) -> Now {
    let endpoints = pages.hub.endpoints();
    Now {
        fields: BTreeMap::from([("summary", summary(&endpoints, &pages.watch))]),
        cards: cards_of(pages, &endpoints, page),
        attempts: Vec::new(),
        letters: None,
    }
}

/// `None`: there is no such endpoint any more.
async fn endpoint(
    pages: &Pages,
    name: &str,
    seen: &mut u64,
    reader: &mut Option<Reader>,
) -> Option<Now> {
    let endpoint = pages.find(name)?;
    let history = pages.watch.histories.of(name);
    let attempts = history.attempts(*seen);
    *seen = attempts.last().map_or(*seen, |newest| newest.number);
    let mut letters = None;
    if let Some(mut it) = reader.take() {
        let look = move || {
            let change = it.look();
            (it, change)
        };
        let (it, change) = aside(look).await.ok()?;
        (*reader, letters) = (Some(it), change);
    }
    let fields = letters.iter().map(|it| ("dead", it.count.to_string())).collect();
    let cards = vec![Card::new(&endpoint, &history)];
    Some(Now { fields, cards, attempts: attempts.iter().map(Row::new).collect(), letters })
}

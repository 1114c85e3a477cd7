//! Which path is answered by what, and what stands before all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Form, Query, Request, State};
use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::time::timeout;

use super::gate::{By, Gate, Pass};
use super::guard::{HEADERS, Hosts, is_from_own_page, names_a_page};
use super::page::{self, Pages};
use super::server::Local;
use super::status::{self, Status};

/// The longest body of a request, in bytes: forms with a number or a token.
const BODY_MAX: usize = 4 * 1024;
/// How long a request may take until its answer begins, its body included.
const REQUEST: Duration = Duration::from_secs(10);

/// What the handlers share.
pub(super) struct Shared {
    pub(super) hosts: Hosts,
    pub(super) gate: Gate,
    pub(super) pages: Arc<Pages>,
    pub(super) status: Arc<Status>,
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let open = Router::new()
        .route("/", get(overview))
        .route("/login", get(async || page::log_in(None, false)).post(log_in))
        .merge(page::open(Arc::clone(&shared.pages)))
        .merge(status::open(Arc::clone(&shared.status)));
    let kept = Router::new()
        .route("/logout", post(log_out))
        .merge(page::kept(Arc::clone(&shared.pages)))
        .route_layer(from_fn_with_state(Arc::clone(&shared), with_token));
    open.merge(kept)
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(Arc::clone(&shared), guarded))
        .layer(from_fn(with_headers))
        .with_state(shared)
}

/// Every answer has the headers that bind browsers.
async fn with_headers(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Refuses who calls this address by another's name, what comes from another's page, and what takes too long.
async fn guarded(
    State(shared): State<Arc<Shared>>,
    Extension(Local(local)): Extension<Local>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    if !shared.hosts.allow(&head, local) {
        return refusal(
            StatusCode::MISDIRECTED_REQUEST,
            "this address is not called by that name: see --admin-host",
        );
    }
    if !is_from_own_page(&head.method, &head.headers) {
        return refusal(StatusCode::FORBIDDEN, "the request comes from another page");
    }
    match timeout(REQUEST, next.run(Request::from_parts(head, body))).await {
        Ok(answer) => answer,
        Err(_) => {
            let answer = refusal(StatusCode::REQUEST_TIMEOUT, "the request took too long");
            ([(CONNECTION, "close")], answer).into_response()
        }
    }
}

/// Asks for the token.
async fn with_token(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match shared.gate.pass(request.headers(), Instant::now()) {
        // A browser that shows a cookie says where it is.
        Pass::Granted(By::Cookie) if !is_read && !names_a_page(request.headers()) => {
            refusal(StatusCode::FORBIDDEN, "a change by cookie names its page")
        }
        Pass::Granted(_) => next.run(request).await,
        Pass::Refused => {
            let then = request.uri().path().strip_prefix("/endpoints/").filter(|_| is_read);
            unauthorized(then, request.headers().contains_key(AUTHORIZATION))
        }
        Pass::Later(wait) => later(wait),
    }
}

/// All endpoints, without what is in events: for that nobody is asked for the token.
async fn overview(
    State(shared): State<Arc<Shared>>,
    query: Query<page::Page>,
    headers: HeaderMap,
) -> Response {
    let is_in = matches!(shared.gate.pass(&headers, Instant::now()), Pass::Granted(By::Cookie));
    page::overview(&shared.pages, &query, is_in)
}

#[derive(Deserialize)]
struct LogIn {
    token: String,
    /// The endpoint that was asked for.
    #[serde(default)]
    then: String,
}

async fn log_in(State(shared): State<Arc<Shared>>, Form(form): Form<LogIn>) -> Response {
    let now = Instant::now();
    match shared.gate.try_token(form.token.trim().as_bytes(), now) {
        Pass::Granted(_) => {
            let then = page::after_log_in(&shared.pages, &form.then);
            ([(SET_COOKIE, shared.gate.log_in(now))], then).into_response()
        }
        Pass::Refused => unauthorized(Some(&form.then), true),
        Pass::Later(wait) => later(wait),
    }
}

async fn log_out(State(shared): State<Arc<Shared>>) -> Response {
    ([(SET_COOKIE, shared.gate.log_out())], Redirect::to("/")).into_response()
}

/// The page that asks for the token, which leads on to the endpoint `then`.
fn unauthorized(then: Option<&str>, was_wrong: bool) -> Response {
    let asked = page::log_in(then.filter(|then| !then.is_empty()), was_wrong);
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], asked).into_response()
}

fn later(wait: Duration) -> Response {
    let seconds = wait.as_secs().saturating_add(1).to_string();
    let answer = refusal(StatusCode::TOO_MANY_REQUESTS, "there were too many wrong tokens");
    ([(RETRY_AFTER, seconds)], answer).into_response()
}

/// An answer in one line of text.
fn refusal(status: StatusCode, why: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{why}\n")).into_response()
}

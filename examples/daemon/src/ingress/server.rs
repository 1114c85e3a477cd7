//! Answers HTTP requests, on hyper, in bounded memory and time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderMap, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pilot_webhook_core::TraceContext;
use pilot_webhook_receiver::Check;
use pilot_webhook_std::Throttle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::body;
use super::intake::Intake;
use super::refusal::Refusal;
use crate::Failure;
use crate::tally::Tally;

/// Limits on senders.
#[derive(Clone, Copy)]
struct Limits {
    /// At once. Further ones wait until one of them is gone, in the system's backlog.
    connections: usize,
    /// The longest head, in bytes. hyper takes no less than 8 KiB.
    head_max: usize,
    /// The longest body, in bytes.
    body_max: usize,
    /// How long a head may take; a connection between two requests has as long.
    head: Duration,
    /// How long a body may take.
    body: Duration,
    /// How long a connection may go without an answer. More than a request may take: it ends those who send requests
    /// and read no answers.
    stall: Duration,
}

/// Bodies are as long as the longest batch that is sent. The times are arbitrary: longer than the five seconds that
/// the original waits for an answer.
const LIMITS: Limits = Limits {
    connections: 64,
    head_max: 16 * 1024,
    body_max: 1024 * 1024,
    head: Duration::from_secs(30),
    body: Duration::from_secs(10),
    stall: Duration::from_secs(60),
};
/// How much more than the longest body is read and thrown away, so that its sender reads the answer: closed with bytes
/// unread, a connection is reset.
const OVERRUN: usize = 8;
/// Before connections are accepted again after that failed, which it does when files run out.
/// Arbitrary: long enough for the log.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// An address that is listened at.
pub(crate) struct Ingress {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

impl Ingress {
    /// Listens. Connections wait until it is started. Within a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken, or is none of this machine's.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Failure> {
        let fail = |error| Failure::runtime(format!("{address}: {error}"));
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, address, limits: LIMITS })
    }

    /// With the port that the system gave, where none was asked for.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on. Only requests that are signed as `check` says are taken.
    pub(crate) fn start(self, intake: Intake, check: Check, tally: Arc<Tally>) -> Serving {
        let answering = Arc::new(Answering {
            intake,
            check: RwLock::new(check),
            tally,
            limits: self.limits,
            places: Arc::new(Semaphore::new(self.limits.connections)),
            bad: Throttle::default(),
            sent_back: Throttle::default(),
        });
        let (stop, stopped) = watch::channel(None);
        let task = tokio::spawn(serve(self.listener, Arc::clone(&answering), stopped));
        Serving { answering, stop, task }
    }
}

/// An ingress at work.
pub(crate) struct Serving {
    answering: Arc<Answering>,
    /// Told how long the requests under way have.
    stop: watch::Sender<Option<Duration>>,
    task: JoinHandle<()>,
}

impl Serving {
    /// Verifies with other secrets from the next request on.
    pub(crate) fn set_check(&self, check: Check) {
        *self.answering.check.write().unwrap_or_else(PoisonError::into_inner) = check;
    }

    /// Takes no more connections, and finishes the requests under way, for at most `limit`.
    pub(crate) async fn stop(self, limit: Duration) {
        self.stop.send_replace(Some(limit));
        // It does not panic.
        let _ = self.task.await;
    }
}

/// Accepts connections until it is stopped, and serves them.
async fn serve(
    listener: TcpListener,
    answering: Arc<Answering>,
    mut stop: watch::Receiver<Option<Duration>>,
) {
    let mut connections = JoinSet::new();
    let limit = loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &answering.places) => accepted,
            limit = stopped(&mut stop) => break limit,
        };
        while connections.try_join_next().is_some() {}
        let Some((stream, place)) = accepted else { continue };
        let (answering, stop) = (Arc::clone(&answering), stop.clone());
        connections.spawn(async move {
            answering.serve(stream, stop).await;
            drop(place);
        });
    };
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(limit, all).await;
}

/// The next connection, when there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    match listener.accept().await {
        Ok((stream, _)) => {
            // This one waits with nothing read of it, and those behind it are not accepted.
            let place = Arc::clone(places).acquire_owned().await.ok()?;
            Some((stream, place))
        }
        Err(error) => {
            warn!("no connection could be accepted: {error}");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Completes when the ingress is stopped.
async fn stopped(stop: &mut watch::Receiver<Option<Duration>>) -> Duration {
    stop.wait_for(Option::is_some).await.ok().and_then(|limit| *limit).unwrap_or_default()
}

/// Answers requests.
struct Answering {
    intake: Intake,
    check: RwLock<Check>,
    tally: Arc<Tally>,
    limits: Limits,
    places: Arc<Semaphore>,
    bad: Throttle,
    sent_back: Throttle,
}

impl Answering {
    /// Serves one connection to its end.
    async fn serve(&self, stream: TcpStream, mut stop: watch::Receiver<Option<Duration>>) {
        let answers = AtomicU64::new(0);
        let service = service_fn(|request| {
            let answers = &answers;
            async move {
                let answer = self.answer(request).await;
                answers.fetch_add(1, Relaxed);
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // Who has sent all may close that side, and is answered.
            .half_close(true)
            .header_read_timeout(self.limits.head)
            .max_buf_size(self.limits.head_max)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let (mut is_stopped, mut before) = (false, 0);
        loop {
            tokio::select! {
                // A sender that breaks off is its own affair.
                _ = connection.as_mut() => return,
                _ = stopped(&mut stop), if !is_stopped => {
                    is_stopped = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep(self.limits.stall) => {
                    let now = answers.load(Relaxed);
                    if std::mem::replace(&mut before, now) == now {
                        return;
                    }
                }
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let taken = self.take(request).await;
        self.tally.requests.fetch_add(1, Relaxed);
        let mut answer = match taken {
            Ok(()) => {
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = StatusCode::NO_CONTENT;
                answer
            }
            Err(refusal) => {
                self.refused(&refusal);
                refusal.answer()
            }
        };
        if self.places.available_permits() == 0 {
            // Others may be waiting for the place.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// Counts and logs a refusal.
    fn refused(&self, refusal: &Refusal) {
        if !matches!(refusal, Refusal::Shortfall(_)) {
            self.tally.bad_requests.fetch_add(1, Relaxed);
        }
        let status = refusal.status();
        let throttle = if status.is_server_error() { &self.sent_back } else { &self.bad };
        let status = status.as_u16();
        match throttle.admit(Instant::now()) {
            None => {}
            Some(0) => warn!(status, "a request was answered {status}: {refusal}"),
            Some(n) => {
                warn!(status, "a request was answered {status}, after {n} more: {refusal}");
            }
        }
    }

    async fn take(&self, request: Request<Incoming>) -> Result<(), Refusal> {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(Refusal::Method);
        }
        // Browsers name the page with every POST, and let every page post to loopback.
        if head.headers.contains_key(ORIGIN) {
            return Err(Refusal::WebPage);
        }
        let is_announced = body.size_hint().lower() > self.limits.body_max as u64;
        if is_announced && head.headers.contains_key(EXPECT) {
            return Err(Refusal::TooLong);
        }
        let body = timeout(self.limits.body, read(body, self.limits.body_max)).await;
        let body = body.unwrap_or(Err(Refusal::TooSlow))?;
        self.verify(&head.headers, &body)?;
        let mut events = body::parse(&body).map_err(Refusal::Body)?;
        let trace = trace(&head.headers);
        events.iter_mut().for_each(|event| event.trace = trace);
        self.intake.accept(&events).await.map_err(Refusal::Shortfall)
    }

    /// Whether the body, as it came, is signed where it must be.
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
        let check = self.check.read().unwrap_or_else(PoisonError::into_inner);
        let end = check.verify(headers, body).unwrap_or(Ok(()));
        end.map_err(|why| Refusal::Signature { why, wanted: check.headers() })
    }
}

/// The trace that a request is part of. Of two headers none counts.
fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut all = headers.get_all("traceparent").iter();
    let (only, None) = (all.next()?, all.next()) else { return None };
    TraceContext::parse(only.as_bytes())
}

/// The whole body, of at most `max` bytes.
async fn read(mut body: Incoming, max: usize) -> Result<Vec<u8>, Refusal> {
    let mut whole = Vec::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Broken)?;
        let Ok(bytes) = frame.into_data() else { continue };
        length = length.saturating_add(bytes.len());
        if length <= max {
            whole.extend_from_slice(&bytes);
        } else if length > max.saturating_mul(OVERRUN) {
            break;
        }
    }
    if length > max { Err(Refusal::TooLong) } else { Ok(whole) }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;

//! A small webhook receiver: takes a POST, checks its signatures, reports it, and answers.
//!
//! Signatures are checked over the bytes as they came, before anything reads them, and in constant time: nobody
//! learns how much of one was right.

mod check;
pub mod secrets;
#[cfg(feature = "tls")]
mod tls;

pub use check::Check;

#[cfg(feature = "tls")]
pub use tls::Tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pilot_webhook_core::VerifyError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// The default limit of a request's body, in bytes. Arbitrary: as much as the longest batch.
pub const BODY_MAX: usize = 1024 * 1024;

/// How the receiver answers, from the next request on.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The status of each answer.
    pub status: StatusCode,
    /// How long it waits before it answers.
    pub delay: Duration,
    /// A `Retry-After` header, in seconds.
    pub retry_after: Option<u32>,
    /// The longest body it takes, in bytes. Longer ones are answered 413.
    pub max_body: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            delay: Duration::ZERO,
            retry_after: None,
            max_body: BODY_MAX,
        }
    }
}

/// A request that came, and what was made of it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The body, byte for byte.
    pub body: Bytes,
    /// Whether its signatures are right, and if not, what is wrong; `None` when no secret is known.
    pub verified: Option<Result<(), VerifyError>>,
    /// The answer's status.
    pub status: StatusCode,
}

/// A receiver. Cheap to clone; all clones are one receiver.
#[derive(Clone)]
pub struct Receiver {
    inner: Arc<Inner>,
}

struct Inner {
    check: Check,
    behaviour: Mutex<Behaviour>,
    on_event: Box<dyn Fn(&Received) + Send + Sync>,
}

impl Receiver {
    /// A receiver that verifies signatures, if it has a secret, and tells `on_event` of every request.
    pub fn new(
        check: impl Into<Check>,
        on_event: impl Fn(&Received) + Send + Sync + 'static,
    ) -> Self {
        let behaviour = Mutex::default();
        let (check, on_event) = (check.into(), Box::new(on_event));
        Self { inner: Arc::new(Inner { check, behaviour, on_event }) }
    }

    /// Answers like this from the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.inner.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// Serves `listener` until the future is dropped, or accepting fails.
    ///
    /// # Errors
    /// When accepting a connection fails for good.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        loop {
            let (stream, _peer): (_, SocketAddr) = listener.accept().await?;
            let receiver = self.clone();
            tokio::spawn(async move { receiver.serve_connection(stream).await });
        }
    }

    /// The same over TLS.
    ///
    /// # Errors
    /// When accepting a connection fails for good.
    #[cfg(feature = "tls")]
    pub async fn serve_tls(self, listener: TcpListener, tls: Tls) -> std::io::Result<()> {
        loop {
            let (stream, _peer): (_, SocketAddr) = listener.accept().await?;
            let (receiver, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                if let Some(stream) = tls.accept(stream).await {
                    receiver.serve_connection(stream).await;
                }
            });
        }
    }

    /// Serves one connection, of whatever kind, to its end.
    pub async fn serve_connection(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| self.answer(request));
        // A client that breaks off is its own affair.
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Empty<Bytes>>, Infallible> {
        let behaviour = self.inner.behaviour.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, behaviour.max_body).collect().await else {
            return Ok(answer(StatusCode::PAYLOAD_TOO_LARGE, None));
        };
        let body = body.to_bytes();
        let verified = self.inner.check.verify(&head.headers, &body);
        if !behaviour.delay.is_zero() {
            // Tokio's timers are of whole milliseconds: a sleep of zero takes one, too.
            tokio::time::sleep(behaviour.delay).await;
        }
        let status = if head.method != Method::POST {
            StatusCode::METHOD_NOT_ALLOWED
        } else if matches!(verified, Some(Err(_))) {
            StatusCode::UNAUTHORIZED
        } else {
            behaviour.status
        };
        (self.inner.on_event)(&Received { body, verified, status });
        Ok(answer(status, behaviour.retry_after))
    }
}

fn answer(status: StatusCode, retry_after: Option<u32>) -> Response<Empty<Bytes>> {
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = status;
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

//! A small webhook receiver: takes a POST, checks its signature, reports it, and answers.
//!
//! The signature is checked over the bytes as they came, before anything reads them, and in
//! constant time: `Mac::verify_slice` does not tell how much of it was right.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, Mac};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::Sha256;
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
    /// Whether the signature is right; `None` when no secret is known.
    pub verified: Option<bool>,
    /// The answer's status.
    pub status: StatusCode,
}

/// A receiver. Cheap to clone; all clones are one receiver.
#[derive(Clone)]
pub struct Receiver {
    inner: Arc<Inner>,
}

struct Inner {
    secret: Option<Vec<u8>>,
    behaviour: Mutex<Behaviour>,
    on_event: Box<dyn Fn(&Received) + Send + Sync>,
}

impl Receiver {
    /// A receiver that verifies signatures with `secret`, if there is one, and tells `on_event` of
    /// every request.
    pub fn new(
        secret: Option<Vec<u8>>,
        on_event: impl Fn(&Received) + Send + Sync + 'static,
    ) -> Self {
        let behaviour = Mutex::default();
        Self { inner: Arc::new(Inner { secret, behaviour, on_event: Box::new(on_event) }) }
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
        let verified =
            self.inner.secret.as_deref().map(|secret| is_signed(secret, &head.headers, &body));
        if !behaviour.delay.is_zero() {
            // Tokio's timers are of whole milliseconds: a sleep of zero takes one, too.
            tokio::time::sleep(behaviour.delay).await;
        }
        let status = if head.method != Method::POST {
            StatusCode::METHOD_NOT_ALLOWED
        } else if verified == Some(false) {
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

/// Whether `X-Pilot-Signature-256` is the HMAC-SHA256 of `body` in hex.
fn is_signed(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> bool {
    let Some(signature) =
        headers.get("x-pilot-signature-256").and_then(|value| from_hex(value.as_bytes()))
    else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_of_core_verifies_and_a_changed_body_does_not() {
        let body = b"{\"event_id\":1}";
        let signature = pilot_webhook_core::Secret::new(b"hush").unwrap().sign(body);
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("X-Pilot-Signature-256", value.parse().unwrap());
            headers
        };
        assert!(is_signed(b"hush", &headers(signature.as_str()), body));
        assert!(!is_signed(b"hush", &headers(signature.as_str()), b"{\"event_id\":2}"));
        assert!(!is_signed(b"other", &headers(signature.as_str()), body));
        assert!(!is_signed(b"hush", &headers("12"), body));
        assert!(!is_signed(b"hush", &headers(&"+1".repeat(32)), body));
        assert!(!is_signed(b"hush", &HeaderMap::new(), body));
    }
}

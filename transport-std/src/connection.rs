//! One HTTP/1.1 connection, driven by whoever awaits its answer: no task of its own.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, Connection as Driver, SendRequest};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, TRANSFER_ENCODING};
use hyper::http::response::Parts;
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use pilot_webhook_core::{Endpoint, Scheme};
use tokio::time::{Instant, timeout};

use crate::error::HttpError;
use crate::meter::Meter;
use crate::request::Payload;
use crate::stream::{Metered, Stream};

/// What is read of an answer's header section. Arbitrary: four times what servers accept.
const HEAD_MAX: usize = 32 * 1024;
/// What is read before the final answer's head: all interim (1xx) answers and the head.
const HEADS_MAX: usize = 2 * HEAD_MAX;
/// What is read of an answer's body to keep the connection. More costs more than a new one.
const DRAIN_MAX: usize = 64 * 1024;
/// How long the next request waits for the rest of the last answer's body, before it takes a new
/// connection. Arbitrary: about what a new one costs.
const DRAIN_TIME: Duration = Duration::from_millis(250);
/// How long an idle connection is trusted. Servers and the boxes in between close or forget idle
/// ones after 60 s and more, and a request sent at that moment is lost.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A connection to one origin, for one request at a time.
pub(crate) struct Connection {
    scheme: Scheme,
    authority: Box<str>,
    sender: SendRequest<Payload>,
    /// `None` once it has ended.
    driver: Option<Driver<TokioIo<Metered>, Payload>>,
    meter: Arc<Meter>,
    /// What is not read yet of the last answer.
    rest: Option<Incoming>,
    /// Until when it may be reused; `None` before the first answer.
    fresh_until: Option<Instant>,
}

/// Why a request got no answer.
pub(crate) struct Failure {
    pub(crate) error: HttpError,
    /// No byte of the request was written: surely nobody has processed it.
    pub(crate) unsent: bool,
}

impl Connection {
    pub(crate) async fn new(
        stream: Stream,
        endpoint: &Endpoint<'_>,
    ) -> Result<Box<Self>, HttpError> {
        let meter = Arc::new(Meter::default());
        let io = TokioIo::new(Metered::new(stream, Arc::clone(&meter)));
        let (sender, driver) =
            Builder::new().max_buf_size(HEAD_MAX).handshake(io).await.map_err(HttpError::Closed)?;
        Ok(Box::new(Self {
            scheme: endpoint.scheme(),
            authority: endpoint.authority().into(),
            sender,
            driver: Some(driver),
            meter,
            rest: None,
            fresh_until: None,
        }))
    }

    /// Whether the next request to `endpoint` may go over this connection, once the rest of the
    /// last answer is out of the way.
    pub(crate) async fn is_ready_for(&mut self, endpoint: &Endpoint<'_>) -> bool {
        let same = self.scheme == endpoint.scheme() && *self.authority == *endpoint.authority();
        if !same || self.fresh_until.is_none_or(|until| Instant::now() >= until) {
            return false;
        }
        if self.rest.is_some() {
            let drain = poll_fn(|cx| self.poll_drain(cx));
            if timeout(DRAIN_TIME, drain).await != Ok(true) {
                return false;
            }
        }
        self.sender.is_ready()
    }

    /// Sends `request` and waits for the head of its answer. The body is left for
    /// [`finish`](Self::finish).
    pub(crate) async fn send(
        &mut self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, Failure> {
        self.meter.begin(HEADS_MAX, self.fresh_until.is_some());
        let mut answer = pin!(self.sender.send_request(request));
        poll_fn(|cx| {
            // The driver moves the bytes, and makes the answer ready. When it has ended it is
            // dropped, which fails an answer that will not come.
            self.poll_driver(cx);
            answer.as_mut().poll(cx)
        })
        .await
        .map_err(|error| Failure { unsent: !self.meter.wrote(), error: self.classify(error) })
    }

    /// Takes the body of an answer, reads of it what is there, and says whether the connection may
    /// be used again.
    ///
    /// This does not wait: the status is known, and waiting for a body that nobody reads could
    /// turn a delivery into a timeout. What is missing is read when the next request comes.
    pub(crate) async fn finish(&mut self, head: &Parts, body: Incoming) -> bool {
        let length = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let idle = idle_limit(&head.headers);
        if is_last(head) || length > DRAIN_MAX || idle.is_zero() {
            return false;
        }
        self.fresh_until = Some(Instant::now() + idle);
        self.meter.allow(DRAIN_MAX);
        self.rest = Some(body);
        poll_fn(|cx| match self.poll_drain(cx) {
            Poll::Ready(reusable) => Poll::Ready(reusable),
            Poll::Pending => Poll::Ready(true),
        })
        .await
    }

    /// Reads the rest of the last answer. Ready with whether the connection may be used again.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while let Some(body) = &mut self.rest {
            let mut frame = Pin::new(&mut *body).poll_frame(cx);
            if frame.is_pending() {
                // Having been asked, the driver may bring one.
                if let Some(driver) = &mut self.driver
                    && driver.poll_without_shutdown(cx).is_ready()
                {
                    return Poll::Ready(false);
                }
                frame = Pin::new(body).poll_frame(cx);
            }
            match frame {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                Poll::Ready(None) => self.rest = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        if !self.sender.is_ready() {
            // Hyper may need a turn to notice that both messages are complete.
            self.poll_driver(cx);
        }
        // Still not: it is closing, or the request was answered before it was read.
        Poll::Ready(self.sender.is_ready())
    }

    fn poll_driver(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.poll_without_shutdown(cx).is_ready()
        {
            self.driver = None;
        }
    }

    fn classify(&self, error: hyper::Error) -> HttpError {
        if self.meter.overrun() {
            HttpError::TooLarge
        } else if error.is_parse() || (self.meter.read() && !self.meter.wrote()) {
            // The latter speaks before it is asked: not an HTTP server.
            HttpError::Protocol(error)
        } else if !self.meter.wrote() {
            HttpError::Closed(error)
        } else {
            HttpError::Disconnected(error)
        }
    }
}

/// Whether the connection ends with this answer. That of an HTTP/1.0 server does, unless it speaks
/// an extension that is not worth its risks. With both a length and chunks it is a matter of
/// opinion where the answer ends (RFC 9112, section 6.3), and so where the next one begins.
fn is_last(head: &Parts) -> bool {
    let has = |name| head.headers.contains_key(name);
    head.version == Version::HTTP_10
        || (has(TRANSFER_ENCODING) && has(CONTENT_LENGTH))
        || head.headers.get_all(CONNECTION).iter().any(|value| {
            value
                .as_bytes()
                .split(|b| *b == b',')
                .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
        })
}

/// How long the connection may idle: less than the server says it waits, in the widespread form
/// `Keep-Alive: timeout=5`.
fn idle_limit(headers: &HeaderMap) -> Duration {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    let hint = headers.get(KEEP_ALIVE).and_then(|value| value.to_str().ok()).and_then(|value| {
        let parameter = value.split(',').find_map(|part| part.trim().strip_prefix("timeout="));
        parameter?.trim().parse::<u32>().ok()
    });
    match hint {
        // A second less, for the request's way.
        Some(seconds) => IDLE_MAX.min(Duration::from_secs(seconds.saturating_sub(1).into())),
        None => IDLE_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_trusted_less_long_than_the_server_keeps_it() {
        let limit = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("keep-alive", value.parse().unwrap());
            idle_limit(&headers).as_secs()
        };
        assert_eq!(limit("timeout=5"), 4);
        assert_eq!(limit("max=100, timeout=5"), 4);
        assert_eq!(limit("timeout=0"), 0);
        assert_eq!(limit("timeout=600"), 30);
        assert_eq!(limit("timeout=soon"), 30);
        assert_eq!(idle_limit(&HeaderMap::new()), IDLE_MAX);
    }
}

//! One HTTP/1.1 connection, driven by whoever awaits its answer: no task of its own.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pilot_webhook_core::http::{Answer, Head, Rest};
use pilot_webhook_core::{Endpoint, Response, Scheme};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::error::HttpError;
use crate::request::Outgoing;
use crate::stream::Stream;

/// What is read at once. Arbitrary: more than the usual answer.
const BUFFER: usize = 4 * 1024;
/// What is read of an answer's body to keep the connection. More costs more than a new one.
const DRAIN_MAX: u64 = 64 * 1024;
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
    stream: Stream,
    buffer: Box<[u8; BUFFER]>,
    /// What of the buffer was read from the stream and not looked at yet.
    unread: Range<usize>,
    /// What is not read yet of the last answer.
    rest: Option<Rest>,
    /// Until when it may be used again.
    fresh_until: Instant,
}

/// What a request was answered with.
#[derive(Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) response: Response,
    /// Whether the connection may carry another request.
    pub(crate) reusable: bool,
}

/// Why a request got no answer.
pub(crate) struct Failure {
    pub(crate) error: HttpError,
    /// No byte of the request was written: surely nobody has processed it.
    pub(crate) unsent: bool,
}

impl Connection {
    pub(crate) fn new(stream: Stream, endpoint: &Endpoint<'_>) -> Self {
        Self {
            scheme: endpoint.scheme(),
            authority: endpoint.authority().into(),
            stream,
            buffer: Box::new([0; BUFFER]),
            unread: 0..0,
            rest: None,
            fresh_until: Instant::now(),
        }
    }

    /// Whether the next request to `endpoint` may go over this connection, once the rest of the
    /// last answer is out of the way.
    pub(crate) async fn is_ready_for(&mut self, endpoint: &Endpoint<'_>) -> bool {
        let same = self.scheme == endpoint.scheme() && *self.authority == *endpoint.authority();
        if !same || Instant::now() >= self.fresh_until {
            return false;
        }
        if self.rest.is_some() {
            let drain = poll_fn(|cx| self.poll_drain(cx));
            if timeout(DRAIN_TIME, drain).await != Ok(true) {
                return false;
            }
        }
        // On an idle connection whatever arrives is the end of it, and not an answer to what is
        // asked next. (A TLS session ticket may arrive late and is no end; then a good connection
        // is given up, at no risk.)
        let silent = poll_fn(|cx| Poll::Ready(self.poll_fill(cx).is_pending())).await;
        silent && !self.stream.has_news()
    }

    /// Sends a request and reads its answer, but not the body, of which it takes what is there.
    ///
    /// A receiver may answer and close before it has read the whole request. Writing on then fails,
    /// while its answer waits to be read. So the answer is read meanwhile, and a failed write is the
    /// end only when there is none.
    pub(crate) async fn exchange(&mut self, head: &[u8], body: &[u8]) -> Result<Answered, Failure> {
        let mut request = Outgoing::new(head, body);
        let mut answer = Answer::new();
        let outcome = poll_fn(|cx| {
            request.poll(&mut self.stream, cx);
            self.poll_head(&mut answer, cx)
        })
        .await;
        match outcome {
            Ok(head) => {
                let reusable = request.is_written() && self.finish(&head).await;
                Ok(Answered { response: head.response, reusable })
            }
            Err(error) => Err(failure(error, request)),
        }
    }

    fn poll_head(
        &mut self,
        answer: &mut Answer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, HttpError>> {
        loop {
            if let Err(error) = ready!(self.poll_fill(cx)) {
                return Poll::Ready(Err(HttpError::Disconnected(error)));
            }
            let (taken, head) = answer.take(self.unread()).map_err(HttpError::Malformed)?;
            self.unread.start += taken;
            if let Some(head) = head {
                return Poll::Ready(Ok(head));
            }
        }
    }

    /// Reads of the answer's body what is there, and says whether the connection may be used again.
    ///
    /// This does not wait: the status is known, and waiting for a body that nobody reads could
    /// turn a delivery into a timeout. What is missing is read when the next request comes.
    async fn finish(&mut self, head: &Head) -> bool {
        let idle = head.idle_max(IDLE_MAX);
        self.rest = head.rest(DRAIN_MAX);
        if self.rest.is_none() || idle.is_zero() {
            return false;
        }
        self.fresh_until = Instant::now() + idle;
        poll_fn(|cx| Poll::Ready(self.poll_drain(cx) != Poll::Ready(false))).await
    }

    /// Reads the rest of the last answer. Ready with whether the connection stands exactly behind
    /// it: what is there beyond was not asked for.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while let Some(mut rest) = self.rest.take() {
            let Some(taken) = rest.take(self.unread()) else { return Poll::Ready(false) };
            self.unread.start += taken;
            if !rest.is_over() {
                self.rest = Some(rest);
                if ready!(self.poll_fill(cx)).is_err() {
                    return Poll::Ready(false);
                }
            }
        }
        Poll::Ready(self.unread.is_empty())
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.unread.clone()).unwrap_or_default()
    }

    /// Fills the buffer anew; what was in it is taken. The stream's end is an error.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(&mut self.buffer[..]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        self.unread = 0..buffer.filled().len();
        Poll::Ready(if self.unread.is_empty() {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it"))
        } else {
            Ok(())
        })
    }
}

/// What a failed exchange amounts to.
fn failure(error: HttpError, request: Outgoing<'_>) -> Failure {
    let unsent = !request.has_begun();
    let error = match error {
        HttpError::Disconnected(error) => {
            // When both directions failed, the first one to fail tells more.
            let error = request.into_error().unwrap_or(error);
            if unsent { HttpError::Closed(error) } else { HttpError::Disconnected(error) }
        }
        other => other,
    };
    Failure { error, unsent }
}

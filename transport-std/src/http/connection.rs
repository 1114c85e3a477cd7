//! One HTTP/1.1 connection, driven by whoever awaits its answer: no task of its own.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pilot_webhook_core::http::{Answer, Head, Response, Rest};
use pilot_webhook_core::{Endpoint, Scheme};
use tokio::io::ReadBuf;
use tokio::time::{Instant, timeout};

use crate::http::error::HttpError;
use crate::http::request::Outgoing;
use crate::http::stream::Stream;

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

/// How old a connection may get. A name may lead elsewhere by then, and only a new connection asks.
/// Arbitrary: the usual time to live of a record that is meant to change.
const AGE_MAX: Duration = Duration::from_secs(5 * 60);

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
    made_at: Instant,
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

impl Connection {
    pub(crate) fn new(stream: Stream, endpoint: &Endpoint<'_>) -> Self {
        let now = Instant::now();
        Self {
            scheme: endpoint.scheme(),
            authority: endpoint.authority().into(),
            stream,
            buffer: Box::new([0; BUFFER]),
            unread: 0..0,
            rest: None,
            made_at: now,
            fresh_until: now,
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
    ///
    /// # Errors
    /// [`HttpError::Closed`] when no byte of the request was written: surely nobody has processed it.
    pub(crate) async fn exchange(
        &mut self,
        head: &[u8],
        body: &[u8],
    ) -> Result<Answered, HttpError> {
        let mut request = Outgoing::new(head, body);
        let mut answer = Answer::new();
        let outcome = poll_fn(|cx| {
            request.poll(&mut self.stream, cx);
            self.poll_head(&mut answer, cx)
        })
        .await;
        if !request.has_begun() {
            // Whatever was read is no answer to what nobody has seen.
            return Err(HttpError::Closed(match (request.into_error(), outcome) {
                (Some(error), _) | (None, Err(HttpError::Disconnected(error))) => error,
                (None, _) => io::Error::other("the server spoke before it was asked"),
            }));
        }
        match outcome {
            Ok(head) => {
                let reusable = request.is_written() && self.finish(&head).await;
                Ok(Answered { response: head.response, reusable })
            }
            // When both directions failed, the first one to fail tells more.
            Err(HttpError::Disconnected(error)) => {
                Err(HttpError::Disconnected(request.into_error().unwrap_or(error)))
            }
            Err(error) => Err(error),
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
        self.fresh_until = (Instant::now() + idle).min(self.made_at + AGE_MAX);
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
        ready!(self.stream.poll_read(cx, &mut buffer))?;
        self.unread = 0..buffer.filled().len();
        Poll::Ready(if self.unread.is_empty() {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it"))
        } else {
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilot_webhook_core::{EndpointBuf, Policy};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    /// A connection was kept as long as it was used, and nobody asked where the name leads.
    #[tokio::test(start_paused = true)]
    async fn a_connection_is_not_used_beyond_its_greatest_age() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let endpoint = EndpointBuf::<64>::parse(&url, Policy::default()).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let _server = listener.accept().await.unwrap();
        let mut connection = Connection::new(Stream::Plain(stream), &endpoint.get());
        let mut head = Answer::new();
        let text = b"HTTP/1.1 204 No Content\r\n\r\n";
        let head = head.take(text).unwrap().1.unwrap();
        let begin = Instant::now();
        while connection.finish(&head).await && connection.is_ready_for(&endpoint.get()).await {
            assert!(begin.elapsed() < AGE_MAX, "{:?}", begin.elapsed());
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        assert_eq!(begin.elapsed(), AGE_MAX);
    }

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";

    /// The bytes and the end of a connection may come between the last look and the write. It was
    /// taken for the answer to a request of which no byte was sent.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_said_to_a_request_that_was_not_sent_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let endpoint = EndpointBuf::<64>::parse(&url, Policy::default()).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut connection = Connection::new(Stream::Plain(stream), &endpoint.get());
        let (mut server, _) = listener.accept().await.unwrap();
        let answer = async {
            let mut request = [0; HEAD.len() + 1];
            server.read_exact(&mut request).await.unwrap();
            server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            server
        };
        let (first, mut server) = tokio::join!(connection.exchange(HEAD, b"1"), answer);
        assert!(first.is_ok_and(|answered| answered.reusable));
        assert!(connection.is_ready_for(&endpoint.get()).await);

        server.write_all(b"HTTP/1.1 202 Accepted\r\n\r\n").await.unwrap();
        server.set_zero_linger().unwrap();
        drop(server);
        let second = connection.exchange(HEAD, b"2").await;
        assert!(matches!(second, Err(HttpError::Closed(_))), "{:?}", second.map(|a| a.response));
    }
}

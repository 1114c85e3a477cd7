//! One HTTP/1.1 connection. It has no task: the future that awaits the answer drives it. Core's `Exchange`
//! decides what may be done with it.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use pilot_webhook_core::http::{DRAIN_TIME, Exchange, Failure, Response};
use pilot_webhook_core::{Endpoint, Instant, Message};
use tokio::io::ReadBuf;
use tokio::time::{self, timeout, timeout_at};

use crate::http::connections::Open;
use crate::http::error::HttpError;
use crate::http::request::Outgoing;
use crate::http::stream::Stream;

/// The most bytes of one read. Arbitrary: more than the usual answer.
const BUFFER: usize = 4 * 1024;

/// A connection to one origin, for one request at a time.
pub(crate) struct Connection {
    exchange: Exchange,
    /// The exchange's time zero.
    made_at: time::Instant,
    stream: Stream,
    buffer: Box<[u8; BUFFER]>,
    /// What was read since it was listened to, as far as it is wanted.
    heard: Vec<u8>,
    /// How many bytes are wanted.
    wanted: usize,
    _open: Open,
}

impl Connection {
    pub(crate) fn new(stream: Stream, endpoint: &Endpoint<'_>, open: Open) -> Self {
        let exchange = Exchange::new(endpoint, Instant::default());
        Self {
            exchange,
            made_at: time::Instant::now(),
            stream,
            buffer: Box::new([0; BUFFER]),
            heard: Vec::new(),
            wanted: 0,
            _open: open,
        }
    }

    /// Whether the connection may carry another request.
    pub(crate) const fn is_kept(&self) -> bool {
        self.exchange.is_kept()
    }

    /// Whether this message may go over this kept connection. Reads the rest of the last answer first.
    pub(crate) async fn is_ready_for(
        &mut self,
        endpoint: &Endpoint<'_>,
        message: &Message<'_>,
    ) -> bool {
        if !self.exchange.may_carry(endpoint, message, since(self.made_at)) {
            return false;
        }
        if self.exchange.is_draining() {
            // Beyond that time the connection is not ready.
            let _ = timeout(DRAIN_TIME, poll_fn(|cx| self.poll_drain(cx))).await;
        }
        if self.stream.is_tls() {
            // What was decrypted already is not seen by the kernel. (A TLS session ticket that arrives late may be taken
            // for data. Then a good connection is given up, which is safe.)
            poll_fn(|cx| Poll::Ready(self.poll_receive(cx).is_ready())).await;
        }
        self.exchange.is_ready() && !self.stream.has_news()
    }

    /// Sends a request and reads the status of its answer. Of the rest it reads only what has arrived.
    ///
    /// # Errors
    /// [`HttpError::Closed`] when no byte of the request was written, so that it cannot have been processed.
    pub(crate) async fn send(&mut self, head: &[u8], body: &[u8]) -> Result<Response, HttpError> {
        self.exchange.begin();
        let mut request = Outgoing::new(head, body);
        let outcome = poll_fn(|cx| {
            if let Err(failure) = request.poll(&mut self.stream, &mut self.exchange, cx) {
                return Poll::Ready(Err((failure, None)));
            }
            loop {
                if let Some(response) = ready!(self.poll_receive(cx))? {
                    return Poll::Ready(Ok(response));
                }
            }
        })
        .await;
        let response = outcome.map_err(|(failure, error)| {
            // When both directions failed, the first failure is the cause.
            explain((failure, request.into_error().or(error)))
        })?;
        poll_fn(|cx| Poll::Ready(self.poll_drain(cx).is_ready())).await;
        Ok(response)
    }

    /// As [`send`](Self::send). Of what is said then, so many bytes are kept, for [`heard`](Self::heard).
    pub(crate) async fn talk(
        &mut self,
        head: &[u8],
        body: &[u8],
        wanted: usize,
    ) -> Result<Response, HttpError> {
        self.heard.clear();
        self.wanted = wanted;
        let result = self.send(head, body).await;
        self.wanted = 0;
        result
    }

    /// The answer to the last request, as it came: with its head, and what came with it.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Hears the rest of the answer, until then at the longest, and `wanted` bytes at the most.
    pub(crate) async fn hear_out(&mut self, wanted: usize, until: time::Instant) {
        self.wanted = wanted;
        let rest = poll_fn(|cx| {
            while !self.exchange.is_ready() && self.heard.len() < self.wanted {
                // Of a connection that is not kept, whatever comes is the rest.
                if ready!(self.poll_receive(cx)).is_err() {
                    break;
                }
            }
            Poll::Ready(())
        });
        // What has come by then is enough.
        let _ = timeout_at(until, rest).await;
        self.wanted = 0;
    }

    /// Reads the rest of the last answer.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.exchange.is_draining() {
            // The exchange records a failure.
            let _ = ready!(self.poll_receive(cx));
        }
        Poll::Ready(())
    }

    /// Reads, and tells the exchange.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Response>, Failed>> {
        let mut buffer = ReadBuf::new(&mut self.buffer[..]);
        let error = match ready!(self.stream.poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {
                let wanted = self.wanted.saturating_sub(self.heard.len());
                let heard = &buffer.filled()[..wanted.min(buffer.filled().len())];
                self.heard.extend_from_slice(heard);
                let taken = self.exchange.received(buffer.filled(), since(self.made_at));
                return Poll::Ready(taken.map_err(|failure| (failure, None)));
            }
            Ok(()) => io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it"),
            Err(error) => error,
        };
        let ended = self.exchange.ended();
        Poll::Ready(ended.map(Some).map_err(|failure| (failure, Some(error))))
    }
}

/// The time now, for an exchange that began then.
fn since(made_at: time::Instant) -> Instant {
    Instant::from_micros(u64::try_from(made_at.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// Why there is no answer, and the system's error if there is one.
type Failed = (Failure, Option<io::Error>);

/// Maps it to the transport's error.
fn explain((failure, error): Failed) -> HttpError {
    let spoke = || io::Error::other("the server sent data before the request");
    match failure {
        Failure::Unsent => HttpError::Closed(error.unwrap_or_else(spoke)),
        Failure::Broken => {
            HttpError::Disconnected(error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()))
        }
        Failure::Malformed(what) => HttpError::Malformed(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use pilot_webhook_core::http::AGE_MAX;
    use pilot_webhook_core::{EndpointBuf, Policy};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";

    /// A connection to a listener, with the server's end of it.
    async fn connected() -> (Connection, TcpStream, EndpointBuf<64>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint =
            EndpointBuf::parse(&format!("http://{address}/"), Policy::default()).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let connection = Connection::new(Stream::Plain(stream), &endpoint.get(), Open::default());
        (connection, listener.accept().await.unwrap().0, endpoint)
    }

    /// Reads a request of one byte, and accepts it.
    async fn answer(server: &mut TcpStream) {
        let mut request = [0; HEAD.len() + 1];
        server.read_exact(&mut request).await.unwrap();
        server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    }

    /// A connection was kept as long as it was used, and nobody asked where the name leads.
    #[tokio::test(start_paused = true)]
    async fn a_connection_is_not_used_beyond_its_greatest_age() {
        let (mut connection, mut server, endpoint) = connected().await;
        let begin = time::Instant::now();
        let message = Message::new(&[], b"1");
        loop {
            let (sent, ()) = tokio::join!(connection.send(HEAD, b"1"), answer(&mut server));
            assert!(sent.is_ok() && connection.is_kept());
            time::advance(Duration::from_secs(20)).await;
            if !connection.is_ready_for(&endpoint.get(), &message).await {
                break;
            }
            assert!(begin.elapsed() < AGE_MAX, "{:?}", begin.elapsed());
        }
        assert_eq!(begin.elapsed(), AGE_MAX);
    }

    /// The bytes and the end of a connection may come between the last look and the write. It was
    /// taken for the answer to a request of which no byte was sent.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_said_to_a_request_that_was_not_sent_is_no_answer() {
        let (mut connection, mut server, endpoint) = connected().await;
        let (first, ()) = tokio::join!(connection.send(HEAD, b"1"), answer(&mut server));
        assert!(first.is_ok() && connection.is_kept());
        let message = Message::new(&[], b"2");
        assert!(connection.is_ready_for(&endpoint.get(), &message).await);

        server.write_all(b"HTTP/1.1 202 Accepted\r\n\r\n").await.unwrap();
        server.set_zero_linger().unwrap();
        drop(server);
        let second = connection.send(HEAD, b"2").await;
        assert!(matches!(second, Err(HttpError::Closed(_))), "{second:?}");
    }
}

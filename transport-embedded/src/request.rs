//! Writing a request: reqwless encodes it, in pieces as large as the lent buffer.

use core::convert::Infallible;
use core::task::Poll;

use embassy_futures::poll_once;
use embedded_io_async::{ErrorKind as IoKind, ErrorType, Write};
use heapless::Vec;
use pilot_webhook_core::http::is_header;
use pilot_webhook_core::{Endpoint, Message};
use reqwless::request::{Request as Encoder, RequestBuilder as _};

/// The value of `User-Agent`.
const USER_AGENT: (&str, &str) =
    ("User-Agent", concat!("pilot-webhook-embassy/", env!("CARGO_PKG_VERSION")));
/// The name of the header that holds credentials.
const AUTHORIZATION: &str = "Authorization";
/// The most headers that the engine may want, and the URL's credentials.
const HEADERS_MAX: usize = 17;

/// A request that can be encoded.
pub(crate) struct Request<'m> {
    headers: Vec<(&'m str, &'m str), { HEADERS_MAX + 1 }>,
    body: &'m [u8],
}

impl<'m> Request<'m> {
    /// The request of a message to an endpoint. This is the one place where a message becomes header lines. `None` when there
    /// are too many headers, or one that HTTP cannot carry.
    pub(crate) fn new(endpoint: &Endpoint<'m>, message: &Message<'m>) -> Option<Self> {
        let mut headers = Vec::new();
        headers.push(USER_AGENT).ok()?;
        match endpoint.authorization() {
            None => headers.extend_from_slice(message.headers).ok()?,
            // They go before others.
            Some(value) => {
                headers.push((AUTHORIZATION, value)).ok()?;
                for header in message.headers {
                    if !header.0.eq_ignore_ascii_case(AUTHORIZATION) {
                        headers.push(*header).ok()?;
                    }
                }
            }
        }
        let valid = headers.iter().all(|(name, value)| is_header(name, value));
        valid.then_some(Self { headers, body: message.body })
    }

    /// Writes the head and the body, and flushes. The head goes out in pieces as long as `buf`, the last
    /// one filled up from the body, so that a request leaves in few segments and TLS records.
    pub(crate) async fn write<W: Write<Error = IoKind>>(
        &self,
        endpoint: &Endpoint<'_>,
        sink: &mut W,
        buf: &mut [u8],
    ) -> Result<(), IoKind> {
        let mut sent = 0;
        let of_body = loop {
            let mut piece = Piece { start: sent, buf, passed: 0, length: 0 };
            let head = self.encode(endpoint, &mut piece)?;
            piece.take(self.body);
            let length = piece.length;
            sink.write_all(buf.get(..length).unwrap_or_default()).await?;
            sent += length;
            if let Some(of_body) = sent.checked_sub(head) {
                break of_body;
            }
        };
        sink.write_all(self.body.get(of_body..).unwrap_or_default()).await?;
        sink.flush().await
    }

    /// Encodes the head; returns its length.
    ///
    /// The `Host` header holds [`Endpoint::authority`](pilot_webhook_core::Endpoint::authority), with
    /// the port: reqwless's own client leaves it out, so its request encoder is used alone.
    fn encode(&self, endpoint: &Endpoint<'_>, piece: &mut Piece<'_>) -> Result<usize, IoKind> {
        let encoder = Encoder::post(endpoint.target())
            .host(endpoint.authority())
            .headers(&self.headers)
            .body(self.body)
            .build();
        match poll_once(encoder.write_header(piece)) {
            Poll::Ready(Ok(())) => Ok(piece.passed),
            // Memory takes everything at once.
            _ => Err(IoKind::Other),
        }
    }
}

/// A piece of what is written to it, from `start` on, as long as the buffer. A request is so written to memory
/// once for each piece: nothing waits within the encoder, whose code is a third of what it would be.
struct Piece<'b> {
    start: usize,
    buf: &'b mut [u8],
    /// Bytes that were written to it.
    passed: usize,
    /// Bytes in the buffer.
    length: usize,
}

impl Piece<'_> {
    fn take(&mut self, data: &[u8]) {
        let before = self.start.saturating_sub(self.passed);
        self.passed += data.len();
        let data = data.get(before..).unwrap_or_default();
        let room = self.buf.get_mut(self.length..).unwrap_or_default();
        let taken = data.len().min(room.len());
        room.iter_mut().zip(data).for_each(|(place, byte)| *place = *byte);
        self.length += taken;
    }
}

impl ErrorType for Piece<'_> {
    type Error = Infallible;
}

impl Write for Piece<'_> {
    async fn write(&mut self, data: &[u8]) -> Result<usize, Infallible> {
        self.take(data);
        Ok(data.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

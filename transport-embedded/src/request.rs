//! Writing a request: reqwless encodes it, in pieces as large as the lent buffer.

use embedded_io_async::{ErrorKind as IoKind, ErrorType, Write};
use heapless::Vec;
use pilot_webhook_core::http::is_header;
use pilot_webhook_core::{Endpoint, Message};
use reqwless::request::{Request as Encoder, RequestBuilder as _};

/// The value of `User-Agent`.
const USER_AGENT: (&str, &str) =
    ("User-Agent", concat!("pilot-webhook-embassy/", env!("CARGO_PKG_VERSION")));
/// The most headers that the engine may want. It has three.
const HEADERS_MAX: usize = 16;

/// A request that can be encoded.
pub(crate) struct Request<'m> {
    headers: Vec<(&'m str, &'m str), { HEADERS_MAX + 1 }>,
    body: &'m [u8],
}

impl<'m> Request<'m> {
    /// The request of a message. This is the one place where a message becomes header lines. `None` when there
    /// are too many headers, or one that HTTP cannot carry.
    pub(crate) fn new(message: &Message<'m>) -> Option<Self> {
        let mut headers = Vec::new();
        headers.push(USER_AGENT).ok()?;
        headers.extend_from_slice(message.headers).ok()?;
        let valid = headers.iter().all(|(name, value)| is_header(name, value));
        valid.then_some(Self { headers, body: message.body })
    }

    /// Writes the head and the body, and flushes.
    ///
    /// The `Host` header holds [`Endpoint::authority`](pilot_webhook_core::Endpoint::authority), with
    /// the port: reqwless's own client leaves it out, so its request encoder is used alone.
    pub(crate) async fn write<W: Write<Error = IoKind>>(
        &self,
        endpoint: &Endpoint<'_>,
        sink: &mut W,
        buf: &mut [u8],
    ) -> Result<(), IoKind> {
        let mut pieces = Pieces { sink, buf, length: 0 };
        let encoder = Encoder::post(endpoint.target())
            .host(endpoint.authority())
            .headers(&self.headers)
            .body(self.body)
            .build();
        encoder.write_header(&mut pieces).await.map_err(|error| match error {
            reqwless::Error::Network(kind) => kind,
            _ => IoKind::Other,
        })?;
        pieces.write_all(self.body).await?;
        pieces.flush().await
    }
}

/// Gathers small writes, so that a request leaves in few segments and TLS records.
struct Pieces<'w, W> {
    sink: &'w mut W,
    buf: &'w mut [u8],
    length: usize,
}

impl<W> ErrorType for Pieces<'_, W> {
    type Error = IoKind;
}

impl<W: Write<Error = IoKind>> Write for Pieces<'_, W> {
    async fn write(&mut self, data: &[u8]) -> Result<usize, IoKind> {
        if self.length == self.buf.len() {
            self.sink.write_all(&self.buf[..self.length]).await?;
            self.length = 0;
        }
        if self.length == 0 && data.len() >= self.buf.len() {
            return self.sink.write(data).await;
        }
        let room = &mut self.buf[self.length..];
        let taken = data.len().min(room.len());
        room[..taken].copy_from_slice(&data[..taken]);
        self.length += taken;
        Ok(taken)
    }

    async fn flush(&mut self) -> Result<(), IoKind> {
        self.sink.write_all(&self.buf[..self.length]).await?;
        self.length = 0;
        self.sink.flush().await
    }
}

//! The edge towards the network: one POST.

use core::fmt;
use core::future::Future;

use crate::{Endpoint, RetryAfter};

/// One attempt, complete but for what only a transport knows (`Host`, `User-Agent`, framing).
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Where to.
    pub endpoint: Endpoint<'a>,
    /// Header names and values, to be sent as they are. Both are ASCII without control characters.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// Shows no payload and no signature, so that it can be logged.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "POST {} ({} bytes)", self.endpoint, self.body.len())
    }
}

/// What the receiver answered, as far as the engine cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The final status code (never 1xx).
    pub status: u16,
    /// The parsed `Retry-After` header, when there was a valid one.
    pub retry_after: Option<RetryAfter>,
}

impl Response {
    /// An answer with nothing but a status.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self { status, retry_after: None }
    }
}

/// What went wrong with an attempt that brought no answer: the part of a transport's own error
/// that every transport can tell. All of them are retryable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The name did not resolve. The operator checks the URL and the resolver.
    Resolve,
    /// The destination policy refuses every address the name resolved to. The operator checks the
    /// URL, and who answers for that name.
    Refused,
    /// No connection: refused, unreachable, or reset while connecting.
    Connect,
    /// The TLS handshake failed, or the server could not be authenticated. Nothing was sent.
    Tls,
    /// The HTTP timeout passed. The receiver may have got the event.
    Timeout,
    /// The connection broke after the request was begun. The receiver may have got the event.
    Disconnected,
    /// The answer was not HTTP, or larger than the transport's bounds.
    Protocol,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the host name did not resolve",
            Self::Refused => "the destination policy refuses the resolved address",
            Self::Connect => "the connection could not be made",
            Self::Tls => "the server could not be authenticated over TLS",
            Self::Timeout => "no answer within the HTTP timeout",
            Self::Disconnected => "the connection broke before the answer",
            Self::Protocol => "the answer was not valid HTTP within bounds",
        })
    }
}

/// A transport's own, richer error.
pub trait TransportError: fmt::Display {
    /// The shared kind it amounts to.
    fn kind(&self) -> ErrorKind;
}

impl TransportError for ErrorKind {
    fn kind(&self) -> ErrorKind {
        *self
    }
}

/// Moves bytes: one POST at a time, over a connection that it keeps as it likes.
///
/// The worker bounds every call by the HTTP timeout and may drop the future at any await point (a
/// swap of the endpoint does). After that, the next `post` must work: an implementation gives up a
/// connection whose request was cut short.
pub trait Transport {
    /// What an attempt without an answer ends with.
    type Error: TransportError;

    /// Sends `request` and reads the answer's status and `Retry-After`. Redirects are not
    /// followed; the body of the answer is drained within a bound or the connection dropped.
    ///
    /// # Errors
    /// When no final status was received.
    fn post(
        &mut self,
        request: &Request<'_>,
    ) -> impl Future<Output = Result<Response, Self::Error>>;
}

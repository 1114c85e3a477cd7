//! The engine's `Transport`: one POST at a time, over one connection that is kept while it is usable.

use embassy_time::{Duration, with_timeout};
use embedded_io_async::{ErrorKind as IoKind, Read, Write};
use embedded_nal_async::{Dns, TcpConnect};
use pilot_webhook_core::http::{DRAIN_TIME, Exchange, Failure, Malformed, Response};
use pilot_webhook_core::{Endpoint, EndpointBuf, Message, Policy, Reply, Scheme, Transport};

use crate::clock::monotonic;
use crate::dialogue::{Failed, dialogue, drain};
use crate::error::Error;
use crate::fmt::{debug, warning};
use crate::line::{Line, WIRE_MAX};
use crate::link::{Lease, Link, Watch};
use crate::request::Request;
#[cfg(feature = "_https")]
use crate::tls::TlsClient;

/// The memory of a transport, owned by the caller.
///
/// `HTTP` bytes hold a piece of the request in one half and one of the answer in the other; 256 are
/// enough, 2,048 let a small request leave in one segment.
#[derive(Debug)]
pub struct Buffers<const HTTP: usize> {
    http: [u8; HTTP],
    watch: Watch,
}

impl<const HTTP: usize> Buffers<HTTP> {
    /// Memory, not used yet.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(HTTP >= 2, "a byte for each direction") };
        Self { http: [0; HTTP], watch: Watch::new() }
    }

    #[cfg(feature = "nats")]
    pub(crate) const fn split(&mut self) -> (&mut [u8], &Watch) {
        (&mut self.http, &self.watch)
    }
}

impl<const HTTP: usize> Default for Buffers<HTTP> {
    fn default() -> Self {
        Self::new()
    }
}

/// Posts over HTTP/1.1, plain or over TLS 1.3, with one connection at a time.
///
/// `N` is the network: anything that connects and resolves. Its connections must close when they
/// are dropped, as `TcpConnect` asks for, and a read that is dropped while pending must not lose
/// bytes. `SocketNet` does both for embassy-net; embassy-net's own `TcpClient` never tells the
/// server that a connection was dropped.
///
/// # A post
/// 1. A connection that was kept from the last post is used again if it goes to the same origin,
///    is not older than 5 minutes, has not been idle for more than 55 s (or what the server announces with
///    `Keep-Alive`), is still open, and the server has not spoken on it.
///    If it turns out to be unusable before the socket took a byte of the request, a new connection
///    takes its place within the same attempt: the request cannot have been processed. In any other
///    case the attempt ends with an error, and the engine decides.
/// 2. Otherwise the policy checks the host name, the name is resolved, the policy checks the address, and
///    a connection is made to that very address. When that fails, or stays silent for 2 s, the name's
///    address of the other family is tried. For `https`, the server is authenticated
///    before a byte of the request is written.
/// 3. The request is written and the answer's status line read. Interim answers are skipped. The status is
///    what counts: with its line the post succeeds, whatever comes after it. (A 429 or 503 may ask to wait, so
///    it takes the end of the headers or of the connection.) The rest only decides whether the connection
///    can be kept; the part of it that arrives later is read by the next post.
///
/// # Cancel safety
/// A post may be dropped at any await point, and the engine does so at the HTTP timeout: the
/// connection is closed, and the next post makes a new one. Nothing in here waits without end except
/// on the network, so that timeout bounds every step.
pub struct NodeTransport<'b, N: TcpConnect + Dns> {
    line: Line<'b, N>,
    http: &'b mut [u8],
    /// The state of the line's connection.
    exchange: Option<Exchange>,
}

impl<'b, N: TcpConnect + Dns> NodeTransport<'b, N> {
    /// A transport for `http` endpoints over `net`, which lives in `buffers`.
    pub fn new<const HTTP: usize>(
        net: &'b N,
        buffers: &'b mut Buffers<HTTP>,
        policy: Policy,
    ) -> Self {
        Self::on(Line::new(net, &buffers.watch, policy), &mut buffers.http)
    }

    pub(crate) const fn on(line: Line<'b, N>, http: &'b mut [u8]) -> Self {
        Self { line, http, exchange: None }
    }

    /// Adds `https`.
    #[cfg(feature = "_https")]
    #[must_use]
    pub fn with_tls(mut self, tls: impl Into<TlsClient<'b>>) -> Self {
        self.line.set_tls(tls.into());
        self
    }

    /// Closes the connection that is kept, if any. The next post makes a new one.
    pub fn disconnect(&mut self) {
        self.exchange = None;
        self.line.link.hang_up();
    }

    /// Whether this message may go over the link that is kept, if any.
    async fn is_ready_for(&mut self, endpoint: &Endpoint<'_>, message: &Message<'_>) -> bool {
        let Some(exchange) = &mut self.exchange else { return false };
        if !self.line.link.is_open() || !exchange.may_carry(endpoint, message, monotonic()) {
            return false;
        }
        // Let the network's task run first: it may find that the server has closed the connection.
        embassy_futures::yield_now().await;
        if exchange.is_draining() {
            let mut lease = Lease::new(&mut self.line.link);
            let most = Duration::try_from(DRAIN_TIME).unwrap_or(Duration::MIN);
            let _ = with_timeout(most, drain(lease.link(), exchange, self.http)).await;
            if !exchange.is_ready() {
                return false;
            }
            lease.keep();
        }
        self.line.link.meter().begin(WIRE_MAX);
        self.line.link.is_idle()
    }

    /// Writes the request and reads the answer. The link stays open after it only if it may carry
    /// another request.
    async fn attempt(
        &mut self,
        endpoint: &Endpoint<'_>,
        request: &Request<'_>,
    ) -> Result<Response, (Failure, Error)> {
        let Some(exchange) = &mut self.exchange else {
            return Err((Failure::Unsent, Error::Closed));
        };
        self.line.link.meter().begin(WIRE_MAX);
        let mut lease = Lease::new(&mut self.line.link);
        let response = dialogue(lease.link(), exchange, endpoint, request, self.http)
            .await
            .map_err(|failed| (failed.0, explain(lease.link(), failed)))?;
        if exchange.is_kept() {
            lease.keep();
        }
        Ok(response)
    }
}

/// Maps it to the transport's error.
fn explain<S: Read + Write>(link: &Link<'_, S>, Failed(failure, kind): Failed) -> Error {
    #[cfg(feature = "_https")]
    if let Some(failure) = link.take_failure() {
        return Error::TlsSession(failure);
    }
    match (failure, kind) {
        _ if link.meter().is_exhausted() => Error::Malformed(Malformed::TooLarge),
        (Failure::Malformed(what), _) => Error::Malformed(what),
        (_, None | Some(IoKind::ConnectionAborted)) => Error::Closed,
        (_, Some(kind)) => Error::Disconnected(kind),
    }
}

impl<'b, N: TcpConnect + Dns, const URL: usize> Transport<EndpointBuf<URL>>
    for NodeTransport<'b, N>
{
    type Error = Error;

    async fn send(&mut self, to: &EndpointBuf<URL>, message: &Message<'_>) -> Result<Reply, Error> {
        let endpoint = &to.get();
        if !matches!(endpoint.scheme(), Scheme::Http | Scheme::Https) {
            return Err(Error::Scheme);
        }
        let request = &Request::new(endpoint, message).ok_or(Error::InvalidRequest)?;
        if self.is_ready_for(endpoint, message).await {
            match self.attempt(endpoint, request).await {
                Err((Failure::Unsent, _)) => debug!("the kept connection failed: making a new one"),
                result => return result.map(Reply::from).map_err(|(_, error)| error),
            }
        }
        self.disconnect();
        if let Err(error) = self.line.connect(endpoint).await {
            warning!("no connection: {:?}", error);
            return Err(error);
        }
        self.exchange = Some(Exchange::new(endpoint, monotonic()));
        self.attempt(endpoint, request).await.map(Reply::from).map_err(|(_, error)| error)
    }
}

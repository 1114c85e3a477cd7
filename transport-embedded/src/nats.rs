//! Delivery into a NATS JetStream stream: one publication at a time, over one connection that is kept.

use embassy_futures::poll_once;
use embedded_io_async::{Read, Write};
use embedded_nal_async::{Dns, TcpConnect};
use pilot_webhook_core::nats::{Inbox, Login, Session, TOO_LARGE, hello, publication};
use pilot_webhook_core::{
    EncodeError, Endpoint, EndpointBuf, Message, Policy, Reply, Scheme, Transport, Verdict, Writer,
};

use crate::clock::monotonic;
use crate::error::Error;
use crate::fmt::{debug, warning};
use crate::line::{Line, WIRE_MAX};
use crate::link::{Lease, Link};
#[cfg(feature = "_https")]
use crate::tls::TlsClient;
use crate::transport::Buffers;

/// Publishes to a JetStream stream in NATS's own protocol, plain (`nats://`) or over TLS 1.3 (`tls://`), with one
/// connection at a time.
///
/// `N` is the network, as for [`NodeTransport`](crate::NodeTransport). Over TLS the handshake comes first, so a
/// server of 2.10.4 or newer wants `handshake_first` in its configuration.
///
/// # A publication
/// An event goes to the subject `PREFIX.<node id>.<topic>`, where `PREFIX` is the URL's path. Its `Nats-Msg-Id` is
/// the message's id: the stream keeps one message of those that have the same, within its duplicate window. It is
/// delivered when the server says that a stream has stored it. A batch is refused as too large, so that its events
/// go one by one. The subject and the headers must fit in the lent buffer, together with 250 bytes and the login
/// on a new connection; else the event is refused with code 413.
///
/// # The connection
/// It is kept while it works, for up to 4 minutes without a publication. A node that has nothing to say sends
/// nothing, so that its radio may sleep; it answers the server's pings together with its next publication.
///
/// # Cancel safety
/// A publication may be dropped at any await point, and the engine does so at the HTTP timeout: the connection is
/// closed, and the next publication makes a new one.
pub struct NatsTransport<'b, N: TcpConnect + Dns> {
    line: Line<'b, N>,
    buf: &'b mut [u8],
    login: Login<'b>,
    /// The state of the line's connection.
    session: Option<Session>,
}

/// How an attempt failed.
enum Failed {
    /// Before the socket took a byte of it.
    Unsent,
    /// With this error.
    With(Error),
}

impl<'b, N: TcpConnect + Dns> NatsTransport<'b, N> {
    /// A transport for `nats` URLs over `net`, which lives in `buffers`.
    pub fn new<const IO: usize>(
        net: &'b N,
        buffers: &'b mut Buffers<IO>,
        policy: Policy,
        login: Login<'b>,
    ) -> Self {
        let (buf, watch) = buffers.split();
        Self::on(Line::new(net, watch, policy), buf, login)
    }

    pub(crate) const fn on(line: Line<'b, N>, buf: &'b mut [u8], login: Login<'b>) -> Self {
        Self { line, buf, login, session: None }
    }

    /// Adds `tls`.
    #[cfg(feature = "_https")]
    #[must_use]
    pub fn with_tls(mut self, tls: impl Into<TlsClient<'b>>) -> Self {
        self.line.set_tls(tls.into());
        self
    }

    /// Closes the connection that is kept, if any. The next publication makes a new one.
    pub fn disconnect(&mut self) {
        self.session = None;
        self.line.link.hang_up();
    }

    /// Whether this message may go over the link that is kept, if any. Takes what the server said meanwhile.
    async fn is_ready_for(&mut self, endpoint: &Endpoint<'_>, message: &Message<'_>) -> bool {
        let Some(session) = &mut self.session else { return false };
        let link = &mut self.line.link;
        if !link.is_open() || !session.may_carry(endpoint, message, monotonic()) {
            return false;
        }
        // Let the network's task run first: it may find that the server has closed the connection.
        embassy_futures::yield_now().await;
        link.meter().begin(WIRE_MAX);
        while let core::task::Poll::Ready(read) = poll_once(link.read(self.buf)) {
            let said = read.ok().filter(|length| *length > 0);
            let Some(said) = said.and_then(|length| self.buf.get(..length)) else { return false };
            if session.received(said, monotonic()).is_err() || !session.is_kept() {
                return false;
            }
        }
        // A part of a record is lost with the read that was dropped.
        !link.is_in_record()
    }

    /// Makes a new connection, and waits until the server has said who it is.
    async fn connect(&mut self, endpoint: &Endpoint<'_>) -> Result<(), Error> {
        self.line.connect(endpoint).await?;
        let session = self.session.insert(Session::new(endpoint, monotonic()));
        self.line.link.meter().begin(WIRE_MAX);
        let mut lease = Lease::new(&mut self.line.link);
        while !session.is_greeted() {
            let length = hear(lease.link(), self.buf).await?;
            let said = self.buf.get(..length).unwrap_or_default();
            session.received(said, monotonic()).map_err(Error::Nats)?;
        }
        session.takes(self.login).map_err(Error::Nats)?;
        lease.keep();
        Ok(())
    }

    /// Publishes the message and waits for the answer. The link stays open after it only if it may carry another.
    async fn attempt(
        &mut self,
        endpoint: &Endpoint<'_>,
        message: &Message<'_>,
        is_new: bool,
    ) -> Result<Reply, Failed> {
        let Some(session) = &mut self.session else { return Err(Failed::Unsent) };
        let Ok(head) = head(self.buf, session, self.login, endpoint, message, is_new) else {
            return Ok(Reply { verdict: Verdict::Refused, code: TOO_LARGE });
        };
        let meter = self.line.link.meter();
        meter.begin(WIRE_MAX);
        let mut lease = Lease::new(&mut self.line.link);
        let link = lease.link();
        let written = write(link, self.buf, head, self.login, message.body).await;
        let mut broken = None;
        match written {
            Ok(()) => {}
            Err(_) if !meter.has_sent() => return Err(Failed::Unsent),
            // The server may have said why, before it closed the connection.
            Err(error @ Error::Disconnected(_)) => broken = Some(error),
            Err(error) => return Err(Failed::With(error)),
        }
        let reply = loop {
            let length = hear(link, self.buf).await;
            let length = length.map_err(|error| Failed::With(broken.unwrap_or(error)))?;
            let said = self.buf.get(..length).unwrap_or_default();
            match session.received(said, monotonic()) {
                Ok(Some(reply)) => break reply,
                Ok(None) if broken.is_none() && session.take_ping() => {
                    write_all(link, &[PONG]).await.map_err(Failed::With)?;
                }
                Ok(None) => {}
                Err(fault) => return Err(Failed::With(Error::Nats(fault))),
            }
        };
        if broken.is_none() && session.is_kept() {
            lease.keep();
        }
        Ok(reply)
    }
}

/// The answer to a ping.
const PONG: &[u8] = b"PONG\r\n";

/// What goes before the body, and stands in the buffer.
#[derive(Clone, Copy)]
struct Head {
    length: usize,
    /// Where the login's JWT is to be written, if there is one.
    jwt_at: Option<usize>,
}

/// Writes all that goes before the body to `buf`.
#[inline(never)]
fn head(
    buf: &mut [u8],
    session: &mut Session,
    login: Login<'_>,
    endpoint: &Endpoint<'_>,
    message: &Message<'_>,
    is_new: bool,
) -> Result<Head, EncodeError> {
    let (mut out, inbox) = (Writer::new(buf), Inbox::of(message));
    let mut jwt_at = None;
    if session.take_ping() {
        out.push(PONG)?;
    }
    if is_new {
        let at = hello(&mut out, login, session, inbox)?;
        jwt_at = (!login.jwt().is_empty()).then_some(at);
    }
    publication(&mut out, endpoint, message, inbox, session.begin())?;
    Ok(Head { length: out.finish().len(), jwt_at })
}

/// Writes the head that stands in `buf`, and the body. A small message leaves in one piece, but for a JWT.
async fn write<S: Read + Write>(
    link: &mut Link<'_, S>,
    buf: &mut [u8],
    Head { length: head, jwt_at }: Head,
    login: Login<'_>,
    body: &[u8],
) -> Result<(), Error> {
    const END: &[u8] = b"\r\n";
    let whole = head + body.len() + END.len();
    if let Some(jwt_at) = jwt_at {
        let head = buf.get(..head).unwrap_or_default();
        let (front, back) = head.split_at_checked(jwt_at).unwrap_or((head, &[]));
        return write_all(link, &[front, login.jwt().as_bytes(), back, body, END]).await;
    }
    if let Some(room) = buf.get_mut(head..whole) {
        let (first, end) = room.split_at_mut(body.len());
        first.copy_from_slice(body);
        end.copy_from_slice(END);
        return write_all(link, &[buf.get(..whole).unwrap_or_default()]).await;
    }
    write_all(link, &[buf.get(..head).unwrap_or_default(), body, END]).await
}

async fn write_all<S: Read + Write>(link: &mut Link<'_, S>, pieces: &[&[u8]]) -> Result<(), Error> {
    for piece in pieces {
        if let Err(kind) = link.write_all(piece).await {
            return Err(explain(link).unwrap_or(Error::Disconnected(kind)));
        }
    }
    let flushed = link.flush().await;
    flushed.map_err(|kind| explain(link).unwrap_or(Error::Disconnected(kind)))
}

/// Reads something.
async fn hear<S: Read + Write>(link: &mut Link<'_, S>, buf: &mut [u8]) -> Result<usize, Error> {
    match link.read(buf).await {
        Ok(0) => Err(explain(link).unwrap_or(Error::Closed)),
        Ok(length) => Ok(length),
        Err(kind) => Err(explain(link).unwrap_or(Error::Disconnected(kind))),
    }
}

/// What is known of a failure besides the network's error.
fn explain<S: Read + Write>(link: &Link<'_, S>) -> Option<Error> {
    #[cfg(feature = "_https")]
    if let Some(failure) = link.take_failure() {
        return Some(Error::TlsSession(failure));
    }
    link.meter().is_exhausted().then_some(Error::Nats(pilot_webhook_core::nats::Fault::TooLong))
}

impl<'b, N: TcpConnect + Dns, const URL: usize> Transport<EndpointBuf<URL>>
    for NatsTransport<'b, N>
{
    type Error = Error;

    async fn send(&mut self, to: &EndpointBuf<URL>, message: &Message<'_>) -> Result<Reply, Error> {
        let endpoint = &to.get();
        if !matches!(endpoint.scheme(), Scheme::Nats | Scheme::Tls) {
            return Err(Error::Scheme);
        }
        if message.id.events > 1 {
            return Ok(Reply { verdict: Verdict::TooLarge, code: TOO_LARGE });
        }
        if self.is_ready_for(endpoint, message).await {
            match self.attempt(endpoint, message, false).await {
                Ok(reply) => return Ok(reply),
                Err(Failed::With(error)) => return Err(error),
                Err(Failed::Unsent) => debug!("the kept connection failed: making a new one"),
            }
        }
        self.disconnect();
        if let Err(error) = self.connect(endpoint).await {
            warning!("no connection: {:?}", error);
            return Err(error);
        }
        self.attempt(endpoint, message, true).await.map_err(|failed| match failed {
            Failed::With(error) => error,
            Failed::Unsent => Error::Closed,
        })
    }
}

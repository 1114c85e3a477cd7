//! TCP and DNS over an embassy-net stack, with a socket that outlives its connections.
//!
//! embassy-net's own `TcpClient` takes its socket out of the stack when a connection is dropped, at
//! once: neither FIN nor RST is ever sent, and the server keeps a dead connection. Here one socket
//! stays in the stack for good. Dropping a connection closes it, and the stack sends what that
//! takes, even when the connection was dropped by a time-out at an await point.

use core::cell::{RefCell, RefMut};
use core::net::{IpAddr, SocketAddr};
use core::ops::Deref;
use core::pin::pin;

use embassy_futures::poll_once;
#[cfg(feature = "dns-servers")]
use embassy_futures::select::{Either, select};
use embassy_net::dns::{self, DnsQueryType};
use embassy_net::tcp::{ConnectError, State, TcpSocket};
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, TimeoutError, with_timeout};
use embedded_io_async::{Error as _, ErrorKind as IoKind, ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};

#[cfg(feature = "dns-servers")]
use crate::other_servers::{ADDRESSES, Addresses};

/// How long a new connection waits until the last segments of the one before it are sent. Arbitrary:
/// enough for an ARP answer on a slow link.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// A closed connection is given up after this long without a segment from the server.
const LINGER: Duration = Duration::from_secs(10);

/// How often the stack looks at a query that is not answered. smoltcp turns to the next server after 10 s, but
/// sees that they are over only when it has something else to do, or sends the query again: after 15 s.
/// Arbitrary: an acceptable delay of an event.
const LOOK: Duration = Duration::from_millis(250);

/// One TCP socket and the stack's resolver.
pub struct SocketNet<'d> {
    stack: Stack<'d>,
    socket: RefCell<TcpSocket<'d>>,
}

impl<'d> SocketNet<'d> {
    /// A socket in `stack` with these receive and transmit buffers. 1 KiB each works; more is
    /// faster on links with a long round trip.
    #[must_use]
    pub fn new(stack: Stack<'d>, rx: &'d mut [u8], tx: &'d mut [u8]) -> Self {
        let mut socket = TcpSocket::new(stack, rx, tx);
        // Requests are written in whole pieces; waiting for more of them only costs time.
        socket.set_nagle_enabled(false);
        Self { stack, socket: RefCell::new(socket) }
    }
}

impl core::fmt::Debug for SocketNet<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SocketNet").finish_non_exhaustive()
    }
}

impl<'d> TcpConnect for SocketNet<'d> {
    type Error = IoKind;
    type Connection<'a>
        = SocketConnection<'a, 'd>
    where
        Self: 'a;

    async fn connect<'a>(&'a self, remote: SocketAddr) -> Result<Self::Connection<'a>, IoKind> {
        let socket = self.socket.try_borrow_mut().map_err(|_| IoKind::AddrInUse)?;
        let mut connection = SocketConnection { socket };
        let socket = &mut *connection.socket;
        if socket.state() != State::Closed {
            socket.abort();
        }
        // A pending reset keeps the socket's address; give it the time to leave.
        let _ = with_timeout(LAST_WORDS, socket.flush()).await;
        socket.set_timeout(None);
        let address = match remote.ip() {
            IpAddr::V4(address) => IpAddress::Ipv4(address),
            #[cfg(feature = "proto-ipv6")]
            IpAddr::V6(address) => IpAddress::Ipv6(address),
            #[cfg(not(feature = "proto-ipv6"))]
            IpAddr::V6(_) => return Err(IoKind::Unsupported),
        };
        socket.connect((address, remote.port())).await.map_err(|error| match error {
            ConnectError::ConnectionReset => IoKind::ConnectionRefused,
            ConnectError::TimedOut => IoKind::TimedOut,
            ConnectError::NoRoute => IoKind::NotConnected,
            ConnectError::InvalidState => IoKind::Other,
        })?;
        Ok(connection)
    }
}

/// The addresses of this kind, of whichever DNS server answers.
#[cfg(feature = "dns-servers")]
pub(crate) async fn look_up(
    stack: Stack<'_>,
    name: &str,
    kind: DnsQueryType,
) -> Result<Addresses, dns::Error> {
    let others = crate::other_servers::ask(stack, name, kind);
    match select(ask_stack(stack, name, kind), others).await {
        Either::First(found) => found.map(|found| found.iter().copied().take(ADDRESSES).collect()),
        Either::Second(found) => Ok(found),
    }
}

/// The addresses of this kind, of the stack's DNS server.
pub(crate) async fn ask_stack(
    stack: Stack<'_>,
    name: &str,
    kind: DnsQueryType,
) -> Result<impl Deref<Target = [IpAddress]>, dns::Error> {
    let mut query = pin!(stack.dns_query(name, kind));
    loop {
        match with_timeout(LOOK, query.as_mut()).await {
            Ok(found) => return found,
            // A query that is begun makes the stack look at all of them. Dropped at once, it is not sent.
            Err(TimeoutError) => drop(poll_once(stack.dns_query(name, kind))),
        }
    }
}

#[cfg(not(feature = "dns-servers"))]
pub(crate) use ask_stack as look_up;

impl Dns for SocketNet<'_> {
    type Error = dns::Error;

    async fn get_host_by_name(&self, name: &str, kind: AddrType) -> Result<IpAddr, dns::Error> {
        // embassy-net's `DnsSocket` asks no second question when the name has no address of the first kind.
        let kinds: &[DnsQueryType] = match kind {
            AddrType::IPv6 => &[DnsQueryType::Aaaa],
            #[cfg(feature = "proto-ipv6")]
            AddrType::Either if self.stack.config_v6().is_some() => {
                &[DnsQueryType::Aaaa, DnsQueryType::A]
            }
            AddrType::IPv4 | AddrType::Either => &[DnsQueryType::A],
        };
        let mut error = dns::Error::Failed;
        for kind in kinds {
            match look_up(self.stack, name, *kind).await {
                Ok(found) => {
                    if let Some(found) = found.first() {
                        return Ok((*found).into());
                    }
                }
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    async fn get_host_by_address(
        &self,
        _address: IpAddr,
        _name: &mut [u8],
    ) -> Result<usize, dns::Error> {
        // embassy-net has no reverse look-up, and nothing here needs one.
        Err(dns::Error::Failed)
    }
}

/// A connection on [`SocketNet`]'s socket. Dropping it closes the socket: in order (FIN) when
/// everything was read, with a reset when something was left unread, as Linux does.
pub struct SocketConnection<'a, 'd> {
    socket: RefMut<'a, TcpSocket<'d>>,
}

impl core::fmt::Debug for SocketConnection<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SocketConnection").finish_non_exhaustive()
    }
}

impl Drop for SocketConnection<'_, '_> {
    fn drop(&mut self) {
        if self.socket.can_recv() {
            self.socket.abort();
        } else {
            self.socket.close();
            self.socket.set_timeout(Some(LINGER));
        }
    }
}

impl ErrorType for SocketConnection<'_, '_> {
    type Error = IoKind;
}

impl Read for SocketConnection<'_, '_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoKind> {
        self.socket.read(buf).await.map_err(|error| error.kind())
    }
}

impl Write for SocketConnection<'_, '_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        self.socket.write(buf).await.map_err(|error| error.kind())
    }

    /// Does nothing: the stack sends at once what was written, and `TcpSocket::flush` would wait
    /// for the server's acknowledgement, which a server delays in order to send it with its answer.
    async fn flush(&mut self) -> Result<(), IoKind> {
        Ok(())
    }
}

//! A network in memory with one server, which answers at once or not at all.

use std::cell::RefCell;
use std::future::pending;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};

/// What is at the other end of each connection.
pub(crate) trait Server {
    /// What it sends when it gets this.
    fn answer(&mut self, bytes: &[u8]) -> Vec<u8>;

    /// Whether it has closed the connection behind that.
    fn has_closed(&self) -> bool;
}

pub(super) struct Net<'s> {
    server: RefCell<&'s mut dyn Server>,
}

impl<'s> Net<'s> {
    pub(super) fn new(server: &'s mut dyn Server) -> Self {
        Self { server: RefCell::new(server) }
    }
}

impl<'s> TcpConnect for Net<'s> {
    type Error = ErrorKind;
    type Connection<'n>
        = Socket<'n, 's>
    where
        Self: 'n;

    async fn connect(&self, _: SocketAddr) -> Result<Socket<'_, 's>, ErrorKind> {
        Ok(Socket { net: self, sent: Vec::new(), received: Vec::new() })
    }
}

impl Dns for Net<'_> {
    type Error = ();

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> Result<IpAddr, ()> {
        Ok(Ipv4Addr::LOCALHOST.into())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ()> {
        Err(())
    }
}

pub(super) struct Socket<'n, 's> {
    net: &'n Net<'s>,
    /// What the server did not look at yet.
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl ErrorType for Socket<'_, '_> {
    type Error = ErrorKind;
}

impl Read for Socket<'_, '_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        if self.received.is_empty() && !self.sent.is_empty() {
            self.received = self.net.server.borrow_mut().answer(&std::mem::take(&mut self.sent));
        }
        if self.received.is_empty() && !self.net.server.borrow().has_closed() {
            return pending().await;
        }
        let length = self.received.len().min(buf.len());
        buf[..length].copy_from_slice(&self.received[..length]);
        self.received.drain(..length);
        Ok(length)
    }
}

impl Write for Socket<'_, '_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.sent.extend_from_slice(buf);
        Ok(buf.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

//! Events on a kept connection between the last check and the first byte of a request.

use std::cell::Cell;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{EndpointBuf, Message, Policy, Transport};
use pilot_webhook_embassy::{Buffers, NodeTransport};

/// Answers every request with 204. Before the second request on the first connection it says 202 and
/// resets, which the node gets to know when it writes.
#[derive(Default)]
struct Net {
    connections: Cell<usize>,
}

struct Connection {
    is_first: bool,
    requests: usize,
    /// What is to be read; nothing is nothing yet.
    said: &'static [u8],
}

impl ErrorType for Connection {
    type Error = ErrorKind;
}

impl Read for Connection {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        if self.said.is_empty() {
            return pending().await;
        }
        let length = buf.len().min(self.said.len());
        let (now, later) = self.said.split_at(length);
        buf[..length].copy_from_slice(now);
        self.said = later;
        Ok(length)
    }
}

impl Write for Connection {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        if self.is_first && self.requests == 1 {
            self.said = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
            return Err(ErrorKind::ConnectionReset);
        }
        if buf.ends_with(b"{}") {
            self.requests += 1;
            self.said = b"HTTP/1.1 204 No Content\r\n\r\n";
        }
        Ok(buf.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl TcpConnect for Net {
    type Error = ErrorKind;
    type Connection<'n> = Connection;

    async fn connect(&self, _: SocketAddr) -> Result<Connection, ErrorKind> {
        self.connections.set(self.connections.get() + 1);
        Ok(Connection { is_first: self.connections.get() == 1, requests: 0, said: b"" })
    }
}

impl Dns for Net {
    type Error = ErrorKind;

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> Result<IpAddr, ErrorKind> {
        Err(ErrorKind::NotFound)
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ErrorKind> {
        Err(ErrorKind::NotFound)
    }
}

/// It was taken for the answer to a request of which no byte was sent.
#[tokio::test]
async fn what_is_said_to_a_request_that_was_not_sent_is_no_answer() {
    let net = Net::default();
    let mut buffers = Buffers::<512>::new();
    let mut node = NodeTransport::new(&net, &mut buffers, Policy::default());
    let endpoint = EndpointBuf::<64>::parse("http://127.0.0.1/", Policy::default()).unwrap();
    let message = Message::new(&[], b"{}");
    for connections in [1, 2] {
        assert_eq!(node.send(&endpoint, &message).await, Ok(Response::status(204).into()));
        assert_eq!(net.connections.get(), connections);
    }
}

//! A server's end of a connection: reads requests, writes bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::sealer::Sealer;

/// A plain or TLS stream, with what was read ahead.
pub(crate) struct Wire {
    stream: Stream,
    ahead: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// A TLS connection after the handshake, whose records we encrypt ourselves.
    Sealed(TcpStream, Box<Sealer>),
}

/// The parts of a request as they came.
pub(crate) struct RawRequest {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) async fn accept(tcp: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let stream = match tls {
            None => Stream::Plain(tcp),
            Some(config) => Stream::Tls(Box::new(TlsAcceptor::from(config).accept(tcp).await?)),
        };
        Ok(Self { stream, ahead: Vec::new() })
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) | Stream::Sealed(tcp, _) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }

    fn io(&mut self) -> &mut (dyn Io + Unpin + Send) {
        match &mut self.stream {
            Stream::Plain(tcp) | Stream::Sealed(tcp, _) => tcp,
            Stream::Tls(tls) => tls,
        }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let read = self.io().read(&mut buffer).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.ahead.extend_from_slice(&buffer[..read]);
        Ok(())
    }

    /// Reads to the end of a head, and not of its body.
    pub(crate) async fn read_head(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.ahead.drain(..end + 4).collect();
                return String::from_utf8(head).map_err(io::Error::other);
            }
            self.read_more().await?;
        }
    }

    /// Reads a whole request, whose body must have a `Content-Length`.
    pub(crate) async fn read_request(&mut self) -> io::Result<RawRequest> {
        let head = self.read_head().await?;
        let length = header(&head, "content-length").and_then(|value| value.parse().ok());
        let length: usize = length.ok_or_else(|| io::Error::other("no Content-Length"))?;
        while self.ahead.len() < length {
            self.read_more().await?;
        }
        let body = self.ahead.drain(..length).collect();
        Ok(RawRequest { head, body })
    }

    /// Takes the keys of a TLS connection, to encrypt records of any kind.
    pub(crate) fn seal(self) -> io::Result<Self> {
        let stream = match self.stream {
            Stream::Tls(tls) => {
                let (tcp, tls) = tls.into_inner();
                Stream::Sealed(tcp, Box::new(Sealer::new(tls)))
            }
            Stream::Plain(_) => return Err(io::Error::other("no TLS, no records")),
            sealed => sealed,
        };
        Ok(Self { stream, ahead: self.ahead })
    }

    /// A record, encrypted. Only after [`seal`](Self::seal).
    pub(crate) fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        match &mut self.stream {
            Stream::Sealed(_, sealer) => sealer.record(kind, content),
            _ => Vec::new(),
        }
    }

    /// Sends as much as there is room for, as it is.
    pub(crate) async fn send_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.io().write(bytes).await
    }

    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.io().flush().await
    }

    /// Closes in order: all is sent, `close_notify` included, and nothing is reset.
    pub(crate) async fn close(mut self) -> io::Result<()> {
        self.io().shutdown().await?;
        self.gone().await
    }

    /// Closes without `close_notify`, as a crashed server does.
    pub(crate) async fn cut(self) -> io::Result<()> {
        self.gone().await
    }

    /// Resets the connection.
    pub(crate) async fn reset(self) -> io::Result<()> {
        self.tcp().set_zero_linger()?;
        self.gone().await
    }

    /// Drops the connection and waits until the client's kernel knows.
    async fn gone(self) -> io::Result<()> {
        let (client, server) = (self.tcp().peer_addr(), self.tcp().local_addr());
        drop(self);
        if let (Ok(client), Ok(server)) = (client, server) {
            while is_established(client, server) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }
}

trait Io: AsyncRead + AsyncWrite {}

impl<T: AsyncRead + AsyncWrite> Io for T {}

/// The value of a header, by any case of its name; of the first one if there are many.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Whether the client's kernel still has a loopback connection as established. On systems other than Linux
/// this cannot be found out so simply; there the FIN is assumed to have arrived.
fn is_established(client: SocketAddr, server: SocketAddr) -> bool {
    const ESTABLISHED: &str = "01";
    let Ok(table) = std::fs::read_to_string("/proc/net/tcp") else { return false };
    let (client, server) = (format!(":{:04X}", client.port()), format!(":{:04X}", server.port()));
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote, state) = (fields.next(), fields.next(), fields.next());
        local.is_some_and(|local| local.ends_with(&client))
            && remote.is_some_and(|remote| remote.ends_with(&server))
            && state == Some(ESTABLISHED)
    })
}

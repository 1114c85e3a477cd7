//! The traits of embedded-nal over tokio, with a fixed table of names and counters of sockets: runs
//! transports over [`TcpConnect`] and [`Dns`] on this host.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Names;

/// What happened to the sockets.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections made.
    pub made: AtomicUsize,
    /// Connections that are not closed yet.
    pub open: AtomicUsize,
    /// Names asked for.
    pub resolved: AtomicUsize,
    /// Bytes read.
    pub read: AtomicUsize,
    /// Where connections were to be made, made or not.
    pub dialled: Mutex<Vec<IpAddr>>,
}

/// A network whose resolver knows a fixed table of names. It never leaves this host: connections to other
/// hosts are refused.
#[derive(Clone, Debug, Default)]
pub struct TokioNet {
    names: HashMap<String, Vec<IpAddr>>,
    /// How long connecting to an address takes, if not no time.
    slow: HashMap<IpAddr, Duration>,
    /// What happened to its sockets.
    pub counts: Arc<Counts>,
}

impl TokioNet {
    /// Resolves `name` to `address` too.
    #[must_use]
    pub fn with(mut self, name: &str, address: &str) -> Self {
        self.names.entry(name.into()).or_default().push(address.parse().unwrap());
        self
    }

    /// Connecting to `address` takes so much time.
    #[must_use]
    pub fn slow(mut self, address: &str, time: Duration) -> Self {
        self.slow.insert(address.parse().unwrap(), time);
        self
    }

    /// A network that knows the names of a scenario.
    #[must_use]
    pub fn knowing(names: Names) -> Self {
        let names = names.iter().map(|(name, found)| ((*name).into(), found.to_vec()));
        Self { names: names.collect(), ..Self::default() }
    }
}

fn kind(error: &io::Error) -> ErrorKind {
    error.kind().into()
}

impl TcpConnect for TokioNet {
    type Error = ErrorKind;
    type Connection<'a> = Socket;

    async fn connect(&self, remote: SocketAddr) -> Result<Socket, ErrorKind> {
        self.counts.dialled.lock().unwrap().push(remote.ip());
        if let Some(time) = self.slow.get(&remote.ip()) {
            tokio::time::sleep(*time).await;
        }
        if !remote.ip().is_loopback() {
            return Err(ErrorKind::ConnectionRefused);
        }
        let stream = TcpStream::connect(remote).await.map_err(|error| kind(&error))?;
        self.counts.made.fetch_add(1, Ordering::Relaxed);
        self.counts.open.fetch_add(1, Ordering::Relaxed);
        Ok(Socket { stream, counts: self.counts.clone() })
    }
}

impl Dns for TokioNet {
    type Error = ();

    async fn get_host_by_name(&self, host: &str, family: AddrType) -> Result<IpAddr, ()> {
        self.counts.resolved.fetch_add(1, Ordering::Relaxed);
        let wanted = |address: &&IpAddr| match family {
            AddrType::IPv4 => address.is_ipv4(),
            AddrType::IPv6 => address.is_ipv6(),
            AddrType::Either => true,
        };
        self.names.get(host).and_then(|found| found.iter().find(wanted)).copied().ok_or(())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ()> {
        Err(())
    }
}

/// A connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    counts: Arc<Counts>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ErrorType for Socket {
    type Error = ErrorKind;
}

impl Read for Socket {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let read = self.stream.read(buf).await.map_err(|error| kind(&error))?;
        self.counts.read.fetch_add(read, Ordering::Relaxed);
        Ok(read)
    }
}

impl Write for Socket {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.stream.write(buf).await.map_err(|error| kind(&error))
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.stream.flush().await.map_err(|error| kind(&error))
    }
}

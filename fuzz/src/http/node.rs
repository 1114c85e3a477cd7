//! The node's transport, over a network in memory.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use pilot_webhook_core::{Policy, Transport};
use pilot_webhook_embassy::{Buffers, NodeTransport};

use super::{BODIES, Ending, Outcomes, SECOND, Script, endpoint, message};

pub(super) fn play(script: Script<'_>) -> Outcomes {
    let wave = Script::wave(script.pieces.rest()).to_vec();
    let net = Net { server: RefCell::new(Server { script, wave, connections: Vec::new() }) };
    let mut buffers = Buffers::<512>::new();
    let mut transport = NodeTransport::new(&net, &mut buffers, Policy::default());
    let endpoint = endpoint(80);
    let posts = [0, 1].map(|post| {
        let result = wait(transport.send(&endpoint, &message(post)));
        for connection in &mut net.server.borrow_mut().connections {
            let read = std::mem::take(&mut connection.read);
            assert!(read <= 64 * 1_024 + 1, "{read} bytes were read");
        }
        match result {
            Some(result) => result.map_err(|error| error.to_string()),
            None => Err("time-out".into()),
        }
    });
    let connections = net.server.borrow().connections.len();
    Outcomes { posts, connections }
}

/// Polls for as long as the future wakes itself. `None` is the engine's time-out: the network is silent. (No script makes the
/// transport wait for the end of a time limit of its own.)
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    while woken.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(value);
        }
    }
    None
}

/// Whether the future asked for another poll.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Net<'a> {
    server: RefCell<Server<'a>>,
}

struct Server<'a> {
    script: Script<'a>,
    wave: Vec<u8>,
    connections: Vec<Connection>,
}

/// One of them. The first one gets the script.
#[derive(Default)]
struct Connection {
    request: Vec<u8>,
    /// In this post.
    read: usize,
    /// What it got of the second answer.
    second: usize,
}

impl Server<'_> {
    /// What the next read of a connection gets; nothing while there is nothing.
    fn next(&mut self, index: usize, room: usize) -> Result<&[u8], ErrorKind> {
        let connection = &mut self.connections[index];
        let posts = BODIES.map(|body| connection.request.ends_with(body));
        let mut bytes: &[u8] = b"";
        if index == 0 && posts != [false; 2] {
            bytes = self.script.pieces.piece(room);
            if bytes.is_empty() {
                match self.script.ending {
                    Ending::Close => return Err(ErrorKind::ConnectionAborted),
                    Ending::Reset => return Err(ErrorKind::ConnectionReset),
                    Ending::Flood => bytes = &self.wave[..self.wave.len().min(room)],
                    Ending::Stay => {}
                }
            }
        }
        if bytes.is_empty() && posts[1] {
            let rest = &SECOND[connection.second..];
            bytes = &rest[..rest.len().min(room)];
            connection.second += bytes.len();
        }
        connection.read += bytes.len();
        Ok(bytes)
    }
}

impl<'a> TcpConnect for Net<'a> {
    type Error = ErrorKind;
    type Connection<'n>
        = Socket<'n, 'a>
    where
        Self: 'n;

    async fn connect(&self, _: SocketAddr) -> Result<Socket<'_, 'a>, ErrorKind> {
        let mut server = self.server.borrow_mut();
        server.connections.push(Connection::default());
        Ok(Socket { server: &self.server, index: server.connections.len() - 1 })
    }
}

/// Nobody asks: the endpoint is an address.
impl Dns for Net<'_> {
    type Error = ();

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> Result<IpAddr, ()> {
        Err(())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ()> {
        Err(())
    }
}

struct Socket<'n, 'a> {
    server: &'n RefCell<Server<'a>>,
    index: usize,
}

impl ErrorType for Socket<'_, '_> {
    type Error = ErrorKind;
}

impl Read for Socket<'_, '_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| {
            let mut server = self.server.borrow_mut();
            match server.next(self.index, buf.len()) {
                Ok([]) => Poll::Pending,
                Ok(bytes) => {
                    buf[..bytes.len()].copy_from_slice(bytes);
                    Poll::Ready(Ok(bytes.len()))
                }
                // The end of a stream is no error.
                Err(ErrorKind::ConnectionAborted) => Poll::Ready(Ok(0)),
                Err(error) => Poll::Ready(Err(error)),
            }
        })
        .await
    }
}

impl Write for Socket<'_, '_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        let mut server = self.server.borrow_mut();
        server.connections[self.index].request.extend_from_slice(buf);
        Ok(buf.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

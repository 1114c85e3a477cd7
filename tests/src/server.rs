//! Raw loopback servers that play a script and remember what they saw.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::wire::{self, RawRequest, Wire};

/// Anything that takes this long is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// The send buffer of a narrow server, in bytes. The kernel takes twice that.
const NARROW: u32 = 8 * 1024;

/// One thing that a server does on a connection.
#[derive(Clone, Debug)]
pub enum Act {
    /// Reads a whole request and remembers it.
    Read,
    /// Reads the head of a request, and no more of its body than comes with it.
    ReadHead,
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends bytes, each so long after the one before.
    Drip(Vec<u8>, Duration),
    /// Sends the same bytes over and over until the client goes away.
    Flood(Vec<u8>),
    /// Sends a TLS record of this type, encrypted and otherwise wrong as it may be. From then on
    /// nothing is read of the connection.
    Record(u8, Vec<u8>),
    /// Sends such records over and over until the client goes away.
    FloodRecords(u8, Vec<u8>),
    /// Reads request after request, and does with each what the function makes of it.
    Serve(fn(&Seen) -> Script),
    /// Waits until the client is done with so many posts, counted over all connections.
    AwaitPosts(usize),
    /// Keeps the connection open and does nothing.
    Hold,
    /// Closes in order.
    Close,
    /// Closes without TLS' good-bye.
    Cut,
    /// Resets the connection.
    Reset,
    /// Drops the connection, and does not wait until the client's kernel knows.
    Leave,
}

/// What a server does on one connection. At its end the connection is held.
pub type Script = Vec<Act>;

/// A request that a server read.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The connection it came over, from 0.
    pub connection: usize,
    /// The head as it came.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
    /// When it was read.
    pub at: Instant,
}

impl Seen {
    /// The value of a header, by any case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        wire::header(&self.head, name)
    }
}

#[derive(Default)]
struct Log {
    connections: usize,
    requests: Vec<Seen>,
    closed: usize,
    posts: usize,
    sent: usize,
}

/// A server on 127.0.0.1. Dropping it ends it, with all its connections.
pub struct Server {
    address: SocketAddr,
    log: Arc<watch::Sender<Log>>,
    running: Running,
}

enum Running {
    Task(JoinHandle<()>),
    /// A port that is bound but does not listen: it refuses connections, and no other program gets it.
    Refusing(TcpSocket),
}

impl Server {
    /// A server that plays the n-th script on the n-th connection, and drops any further one.
    pub async fn start(scripts: Vec<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self::serve(listener, scripts, tls)
    }

    /// The same with small buffers for what it sends, so that [`sent`](Self::sent) is not much more
    /// than what the client read.
    pub async fn start_narrow(scripts: Vec<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(NARROW).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self::serve(socket.listen(1_024).unwrap(), scripts, tls)
    }

    /// From now on, serves the port that [`refusing`](Self::refusing) took.
    ///
    /// # Panics
    /// When it serves already.
    #[must_use]
    pub fn listen(mut self, scripts: Vec<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let taken = TcpSocket::new_v4().unwrap();
        match std::mem::replace(&mut self.running, Running::Refusing(taken)) {
            Running::Refusing(socket) => Self::serve(socket.listen(1_024).unwrap(), scripts, tls),
            Running::Task(_) => panic!("it serves already"),
        }
    }

    fn serve(listener: TcpListener, scripts: Vec<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = listener.local_addr().unwrap();
        let log = Arc::new(watch::Sender::new(Log::default()));
        let task = tokio::spawn(serve(listener, scripts, tls, Arc::clone(&log)));
        Self { address, log, running: Running::Task(task) }
    }

    /// A port that refuses connections.
    #[must_use]
    pub fn refusing() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        let log = Arc::new(watch::Sender::new(Log::default()));
        Self { address, log, running: Running::Refusing(socket) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.borrow().connections
    }

    /// The requests read so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.log.borrow().requests.clone()
    }

    /// How many that are.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.log.borrow().requests.len()
    }

    /// Bytes sent so far, those included that still wait in the kernel.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.log.borrow().sent
    }

    /// Waits until it has accepted `count` connections.
    pub async fn accepted(&self, count: usize) {
        self.wait(|log| log.connections >= count).await;
    }

    /// Waits until it has read `count` requests.
    pub async fn read(&self, count: usize) {
        self.wait(|log| log.requests.len() >= count).await;
    }

    /// Waits until it has closed `count` connections and the client's side knows.
    pub async fn closed(&self, count: usize) {
        self.wait(|log| log.closed >= count).await;
    }

    /// Waits until it has sent so many bytes.
    pub async fn has_sent(&self, bytes: usize) {
        self.wait(|log| log.sent >= bytes).await;
    }

    /// Tells the server that the client is done with a post.
    pub fn post_is_done(&self) {
        self.log.send_modify(|log| log.posts += 1);
    }

    async fn wait(&self, condition: impl Fn(&Log) -> bool) {
        let mut log = self.log.subscribe();
        let waiting = log.wait_for(condition);
        // The caller checks the condition itself after a timeout.
        let _ = tokio::time::timeout(STUCK, waiting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Running::Task(task) = &self.running {
            task.abort();
        }
    }
}

async fn serve(
    listener: TcpListener,
    scripts: Vec<Script>,
    tls: Option<Arc<ServerConfig>>,
    log: Arc<watch::Sender<Log>>,
) {
    let mut scripts = scripts.into_iter();
    let mut connections = JoinSet::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let mut connection = 0;
        log.send_modify(|log| {
            connection = log.connections;
            log.connections += 1;
        });
        if let Some(script) = scripts.next() {
            let (tls, log) = (tls.clone(), Arc::clone(&log));
            connections.spawn(async move {
                // A client that goes away ends a script, as it may.
                let _ = play(tcp, script, tls, connection, &log).await;
            });
        }
    }
}

async fn play(
    tcp: TcpStream,
    script: Script,
    tls: Option<Arc<ServerConfig>>,
    connection: usize,
    log: &watch::Sender<Log>,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut wire = Wire::accept(tcp, tls).await?;
    let closed = |result| {
        log.send_modify(|log| log.closed += 1);
        result
    };
    let mut acts = VecDeque::from(script);
    while let Some(act) = acts.pop_front() {
        match act {
            Act::Read => drop(read(&mut wire, connection, log).await?),
            Act::Serve(behave) => {
                let seen = read(&mut wire, connection, log).await?;
                let answer = behave(&seen);
                acts.push_front(Act::Serve(behave));
                answer.into_iter().rev().for_each(|act| acts.push_front(act));
            }
            Act::ReadHead => drop(wire.read_head().await?),
            Act::Send(bytes) => send(&mut wire, &bytes, log).await?,
            Act::Drip(bytes, pause) => {
                for byte in bytes {
                    send(&mut wire, &[byte], log).await?;
                    tokio::time::sleep(pause).await;
                }
            }
            Act::Flood(bytes) => loop {
                send(&mut wire, &bytes, log).await?;
            },
            Act::Record(kind, content) => {
                wire = wire.seal()?;
                let record = wire.record(kind, &content);
                send(&mut wire, &record, log).await?;
            }
            Act::FloodRecords(kind, content) => {
                wire = wire.seal()?;
                loop {
                    let record = wire.record(kind, &content);
                    send(&mut wire, &record, log).await?;
                }
            }
            Act::AwaitPosts(count) => {
                // It fails when there is no server any more.
                let _ = log.subscribe().wait_for(|log| log.posts >= count).await;
            }
            Act::Hold => pending().await,
            Act::Close => return closed(wire.close().await),
            Act::Cut => return closed(wire.cut().await),
            Act::Reset => return closed(wire.reset().await),
            Act::Leave => return closed(Ok(())),
        }
    }
    pending().await
}

async fn read(wire: &mut Wire, connection: usize, log: &watch::Sender<Log>) -> io::Result<Seen> {
    let RawRequest { head, body } = wire.read_request().await?;
    let seen = Seen { connection, head, body, at: Instant::now() };
    log.send_modify(|log| log.requests.push(seen.clone()));
    Ok(seen)
}

/// Counts each piece as the kernel takes it.
async fn send(wire: &mut Wire, mut bytes: &[u8], log: &watch::Sender<Log>) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = wire.send_some(bytes).await?;
        log.send_modify(|log| log.sent += sent);
        bytes = &bytes[sent..];
    }
    wire.flush().await
}

//! Plain loopback servers that follow a script, and rustls servers that answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One thing that a server does on a connection.
#[derive(Clone, Debug)]
pub enum Act {
    /// Reads a request, by its `Content-Length`.
    Read,
    Send(Vec<u8>),
    /// Waits until the client goes away.
    Hold,
}

pub fn send(bytes: impl AsRef<[u8]>) -> Act {
    Act::Send(bytes.as_ref().to_vec())
}

/// A server with a script for each connection; the last one serves all that follow.
#[derive(Clone, Debug)]
pub struct Server {
    pub address: SocketAddr,
    pub accepted: Arc<AtomicUsize>,
    /// Connections that are over.
    pub closed: Arc<AtomicUsize>,
    pub requests: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(scripts: impl Into<Vec<Vec<Act>>>) -> Self {
        let scripts = scripts.into();
        Self::spawn(move |n, stream, requests| {
            let script = scripts.get(n).or(scripts.last()).cloned().unwrap_or_default();
            play(stream, &script, requests);
        })
    }

    /// Answers 200 to every request, over TLS.
    pub fn tls(config: ServerConfig) -> Self {
        let config = Arc::new(config);
        Self::spawn(move |_, stream, requests| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            while let Some(request) = read_request(&mut stream) {
                requests.lock().unwrap().push(request);
                if stream.write_all(OK.as_bytes()).and_then(|()| stream.flush()).is_err() {
                    return;
                }
            }
        })
    }

    fn spawn(
        serve: impl Fn(usize, TcpStream, &std::sync::Mutex<Vec<String>>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            accepted: Arc::default(),
            closed: Arc::default(),
            requests: Arc::default(),
        };
        let (here, serve) = (server.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let n = here.accepted.fetch_add(1, Ordering::SeqCst);
                let (here, serve) = (here.clone(), serve.clone());
                std::thread::spawn(move || {
                    serve(n, stream, &here.requests);
                    here.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?key=1", self.address)
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until the server has seen the end of `count` connections.
    pub async fn until_closed(&self, count: usize) {
        for _ in 0..1_000 {
            if self.closed.load(Ordering::SeqCst) >= count {
                // And until the client's side has heard of it.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the server still has an open connection");
    }
}

fn play(mut stream: TcpStream, script: &[Act], requests: &std::sync::Mutex<Vec<String>>) {
    for act in script {
        let done = match act {
            Act::Read => match read_request(&mut stream) {
                Some(request) => {
                    requests.lock().unwrap().push(request);
                    Ok(())
                }
                None => return,
            },
            Act::Send(bytes) => stream.write_all(bytes),
            Act::Hold => std::io::copy(&mut stream, &mut std::io::sink()).map(|_| ()),
        };
        if done.is_err() {
            return;
        }
    }
}

/// The text of a request, or nothing if the client goes away before its end.
fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut text = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        if let Some(end) = text.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if text.len() >= end + 4 + length {
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => text.extend_from_slice(&piece[..read]),
        }
    }
}

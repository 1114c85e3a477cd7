//! A receiver on loopback whose paths behave differently, and what came there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a path answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Takes,
    Refuses,
    /// Refuses events whose data is an odd number.
    RefusesOdd,
    Fails,
    Hangs,
    /// Takes each after this many milliseconds.
    Slow(u64),
}

#[derive(Clone)]
pub(crate) struct World {
    address: std::net::SocketAddr,
    state: Arc<Mutex<HashMap<String, Path>>>,
    taken: watch::Sender<u64>,
}

struct Path {
    behaviour: Behaviour,
    /// The data of the events that were taken, in their order.
    taken: Vec<u64>,
    /// The bodies that were taken, with their signatures.
    posts: Vec<Post>,
}

/// A body, and its signature.
pub(crate) type Post = (Vec<u8>, Option<String>);

impl World {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let world = Self { address, state: Arc::default(), taken: watch::Sender::new(0) };
        let accepting = world.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let world = accepting.clone();
                tokio::spawn(async move { world.serve(stream).await });
            }
        });
        world
    }

    /// The URL of a path that behaves so, from now on.
    pub(crate) fn url(&self, name: &str, behaviour: Behaviour) -> String {
        let path = format!("/{name}");
        let mut state = self.state.lock().unwrap();
        let new = || Path { behaviour, taken: Vec::new(), posts: Vec::new() };
        state.entry(path.clone()).or_insert_with(new).behaviour = behaviour;
        format!("http://{}{path}", self.address)
    }

    /// The data of the events that a path took.
    pub(crate) fn taken(&self, name: &str) -> Vec<u64> {
        self.state.lock().unwrap()[&format!("/{name}")].taken.clone()
    }

    /// The bodies that a path took, with their signatures.
    pub(crate) fn posts(&self, name: &str) -> Vec<Post> {
        self.state.lock().unwrap()[&format!("/{name}")].posts.clone()
    }

    /// Completes when all paths together took so many events.
    pub(crate) async fn wait_for(&self, events: u64) {
        let mut taken = self.taken.subscribe();
        let waited = taken.wait_for(|taken| *taken >= events);
        tokio::time::timeout(Duration::from_secs(60), waited).await.expect("in time").unwrap();
    }

    /// Completes when a path took so many events.
    pub(crate) async fn wait_at(&self, name: &str, events: usize) {
        let mut taken = self.taken.subscribe();
        let waited = taken.wait_for(|_| self.taken(name).len() >= events);
        tokio::time::timeout(Duration::from_secs(60), waited).await.expect("in time").unwrap();
    }

    async fn serve(&self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut stream = BufReader::new(stream);
        while let Some((path, body, signature)) = read(&mut stream).await {
            let value: Value = serde_json::from_slice(&body).unwrap();
            let events = match value {
                Value::Array(events) => events,
                event => vec![event],
            };
            let data: Vec<u64> = events.iter().map(|it| it["data"].as_u64().unwrap()).collect();
            let behaviour = self.state.lock().unwrap()[&path].behaviour;
            let status = match behaviour {
                Behaviour::Hangs => return std::future::pending().await,
                Behaviour::Fails => 500,
                Behaviour::Refuses => 400,
                Behaviour::RefusesOdd if data.iter().any(|n| n % 2 == 1) => 400,
                Behaviour::Slow(millis) => {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    200
                }
                Behaviour::Takes | Behaviour::RefusesOdd => 200,
            };
            if status == 200 {
                let number = data.len() as u64;
                let mut state = self.state.lock().unwrap();
                let at = state.get_mut(&path).unwrap();
                at.taken.extend(data);
                at.posts.push((body, signature));
                drop(state);
                self.taken.send_modify(|taken| *taken += number);
            }
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// The path and the body of the next request.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>, Option<String>)> {
    let (mut path, mut length, mut signature) = (None, 0, None);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if path.is_none() {
            path = line.split(' ').nth(1).map(str::to_owned);
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        } else if let Some(value) = line.strip_prefix("x-pilot-signature-256:") {
            signature = Some(value.trim().to_owned());
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((path?, body, signature))
}

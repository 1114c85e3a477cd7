//! A receiver that keeps requests as they came, heads and all, and answers by a script.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Request {
    /// The values of the headers of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(|pair| pair.0.eq_ignore_ascii_case(name)).map(|pair| pair.1).collect()
    }
}

type Log = Arc<(Mutex<Vec<Request>>, Condvar)>;

pub(crate) struct Receiver {
    address: SocketAddr,
    log: Log,
}

impl Receiver {
    /// Answers the request after `n` others with the status `answer(n)`.
    pub(crate) fn start(answer: impl Fn(usize) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (log, answer) = (Log::default(), Arc::new(answer));
        let of_threads = Arc::clone(&log);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&of_threads), Arc::clone(&answer));
                thread::spawn(move || serve(stream.unwrap(), &log, &*answer));
            }
        });
        Self { address, log }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The URL with a user name and a password.
    pub(crate) fn url_of(&self, userinfo: &str) -> String {
        format!("http://{userinfo}@{}/hook", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.0.lock().unwrap().clone()
    }

    /// The requests, as soon as there are so many.
    #[track_caller]
    pub(crate) fn wait_for(&self, requests: usize) -> Vec<Request> {
        let (log, come) = &*self.log;
        let few = |log: &mut Vec<Request>| log.len() < requests;
        let limit = Duration::from_secs(60);
        let (log, limit) = come.wait_timeout_while(log.lock().unwrap(), limit, few).unwrap();
        assert!(!limit.timed_out(), "{} requests", log.len());
        log.clone()
    }
}

fn serve(mut stream: TcpStream, log: &Log, answer: &dyn Fn(usize) -> u16) {
    let mut bytes = Vec::new();
    loop {
        let Some((head, length)) =
            head(&bytes).filter(|(head, length)| bytes.len() >= head.len() + length)
        else {
            let mut piece = [0; 4096];
            match stream.read(&mut piece) {
                Ok(length @ 1..) => bytes.extend_from_slice(&piece[..length]),
                _ => return,
            }
            continue;
        };
        let rest = bytes.split_off(head.len() + length);
        let body = bytes.split_off(head.len());
        bytes = rest;
        let mut requests = log.0.lock().unwrap();
        let status = answer(requests.len());
        requests.push(Request { head, body, at: Instant::now() });
        log.1.notify_all();
        drop(requests);
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// The head, if it is complete, and the length of the body.
fn head(bytes: &[u8]) -> Option<(String, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    let length = length.parse().unwrap();
    Some((head, length))
}

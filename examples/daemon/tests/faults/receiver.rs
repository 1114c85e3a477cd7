//! A receiver that refuses some events, and knows in which order they came first.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// The topic of events that are refused for good.
pub(crate) const REFUSED: &str = "refused";

/// It ends with the process.
pub(crate) struct Receiver {
    pub(crate) url: String,
    /// The number in each event's data, in the order of arrival, repetitions included.
    arrived: Arc<Mutex<Vec<u64>>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let arrived = Arc::<Mutex<Vec<u64>>>::default();
        let list = Arc::clone(&arrived);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let list = Arc::clone(&list);
                // Half a request is none.
                thread::spawn(move || serve(stream.ok()?, &list));
            }
        });
        Self { url, arrived }
    }

    /// The numbers of the events, in the order in which they came first.
    pub(crate) fn first_arrivals(&self) -> Vec<u64> {
        let mut seen = Vec::new();
        for number in &*self.arrived.lock().unwrap() {
            if !seen.contains(number) {
                seen.push(*number);
            }
        }
        seen
    }

    /// How many events came, repetitions included.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrived.lock().unwrap().len() as u64
    }
}

fn serve(stream: TcpStream, arrived: &Mutex<Vec<u64>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        let mut body = vec![0; length.parse().ok()?];
        stream.read_exact(&mut body).ok()?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        arrived.lock().unwrap().push(body["data"].as_u64().unwrap());
        let status = if body["event"] == REFUSED { "404 Not Found" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}

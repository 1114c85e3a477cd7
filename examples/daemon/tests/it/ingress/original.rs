//! A sender that behaves as pilot's Go plugin: one event after the other over a kept connection, three attempts, ids
//! from 1 with each start.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use pilot_webhook_core::Secret;

/// How often it tries, and how long it waits in between: 1 s and 2 s, here much shorter.
const ATTEMPTS: usize = 3;
const BACKOFF: Duration = Duration::from_millis(10);

pub(crate) struct Original {
    to: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    secret: Option<Secret>,
    next_id: u64,
    /// Loses the answers to its first two attempts: the first one comes too late, and the second connection breaks.
    pub(crate) loses_answers: bool,
}

/// The status, the head in lower case and the body of an answer.
pub(crate) type Answer = (u16, String, String);

impl Original {
    pub(crate) fn start(to: SocketAddr) -> Self {
        let (connection, secret) = (None, None);
        Self { to, connection, secret, next_id: 1, loses_answers: false }
    }

    pub(crate) fn start_with_secret(to: SocketAddr, secret: &[u8]) -> Self {
        Self { secret: Secret::new(secret), ..Self::start(to) }
    }

    /// Posts an event, with the next id; returns the last answer. `None`: every attempt was lost.
    pub(crate) fn emit(
        &mut self,
        topic: &str,
        node_id: u64,
        time: &str,
        data: &str,
    ) -> Option<u16> {
        let id = self.next_id;
        self.next_id += 1;
        let data = if data == "null" { String::new() } else { format!(",\"data\":{data}") };
        let body = format!(
            "{{\"event_id\":{id},\"event\":{topic},\"node_id\":{node_id},\"timestamp\":{time}{data}}}"
        );
        self.deliver(&body)
    }

    fn deliver(&mut self, body: &str) -> Option<u16> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(BACKOFF * 2_u32.pow(u32::try_from(attempt).unwrap() - 1));
            }
            if self.loses_answers && attempt == 1 {
                self.send(body);
                self.connection = None;
                continue;
            }
            let (status, _, _) = self.post(body);
            if self.loses_answers && attempt == 0 {
                self.connection = None;
                continue;
            }
            last = Some(status);
            if status < 500 {
                break;
            }
        }
        last
    }

    /// One attempt.
    pub(crate) fn post(&mut self, body: &str) -> Answer {
        self.send(body);
        let answer = self.read();
        if answer.1.contains("connection: close\r\n") {
            self.connection = None;
        }
        answer
    }

    pub(crate) fn send(&mut self, body: &str) {
        let signature = self.secret.as_ref().map(|secret| secret.sign(body.as_bytes()));
        let signature = signature.map_or(String::new(), |signature| {
            format!("X-Pilot-Signature-256: {}\r\n", signature.as_str())
        });
        let length = body.len();
        self.write(&format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {length}\r\n\
             Content-Type: application/json\r\n{signature}Accept-Encoding: gzip\r\n\r\n{body}",
            self.to
        ));
    }

    /// Sends bytes.
    pub(crate) fn write(&mut self, bytes: &str) {
        let to = self.to;
        let connection = self.connection.get_or_insert_with(|| {
            let stream = TcpStream::connect(to).unwrap();
            // The original's own.
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            BufReader::new(stream)
        });
        connection.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    /// Reads an answer.
    pub(crate) fn read(&mut self) -> Answer {
        let connection = self.connection.as_mut().unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(connection.read_line(&mut head).unwrap() > 0, "cut: {head}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        connection.read_exact(&mut body).unwrap();
        (head[9..12].parse().unwrap(), head, String::from_utf8(body).unwrap())
    }
}

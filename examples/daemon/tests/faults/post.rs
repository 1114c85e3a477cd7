//! A sender of POSTs as pilot's Go plugin makes them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::place::topic;

/// How long the original waits for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    /// From the request on.
    pub(crate) after: Duration,
}

/// One attempt to post an event, over a connection of its own. `None`: there was no answer in that time.
pub(crate) fn post(to: SocketAddr, number: u64, patience: Duration) -> Option<Answer> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(patience)).unwrap();
    let body = format!(
        "{{\"event_id\":{number},\"event\":\"{}\",\"node_id\":5,\
         \"timestamp\":\"2026-01-15T12:34:56Z\",\"data\":{number}}}",
        topic(number)
    );
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + &body).as_bytes()).ok()?;
    let (mut stream, mut head) = (BufReader::new(stream), String::new());
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    Some(Answer { status: head[9..12].parse().ok()?, head, after: begun.elapsed() })
}

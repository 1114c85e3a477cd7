//! Emitting an event allocates nothing, and neither does delivering it. A program of its own, because its allocator
//! counts.
#![allow(clippy::unwrap_used, reason = "a failed test says where and why at once")]

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use pilot_webhook_core::EmitError;
use pilot_webhook_std::{Client, Event, Incoming, Source, Timestamp};
use serde::Serialize;

use counting::ALLOCATIONS;

mod counting;
#[cfg(feature = "outbox")]
mod outbox;

/// How many allocations this thread makes in `f`.
fn allocations(f: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

#[derive(Serialize)]
struct Established {
    conn_id: u32,
    dst_port: u16,
    src_addr: &'static str,
}

const DATA: Established = Established { conn_id: 2, dst_port: 444, src_addr: "0:0000.0000.0002" };

#[tokio::test]
async fn emit_allocates_nothing_whatever_becomes_of_the_event() {
    // Nobody answers there, and on this thread nobody asks before an await.
    let client = Client::builder("http://127.0.0.1:9/").queue_capacity(100).build().unwrap();
    // The thread's scratch buffer is made once.
    let first = allocations(|| assert_eq!(client.emit("conn.established", &DATA), Ok(Some(1))));
    assert_eq!(first, 1, "the scratch buffer, for good");
    let queued = allocations(|| {
        for _ in 0..99 {
            client.emit("conn.established", &DATA).unwrap();
        }
    });
    assert_eq!(queued, 0, "taken in");
    // The first drop in a second is a log line, which nobody listens to here.
    let dropped = allocations(|| {
        for _ in 0..100 {
            assert_eq!(client.emit("conn.established", &DATA), Err(EmitError::Full));
        }
    });
    assert_eq!(dropped, 0, "dropped");
    client.set_url("").unwrap();
    let disabled = allocations(|| assert_eq!(client.emit("t", &DATA), Ok(None)));
    assert_eq!(disabled, 0, "disabled");
}

/// Yields the same event so many times.
struct Same(usize);

impl Source for Same {
    type Receipt = Infallible;

    fn can_wait(&self) -> bool {
        self.0.is_multiple_of(2)
    }

    async fn next(&mut self) -> Option<Incoming<'_>> {
        self.0 = self.0.checked_sub(1)?;
        let event = Event::new("conn.established", 7, Timestamp::UNIX_EPOCH);
        Some(Incoming::new(event, r#"{"conn_id":2}"#))
    }
}

#[tokio::test]
async fn a_source_without_receipts_allocates_nothing() {
    let client = Client::builder("http://127.0.0.1:9/").queue_capacity(200).build().unwrap();
    client.pull(&mut Same(2)).await;
    let before = ALLOCATIONS.get();
    client.pull(&mut Same(100)).await;
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(client.stats().queued, 102);
}

/// A receiver on a thread of its own, whose allocations are not counted here.
fn receiver() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => return,
                length => request.extend_from_slice(&buffer[..length]),
            }
            // Every body here ends like this, and no head does.
            if request.ends_with(b"}}") {
                request.clear();
                stream.write_all(b"HTTP/1.1 204 No Content\r\nServer: test\r\n\r\n").unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn delivering_over_a_kept_connection_allocates_nothing() {
    const EVENTS: u64 = 1_000;
    let client = Client::builder(format!("http://{}/hook", receiver())).secret(b"hush").build();
    let client = client.unwrap();
    let deliver = async |events: u64| {
        let before = ALLOCATIONS.get();
        for _ in 0..events {
            client.emit("conn.established", &DATA).unwrap();
        }
        let drained = tokio::time::timeout(Duration::from_secs(60), client.drained());
        drained.await.expect("the receiver answers at once");
        ALLOCATIONS.get() - before
    };
    // The connection is made, and buffers grow to what they need.
    deliver(100).await;
    let allocations = deliver(EVENTS).await;
    assert_eq!(client.stats().delivered, 100 + EVENTS);
    assert_eq!(allocations, 0, "in {EVENTS} deliveries");
}

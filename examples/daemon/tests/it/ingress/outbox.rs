//! With an outbox a 204 is a promise that outlives the daemon.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pilot_webhook_std::outbox::{Ledger, OutboxFile};
use serde_json::Value;

use super::daemon::Daemon;
use super::delivery::emit_captured;
use super::original::Original;
use crate::support::{self, Sink, daemon};

/// How often the daemon is killed. Arbitrary; `PILOT_KILLS` is another number.
const KILLS: u32 = 8;

fn ledger(file: &Path) -> Ledger {
    OutboxFile::open(file).unwrap().status().unwrap().ledger
}

fn start(sink: &Sink, file: &Path) -> Daemon {
    Daemon::start(daemon(&sink.url()).args(support::hold()).arg("--outbox").arg(file))
}

fn kill(listening: Daemon) {
    support::signal(&listening.child, "KILL");
    let _ = support::wait(listening.child);
}

#[test]
fn what_was_answered_204_is_delivered_after_a_kill_and_known_as_a_repeat() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sink = Sink::reserve();
    let listening = start(&sink, &file);
    assert_eq!(emit_captured(&mut Original::start(listening.address)), 54);
    kill(listening);
    assert_eq!((ledger(&file).accepted, ledger(&file).delivered), (54, 0));

    let sink = sink.start_after(Duration::ZERO).join().unwrap();
    let listening = start(&sink, &file);
    // All of them again, as from a sender that had no answers.
    assert_eq!(emit_captured(&mut Original::start(listening.address)), 54);
    sink.wait_for(54);
    let stats = listening.stop();
    support::expect_all_in_order(&sink);
    let law = &stats["outbox"];
    let counts = ["accepted", "delivered", "stored"].map(|key| law[key].as_u64());
    assert_eq!(counts, [Some(54), Some(54), Some(0)], "{stats}");
    assert_eq!((stats["posted"].as_u64(), stats["sent_back"].as_u64()), (Some(54), Some(0)));
}

#[test]
fn what_cannot_be_stored_is_refused_and_what_comes_without_a_webhook_waits() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let mut command = support::bare();
    command.args(["run", "--outbox"]).arg(&file);
    command.arg("--socket").arg(directory.path().join("pilot.sock"));
    let listening = Daemon::start(&mut command);
    let mut original = Original::start(listening.address);
    let long = format!("{{\"event\":\"{}\"}}", "x".repeat(70_000));
    let (status, _, reason) = original.post(&format!("[{{\"event\":\"a\"}},{long}]"));
    assert_eq!(status, 413);
    assert_eq!(reason, "1 of 2 events are queued: the payload is longer than an event may be\n");
    let stats = listening.stop();
    assert_eq!((stats["posted"].as_u64(), stats["sent_back"].as_u64()), (Some(2), Some(1)));
    assert_eq!(stats["outbox"]["stored"], 1);
}

#[test]
fn what_a_full_outbox_has_no_room_for_is_the_senders_until_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sink = Sink::reserve();
    let mut command = daemon(&sink.url());
    command.args(["--on-open", "hold", "--circuit-cooldown", "1s", "--retry-backoff", "50ms"]);
    // Room for three of 33 bytes.
    command.args(["--on-full", "drop-newest", "--outbox-max-bytes", "100", "--outbox"]).arg(&file);
    let listening = Daemon::start(&mut command);
    let mut original = Original::start(listening.address);
    let body = |id: u64| {
        format!(
            "{{\"event_id\":{id},\"event\":\"e\",\"node_id\":5,\"timestamp\":\"2026-01-15T12:34:56Z\"}}"
        )
    };
    for (id, status) in [(1, 204), (2, 204), (3, 204), (4, 503)] {
        assert_eq!(original.post(&body(id)).0, status, "{id}");
    }
    let sink = sink.start_after(Duration::ZERO).join().unwrap();
    sink.wait_for(3);
    // The delivered ones leave the file with its next commit.
    let begun = Instant::now();
    while original.post(&body(4)).0 != 204 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(5));
    }
    sink.wait_for(4);
    let stats = listening.stop();
    assert_eq!(stats["outbox"]["delivered"], 4);
    assert!(stats["sent_back"].as_u64().unwrap() >= 1);
}

/// Posts, until it is told to end, one event after the other, each until it is answered 204; returns how many.
fn post_all(to: &Mutex<Option<SocketAddr>>, ends: &AtomicBool) -> u64 {
    let mut posted = 0;
    while !ends.load(Relaxed) {
        posted += 1;
        let body = format!(
            "{{\"event_id\":{posted},\"event\":\"t\",\"node_id\":5,\
             \"timestamp\":\"2026-01-15T12:34:56Z\",\"data\":{posted}}}"
        );
        while try_post(*to.lock().unwrap(), &body) != Some(204) {
            thread::sleep(Duration::from_millis(1));
        }
    }
    posted
}

/// One attempt, over a connection of its own; the status, if there was an answer.
fn try_post(to: Option<SocketAddr>, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(to?).ok()?;
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    std::str::from_utf8(&answer[9..]).ok()?.parse().ok()
}

#[test]
fn a_daemon_that_is_killed_under_load_keeps_all_that_it_has_answered_for() {
    let kills = std::env::var("PILOT_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sink = Sink::start();
    let (to, ends) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
    let sender = {
        let (to, ends) = (Arc::clone(&to), Arc::clone(&ends));
        thread::spawn(move || post_all(&to, &ends))
    };
    for life in 0..kills {
        let listening = start(&sink, &file);
        *to.lock().unwrap() = Some(listening.address);
        // Any moment of some tens of posts.
        thread::sleep(Duration::from_micros(20_000 + u64::from(life) * 7_919 % 20_000));
        kill(listening);
    }
    let listening = start(&sink, &file);
    *to.lock().unwrap() = Some(listening.address);
    ends.store(true, Relaxed);
    let posted = sender.join().unwrap();
    let begun = Instant::now();
    while ledger(&file).stored > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", ledger(&file));
        thread::sleep(Duration::from_millis(5));
    }
    listening.stop();
    let mut seen = Vec::new();
    for body in sink.received() {
        let body: Value = serde_json::from_str(&body).unwrap();
        let (id, number) = (body["event_id"].as_u64().unwrap(), body["data"].as_u64().unwrap());
        assert_eq!(id, number, "each is stored once, in the order of posting");
        // One that comes again was delivered, and its end was not stored yet.
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    assert_eq!(seen, (1..=posted).collect::<Vec<_>>(), "in the order of first arrival");
    assert_eq!((ledger(&file).accepted, ledger(&file).delivered), (posted, posted));
    assert_eq!(OutboxFile::open(&file).unwrap().verify().unwrap().problems, [""; 0]);
}

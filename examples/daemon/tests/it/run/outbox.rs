//! Events that stand in a file: nothing is lost when the daemon dies.

use std::io::Write as _;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use pilot_webhook_std::outbox::{Ledger, OutboxFile};
use serde_json::Value;

use crate::support::{EVENTS, Sink, daemon, expect_all_in_order, run, signal, wait};

/// How often the daemon is killed. Arbitrary; `.ci/nightly` does it 200 times.
const KILLS: u64 = 12;
const EVENTS_OF_A_LIFE: u64 = 40;

fn ledger(file: &Path) -> Ledger {
    OutboxFile::open(file).unwrap().status().unwrap().ledger
}

/// Waits until the file says so.
#[track_caller]
fn until(file: &Path, is_so: impl Fn(&Ledger) -> bool) {
    let start = Instant::now();
    while !(file.exists() && OutboxFile::open(file).is_ok_and(|_| is_so(&ledger(file)))) {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", ledger(file));
        thread::sleep(Duration::from_millis(5));
    }
}

fn kill(child: Child) {
    signal(&child, "KILL");
    let _ = wait(child);
}

#[test]
fn the_captured_events_arrive_through_the_outbox() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sink = Sink::start();
    let (stats, output) =
        run(daemon(&sink.url()).args(["--events", EVENTS, "--outbox"]).arg(&file));
    assert!(output.status.success(), "{output:?}");
    expect_all_in_order(&sink);
    let law = &stats["outbox"];
    assert_eq!(
        (&law["accepted"], &law["delivered"], &law["stored"]),
        (&54.into(), &54.into(), &0.into())
    );
}

#[test]
fn what_was_stored_when_the_daemon_was_killed_arrives_after_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sink = Sink::reserve();
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--outbox"]).arg(&file);
    let killed = command.spawn().unwrap();
    until(&file, |ledger| ledger.accepted == 54);
    kill(killed);
    let sink = sink.start_after(Duration::ZERO).join().unwrap();
    let mut command = daemon(&sink.url());
    // An input that is empty: it ends when all is delivered.
    let (stats, output) = run(command.args(["--events", "-", "--outbox"]).arg(&file));
    assert!(output.status.success(), "{output:?}");
    expect_all_in_order(&sink);
    assert_eq!(stats["outbox"]["delivered"], 54);
    assert_eq!(OutboxFile::open(&file).unwrap().verify().unwrap().problems, [""; 0]);
}

/// In each life events are stored, delivered and removed; each life ends at any of these points.
#[test]
fn a_daemon_that_is_killed_again_and_again_loses_nothing_and_keeps_order() {
    let kills = std::env::var("PILOT_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sink = Sink::start();
    for life in 0..kills {
        let mut command = daemon(&sink.url());
        command.args(["--events", "-", "--outbox"]).arg(&file);
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        for n in 0..EVENTS_OF_A_LIFE {
            writeln!(input, r#"{{"topic":"t","data":{}}}"#, life * EVENTS_OF_A_LIFE + n).unwrap();
        }
        // What is not in the file yet was never promised.
        until(&file, |ledger| ledger.accepted == (life + 1) * EVENTS_OF_A_LIFE);
        // Any time from now on: the deliveries take some milliseconds.
        thread::sleep(Duration::from_micros(life * 7_919 % 20_000));
        kill(child);
    }
    let (_, output) = run(daemon(&sink.url()).args(["--events", "-", "--outbox"]).arg(&file));
    assert!(output.status.success(), "{output:?}");
    let all = kills * EVENTS_OF_A_LIFE;
    let received = sink.received();
    let events: Vec<Value> =
        received.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    let mut seen = Vec::new();
    for event in &events {
        let id = event["event_id"].as_u64().unwrap();
        assert_eq!(event["data"], id - 1);
        // One that comes again was delivered, and its end was not stored yet.
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    assert_eq!(seen, (1..=all).collect::<Vec<_>>(), "in the order of first arrival");
    let ledger = ledger(&file);
    assert_eq!((ledger.accepted, ledger.delivered), (all, all));
    assert_eq!(OutboxFile::open(&file).unwrap().verify().unwrap().problems, [""; 0]);
}

#[test]
fn an_outbox_that_cannot_be_used_is_an_error_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    std::fs::write(&text, "not a database, but long enough to be taken for one by its length")
        .unwrap();
    for (path, reason) in [
        (text.as_path(), "not a SQLite database"),
        (&directory.path().join("no/such/events.db"), "its directory does not exist"),
    ] {
        let mut command = daemon("http://localhost:1/");
        let output = wait(command.arg("--outbox").arg(path).spawn().unwrap());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.lines().last().unwrap().ends_with(reason), "{stderr}");
    }
}

/// As logrotate does it: `events.1` becomes `events.2`, and `events` becomes `events.1`.
fn rotate(events: &Path) -> std::fs::File {
    let name = |number: u32| format!("{}.{number}", events.display());
    let newest = (1..).find(|number| !Path::new(&name(*number)).exists()).unwrap();
    for number in (1..newest).rev() {
        std::fs::rename(name(number), name(number + 1)).unwrap();
    }
    std::fs::rename(events, name(1)).unwrap();
    std::fs::File::create(events).unwrap()
}

/// A line is stored with the place behind it, in one transaction: a crash neither repeats nor skips one.
#[test]
fn a_file_that_is_followed_is_read_once_however_often_the_daemon_is_killed() {
    let kills = std::env::var("PILOT_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let (file, events) =
        (directory.path().join("events.db"), directory.path().join("events.jsonl"));
    let sink = Sink::start();
    let start = || {
        let mut command = daemon(&sink.url());
        command.arg("--events").arg(&events).args(["--follow", "--outbox"]).arg(&file);
        command.spawn().unwrap()
    };
    let mut log = std::fs::File::create(&events).unwrap();
    let mut next = 1;
    for life in 0..kills {
        let child = start();
        for _ in 0..EVENTS_OF_A_LIFE {
            writeln!(log, r#"{{"topic":"t","data":{next}}}"#).unwrap();
            next += 1;
        }
        // In some lives nothing is read, in others a part, in others all, and more is delivered or less.
        let stored = life % 4 * EVENTS_OF_A_LIFE / 3;
        let before = if file.exists() { ledger(&file).accepted } else { 0 };
        until(&file, |ledger| ledger.accepted >= (before + stored).min(next - 1));
        kill(child);
        // Nobody sees the files between.
        for _ in 0..life % 4 {
            log = rotate(&events);
            for _ in 0..3 {
                writeln!(log, r#"{{"topic":"t","data":{next}}}"#).unwrap();
                next += 1;
            }
        }
    }
    let child = start();
    until(&file, |ledger| ledger.accepted == next - 1 && ledger.stored == 0);
    signal(&child, "TERM");
    let _ = wait(child);
    let mut seen = Vec::new();
    for body in sink.received() {
        let event: Value = serde_json::from_str(&body).unwrap();
        let data = event["data"].as_u64().unwrap();
        // The id goes with the line.
        assert_eq!(event["event_id"], data);
        if !seen.contains(&data) {
            seen.push(data);
        }
    }
    assert_eq!(seen, (1..next).collect::<Vec<_>>());
    assert_eq!(ledger(&file).accepted, next - 1);
}

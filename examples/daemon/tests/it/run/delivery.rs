//! What arrives, and how.

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::expect_undelivered;
use crate::support::{self, EVENTS, Sink, daemon, expect_all_in_order, hold, run};

#[test]
fn the_captured_events_arrive_in_order_once_each_over_http() {
    let sink = Sink::start();
    let (stats, output) = run(daemon(&sink.url()).args(["--events", EVENTS, "--node-id", "9"]));
    assert!(output.status.success());
    expect_all_in_order(&sink);
    assert_eq!((stats["delivered"].as_u64(), stats["attempts"].as_u64()), (Some(54), Some(54)));
    assert_eq!(stats["last_status"], 204);
    assert_eq!(stats["breaker"], "closed");
}

#[test]
fn the_captured_events_arrive_in_order_once_each_over_https() {
    let sink = Sink::start_tls();
    let ca = sink.ca_file();
    let (_, output) =
        run(daemon(&sink.url()).args(["--events", EVENTS]).arg("--ca-file").arg(ca.path()));
    assert!(output.status.success());
    expect_all_in_order(&sink);
}

#[test]
fn without_the_ca_file_nothing_is_sent_over_https() {
    let sink = Sink::start_tls();
    let (stats, _) = run(daemon(&sink.url()).args(["--events", EVENTS, "--retry-backoff", "1ms"]));
    assert_eq!(stats["delivered"], 0);
    assert_eq!((stats["exhausted"].as_u64(), stats["skipped"].as_u64()), (Some(5), Some(49)));
    assert!(sink.received().is_empty());
}

#[test]
fn with_hold_a_receiver_that_is_down_loses_nothing() {
    let sink = Sink::reserve();
    let url = sink.url();
    let back = sink.start_after(Duration::from_secs(3));
    let mut command = daemon(&url);
    command.args(["--events", EVENTS, "--queue-capacity", "8"]).args(hold());
    let (stats, output) = run(&mut command);
    assert!(output.status.success());
    let sink = back.join().unwrap();
    expect_all_in_order(&sink);
    assert!(stats["circuit_opens"].as_u64() >= Some(1), "{stats}");
    assert_eq!(stats["delivered"], 54);
}

#[test]
fn with_skip_every_event_is_accounted_for() {
    let sink = Sink::reserve();
    let (stats, output) =
        run(daemon(&sink.url()).args(["--events", EVENTS, "--retry-backoff", "10ms"]));
    expect_undelivered(&output, "54 of 54 events were not delivered: exhausted 5, skipped 49");
    let count = |key: &str| stats[key].as_u64().unwrap();
    assert_eq!(count("emitted"), 54);
    assert_eq!((count("exhausted"), count("skipped"), count("attempts")), (5, 49, 15));
    assert_eq!((count("circuit_opens"), &stats["breaker"]), (1, &Value::from("open")));
}

#[test]
fn events_are_signed_with_the_secret_of_the_file() {
    let sink = Sink::start_with_secret(b"hush");
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"hush\n").unwrap();
    let (stats, _) =
        run(daemon(&sink.url()).args(["--events", EVENTS]).arg("--secret-file").arg(secret.path()));
    // The receiver answers 401 to a wrong signature.
    assert_eq!((stats["delivered"].as_u64(), stats["rejected"].as_u64()), (Some(54), Some(0)));
}

/// The events of batches that arrived, and how many there were in each.
fn unpacked(sink: &Sink) -> (Vec<Value>, Vec<usize>) {
    let bodies = sink.received();
    let batches: Vec<Vec<Value>> =
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    let sizes = batches.iter().map(Vec::len).collect();
    (batches.concat(), sizes)
}

#[test]
fn batches_hold_the_captured_events_in_order_once_each() {
    let sink = Sink::start_for_batches(b"hush", 1 << 20);
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"hush").unwrap();
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--batch", "20", "--batch-delay", "2s", "--secret-file"]);
    let (stats, _) = run(command.arg(secret.path()));
    let (events, sizes) = unpacked(&sink);
    support::expect_captured(&events);
    // Two are full. The last one waits for more until the end of its delay.
    assert_eq!(sizes, [20, 20, 14]);
    assert_eq!((stats["delivered"].as_u64(), stats["attempts"].as_u64()), (Some(54), Some(3)));
}

#[test]
fn batches_that_are_too_large_for_the_receiver_get_smaller() {
    let sink = Sink::start_for_batches(b"hush", 1_500);
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"hush").unwrap();
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--batch", "54", "--batch-delay", "2s", "--secret-file"]);
    let (stats, _) = run(command.arg(secret.path()));
    let (events, sizes) = unpacked(&sink);
    support::expect_captured(&events);
    assert!(sizes.iter().all(|size| *size < 15), "{sizes:?}");
    assert_eq!((stats["delivered"].as_u64(), stats["rejected"].as_u64()), (Some(54), Some(0)));
    assert!(stats["attempts"].as_u64() > Some(sizes.len() as u64), "{stats}");
}

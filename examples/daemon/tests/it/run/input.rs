//! Files, pipes and lines of all kinds.

use std::io::{Read as _, Write as _};

use serde_json::Value;

use super::expect_undelivered;
use super::signal::input;
use crate::support::{self, EVENTS, Sink, daemon, expect_all_in_order, run};

/// A file of as many lines.
pub(crate) fn lines(count: usize) -> tempfile::NamedTempFile {
    let mut events = tempfile::NamedTempFile::new().unwrap();
    events.write_all(&b"{\"topic\":\"a\"}\n".repeat(count)).unwrap();
    events
}

#[test]
fn standard_input_is_read_and_bad_lines_are_counted_and_said() {
    let sink = Sink::start();
    let mut child = daemon(&sink.url()).args(["--events", "-"]).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(
            b"{\"topic\":\"a\",\"node_id\":3,\"timestamp\":\"2026-01-15T12:34:56.789Z\"}\nnope\n",
        )
        .unwrap();
    input.write_all(b"{\"topic\":\"b\",\"data\":{\"k\":[1, 2]},\"extra\":0}").unwrap();
    drop(input);
    let (stats, output) = support::end(child);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("line 2:"), "{stderr}");
    assert_eq!((stats["bad_lines"].as_u64(), stats["delivered"].as_u64()), (Some(1), Some(2)));
    expect_undelivered(&output, "1 of 3 events were not delivered: bad_lines 1");
    assert_eq!(
        sink.received()[0],
        "{\"event_id\":1,\"event\":\"a\",\"node_id\":3,\"timestamp\":\"2026-01-15T12:34:56.789Z\"}"
    );
    let second: Value = serde_json::from_str(&sink.received()[1]).unwrap();
    assert_eq!(second["data"]["k"][1], 2);
    assert_eq!(second["node_id"], 0);
}

/// Of 10,000 lines 1,069 were delivered and the rest dropped.
#[test]
fn a_file_that_is_longer_than_the_queue_is_delivered_as_a_whole() {
    let sink = Sink::start_with_secret(b"hush");
    let mut key = tempfile::NamedTempFile::new().unwrap();
    key.write_all(b"hush\n").unwrap();
    let events = lines(3_000);
    let mut command = support::bare();
    command.args(["run", "--events"]).arg(events.path()).args(["--webhook", &sink.url()]);
    let (stats, output) = run(command.arg("--secret-file").arg(key.path()));
    assert!(output.status.success(), "{stats}");
    assert_eq!((stats["delivered"].as_u64(), stats["lines"].as_u64()), (Some(3_000), Some(3_000)));
}

/// As with `drop-newest`: it is the reader that waits, whatever becomes of other events.
#[test]
fn block_when_full_waits_whatever_on_full_says() {
    let sink = Sink::start();
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--queue-capacity", "1"]);
    let (stats, output) = run(command.args(["--on-full", "drop-oldest", "--block-when-full"]));
    assert!(output.status.success(), "{stats}");
    expect_all_in_order(&sink);
}

/// It was said not to be JSON.
#[test]
fn data_that_is_nested_too_deep_is_said_to_be() {
    let sink = Sink::start();
    let mut events = tempfile::NamedTempFile::new().unwrap();
    for depth in [128, 129] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        writeln!(events, r#"{{"topic":"a","data":{open}{close}}}"#).unwrap();
    }
    let (_, output) = run(daemon(&sink.url()).arg("--events").arg(events.path()));
    expect_undelivered(&output, "1 of 2 events were not delivered: oversize 1");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("line 2: the data is nested deeper than 128 levels"), "{stderr}");
}

/// They were discarded, with exit 0.
#[test]
fn events_that_no_webhook_can_come_for_are_not_read() {
    let (mut rest, input) = input(b"{\"topic\":\"a\"}\n");
    let mut command = support::bare();
    command.args(["run", "--events", "-"]).stdin(rest.try_clone().unwrap());
    let output = support::wait(command.spawn().unwrap());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.starts_with("pilot-webhookd: there is no webhook for the events"), "{stderr}");
    drop(input);
    let mut left = String::new();
    rest.read_to_string(&mut left).unwrap();
    assert_eq!(left, "{\"topic\":\"a\"}\n");
}

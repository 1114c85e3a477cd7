//! A signal ends it.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};

use serde_json::Value;

use crate::support::{self, Sink, daemon, signal};

#[test]
fn a_signal_drains_prints_the_stats_and_exits_well() {
    for name in ["TERM", "INT"] {
        let sink = Sink::start();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut child = daemon(&sink.url())
            .args(["--events", "-", "--stats-file"])
            .arg(file.path())
            .spawn()
            .unwrap();
        // The pipe stays open: only the signal ends it.
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"{\"topic\":\"a\"}\n").unwrap();
        input.flush().unwrap();
        sink.wait_for(1);
        signal(&child, name);
        let (stats, output) = support::end(child);
        assert!(output.status.success());
        assert_eq!(stats["delivered"], 1);
        let written: Value =
            serde_json::from_str(&std::fs::read_to_string(file.path()).unwrap()).unwrap();
        assert_eq!(written, stats);
    }
}

/// A pipe with this in it, both ends of it.
pub(crate) fn input(written: &[u8]) -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(written).unwrap();
    (reader, writer)
}

/// What is counted and logged when a signal comes while a receiver does not answer, and what is left in
/// the pipe.
#[track_caller]
pub(crate) fn stopped(written: &[u8]) -> (Value, String, String) {
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", receiver.local_addr().unwrap());
    let (mut rest, input) = input(written);
    let mut command = daemon(&url);
    command
        .args(["--events", "-", "--queue-capacity", "8", "--drain-timeout", "500ms"])
        .stdin(rest.try_clone().unwrap());
    let child = command.spawn().unwrap();
    // There is an attempt, so something was read.
    let _silent = receiver.accept().unwrap();
    signal(&child, "TERM");
    let (stats, output) = support::end(child);
    assert!(output.status.success());
    drop(input);
    let mut left = String::new();
    rest.read_to_string(&mut left).unwrap();
    (stats, String::from_utf8(output.stderr).unwrap(), left)
}

/// 170 of 200 were in no counter, and the next one was torn.
#[test]
fn of_lines_that_wait_at_a_signal_none_is_lost_from_sight_and_none_is_torn() {
    let line = "{\"topic\":\"a topic that makes this longer\"}\n";
    let (stats, _, left) = stopped(line.repeat(1_000).as_bytes());
    // How far it came until the signal is a matter of time.
    assert!((1..=8).contains(&stats["emitted"].as_u64().unwrap()), "{stats}");
    assert_eq!(stats["abandoned"], stats["emitted"]);
    let lines = stats["lines"].as_u64().unwrap();
    assert!((1..1_000).contains(&lines), "{stats}");
    assert_eq!(left, line.repeat(1_000 - usize::try_from(lines).unwrap()));
}

#[test]
fn a_line_that_was_begun_is_counted_at_a_signal() {
    let (stats, _, left) = stopped(b"{\"topic\":\"a\"}\n{\"topic\":");
    assert_eq!((stats["emitted"].as_u64(), stats["not_taken"].as_u64()), (Some(1), Some(1)));
    assert_eq!(left, "");
}

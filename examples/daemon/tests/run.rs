//! `pilot-webhookd run`, as others script against it: the real binary, a real receiver.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

mod support;

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{EVENTS, Sink, daemon, expect_all_in_order, hold, run, signal};

/// It ended with status 3 and this line. It was 0, whatever became of the events.
#[track_caller]
fn expect_undelivered(output: &Output, line: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let expected = format!("pilot-webhookd: {line}");
    assert_eq!(stderr.lines().last(), Some(expected.as_str()), "{stderr}");
}

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

/// It spoke of the first event only.
#[test]
fn what_is_logged_of_a_batch_says_how_many_events_it_is_about() {
    let sink = Sink::reserve();
    let mut command = daemon(&sink.url());
    // A full batch goes at once.
    command.args(["--events", EVENTS, "--batch", "54", "--batch-delay", "60s"]);
    let (stats, output) = run(command.args(["--retry-backoff", "1ms"]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stats["exhausted"], 54);
    assert!(stderr.contains("event 1 and 53 more, attempt 1: no connection"), "{stderr}");
    assert!(stderr.contains("event 1 and 53 more: given up"), "{stderr}");
}

/// Nothing was said at all.
#[test]
fn it_says_what_it_is_going_to_do_and_shows_no_path() {
    let sink = Sink::start();
    let url = format!("{}?key=hunter2", sink.url());
    let mut command = daemon(&url);
    let (_, output) = run(command.args(["--events", EVENTS, "--on-open", "hold"]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let host = sink.url().replace("/hook", "");
    let expected = format!(
        "info: delivering events of {EVENTS} to {host}, unsigned; --on-full block, --on-open hold"
    );
    assert!(stderr.lines().next().unwrap().ends_with(&expected), "{stderr}");
    assert!(!stderr.contains("hunter2") && !stderr.contains("hook"), "{stderr}");
}

#[test]
fn bad_usage_exits_2_with_one_line() {
    for (arguments, expected) in [
        (vec!["--webhook", "ftp://example.com/"], "http:// or https://"),
        (vec!["--webhook", "http://169.254.169.254/"], "link-local"),
        (vec!["--webhook", "http://127.0.0.1/", "--deny-private"], "private"),
        (vec!["--http-timeout", "5"], "--http-timeout"),
        (vec!["--http-timeout", "0s"], "timeout"),
        (vec!["--circuit-threshold", "0"], "threshold"),
        (vec!["--queue-capacity", "0"], "queue"),
        (vec!["--batch", "0"], "batch"),
        (vec!["--batch", "70000"], "--batch"),
        (vec!["--batch-delay", "1"], "--batch-delay"),
        (vec!["--on-full", "panic"], "--on-full"),
        (vec!["--events", "/nowhere/at/all"], "/nowhere/at/all"),
        (vec!["--secret-file", "/nowhere/at/all"], "/nowhere/at/all"),
        (vec!["--ca-file", "/nowhere/at/all"], "/nowhere/at/all"),
        (vec!["--what"], "--what"),
        (vec!["extra"], "extra"),
    ] {
        let output = support::bare().arg("run").args(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}

/// A file of as many lines.
fn ten_thousand() -> tempfile::NamedTempFile {
    let mut events = tempfile::NamedTempFile::new().unwrap();
    events.write_all(&b"{\"topic\":\"a\"}\n".repeat(10_000)).unwrap();
    events
}

/// The README's command. It delivered 1,069 and dropped the rest.
#[test]
fn a_file_that_is_longer_than_the_queue_is_delivered_as_a_whole() {
    let sink = Sink::start_with_secret(b"hush");
    let mut key = tempfile::NamedTempFile::new().unwrap();
    key.write_all(b"hush\n").unwrap();
    let events = ten_thousand();
    let mut command = support::bare();
    command.args(["run", "--events"]).arg(events.path()).args(["--webhook", &sink.url()]);
    let (stats, output) = run(command.arg("--secret-file").arg(key.path()));
    assert!(output.status.success(), "{stats}");
    assert_eq!(
        (stats["delivered"].as_u64(), stats["lines"].as_u64()),
        (Some(10_000), Some(10_000))
    );
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

#[test]
fn a_flood_of_drops_is_a_handful_of_log_lines() {
    let sink = Sink::reserve();
    let events = ten_thousand();
    let mut command = daemon(&sink.url());
    command.arg("--events").arg(events.path()).args(["--queue-capacity", "1"]);
    command.args(["--on-full", "drop-newest", "--retry-backoff", "10ms"]);
    let (stats, output) = run(command.args(["--log-format", "json"]));
    assert!(stats["dropped"].as_u64() > Some(5_000), "{stats}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let (log, _) = stderr.trim_end().rsplit_once('\n').unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!((1..40).contains(&lines.len()), "{} lines", lines.len());
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

/// Each was a log line.
#[test]
fn a_flood_of_bad_lines_is_a_handful_of_log_lines() {
    let sink = Sink::start();
    let mut events = tempfile::NamedTempFile::new().unwrap();
    let oversize = format!("{{\"topic\":\"{}\"}}\n", "x".repeat(70_000));
    events.write_all("nope\n".repeat(100_000).as_bytes()).unwrap();
    events.write_all(oversize.repeat(100).as_bytes()).unwrap();
    let mut command = daemon(&sink.url());
    let (stats, output) = run(command.arg("--events").arg(events.path()));
    expect_undelivered(
        &output,
        "100100 of 100100 events were not delivered: oversize 100, bad_lines 100000",
    );
    assert_eq!(stats["lines"], 100_100);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("line 1: not a JSON object"), "{stderr}");
    assert!(stderr.contains("more lines are like that"), "{stderr}");
    assert!(stderr.lines().count() < 40, "{stderr}");
}

/// Printing panicked, and the file was not written.
#[test]
fn a_closed_standard_output_is_no_failure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let sink = Sink::start();
    let mut run = daemon(&sink.url());
    run.args(["--events", EVENTS, "--stats-file"]).arg(file.path());
    for mut command in [run, demo()] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = support::wait(command.stdout(writer).spawn().unwrap());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{}: {stderr}", output.status);
    }
    let written: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    assert_eq!(written["delivered"], 54);
}

#[test]
fn a_stats_file_that_cannot_be_written_is_named_and_exits_1() {
    let sink = Sink::start();
    let mut command = daemon(&sink.url());
    let (stats, output) =
        run(command.args(["--stats-file", "/nowhere/at/all"]).args(["--events", EVENTS]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &stats["delivered"]), (Some(1), &Value::from(54)));
    assert!(stderr.lines().last().unwrap().contains("/nowhere/at/all"), "{stderr}");
}

/// It was followed, or waited for a reader, deaf to signals.
#[test]
fn a_stats_file_that_is_no_regular_file_is_refused_before_anything_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("victim"), "as it was").unwrap();
    std::os::unix::fs::symlink(at("victim"), at("link")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    for path in [at("link"), at("pipe"), "/dev/null".into(), directory.path().into()] {
        let mut command = daemon("http://127.0.0.1:1/");
        command.args(["--events", EVENTS, "--stats-file"]).arg(&path);
        let output = support::wait(command.spawn().unwrap());
        let stderr = String::from_utf8(output.stderr).unwrap();
        let expected = format!("pilot-webhookd: {}: not a regular file\n", path.display());
        assert_eq!((output.status.code(), stderr), (Some(2), expected));
    }
    assert_eq!(std::fs::read_to_string(at("victim")).unwrap(), "as it was");
}

/// Nothing was left of it.
#[test]
fn on_a_full_disk_the_old_stats_file_stays() {
    let sink = Sink::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stats");
    std::fs::write(&file, "as it was").unwrap();
    let mut command = Command::new("sh");
    // No file may have a byte.
    command.args(["-c", r#"trap "" XFSZ; ulimit -f 0; exec "$0" "$@""#]);
    let run = daemon(&sink.url());
    command.arg(run.get_program()).args(run.get_args()).args(["--events", EVENTS, "--stats-file"]);
    command.arg(&file).env("PILOT_HOME", "/nowhere/at/all");
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "as it was");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// The failure of the file hid what had become of the events.
#[test]
fn of_two_failures_the_status_tells_of_the_events_and_both_are_said() {
    let sink = Sink::reserve();
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--retry-backoff", "1ms"]);
    let (_, output) = run(command.args(["--stats-file", "/nowhere/at/all"]));
    expect_undelivered(&output, "54 of 54 events were not delivered: exhausted 5, skipped 49");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("/nowhere/at/all"), "{stderr}");
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

/// A pipe with this in it, both ends of it.
fn input(written: &[u8]) -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(written).unwrap();
    (reader, writer)
}

/// What is counted and logged when a signal comes while a receiver does not answer, and what is left in
/// the pipe.
#[track_caller]
fn stopped(written: &[u8]) -> (Value, String, String) {
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", receiver.local_addr().unwrap());
    let (mut rest, input) = input(written);
    let mut command = daemon(&url);
    command.args(["--events", "-", "--queue-capacity", "8"]).stdin(rest.try_clone().unwrap());
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

/// "After its last attempt", it said, and "within the HTTP timeout".
#[test]
fn the_log_says_of_an_event_what_happened_to_it() {
    let sink = Sink::start_ill(Some(61));
    let mut command = daemon(&sink.url());
    let (_, output) = run(command.args(["--events", EVENTS]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("event 1: given up after attempt 1\n"), "{stderr}");

    let sink = Sink::start_ill(None);
    let mut command = daemon(&sink.url());
    let (_, output) = run(command.args(["--events", EVENTS, "--retry-backoff", "1ms"]));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("event 1: given up after attempt 3\n"), "{stderr}");

    // Nobody answers, and the drain is shorter than the HTTP timeout.
    let (_, stderr, _) = stopped(b"{\"topic\":\"a\"}\n");
    let cut = "event 1, attempt 1: no answer before the end of the drain\n";
    assert!(stderr.contains(cut), "{stderr}");
}

/// A pipe in which there is no room, and its other end, which nobody reads.
fn full() -> (UnixStream, UnixStream) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    while ours.write(&[b'.'; 1024]).is_ok() {}
    ours.set_nonblocking(false).unwrap();
    (ours, theirs)
}

/// Delivery stopped at the first log line, and the process could only be killed.
#[test]
fn a_standard_error_that_nobody_reads_holds_nobody_up() {
    let sink = Sink::reserve();
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--on-open", "hold", "--circuit-cooldown", "1s"]);
    command.args(["--retry-backoff", "10ms"]);
    let (stderr, _nobody_reads) = full();
    let child = command.stderr(OwnedFd::from(stderr)).spawn().unwrap();
    // A second of failures, each with a log line.
    let sink = sink.start_after(Duration::from_secs(1)).join().unwrap();
    let (stats, output) = support::end(child);
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(stats["delivered"], 54);
    expect_all_in_order(&sink);
}

#[test]
fn outputs_that_nobody_reads_do_not_keep_it_from_ending() {
    let sink = Sink::reserve();
    let (stderr, _nobody_reads) = full();
    for stdout in [Stdio::null(), OwnedFd::from(stderr.try_clone().unwrap()).into()] {
        let mut command = daemon(&sink.url());
        command.args(["--events", EVENTS, "--retry-backoff", "1ms"]).stdout(stdout);
        let stderr = OwnedFd::from(stderr.try_clone().unwrap());
        let output = support::wait(command.stderr(stderr).spawn().unwrap());
        assert_eq!(output.status.code(), Some(3));
    }
}

#[test]
fn a_standard_error_that_was_closed_is_no_failure() {
    let sink = Sink::reserve();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--retry-backoff", "1ms"]).stderr(writer);
    assert_eq!(run(&mut command).1.status.code(), Some(3));
}

/// The demo, five times as fast.
fn demo() -> Command {
    let mut command = support::bare();
    command.args(["demo", "--pace", "30ms"]);
    command
}

#[test]
fn the_demo_shows_the_breaker_and_ends_well() {
    let output = support::wait(demo().spawn().unwrap());
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{stdout}");
    for words in [
        "Shortened: ",
        "breaker open",
        "half-open",
        "breaker closed",
        "every event is accounted for",
    ] {
        assert!(stdout.contains(words), "{stdout}");
    }
}

/// What stood in the certificate was in the log as it was: escape sequences, and 59 kB of names.
#[test]
fn what_a_server_says_is_escaped_and_cut_in_the_log() {
    let mut names = vec!["\u{1b}[2J\nforged".to_owned()];
    names.extend((0..700).map(|n| format!("{n}.{}.example", "x".repeat(60))));
    let sink = Sink::start_tls_as(names);
    let ca_file = sink.ca_file();
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--retry-backoff", "1ms", "--ca-file"]).arg(ca_file.path());
    let (_, output) = run(&mut command);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("attempt 1: the TLS handshake failed"), "{log}");
    assert!(log.lines().all(|line| line.len() < 1_024), "{log}");
    assert!(!log.contains(|c: char| c.is_control() && c != '\n'), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("forged")), "{log}");
}

/// With 6 and 7 files it panicked, in a dependency, and exited 101.
#[test]
fn too_few_files_to_start_with_are_said_in_one_line() {
    for files in 5..=12 {
        let script = format!("ulimit -n {files} && exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_pilot-webhookd"), "info"]);
        command.args(["--socket", "/nowhere/at/all"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), stderr.lines().count()),
            (Some(1), 1),
            "{files}: {stderr}"
        );
        assert!(stderr.starts_with("pilot-webhookd: "), "{files}: {stderr}");
    }
}

/// Without a thread for the reader it panicked, too. Only root may become a user whose threads are counted.
#[test]
fn too_few_threads_to_start_with_are_an_error() {
    let sink = Sink::start();
    for threads in 1..=4 {
        // The option has one name in dash and another in bash.
        let limit = format!("ulimit -p {threads} || ulimit -u {threads}");
        let script = format!("{{ {limit}; }} 2>/dev/null && exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_pilot-webhookd"), "run"]);
        command.args(["--webhook", &sink.url(), "--events", "-"]).uid(54_321).gid(54_321);
        let Ok(output) = command.stdin(Stdio::null()).output() else { return };
        let stderr = String::from_utf8(output.stderr).unwrap();
        let last = stderr.lines().last().unwrap_or_default();
        // As many as there are threads enough.
        if output.status.code() != Some(0) {
            assert_eq!(output.status.code(), Some(1), "{threads}: {stderr}");
            assert!(last.starts_with("pilot-webhookd: no "), "{threads}: {stderr}");
        }
        assert!(!stderr.contains("panicked"), "{threads}: {stderr}");
    }
}

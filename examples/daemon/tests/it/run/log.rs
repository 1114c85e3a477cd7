//! What is logged, and how much.

use std::io::Write as _;

use serde_json::{Value, json};

use super::expect_undelivered;
use super::input::lines;
use super::signal::stopped;
use crate::support::{EVENTS, Sink, daemon, run};

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
fn a_flood_of_drops_is_a_handful_of_log_lines() {
    let sink = Sink::reserve();
    let events = lines(10_000);
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

/// The lines of JSON that a run with these options logs.
fn json_lines(sink: &Sink) -> Vec<Value> {
    let mut command = daemon(&sink.url());
    command.args(["--events", EVENTS, "--retry-backoff", "20ms", "--log-format", "json"]);
    let (_, output) = run(&mut command);
    let stderr = String::from_utf8(output.stderr).unwrap();
    // The last line says what was not delivered, in text.
    stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_line_of_json_has_its_facts_as_fields() {
    let lines = json_lines(&Sink::start_ill(None));
    let of = |key: &str| lines.iter().find(|line| !line[key].is_null()).unwrap();
    let failed = of("status");
    assert_eq!((&failed["event"], &failed["attempt"]), (&json!(1), &json!(1)), "{failed}");
    assert_eq!((&failed["status"], &failed["level"]), (&json!(503), &json!("warn")), "{failed}");
    assert_eq!(failed["topic"], "node.registered", "{failed}");
    assert!(failed["error"].is_null(), "{failed}");
    assert_eq!(failed["message"], "event 1, attempt 1: status 503");
    assert_eq!(of("next_attempt_ms")["next_attempt_ms"], 20);
    assert_eq!(of("fate")["fate"], "exhausted");
    assert_eq!(of("breaker")["breaker"], "open");

    let lines = json_lines(&Sink::reserve());
    assert!(lines.iter().any(|line| line["error"] == "connect"), "{lines:?}");
}

#[test]
fn a_filter_that_is_none_is_said_and_passed_over() {
    let sink = Sink::start();
    let mut command = daemon(&sink.url());
    let (_, output) = run(command.args(["--events", EVENTS]).env("RUST_LOG", "info=no"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("warn: RUST_LOG is no list of levels and targets"), "{stderr}");
    assert!(stderr.contains("info: delivering events"), "{stderr}");
    let mut command = daemon(&sink.url());
    let (_, output) = run(command.args(["--events", EVENTS]).env("RUST_LOG", "warn"));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

//! Standard output, standard error and the stats file, where something is wrong with them.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::expect_undelivered;
use super::start::demo;
use crate::support::{self, EVENTS, Sink, daemon, expect_all_in_order, run};

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

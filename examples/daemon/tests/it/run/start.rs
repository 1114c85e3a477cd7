//! Options that cannot be used, and too little to start with; the demo.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::support::{self, Sink};

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

/// The demo, five times as fast.
pub(crate) fn demo() -> Command {
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

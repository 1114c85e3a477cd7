//! A file that goes on.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr};

use crate::support::{self, EVENTS, Sink, bare, daemon, signal};

/// A daemon that follows a file in a directory of its own, which need not be there.
struct Following {
    sink: Sink,
    directory: tempfile::TempDir,
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Following {
    fn start(prepare: impl FnOnce(&Path)) -> Self {
        let sink = Sink::start();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        prepare(&path);
        let mut command = daemon(&sink.url());
        let mut child = command.arg("--events").arg(&path).arg("--follow").spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { sink, directory, child, log }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("events")
    }

    fn append(&self, text: &str) {
        let mut file = File::options().append(true).create(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// As many events have arrived, the last of them this one.
    #[track_caller]
    fn expect(&self, count: usize, topic: &str) {
        self.sink.wait_for(count);
        let received = self.sink.received();
        assert_eq!(received.len(), count, "{received:?}");
        assert!(received[count - 1].contains(&format!("\"event\":\"{topic}\"")), "{received:?}");
    }

    fn wait_for_log(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "it says: {text}");
        }
    }

    /// Ends it with a signal; returns its counters and the rest of its log.
    fn end(mut self) -> (serde_json::Value, String) {
        signal(&self.child, "TERM");
        let (stats, output) = support::end(self.child);
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        assert!(output.status.success(), "{log}");
        (stats, log)
    }
}

fn event(topic: &str) -> String {
    format!("{{\"topic\":\"{topic}\"}}\n")
}

#[test]
fn a_file_is_waited_for_and_read_through_rotation_and_truncation() {
    let mut following = Following::start(|_| ());
    following.wait_for_log("there is no file of events: it is waited for");
    following.append(&event("first"));
    following.expect(1, "first");
    // Half of a line is none yet.
    following.append("{\"topic\":");
    following.append("\"second\"}\n");
    following.expect(2, "second");

    // As logrotate does it by default. The writer has the old file for a while.
    let mut writer = File::options().append(true).open(following.path()).unwrap();
    fs::rename(following.path(), following.directory.path().join("events.1")).unwrap();
    File::create(following.path()).unwrap();
    writer.write_all(event("third").as_bytes()).unwrap();
    following.expect(3, "third");
    following.append(&event("fourth"));
    following.expect(4, "fourth");

    // As logrotate does it with `copytruncate`.
    File::options().write(true).open(following.path()).unwrap().set_len(0).unwrap();
    following.append(&event("fifth"));
    following.expect(5, "fifth");

    let (stats, log) = following.end();
    assert_eq!((stats["lines"].as_u64(), stats["delivered"].as_u64()), (Some(5), Some(5)));
    assert!(log.contains("the file of events is there"), "{log}");
    assert!(log.contains("was truncated"), "{log}");
}

/// It would be taken for the beginning of the next file's first line.
#[test]
fn half_a_line_at_the_end_of_a_rotated_file_is_a_bad_line() {
    let following = Following::start(|path| fs::write(path, event("first")).unwrap());
    following.expect(1, "first");
    following.append("{\"topic\":");
    fs::rename(following.path(), following.directory.path().join("events.1")).unwrap();
    following.append(&event("second"));
    following.expect(2, "second");
    let (stats, _) = following.end();
    assert_eq!((stats["lines"].as_u64(), stats["bad_lines"].as_u64()), (Some(3), Some(1)));
}

#[test]
fn half_a_line_at_a_signal_is_not_taken() {
    let following = Following::start(|path| fs::write(path, event("first") + "{").unwrap());
    following.expect(1, "first");
    let (stats, _) = following.end();
    assert_eq!((stats["lines"].as_u64(), stats["not_taken"].as_u64()), (Some(2), Some(1)));
}

#[test]
fn something_else_in_the_files_place_is_said_and_the_next_file_is_read() {
    let mut following = Following::start(|path| fs::write(path, event("first")).unwrap());
    following.expect(1, "first");
    fs::rename(following.path(), following.directory.path().join("events.1")).unwrap();
    fs::create_dir(following.path()).unwrap();
    following.wait_for_log("cannot be opened yet: neither a regular file nor a named pipe");
    fs::remove_dir(following.path()).unwrap();
    following.append(&event("second"));
    following.expect(2, "second");
    let (stats, log) = following.end();
    assert_eq!(stats["delivered"], 2);
    // Once.
    assert!(!log.contains("cannot be opened"), "{log}");
}

/// Writers that begin with `rm -f` and `mkfifo` were never heard again.
#[test]
fn a_named_pipe_is_followed_when_another_takes_its_place() {
    let make = |path: &Path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let following = Following::start(make);
    fs::write(following.path(), event("first")).unwrap();
    following.expect(1, "first");
    fs::write(following.path(), event("second")).unwrap();
    following.expect(2, "second");
    fs::remove_file(following.path()).unwrap();
    make(&following.path());
    fs::write(following.path(), event("third")).unwrap();
    following.expect(3, "third");
    assert_eq!(following.end().0["delivered"], 3);
}

#[test]
fn what_cannot_be_followed_is_refused_with_the_reason() {
    let directory = env!("CARGO_MANIFEST_DIR");
    let cases: [(&[&str], &str); 3] = [
        (&["-"], "standard input cannot be followed"),
        (&[EVENTS, "--exit-at-end"], "cannot be used with '--exit-at-end'"),
        (&[directory], "neither a regular file nor a named pipe"),
    ];
    for (arguments, reason) in cases {
        let mut command = bare();
        command.args(["run", "--webhook", "http://127.0.0.1:1/", "--follow", "--events"]);
        let output = support::wait(command.args(arguments).spawn().unwrap());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.lines().last().unwrap().contains(reason), "{stderr}");
    }
}

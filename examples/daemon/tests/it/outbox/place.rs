//! A file with events in it, and the commands on it.

use std::path::PathBuf;
use std::process::{Command, Output};

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    DeadFate, DeadReason, End, NewEvent, Outbox, OutboxOptions, Position,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support;

pub(crate) const NOON: Timestamp = Timestamp::new(1_768_480_496, 789_000_000);

pub(crate) struct Place {
    _directory: TempDir,
    pub(crate) path: PathBuf,
}

/// A command's exit status, and what it printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// What it printed, a JSON value a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("events.db");
        Self { _directory: directory, path }
    }

    pub(crate) fn open(&self) -> Outbox {
        Outbox::open(&self.path, OutboxOptions::default()).unwrap()
    }

    /// A live outbox with six events: 1 was delivered, 2 and 3 are dead letters, 4 to 6 wait.
    pub(crate) async fn filled(&self) -> Outbox {
        let outbox = self.open();
        let event = |topic| NewEvent::new(topic, 7, NOON);
        let events = [
            event("conn.established").with_data("{\"n\":1}"),
            event("conn.lost").with_data("{\"n\":2}"),
            event("peer.lost").with_data("\"x\\u001b[2J\""),
            event("conn.established").with_data("{ \"big\":\n12345678901234567890123 }"),
            event("a\u{1b}[2Jb"),
            event("conn.lost").with_data("null").with_origin_id(u64::MAX),
        ];
        let position = Position { source: "file", text: "120" };
        outbox.put_all(&events, Some(position)).unwrap().await.unwrap();
        let dead = |fate, attempts, status, error: Option<&str>| {
            let url = "http://127.0.0.1:9/hook".to_owned();
            let error = error.map(str::to_owned);
            End::Dead(Box::new(DeadReason { fate, attempts, status, error, url }))
        };
        outbox.pilot().end(1, End::Delivered);
        outbox.pilot().end(2, dead(DeadFate::Rejected, 1, Some(400), None));
        outbox
            .pilot()
            .end(3, dead(DeadFate::Exhausted, 3, None, Some("refused\nby \u{1b}[2Jthe host")));
        // What was handed in before is on disk with this.
        outbox.put_all(&[], None).unwrap().await.unwrap();
        outbox
    }

    /// The same, stopped.
    pub(crate) async fn stopped() -> Self {
        let place = Self::new();
        place.filled().await.close().await.unwrap();
        place
    }

    /// `pilot-webhookd outbox ARGUMENTS --outbox FILE`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = support::bare();
        command.arg("outbox").args(arguments).arg("--outbox").arg(&self.path);
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        done(&mut self.command(arguments))
    }

    /// Its standard output; it does not fail.
    #[track_caller]
    pub(crate) fn out(&self, arguments: &[&str]) -> String {
        let Done { status, out, err } = self.run(arguments);
        assert_eq!((status, err.as_str()), (0, ""), "{arguments:?}");
        out
    }

    /// As [`out`](Self::out), with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let done = self.run(&[arguments, &["--json"]].concat());
        assert_eq!((done.status, done.err.as_str()), (0, ""), "{arguments:?}");
        done.json()
    }

    pub(crate) fn sql(&self, text: &str) {
        rusqlite::Connection::open(&self.path).unwrap().execute_batch(text).unwrap();
    }
}

pub(crate) fn done(command: &mut Command) -> Done {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { status: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

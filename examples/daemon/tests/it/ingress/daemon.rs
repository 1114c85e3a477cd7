//! A daemon that listens.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support;

/// How long a line of the log may take. Arbitrary, and far more than it takes on a loaded host.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Daemon {
    pub(crate) child: Child,
    /// What it wrote to standard error, line by line.
    log: mpsc::Receiver<String>,
    pub(crate) address: SocketAddr,
}

impl Daemon {
    /// Starts it on a port that the system gives, and reads the port from the log.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_at("0", command)
    }

    #[track_caller]
    pub(crate) fn start_at(listen: &str, command: &mut Command) -> Self {
        let mut child = command.args(["--listen", listen]).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (lines, log) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|l| lines.send(l)));
        let mut daemon = Self { child, log, address: ([127, 0, 0, 1], 0).into() };
        let line = daemon.wait_for_log("delivering ");
        let address = line.split_once("posted to http://").unwrap().1;
        daemon.address = address.split_once("/ ").unwrap().0.parse().unwrap();
        daemon
    }

    /// Reads the log up to the line with these words.
    #[track_caller]
    pub(crate) fn wait_for_log(&mut self, words: &str) -> String {
        let mut passed = Vec::new();
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {words:?} in the log: {passed:#?}"));
            if line.contains(words) {
                return line;
            }
            passed.push(line);
        }
    }

    /// Ends it by a signal; returns its counters, which add up.
    #[track_caller]
    pub(crate) fn stop(self) -> Value {
        support::signal(&self.child, "TERM");
        let (stats, output) = support::end(self.child);
        assert!(output.status.success());
        stats
    }
}

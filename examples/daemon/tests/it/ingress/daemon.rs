//! A daemon that listens.

use std::net::SocketAddr;
use std::process::{Child, Command};

use serde_json::Value;

use crate::log::Log;
use crate::support;

pub(crate) struct Daemon {
    pub(crate) child: Child,
    log: Log,
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
        let log = Log::of(&mut child);
        let line = log.wait_for("delivering ");
        let address = line.split_once("posted to http://").unwrap().1;
        let address = address.split_once("/ ").unwrap().0.parse().unwrap();
        Self { child, log, address }
    }

    /// Reads the log up to the line with these words.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, words: &str) -> String {
        self.log.wait_for(words)
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

//! Where a process lives again and again: an outbox's file, a receiver, and what must hold at the end.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pilot_webhook_std::outbox::{Ledger, OutboxFile, OutboxStatus};
use tempfile::TempDir;

use crate::receiver::{REFUSED, Receiver};

/// How many events there are.
pub(crate) const EVENTS: u64 = 4;
/// The one that the receiver refuses.
const THE_REFUSED: u64 = 2;

pub(crate) struct Place {
    directory: TempDir,
    pub(crate) receiver: Receiver,
}

pub(crate) fn topic(number: u64) -> &'static str {
    if number == THE_REFUSED { REFUSED } else { "t" }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), receiver: Receiver::start() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        self.path("events.db")
    }

    /// The daemon, without a source.
    pub(crate) fn daemon(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pilot-webhookd"));
        // No URL of this machine's user.
        command.env("PILOT_HOME", "/nowhere/at/all").env_remove("PILOT_WEBHOOK_URL");
        command.args(["run", "--webhook", &self.receiver.url, "--outbox"]).arg(self.outbox());
        command
    }

    /// The events as lines of JSON.
    pub(crate) fn lines() -> String {
        (1..=EVENTS)
            .map(|number| format!("{{\"topic\":\"{}\",\"data\":{number}}}\n", topic(number)))
            .collect()
    }

    /// What the file says, if there is one.
    pub(crate) fn status(&self) -> Option<OutboxStatus> {
        OutboxFile::open(self.outbox()).ok()?.status().ok()
    }

    /// Of the first so many events, each has arrived, first arrivals are in order, and the refused one is a dead
    /// letter; there are no others; the file is sound and its counters obey the law. Returns how many.
    #[track_caller]
    pub(crate) fn check(&self, story: &str) -> u64 {
        let file = OutboxFile::open(self.outbox()).unwrap();
        let found = file.verify().unwrap();
        assert_eq!(found.problems, [""; 0], "{story}");
        let Ledger { accepted, delivered, rejected, stored, dead, .. } = found.ledger;
        let refused = u64::from(accepted >= THE_REFUSED);
        assert_eq!(
            (delivered, rejected, dead, stored),
            (accepted - refused, refused, refused, 0),
            "{accepted} accepted; {story}"
        );
        let arrived = self.receiver.first_arrivals();
        assert_eq!(arrived, (1..=accepted).collect::<Vec<_>>(), "{story}");
        accepted
    }

    /// A log that was written since the last call, by lines.
    pub(crate) fn take_log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        log.lines().map(str::to_owned).collect()
    }
}

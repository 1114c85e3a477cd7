//! An attempt while it resolves and connects: its deadline, and what its end says about kept addresses.

use std::io;

use pilot_webhook_core::{Endpoint, Host, Verdict};
use tokio::time::Instant;

use crate::http::config::Shared;
use crate::http::error::HttpError;

/// An attempt under way. When it fails, the kept addresses of its host are discarded, unless the attempt
/// merely ran out of time before it could use them.
pub(crate) struct Attempt<'a> {
    shared: &'a Shared,
    name: Option<&'a str>,
    /// An attempt before it failed.
    pub(crate) fresh: bool,
    began: Instant,
    is_late: bool,
    outcome: Outcome,
}

enum Outcome {
    /// The receiver answered, and need not be asked again.
    Succeeded,
    Failed,
    /// It timed out. An attempt that is dropped counts as such.
    RanOut,
}

impl<'a> Attempt<'a> {
    /// An attempt that begins now.
    pub(crate) fn begin(shared: &'a Shared, endpoint: &Endpoint<'a>, fresh: bool) -> Self {
        let name = match endpoint.host() {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        };
        let began = Instant::now();
        Self { shared, name, fresh, began, is_late: false, outcome: Outcome::RanOut }
    }

    /// The deadline for resolving and connecting.
    pub(crate) fn until(&self) -> Instant {
        self.began + self.shared.dial_time
    }

    /// It begins to wait for its host's addresses.
    pub(crate) fn look_up(&mut self) {
        self.is_late = true;
    }

    /// It has its host's addresses. Returns whether that is late: more than half of its time is over.
    pub(crate) fn found(&mut self) -> bool {
        self.is_late = self.began.elapsed() > self.shared.dial_time / 2;
        self.is_late
    }

    /// How it ended.
    pub(crate) fn end(&mut self, result: Result<Verdict, &HttpError>) {
        self.outcome = match result {
            Ok(Verdict::Later(_)) => Outcome::Failed,
            Ok(_) => Outcome::Succeeded,
            Err(HttpError::LookUpTimedOut { .. }) => Outcome::RanOut,
            Err(HttpError::Connect { error, .. }) if error.kind() == io::ErrorKind::TimedOut => {
                Outcome::RanOut
            }
            Err(_) => Outcome::Failed,
        };
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let has_failed = match self.outcome {
            Outcome::Succeeded => false,
            Outcome::Failed => true,
            Outcome::RanOut => !self.is_late,
        };
        if has_failed && let Some(name) = self.name {
            self.shared.look_ups.forget(name);
        }
    }
}

//! What an attempt needs to know of itself to find its receiver.

use pilot_webhook_core::{Endpoint, Host};
use tokio::time::Instant;

use crate::http::config::Shared;

/// An attempt under way. When it is dropped without success, what was known of its host's addresses
/// does not count any more, unless it never came to know them.
pub(crate) struct Attempt<'a> {
    shared: &'a Shared,
    name: Option<&'a str>,
    /// An attempt before it failed.
    pub(crate) fresh: bool,
    /// Until when it must have found its receiver.
    pub(crate) until: Instant,
    /// Whether it waits for its host's addresses.
    pub(crate) looks_up: bool,
    has_succeeded: bool,
}

impl<'a> Attempt<'a> {
    /// An attempt that begins now.
    pub(crate) fn begin(shared: &'a Shared, endpoint: &Endpoint<'a>, fresh: bool) -> Self {
        let name = match endpoint.host() {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        };
        let until = Instant::now() + shared.dial_time;
        Self { shared, name, fresh, until, looks_up: false, has_succeeded: false }
    }

    /// The receiver answered, and need not be asked again.
    pub(crate) fn succeed(&mut self) {
        self.has_succeeded = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name
            && !self.has_succeeded
            && !self.looks_up
        {
            self.shared.look_ups.forget(name);
        }
    }
}

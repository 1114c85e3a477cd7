//! The methods of a client whose targets are URLs.

use std::sync::Arc;

use pilot_webhook_core::Policy;

use super::Client;
use crate::client::destination::{Destination, DestinationError};
use crate::client::error::ClientError;
use crate::client::worker::{Shared, Target};
use crate::http::{Connections, HttpConfigError, HttpShared, RequestHeaders};

impl Client {
    /// Delivers to another URL from now on, or to none when it is empty. Returns at once: queued
    /// events go to the new URL (with an empty one: to the old one, for at most the drain
    /// timeout), event ids go on, the breaker starts closed. Setting the URL that is set changes
    /// nothing.
    ///
    /// # Errors
    /// When the URL names no destination, or the client is closed; nothing changed then.
    pub fn set_url(&self, url: &str) -> Result<(), ClientError> {
        match self.destination(url)? {
            Some(target) => self.set_target(target),
            None => {
                self.clear();
                Ok(())
            }
        }
    }

    /// Where a URL leads by the client's policy; `None` for an empty one.
    pub(crate) fn destination(&self, url: &str) -> Result<Option<Destination>, DestinationError> {
        destination(url, self.handle.policy)
    }

    /// The URL that events go to, in canonical form, without a user name and password; `None` from a clear on. Paths and queries are
    /// often secrets: do not log it.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.target().map(|target| target.url())
    }

    /// Reads the CA files and the system's roots again, for the connections that are made from now on.
    /// Reads files, so it blocks for some milliseconds. Returns whether anything has changed; over a
    /// transport of one's own nothing ever does.
    ///
    /// It happens by itself, once in 10 s at most, when a server is not trusted.
    ///
    /// # Errors
    /// When a CA file cannot be used, or is not a regular file. What was read before still counts.
    pub fn reload_trust(&self) -> Result<bool, HttpConfigError> {
        self.handle.http.as_ref().map_or(Ok(false), HttpShared::reload_trust)
    }

    /// Other headers of every request from the next attempt on, credentials among them, in place of those
    /// before. Over a transport of one's own nothing happens.
    pub fn set_headers(&self, headers: RequestHeaders) {
        if let Some(http) = &self.handle.http {
            http.set_headers(headers);
        }
    }

    /// The connections that were made and are open over HTTP. Over a transport of one's own none is known.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.handle.http.as_ref().map(HttpShared::connections).unwrap_or_default()
    }

    /// The destination policy.
    #[cfg(feature = "plugin")]
    pub(crate) fn policy(&self) -> Policy {
        self.handle.policy
    }
}

/// Has attempts begin no sooner than receivers allow in handshakes.
pub(super) fn pace_as_allowed<To: Target>(http: &HttpShared, shared: &Arc<Shared<To>>) {
    let shared = Arc::downgrade(shared);
    http.on_rate(move |rate| {
        if let Some(shared) = shared.upgrade() {
            shared.set_rate(rate);
        }
    });
}

/// Parses a URL; `None` for an empty one.
pub(crate) fn destination(
    url: &str,
    policy: Policy,
) -> Result<Option<Destination>, DestinationError> {
    if url.is_empty() { Ok(None) } else { Destination::parse(url, policy).map(Some) }
}

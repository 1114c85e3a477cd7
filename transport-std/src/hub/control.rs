//! What is done to an endpoint: to the client that gets its events, and to those before that still deliver.

use pilot_webhook_core::standard::{KeyError, SigningKey};

use super::endpoint::HubEndpoint;
use crate::client::{ClientError, Destination};
use crate::http::{HttpConfigError, RequestHeaders};

/// These methods act on the endpoint as it is now, and on all clients that deliver for it, those included that a
/// [replacement](crate::Hub::replace) left behind. Not to be called from a hook for notices.
impl HubEndpoint {
    /// Begins no attempt from now on, as [`Client::pause`](crate::Client::pause).
    pub fn pause(&self) {
        // One that was removed before is closed, and would give up what it has.
        self.clients.each(|client| {
            if !client.is_closing() || client.is_stored() {
                client.pause();
            }
        });
    }

    /// Goes on where it was paused, as [`Client::resume`](crate::Client::resume).
    pub fn resume(&self) {
        self.clients.each(crate::Client::resume);
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.clients.all().last().is_some_and(crate::Client::is_paused)
    }

    /// Delivers to another URL from now on, or to none when it is empty, as [`Client::set_url`](crate::Client::set_url).
    /// All that waits goes there.
    ///
    /// # Errors
    /// When the URL names no destination, or the client is closed; nothing changed then.
    pub fn set_url(&self, url: &str) -> Result<(), ClientError> {
        match self.client.destination(url)? {
            Some(target) => self.set_target(&target),
            None => {
                self.clients.each(crate::Client::clear);
                Ok(())
            }
        }
    }

    /// As [`set_url`](Self::set_url). One that has answered 410 Gone gets events again, be it the same.
    ///
    /// # Errors
    /// When the client is closed; nothing changed then.
    pub fn set_target(&self, target: &Destination) -> Result<(), ClientError> {
        // That an old one is closed is no matter.
        self.clients.each(|client| client.set_target(target.clone())).unwrap_or(Ok(()))
    }

    /// Signs with another secret from the next attempt on, or with none, as [`Client::set_secret`](crate::Client::set_secret).
    ///
    /// # Errors
    /// [`ClientError::EmptySecret`] when it is empty; the old one still counts then.
    pub fn set_secret(&self, secret: Option<&[u8]>) -> Result<(), ClientError> {
        let set = self.clients.each(|client| match secret {
            Some(secret) => client.set_secret(secret),
            None => {
                client.clear_secret();
                Ok(())
            }
        });
        set.unwrap_or(Ok(()))
    }

    /// Signs with these keys of Standard Webhooks, and no others, from the next attempt on, as
    /// [`Client::set_signing_keys`](crate::Client::set_signing_keys).
    ///
    /// # Errors
    /// [`KeyError::TooMany`] when there are more than three; nothing changed then.
    pub fn set_signing_keys(&self, keys: &[SigningKey]) -> Result<(), KeyError> {
        self.clients.each(|client| client.set_signing_keys(keys)).unwrap_or(Ok(()))
    }

    /// Other headers of every request from the next attempt on, as [`Client::set_headers`](crate::Client::set_headers).
    pub fn set_headers(&self, headers: &RequestHeaders) {
        self.clients.each(|client| client.set_headers(headers.clone()));
    }

    /// Reads the CA files and the system's roots again, as [`Client::reload_trust`](crate::Client::reload_trust). It blocks
    /// for some milliseconds. Returns whether anything has changed for its client.
    ///
    /// # Errors
    /// When a CA file of its client cannot be used. What was read before still counts.
    pub fn reload_trust(&self) -> Result<bool, HttpConfigError> {
        self.clients.each(crate::Client::reload_trust).unwrap_or(Ok(false))
    }
}

//! The methods of a client about who its events are from.

use pilot_webhook_core::Secret;
use pilot_webhook_core::standard::{KeyError, SigningKey};

use super::Client;
use crate::client::error::ClientError;
use crate::client::worker::Target;

impl<To: Target> Client<To> {
    /// Signs with another secret from the next attempt on.
    ///
    /// # Errors
    /// [`ClientError::EmptySecret`] when it is empty; the old one still counts then.
    pub fn set_secret(&self, secret: &[u8]) -> Result<(), ClientError> {
        let secret = Secret::new(secret).ok_or(ClientError::EmptySecret)?;
        self.handle.shared.secret.set(Some(secret));
        Ok(())
    }

    /// Signs with no secret from the next attempt on. The keys of Standard Webhooks still sign.
    pub fn clear_secret(&self) {
        self.handle.shared.secret.set(None);
    }

    /// Signs with this key of Standard Webhooks, too, from the next attempt on. To rotate a key, add the new one,
    /// have the receiver know it, and [retire](Self::retire_signing_key) the old one.
    ///
    /// # Errors
    /// [`KeyError::TooMany`] when there are three others; nothing changed then.
    pub fn add_signing_key(&self, key: SigningKey) -> Result<(), KeyError> {
        self.handle.shared.keys.add(key)
    }

    /// Signs with this key no more, from the next attempt on. Returns whether it was there.
    pub fn retire_signing_key(&self, key: &SigningKey) -> bool {
        self.handle.shared.keys.retire(key)
    }

    /// Signs with these keys of Standard Webhooks, and no others, from the next attempt on.
    ///
    /// # Errors
    /// [`KeyError::TooMany`] when there are more than three; nothing changed then.
    pub fn set_signing_keys(&self, keys: &[SigningKey]) -> Result<(), KeyError> {
        self.handle.shared.keys.set(keys)
    }
}

//! The signatures of [Standard Webhooks] 1.0.0, for which receivers have libraries.
//!
//! A message has three headers: its id, the time of the attempt, and one signature for each key. A signature is over
//! `id.timestamp.body`. With a shared key it is an HMAC-SHA256 (`v1`); with the feature `ed25519` there are key pairs,
//! too (`v1a`).
//!
//! A sender signs with [`Keys`], which can be added and retired while it sends, or with [`SigningKey`]s: both are a
//! [`Signer`](super::Signer).
//!
//! ```
//! use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
//! use pilot_webhook_core::standard::{Keys, SigningKey};
//! static KEYS: Keys<CriticalSectionRawMutex> = Keys::new();
//! # fn rotate() -> Result<(), pilot_webhook_core::standard::KeyError> {
//! let old = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
//! KEYS.add(SigningKey::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")?)?;
//! KEYS.retire(&old);
//! # Ok(())
//! # }
//! ```
//!
//! A receiver makes a [`Received`] of what came, and verifies it.
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

#[cfg(feature = "ed25519")]
mod ed25519;
mod key;
mod keys;
mod verify;

use hmac::Mac;

pub use key::{KeyError, SigningKey, VerifyingKey};
pub use keys::{Keys, MAX_KEYS};
pub use verify::{Received, TOLERANCE};

/// The header with the message's id: the same in every attempt.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time of the attempt, in whole seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// Bytes of the digest of an HMAC-SHA256.
const DIGEST: usize = 32;

/// What a signature is over.
struct Content<'a> {
    id: &'a [u8],
    timestamp: &'a [u8],
    body: &'a [u8],
}

impl Content<'_> {
    /// The pieces, in order.
    fn pieces(&self, mut to: impl FnMut(&[u8])) {
        [self.id, b".", self.timestamp, b".", self.body].into_iter().for_each(&mut to);
    }

    /// Feeds all of it to an HMAC.
    fn feed<M: Mac>(&self, mut mac: M) -> M {
        self.pieces(|piece| mac.update(piece));
        mac
    }
}

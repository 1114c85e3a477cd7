//! Key pairs of Ed25519 (RFC 8032): the secret half, what it signs, and its memory.

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign_byupdate};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

/// Bytes of each half.
pub(crate) const HALF: usize = 32;

/// Both halves of a key pair. The secret one is overwritten when this is dropped.
#[derive(Clone)]
pub(crate) struct Pair {
    secret: Zeroizing<[u8; HALF]>,
    public: VerifyingKey,
}

impl Pair {
    /// Of the secret half.
    pub(crate) fn of(secret: &[u8; HALF]) -> Self {
        let public = VerifyingKey::from(&ExpandedSecretKey::from(secret));
        Self { secret: Zeroizing::new(*secret), public }
    }

    /// The public half.
    pub(crate) const fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// The signature of what `pieces` gives, twice. There always is one.
    pub(crate) fn sign(&self, pieces: impl Fn(&mut dyn FnMut(&[u8]))) -> Option<[u8; 2 * HALF]> {
        let feed = |hash: &mut Sha512| {
            pieces(&mut |piece| hash.update(piece));
            Ok(())
        };
        let secret = ExpandedSecretKey::from(&*self.secret);
        raw_sign_byupdate(&secret, feed, &self.public).ok().map(|signature| signature.to_bytes())
    }
}

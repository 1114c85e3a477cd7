//! Key pairs: the sender signs with the secret half, and the receiver knows the public one.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::sign::ed25519::{self, HALF};
use crate::sign::standard::{Content, KeyError};

/// Both halves of a key pair.
#[derive(Clone)]
pub(super) struct Pair(ed25519::Pair);

impl Pair {
    /// Of the secret half, with or without the public one behind it.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, KeyError> {
        let (secret, public) = bytes.split_first_chunk().ok_or(KeyError::Length)?;
        let pair = ed25519::Pair::of(secret);
        match public.len() {
            0 => {}
            // A signature with another public half would tell the secret one.
            HALF if public == pair.public().as_bytes() => {}
            HALF => return Err(KeyError::Public),
            _ => return Err(KeyError::Length),
        }
        Ok(Self(pair))
    }

    pub(super) fn public(&self) -> Public {
        Public(*self.0.public())
    }

    /// The signature. There always is one.
    pub(super) fn sign(&self, content: &Content<'_>) -> Option<[u8; 2 * HALF]> {
        self.0.sign(|each| content.pieces(each))
    }
}

/// The public half.
#[derive(Clone, PartialEq)]
pub(super) struct Public(VerifyingKey);

impl Public {
    pub(super) fn of(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes = bytes.try_into().map_err(|_| KeyError::Length)?;
        let key = VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak());
        key.map(Self).ok_or(KeyError::Public)
    }

    pub(super) fn verify(&self, content: &Content<'_>, signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        let Ok(mut verifier) = self.0.verify_stream(&signature) else { return false };
        content.pieces(|piece| verifier.update(piece));
        verifier.finalize_and_verify().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of RFC 8032, section 7.1.
    const SECRET: [u8; 32] = *b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\
        \x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
    const PUBLIC: [u8; 32] = *b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\
        \x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";

    const CONTENT: Content<'_> = Content { id: b"a", timestamp: b"1", body: b"{}" };

    #[test]
    fn a_pair_is_known_by_its_secret_half() {
        let pair = Pair::of(&SECRET).unwrap();
        assert!(pair.public() == Public::of(&PUBLIC).unwrap());
        assert!(Pair::of(&[SECRET, PUBLIC].concat()).is_ok());
        let mut other = PUBLIC;
        other[0] ^= 1;
        assert_eq!(Pair::of(&[SECRET, other].concat()).err(), Some(KeyError::Public));
        for length in (0..=64).filter(|length| ![32, 64].contains(length)) {
            let bytes = &[SECRET, PUBLIC].concat()[..length];
            assert_eq!(Pair::of(bytes).err(), Some(KeyError::Length));
            assert_eq!(Public::of(bytes).err(), Some(KeyError::Length));
        }
    }

    #[test]
    fn a_weak_key_is_none() {
        let mut weak = [0; 32];
        assert_eq!(Public::of(&weak).err(), Some(KeyError::Public));
        weak[0] = 1;
        assert_eq!(Public::of(&weak).err(), Some(KeyError::Public));
        // No point of the curve.
        weak[0] = 2;
        assert_eq!(Public::of(&weak).err(), Some(KeyError::Public));
    }

    /// The signature is that of the content in one piece.
    #[test]
    fn it_signs_the_content_and_nothing_else() {
        let pair = Pair::of(&SECRET).unwrap();
        let signature = pair.sign(&CONTENT).unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(&SECRET);
        assert_eq!(signature, ed25519_dalek::Signer::sign(&key, b"a.1.{}").to_bytes());
        assert!(pair.public().verify(&CONTENT, &signature));
        assert!(!pair.public().verify(&Content { body: b"[]", ..CONTENT }, &signature));
        assert!(!pair.public().verify(&CONTENT, &signature[1..]));
        for at in 0..signature.len() {
            let mut wrong = signature;
            wrong[at] ^= 1;
            assert!(!pair.public().verify(&CONTENT, &wrong), "{at}");
        }
    }
}

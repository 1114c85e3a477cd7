//! The keys of Standard Webhooks, and their text.

use core::fmt;

use hmac::Mac;

use crate::base64;
use crate::json::{EncodeError, Writer};
use crate::sign::hmac::Secret;
#[cfg(feature = "ed25519")]
use crate::sign::standard::ed25519;
use crate::sign::standard::{Content, DIGEST, MAX_KEYS};

/// Before a shared key's text.
const SHARED: &str = "whsec_";
/// Before the text of the secret half of a key pair.
const SECRET_HALF: &str = "whsk_";
/// Before the text of its public half.
const PUBLIC_HALF: &str = "whpk_";

/// The shortest shared key, in bytes.
const SHORTEST: usize = 24;
/// The longest one, in bytes. The secret half of a key pair with its public half is as long.
const LONGEST: usize = 64;
/// The longest text behind a prefix.
const LETTERS: usize = 88;
/// Bytes that it may stand for.
const ROOM: usize = LETTERS / 4 * 3;

/// Why a text is no key, or a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// It does not begin with the prefix of such a key.
    Prefix,
    /// What follows the prefix is not base64, with the padding.
    Base64,
    /// A shared key has 24 to 64 bytes; a half of a key pair 32, the secret one with the public one 64.
    Length,
    /// The public half is none, or not that of the secret one.
    Public,
    /// It is a half of a key pair, which needs the feature `ed25519`.
    Ed25519,
    /// There are three keys already. One must be retired first.
    TooMany,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => f.write_str("the key does not begin with whsec_"),
            Self::Base64 => f.write_str("the key is not base64 behind its prefix"),
            Self::Length => f.write_str("the key does not have 24 to 64 bytes (of a key pair: 32)"),
            Self::Public => f.write_str("the public half of the key is wrong"),
            Self::Ed25519 => f.write_str("a key pair needs a build with ed25519"),
            Self::TooMany => write!(f, "there may be {MAX_KEYS} keys at a time"),
        }
    }
}

impl core::error::Error for KeyError {}

/// A key that messages are signed with. Never printed.
#[derive(Clone)]
pub struct SigningKey(Signing);

#[derive(Clone)]
enum Signing {
    Shared(Secret),
    #[cfg(feature = "ed25519")]
    Pair(ed25519::Pair),
}

impl SigningKey {
    /// The key that a text stands for: `whsec_` and the base64 of 24 to 64 bytes; with the feature `ed25519` also
    /// `whsk_` and that of the secret half of a key pair, 32 bytes or, with its public half, 64.
    ///
    /// # Errors
    /// When it is none.
    ///
    /// ```
    /// use pilot_webhook_core::standard::{KeyError, SigningKey};
    /// assert!(SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_ok());
    /// assert_eq!(SigningKey::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").err(), Some(KeyError::Prefix));
    /// ```
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(text) = text.strip_prefix(SHARED) {
            return shared(text).map(|secret| Self(Signing::Shared(secret)));
        }
        match text.strip_prefix(SECRET_HALF) {
            Some(text) => pair(text).map(Self),
            None => Err(KeyError::Prefix),
        }
    }

    /// Writes the signature, with its kind.
    pub(super) fn sign(
        &self,
        content: &Content<'_>,
        out: &mut Writer<'_>,
    ) -> Result<(), EncodeError> {
        match &self.0 {
            Signing::Shared(secret) => {
                let mac = secret.keyed().ok_or(EncodeError::TooLong)?;
                let digest: [u8; DIGEST] = content.feed(mac).finalize().into_bytes().into();
                out.push(b"v1,")?;
                write(&digest, out)
            }
            #[cfg(feature = "ed25519")]
            Signing::Pair(pair) => {
                out.push(b"v1a,")?;
                write(&pair.sign(content).ok_or(EncodeError::TooLong)?, out)
            }
        }
    }

    /// Whether it is the same key. It takes the same time wherever the two differ.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Signing::Shared(own), Signing::Shared(other)) => own.is(other),
            #[cfg(feature = "ed25519")]
            (Signing::Pair(own), Signing::Pair(other)) => own.public() == other.public(),
            #[cfg(feature = "ed25519")]
            _ => false,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A key that signatures are verified with. Never printed.
#[derive(Clone)]
pub struct VerifyingKey(Verifying);

#[derive(Clone)]
enum Verifying {
    Shared(Secret),
    #[cfg(feature = "ed25519")]
    Public(ed25519::Public),
}

impl VerifyingKey {
    /// The key that a text stands for: `whsec_` and the base64 of 24 to 64 bytes; with the feature `ed25519` also
    /// `whpk_` and that of the public half of a key pair, 32 bytes.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(text) = text.strip_prefix(SHARED) {
            return shared(text).map(|secret| Self(Verifying::Shared(secret)));
        }
        match text.strip_prefix(PUBLIC_HALF) {
            Some(text) => public(text).map(Self),
            None => Err(KeyError::Prefix),
        }
    }

    /// Whether one of `signatures`, each with its kind and in base64, is right; `None` when the key is for none of
    /// these kinds.
    pub(super) fn verify<'s>(
        &self,
        content: &Content<'_>,
        signatures: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> Option<bool> {
        match &self.0 {
            Verifying::Shared(secret) => {
                // The body is hashed once, however many there are.
                let mac = secret.keyed().map(|mac| content.feed(mac))?;
                any(signatures, "v1", |bytes| mac.clone().verify_slice(bytes).is_ok())
            }
            #[cfg(feature = "ed25519")]
            Verifying::Public(public) => {
                any(signatures, "v1a", |bytes| public.verify(content, bytes))
            }
        }
    }
}

/// Whether one of the signatures of this kind is right; `None` when there is none.
fn any<'s>(
    signatures: impl Iterator<Item = (&'s str, &'s str)>,
    kind: &str,
    is_right: impl Fn(&[u8]) -> bool,
) -> Option<bool> {
    let right = |(_, text)| {
        let mut room = [0; LONGEST];
        base64::decode(text, &mut room).is_some_and(&is_right)
    };
    signatures.filter(|(known, _)| *known == kind).map(right).reduce(|a, b| a || b)
}

impl From<&SigningKey> for VerifyingKey {
    /// That which verifies what the key signs.
    fn from(key: &SigningKey) -> Self {
        Self(match &key.0 {
            Signing::Shared(secret) => Verifying::Shared(secret.clone()),
            #[cfg(feature = "ed25519")]
            Signing::Pair(pair) => Verifying::Public(pair.public()),
        })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(..)")
    }
}

fn shared(text: &str) -> Result<Secret, KeyError> {
    let mut room = [0; ROOM];
    let key = decode(text, &mut room)?;
    if key.len() < SHORTEST {
        return Err(KeyError::Length);
    }
    Secret::new(key).ok_or(KeyError::Length)
}

#[cfg(feature = "ed25519")]
fn pair(text: &str) -> Result<Signing, KeyError> {
    ed25519::Pair::of(decode(text, &mut [0; ROOM])?).map(Signing::Pair)
}

#[cfg(not(feature = "ed25519"))]
fn pair(_: &str) -> Result<Signing, KeyError> {
    Err(KeyError::Ed25519)
}

#[cfg(feature = "ed25519")]
fn public(text: &str) -> Result<Verifying, KeyError> {
    ed25519::Public::of(decode(text, &mut [0; ROOM])?).map(Verifying::Public)
}

#[cfg(not(feature = "ed25519"))]
fn public(_: &str) -> Result<Verifying, KeyError> {
    Err(KeyError::Ed25519)
}

fn decode<'r>(text: &str, room: &'r mut [u8; ROOM]) -> Result<&'r [u8], KeyError> {
    if text.len() > LETTERS {
        return Err(KeyError::Length);
    }
    let bytes = base64::decode(text, room).ok_or(KeyError::Base64)?;
    if bytes.len() > LONGEST { Err(KeyError::Length) } else { Ok(bytes) }
}

/// Writes bytes as base64.
fn write(bytes: &[u8], out: &mut Writer<'_>) -> Result<(), EncodeError> {
    let push = |letters: &str| out.push(letters.as_bytes()).ok();
    base64::encode(bytes.iter().copied(), push).ok_or(EncodeError::TooLong)
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use base64ct::{Base64, Encoding as _};

    use super::*;

    fn key(bytes: usize) -> String {
        format!("whsec_{}", Base64::encode_string(&[7; 80][..bytes]))
    }

    #[test]
    fn shared_keys_have_24_to_64_bytes() {
        for bytes in 0..=80 {
            let expected = if (24..=64).contains(&bytes) { None } else { Some(KeyError::Length) };
            assert_eq!(SigningKey::parse(&key(bytes)).err(), expected, "{bytes}");
            assert_eq!(VerifyingKey::parse(&key(bytes)).err(), expected, "{bytes}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_why() {
        for (text, expected) in [
            ("", KeyError::Prefix),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", KeyError::Prefix),
            ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", KeyError::Prefix),
            ("whsec_", KeyError::Length),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", KeyError::Base64),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS\n", KeyError::Base64),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_", KeyError::Base64),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA", KeyError::Base64),
        ] {
            assert_eq!(SigningKey::parse(text).err(), Some(expected), "{text}");
            assert_eq!(VerifyingKey::parse(text).err(), Some(expected), "{text}");
        }
    }

    #[test]
    #[cfg(not(feature = "ed25519"))]
    fn key_pairs_need_their_feature() {
        assert_eq!(SigningKey::parse("whsk_AA==").err(), Some(KeyError::Ed25519));
        assert_eq!(VerifyingKey::parse("whpk_AA==").err(), Some(KeyError::Ed25519));
    }

    #[test]
    fn keys_are_not_shown() {
        let text = key(32);
        let shown = format!(
            "{:?} {:?}",
            SigningKey::parse(&text).unwrap(),
            VerifyingKey::parse(&text).unwrap()
        );
        assert_eq!(shown, "SigningKey(..) VerifyingKey(..)");
    }
}

//! HMAC-SHA256 over the body, for receivers that check who sent an event.

use core::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::ascii::number;
use crate::json::Writer;
use crate::sign::{Signer, ToSign};
use crate::transport::Headers;

/// The header that carries the signature, as in pilot's Go plugin.
pub const SIGNATURE_HEADER: &str = "X-Pilot-Signature-256";

/// SHA-256 works on blocks of 64 bytes (FIPS 180-4); HMAC hashes longer keys down first (RFC 2104).
const BLOCK: usize = 64;
/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// The key shared with the receiver. Never printed.
#[derive(Clone)]
pub struct Secret {
    /// The key as HMAC uses it, padded with zeros, which do not change the result.
    key: [u8; BLOCK],
}

impl Secret {
    /// A secret of any length. An empty one is no secret: `None`.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        if key.is_empty() {
            return None;
        }
        let mut block = [0; BLOCK];
        match block.get_mut(..key.len()) {
            Some(place) => place.copy_from_slice(key),
            None => {
                let digest = Sha256::digest(key);
                block.iter_mut().zip(digest).for_each(|(place, byte)| *place = byte);
            }
        }
        Some(Self { key: block })
    }

    /// Signs `body` in one pass.
    ///
    /// ```
    /// use pilot_webhook_core::Secret;
    /// let signature = Secret::new(b"key").unwrap().sign(b"{}");
    /// assert!(signature.as_str().starts_with("a777"));
    /// ```
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> Signature {
        let mut text = [0; 2 * DIGEST];
        // They are twice as many digits.
        let _ = Writer::new(&mut text).hex(&self.digest(body));
        Signature(text)
    }

    /// Whether `signature`, a value of [`SIGNATURE_HEADER`], is that of `body`: 64 hex digits, in lower
    /// or upper case. It takes the same time wherever the two differ, so that nobody learns from it
    /// how much of a guess was right.
    ///
    /// A receiver calls it with the body as it came, before it reads anything in it.
    ///
    /// ```
    /// use pilot_webhook_core::Secret;
    /// let secret = Secret::new(b"key").unwrap();
    /// let signature = secret.sign(b"{}");
    /// assert!(secret.verify(b"{}", signature.as_str().as_bytes()));
    /// assert!(!secret.verify(b"{ }", signature.as_str().as_bytes()));
    /// ```
    #[must_use]
    pub fn verify(&self, body: &[u8], signature: &[u8]) -> bool {
        let mac = self.mac(body);
        mac.zip(from_hex(signature)).is_some_and(|(mac, bytes)| mac.verify_slice(&bytes).is_ok())
    }

    fn digest(&self, body: &[u8]) -> [u8; DIGEST] {
        self.mac(body).map(|mac| mac.finalize().into_bytes().into()).unwrap_or_default()
    }

    /// Over all of `body`.
    fn mac(&self, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = self.keyed()?;
        Mac::update(&mut mac, body);
        Some(mac)
    }

    /// Over nothing yet. There always is one: a key of one block is always taken.
    pub(super) fn keyed(&self) -> Option<Hmac<Sha256>> {
        Hmac::new_from_slice(&self.key).ok()
    }

    /// Whether it is the same key. It takes the same time wherever the two differ.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.key.iter().zip(other.key).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

/// The bytes of 64 hex digits.
fn from_hex(text: &[u8]) -> Option<[u8; DIGEST]> {
    let mut bytes = [0; DIGEST];
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::try_from(number(pair, 16)?).ok()?;
    }
    Some(bytes)
}

/// Signs the body.
impl Signer for Secret {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        let digest = self.digest(message.body);
        headers.write(SIGNATURE_HEADER, |out| out.hex(&digest));
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A signature in lower-case hex, as it stands in the header.
#[derive(Clone)]
pub struct Signature([u8; 2 * DIGEST]);

impl Signature {
    /// The 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bodys_own_signature_verifies_in_any_case_of_its_letters() {
        let secret = Secret::new(b"hush").unwrap();
        let signature = secret.sign(b"{}");
        let right = signature.as_str().as_bytes();
        assert!(secret.verify(b"{}", right));
        assert!(secret.verify(b"{}", &right.to_ascii_uppercase()));
        assert!(!secret.verify(b"{} ", right));
        assert!(!Secret::new(b"hash").unwrap().verify(b"{}", right));
        for at in 0..right.len() {
            let mut wrong = right.to_vec();
            wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
            assert!(!secret.verify(b"{}", &wrong), "digit {at}");
            wrong[at] = b'+';
            assert!(!secret.verify(b"{}", &wrong), "no digit at {at}");
        }
    }

    #[test]
    fn what_is_not_as_long_as_a_signature_is_none() {
        let secret = Secret::new(b"hush").unwrap();
        let signature = secret.sign(b"{}");
        let text = signature.as_str();
        let longer = [text, "00"].concat();
        for wrong in ["", "0", &text[..62], &text[..63], &longer] {
            assert!(!secret.verify(b"{}", wrong.as_bytes()), "{wrong}");
        }
    }
}

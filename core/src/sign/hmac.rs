//! HMAC-SHA256 over the body, for receivers that check who sent an event.

use core::fmt;

use heapless::String;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::ascii::hex;
use crate::sign::{Signer, ToSign};
use crate::transport::Headers;

/// The header that carries the signature, as in the original.
pub const SIGNATURE_HEADER: &str = "X-Pilot-Signature-256";

/// SHA-256 works on blocks of 64 bytes (FIPS 180-4); HMAC hashes longer keys down first (RFC 2104).
const BLOCK: usize = 64;

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
        let mut text = String::new();
        // A key of one block is always taken, and 32 bytes are 64 digits.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) {
            mac.update(body);
            for byte in mac.finalize().into_bytes() {
                for digit in hex(byte) {
                    let _ = text.push(digit.into());
                }
            }
        }
        Signature(text)
    }
}

/// Signs the body.
impl Signer for Secret {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        let signature = Self::sign(self, message.body);
        headers.write(SIGNATURE_HEADER, |out| out.push(signature.as_str().as_bytes()));
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A signature in lower-case hex, as it stands in the header.
#[derive(Clone)]
pub struct Signature(String<64>);

impl Signature {
    /// The 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

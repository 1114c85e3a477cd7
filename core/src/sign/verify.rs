//! What a receiver makes of a signature.

use core::fmt;

use crate::sign::hmac::{SIGNATURE_HEADER, Secret};

/// Why a message is not taken for the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// This header is not there. The sender does not sign, or signs in another way.
    Missing(&'static str),
    /// This header is not of the form that it must have.
    Malformed(&'static str),
    /// The message is older than the tolerance. It may be repeated by somebody else; or one of the clocks is wrong.
    TooOld,
    /// The message is from a time that is further ahead than the tolerance. One of the clocks is wrong.
    TooNew,
    /// There is no signature of a kind that one of the keys is for.
    NoneForTheKeys,
    /// No signature is that of the message by one of the keys: the sender has another key, or the message was
    /// changed on its way.
    Wrong,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(header) => write!(f, "the header {header} is missing"),
            Self::Malformed(header) => write!(f, "the header {header} is malformed"),
            Self::TooOld => f.write_str("the message is too old"),
            Self::TooNew => f.write_str("the message is from the future"),
            Self::NoneForTheKeys => f.write_str("no signature is of a kind that a key is for"),
            Self::Wrong => f.write_str("the signature is wrong"),
        }
    }
}

impl core::error::Error for VerifyError {}

/// Whether `signature`, the value of [`SIGNATURE_HEADER`] if there is one, is that of `body` by one of `secrets`.
/// That of Standard Webhooks is verified by [`Received`](super::standard::Received).
///
/// # Errors
/// Why not.
///
/// ```
/// use pilot_webhook_core::{Secret, VerifyError, verify};
/// let secrets = [Secret::new(b"new").unwrap(), Secret::new(b"old").unwrap()];
/// let signature = secrets[1].sign(b"{}");
/// assert_eq!(verify(Some(signature.as_str().as_bytes()), b"{}", &secrets), Ok(()));
/// assert_eq!(verify(Some(signature.as_str().as_bytes()), b"[]", &secrets), Err(VerifyError::Wrong));
/// ```
pub fn verify(
    signature: Option<&[u8]>,
    body: &[u8],
    secrets: &[Secret],
) -> Result<(), VerifyError> {
    let signature = signature.ok_or(VerifyError::Missing(SIGNATURE_HEADER))?;
    if signature.len() != 64 || !signature.iter().all(u8::is_ascii_hexdigit) {
        return Err(VerifyError::Malformed(SIGNATURE_HEADER));
    }
    let is_right = secrets.iter().any(|secret| secret.verify(body, signature));
    if is_right { Ok(()) } else { Err(VerifyError::Wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_wrong() {
        let secrets = [Secret::new(b"one").unwrap()];
        let right = secrets[0].sign(b"{}");
        let right = right.as_str().as_bytes();
        assert_eq!(verify(Some(right), b"{}", &secrets), Ok(()));
        assert_eq!(verify(Some(right), b"{}", &[]), Err(VerifyError::Wrong));
        assert_eq!(
            verify(None, b"{}", &secrets),
            Err(VerifyError::Missing("X-Pilot-Signature-256"))
        );
        for malformed in [&b""[..], &right[1..], &[b'g'; 64], &[b'+'; 64]] {
            let end = Err(VerifyError::Malformed("X-Pilot-Signature-256"));
            assert_eq!(verify(Some(malformed), b"{}", &secrets), end);
        }
    }
}

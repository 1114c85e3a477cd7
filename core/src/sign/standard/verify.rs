//! The receiver's side.

use core::time::Duration;

use crate::event::Timestamp;
use crate::sign::VerifyError;
use crate::sign::standard::{Content, ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, VerifyingKey};

/// How far a message's time may be from the receiver's, in the libraries of Standard Webhooks.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The most signatures of a message that are looked at: a message of an attacker costs no more. Arbitrary: more than
/// any sender has keys.
const MOST: usize = 16;

/// A message as it came. Its body is verified byte for byte, before anything reads it.
///
/// ```
/// use pilot_webhook_core::standard::{Received, TOLERANCE, VerifyingKey};
/// use pilot_webhook_core::{Timestamp, VerifyError};
///
/// let headers: [(&str, &[u8]); 3] = [
///     ("webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),
///     ("webhook-timestamp", b"1614265330"),
///     ("webhook-signature", b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
/// ];
/// let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
/// let received = Received::new(header, br#"{"test": 2432232314}"#)?;
/// let keys = [VerifyingKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()];
/// let now = Timestamp::new(1_614_265_331, 0);
/// assert_eq!(received.verify(&keys, now, TOLERANCE), Ok(()));
/// let later = Timestamp::new(1_614_265_631, 0);
/// assert_eq!(received.verify(&keys, later, TOLERANCE), Err(VerifyError::TooOld));
/// # Ok::<(), VerifyError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Received<'a> {
    id: &'a str,
    timestamp: &'a str,
    signatures: &'a str,
    body: &'a [u8],
}

impl<'a> Received<'a> {
    /// The message whose headers `header` finds by their names, in any case of their letters.
    ///
    /// # Errors
    /// [`VerifyError::Missing`] and [`VerifyError::Malformed`], when a header is not there or is no text.
    pub fn new(
        header: impl Fn(&str) -> Option<&'a [u8]>,
        body: &'a [u8],
    ) -> Result<Self, VerifyError> {
        let text = |name| {
            let value = header(name).ok_or(VerifyError::Missing(name))?;
            core::str::from_utf8(value).map_err(|_| VerifyError::Malformed(name))
        };
        let (id, timestamp) = (text(ID_HEADER)?, text(TIMESTAMP_HEADER)?);
        Ok(Self { id, timestamp, signatures: text(SIGNATURE_HEADER)?, body })
    }

    /// The message's id, the same in every attempt. Once the message is verified, a receiver knows a repetition by it.
    #[must_use]
    pub const fn id(&self) -> &'a str {
        self.id
    }

    /// Whether one of `keys` signed the message, at a time that differs from `now` by `tolerance` at most. Signatures
    /// are compared in constant time. Of those in the header the first 16 count.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        keys: &[VerifyingKey],
        now: Timestamp,
        tolerance: Duration,
    ) -> Result<(), VerifyError> {
        let malformed = VerifyError::Malformed(TIMESTAMP_HEADER);
        let is_number = self.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let at = self.timestamp.parse::<i64>().ok().filter(|_| is_number).ok_or(malformed)?;
        let (now, tolerance) = (now.seconds(), tolerance.as_secs());
        if at.abs_diff(now) > tolerance {
            return Err(if at < now { VerifyError::TooOld } else { VerifyError::TooNew });
        }

        let (id, timestamp) = (self.id.as_bytes(), self.timestamp.as_bytes());
        let content = Content { id, timestamp, body: self.body };
        let signatures = self.signatures.split(' ').filter_map(|text| text.split_once(','));
        let signatures = signatures.take(MOST);
        match keys.iter().filter_map(|key| key.verify(&content, signatures.clone())).max() {
            Some(true) => Ok(()),
            Some(false) => Err(VerifyError::Wrong),
            None => Err(VerifyError::NoneForTheKeys),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::vec::Vec;

    use super::*;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const RIGHT: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const WRONG: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const AT: i64 = 1_614_265_330;

    fn verify(
        signatures: &str,
        timestamp: &str,
        now: i64,
        keys: &[&str],
    ) -> Result<(), VerifyError> {
        let keys: Vec<_> = keys.iter().map(|text| VerifyingKey::parse(text).unwrap()).collect();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let received = Received { id, timestamp, signatures, body: BODY };
        received.verify(&keys, Timestamp::new(now, 0), TOLERANCE)
    }

    fn signed(signatures: &str) -> Result<(), VerifyError> {
        verify(signatures, "1614265330", AT, &[OTHER, KEY])
    }

    #[test]
    fn one_right_signature_by_one_key_is_enough() {
        assert_eq!(signed(RIGHT), Ok(()));
        assert_eq!(signed(&format!("v1a,x v2,y {WRONG} {RIGHT} v1,")), Ok(()));
        assert_eq!(verify(RIGHT, "1614265330", AT, &[OTHER]), Err(VerifyError::Wrong));
        assert_eq!(verify(RIGHT, "1614265330", AT, &[]), Err(VerifyError::NoneForTheKeys));
    }

    #[test]
    fn what_is_no_signature_of_the_message_is_wrong() {
        for wrong in [WRONG, "v1,", "v1,AAAA", "v1,\u{e9}", &RIGHT[..RIGHT.len() - 1], "v1,=="] {
            assert_eq!(signed(wrong), Err(VerifyError::Wrong), "{wrong}");
        }
        for none in ["", " ", "v1", "v1a,AAAA", "v2,AAAA", &RIGHT[3..], &RIGHT.replace("v1", "V1")]
        {
            assert_eq!(signed(none), Err(VerifyError::NoneForTheKeys), "{none}");
        }
    }

    #[test]
    fn no_more_signatures_are_looked_at_than_a_sender_has() {
        let many = |before: usize| format!("{}{RIGHT}", "v1,AAAA ".repeat(before));
        assert_eq!(signed(&many(MOST - 1)), Ok(()));
        assert_eq!(signed(&many(MOST)), Err(VerifyError::Wrong));
    }

    #[test]
    fn the_time_is_within_the_tolerance() {
        for (now, expected) in [
            (AT + 300, Ok(())),
            (AT + 301, Err(VerifyError::TooOld)),
            (AT - 300, Ok(())),
            (AT - 301, Err(VerifyError::TooNew)),
            (0, Err(VerifyError::TooNew)),
        ] {
            assert_eq!(verify(RIGHT, "1614265330", now, &[KEY]), expected, "{now}");
        }
        let most = format!("{}", i64::MAX);
        let over = format!("{}", u64::MAX);
        assert_eq!(verify(RIGHT, &most, AT, &[KEY]), Err(VerifyError::TooNew));
        for malformed in ["", " 1614265330", "+1614265330", "-1", "1614265330.5", "x", &over] {
            let end = Err(VerifyError::Malformed("webhook-timestamp"));
            assert_eq!(verify(RIGHT, malformed, AT, &[KEY]), end, "{malformed}");
        }
    }

    /// The text is what was signed.
    #[test]
    fn a_time_written_otherwise_is_another() {
        assert_eq!(verify(RIGHT, "01614265330", AT, &[KEY]), Err(VerifyError::Wrong));
    }

    #[test]
    fn headers_that_are_not_there_are_named() {
        let all =
            [("webhook-id", &b"a"[..]), ("webhook-timestamp", b"1"), ("webhook-signature", b"")];
        for (missing, _) in all {
            let find = |value: Option<&'static [u8]>| {
                move |name: &str| {
                    let found =
                        all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
                    if name == missing { value } else { found }
                }
            };
            let error = |value| Received::new(find(value), b"").err();
            assert_eq!(error(None), Some(VerifyError::Missing(missing)));
            assert_eq!(error(Some(b"\xff")), Some(VerifyError::Malformed(missing)));
            assert_eq!(Received::new(find(Some(b"1")), b"").err(), None);
        }
    }
}

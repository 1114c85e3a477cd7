//! Whether a request is from the sender.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::HeaderMap;
use pilot_webhook_core::standard::{self, Received, VerifyingKey};
use pilot_webhook_core::{SIGNATURE_HEADER, Secret, Timestamp, VerifyError, verify};

use crate::secrets::{Secrets, Sign};

/// What requests are verified with. A request must have each kind of signature that there is a secret for.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// For `X-Pilot-Signature-256`.
    pub secret: Option<Secret>,
    /// For the signatures of Standard Webhooks.
    pub keys: Vec<VerifyingKey>,
}

impl From<Option<Secret>> for Check {
    fn from(secret: Option<Secret>) -> Self {
        Self { secret, keys: Vec::new() }
    }
}

impl Check {
    /// By the secrets in these files, as [`Secrets::read`] reads them; of a key pair the public half (`whpk_`). Without a
    /// file nothing is verified.
    ///
    /// # Errors
    /// When a file or a key cannot be used: in one line.
    pub fn read(
        kinds: &[Sign],
        files: &[PathBuf],
        warn: impl FnMut(String),
    ) -> Result<Self, String> {
        if files.is_empty() {
            return Ok(Self::default());
        }
        let secrets = Secrets::read(kinds, files, warn)?;
        let keys = secrets.keys(VerifyingKey::parse)?;
        Ok(Self { secret: secrets.pilot.as_deref().and_then(Secret::new), keys })
    }

    /// The headers of the signatures that a request must have, with commas between; empty when none are verified.
    #[must_use]
    pub const fn headers(&self) -> &'static str {
        match (&self.secret, self.keys.is_empty()) {
            (None, true) => "",
            (Some(_), true) => SIGNATURE_HEADER,
            (None, false) => standard::SIGNATURE_HEADER,
            (Some(_), false) => "X-Pilot-Signature-256, webhook-signature",
        }
    }

    /// Over the bytes as they came, before anything reads them. `None` when there is no secret. For Standard Webhooks the
    /// time of the message must be within five minutes of now.
    #[must_use]
    pub fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Option<Result<(), VerifyError>> {
        self.verify_at(headers, body, now())
    }

    fn verify_at(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Option<Result<(), VerifyError>> {
        let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
        let pilot = self
            .secret
            .as_ref()
            .map(|secret| verify(header(SIGNATURE_HEADER), body, std::slice::from_ref(secret)));
        let standard = (!self.keys.is_empty())
            .then(|| Received::new(header, body)?.verify(&self.keys, now, standard::TOLERANCE));
        match (pilot, standard) {
            (Some(Ok(())), Some(end)) => Some(end),
            (pilot, standard) => pilot.or(standard),
        }
    }
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(i64::try_from(now.as_secs()).unwrap_or(i64::MAX), now.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"{\"event_id\":1}";

    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("X-Pilot-Signature-256", signature.parse().unwrap());
        headers
    }

    #[test]
    fn without_a_right_signature_a_body_is_not_signed() {
        let secret = Secret::new(b"hush").unwrap();
        let signed = headers(secret.sign(BODY).as_str());
        let check = Check::from(Some(secret));
        assert_eq!(check.verify(&signed, BODY), Some(Ok(())));
        assert_eq!(check.verify(&signed, b"{\"event_id\":2}"), Some(Err(VerifyError::Wrong)));
        let malformed = VerifyError::Malformed(SIGNATURE_HEADER);
        assert_eq!(check.verify(&headers("12"), BODY), Some(Err(malformed)));
        let missing = VerifyError::Missing(SIGNATURE_HEADER);
        assert_eq!(check.verify(&HeaderMap::new(), BODY), Some(Err(missing)));
        assert_eq!(Check::default().verify(&HeaderMap::new(), BODY), None);
    }

    #[test]
    fn each_kind_that_there_is_a_secret_for_must_be_right() {
        let key = VerifyingKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let secret = Secret::new(b"hush").unwrap();
        let signed = headers(secret.sign(BODY).as_str());
        let missing = Some(Err(VerifyError::Missing(standard::ID_HEADER)));
        let check = Check { secret: Some(secret), keys: vec![key] };
        assert_eq!(check.verify(&signed, BODY), missing);
        assert_eq!(Check { secret: None, ..check }.verify(&signed, BODY), missing);
    }

    /// The example of Standard Webhooks' specification.
    #[test]
    fn the_published_vector_is_verified_within_five_minutes() {
        const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        const AT: i64 = 1_614_265_330;
        let body = br#"{"test": 2432232314}"#;
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let check = Check { secret: None, keys: vec![VerifyingKey::parse(KEY).unwrap()] };
        let at = |seconds| check.verify_at(&headers, body, Timestamp::new(seconds, 0)).unwrap();
        assert_eq!((at(AT), at(AT + 300), at(AT - 300)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(at(AT + 301), Err(VerifyError::TooOld));
        assert_eq!(at(AT - 301), Err(VerifyError::TooNew));
        assert_eq!(check.verify(&headers, body), Some(Err(VerifyError::TooOld)), "today");
        let other = check.verify_at(&headers, b"{}", Timestamp::new(AT, 0));
        assert_eq!(other, Some(Err(VerifyError::Wrong)));
        assert_eq!(check.headers(), "webhook-signature");
    }

    #[test]
    fn the_headers_that_must_be_there_are_named() {
        let secret = Secret::new(b"hush");
        let keys = vec![VerifyingKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()];
        assert_eq!(Check::default().headers(), "");
        assert_eq!(Check::from(secret.clone()).headers(), "X-Pilot-Signature-256");
        let both = Check { secret, keys }.headers();
        assert_eq!(both, format!("{SIGNATURE_HEADER}, {}", standard::SIGNATURE_HEADER));
    }
}

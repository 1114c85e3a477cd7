//! Whether a request is from the sender.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::HeaderMap;
use pilot_webhook_core::standard::{self, Received, VerifyingKey};
use pilot_webhook_core::{SIGNATURE_HEADER, Secret, Timestamp, VerifyError, verify};

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
    /// Over the bytes as they came, before anything reads them. `None` when there is no secret.
    pub(crate) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Result<(), VerifyError>> {
        let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
        let pilot = self
            .secret
            .as_ref()
            .map(|secret| verify(header(SIGNATURE_HEADER), body, std::slice::from_ref(secret)));
        let standard = (!self.keys.is_empty())
            .then(|| Received::new(header, body)?.verify(&self.keys, now(), standard::TOLERANCE));
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
}

//! The handshake of CloudEvents' web hooks: a receiver is asked before events are sent to it
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md>, section 4).

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pilot_webhook_core::http::is_header;
use pilot_webhook_core::{Endpoint, Rate};

use crate::http::error::HttpError;
use crate::http::heard::field;

const MINUTE: Duration = Duration::from_secs(60);

/// What is called with the rate that a receiver allows.
type OnRate = Box<dyn Fn(Rate) + Send + Sync>;

/// Who asks, and which receiver has consented. The transports of a client share it.
pub(crate) struct Handshake {
    origin: String,
    /// The rate that is asked for.
    rate: Rate,
    /// The URL whose receiver has consented.
    consented: Mutex<Option<String>>,
    on_rate: OnceLock<OnRate>,
}

impl Handshake {
    /// `None` when it is no name that a header can hold.
    pub(crate) fn new(origin: String, rate: Rate) -> Option<Self> {
        let is_name = !origin.is_empty()
            && origin.bytes().all(|byte| byte.is_ascii_graphic())
            && is_header(REQUEST_ORIGIN, &origin);
        let consented = Mutex::default();
        is_name.then_some(Self { origin, rate, consented, on_rate: OnceLock::new() })
    }

    /// Has the slower one of the own rate and the allowed one told, from the next consent on.
    pub(crate) fn on_rate(&self, tell: impl Fn(Rate) + Send + Sync + 'static) {
        // A client tells it once.
        let _ = self.on_rate.set(Box::new(tell));
    }

    /// Whether this receiver must be asked.
    pub(crate) fn is_due(&self, endpoint: &Endpoint<'_>) -> bool {
        let consented = self.consented.lock().unwrap_or_else(PoisonError::into_inner);
        consented.as_deref() != Some(endpoint.url())
    }

    /// The headers of the question, but for the value of the rate that is asked for.
    pub(crate) fn question(&self) -> (&str, Option<String>) {
        let distance = self.rate.distance();
        let per_minute = MINUTE.as_micros().checked_div(distance.as_micros());
        (&self.origin, per_minute.map(|rate| rate.max(1).to_string()))
    }

    /// Takes the answer, with its head as it came.
    ///
    /// # Errors
    /// When it is no consent.
    pub(crate) fn answered(
        &self,
        endpoint: &Endpoint<'_>,
        status: u16,
        head: &[u8],
    ) -> Result<(), HttpError> {
        let consents = |origin: &str| origin == "*" || origin.eq_ignore_ascii_case(&self.origin);
        let is_consent = (200..300).contains(&status);
        if !is_consent || !field(head, ALLOWED_ORIGIN).is_some_and(consents) {
            return Err(HttpError::NoConsent(status));
        }
        let allowed = field(head, ALLOWED_RATE).and_then(|rate| rate.parse().ok());
        let allowed = allowed.and_then(|rate| Rate::new(rate, MINUTE)).unwrap_or(Rate::UNLIMITED);
        let slower = if allowed.distance() > self.rate.distance() { allowed } else { self.rate };
        if let Some(tell) = self.on_rate.get() {
            tell(slower);
        }
        let mut consented = self.consented.lock().unwrap_or_else(PoisonError::into_inner);
        *consented = Some(endpoint.url().to_owned());
        Ok(())
    }
}

pub(crate) const REQUEST_ORIGIN: &str = "WebHook-Request-Origin";
pub(crate) const REQUEST_RATE: &str = "WebHook-Request-Rate";
const ALLOWED_ORIGIN: &str = "WebHook-Allowed-Origin";
const ALLOWED_RATE: &str = "WebHook-Allowed-Rate";

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use pilot_webhook_core::{EndpointBuf, Policy};

    use super::*;

    #[test]
    fn a_consent_is_for_the_origin_and_one_url() {
        let endpoint = |url| EndpointBuf::<64>::parse(url, Policy::default()).unwrap();
        let (one, other) = (endpoint("http://a.example/"), endpoint("http://a.example/b"));
        let handshake = Handshake::new("Me.example".into(), Rate::UNLIMITED).unwrap();
        let ask = |status, head: &str| handshake.answered(&one.get(), status, head.as_bytes());
        for (status, head) in [
            (200, "HTTP/1.1 200 OK\r\n\r\n"),
            (200, "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: you.example\r\n\r\n"),
            (405, "HTTP/1.1 405 No\r\nWebHook-Allowed-Origin: *\r\n\r\n"),
        ] {
            assert!(matches!(ask(status, head), Err(HttpError::NoConsent(code)) if code == status));
            assert!(handshake.is_due(&one.get()));
        }
        for origin in ["*", "me.EXAMPLE"] {
            ask(200, &format!("HTTP/1.1 200 OK\r\nwebhook-allowed-origin: {origin}\r\n\r\n"))
                .unwrap();
            assert!(!handshake.is_due(&one.get()) && handshake.is_due(&other.get()));
        }
        for origin in ["", "a b", "a\n", "é"] {
            assert!(Handshake::new(origin.into(), Rate::UNLIMITED).is_none(), "{origin:?}");
        }
    }

    #[test]
    fn the_slower_rate_counts() {
        let endpoint = EndpointBuf::<64>::parse("http://a.example/", Policy::default()).unwrap();
        let own = Rate::new(2, Duration::from_secs(1)).unwrap();
        let handshake = Handshake::new("me".into(), own).unwrap();
        assert_eq!(handshake.question(), ("me", Some("120".into())));
        let told = std::sync::Arc::new(Mutex::new(Vec::new()));
        let telling = std::sync::Arc::clone(&told);
        handshake.on_rate(move |rate| telling.lock().unwrap().push(rate.distance()));
        for rate in ["60", "600", "*", "0", "x"] {
            let head = format!(
                "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\nWebHook-Allowed-Rate: {rate}\r\n\r\n"
            );
            handshake.answered(&endpoint.get(), 200, head.as_bytes()).unwrap();
        }
        let half = Duration::from_millis(500);
        assert_eq!(*told.lock().unwrap(), [Duration::from_secs(1), half, half, half, half]);
    }
}

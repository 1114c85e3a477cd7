//! What HTTP statuses mean: the one place where that is decided.

use crate::http::success::Success;
use crate::transport::{Reply, RetryAfter, Verdict};

/// What the receiver answered, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The final status code (never 1xx).
    pub status: u16,
    /// The parsed `Retry-After` header of a 429 or 503, when there was a valid one.
    pub retry_after: Option<RetryAfter>,
}

impl Response {
    /// An answer with nothing but a status.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self { status, retry_after: None }
    }

    /// Whether the verdict may depend on `Retry-After`.
    pub(super) const fn may_ask_to_wait(self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// What it means. Redirects are not followed, so they refuse; `Retry-After` is honoured on 429
    /// and 503. 410 stops the endpoint. A status outside 200 to 599 is no valid answer and may be better the next time.
    ///
    /// ```
    /// use pilot_webhook_core::{Verdict, http::Response};
    /// assert_eq!(Response::status(204).verdict(), Verdict::Accepted);
    /// assert_eq!(Response::status(404).verdict(), Verdict::Refused);
    /// assert_eq!(Response::status(500).verdict(), Verdict::Later(None));
    /// ```
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self.status {
            200..=299 => Verdict::Accepted,
            429 | 503 => Verdict::Later(self.retry_after),
            408 | 425 => Verdict::Later(None),
            410 => Verdict::Gone,
            413 => Verdict::TooLarge,
            400 | 422 => Verdict::Invalid,
            300..=499 => Verdict::Refused,
            _ => Verdict::Later(None),
        }
    }
}

impl Response {
    /// What it means where these statuses mean success, and no others: the rest of 2xx refuses then.
    #[must_use]
    pub fn verdict_by(self, success: &Success) -> Verdict {
        match self.verdict() {
            _ if success.contains(self.status) => Verdict::Accepted,
            Verdict::Accepted => Verdict::Refused,
            verdict => verdict,
        }
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self { verdict: response.verdict(), code: response.status }
    }
}

//! What the sender of a request is told that was not, or not wholly, taken.

use std::fmt;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use pilot_webhook_core::{EncodeError, VerifyError};

use super::body::BadBody;
use super::intake::{Shortfall, Why};

/// When there is room again, in seconds, for all that anybody knows.
const FULL: u64 = 1;
/// When there is a webhook again: a person sets it.
const NO_WEBHOOK: u64 = 10;

/// Why a request was refused. `Display` is one line, and shows nothing of the request.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is no POST.
    Method,
    /// A browser sent it, for a web page.
    WebPage,
    /// It is not signed as it must be.
    Signature {
        /// What is wrong.
        why: VerifyError,
        /// The headers that it must have.
        wanted: &'static str,
    },
    /// The body is longer than any that is read.
    TooLong,
    /// The body did not come in time.
    TooSlow,
    /// The body did not come whole.
    Broken,
    /// The body is not events.
    Body(BadBody),
    /// Not all events are queued.
    Shortfall(Shortfall),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("events are posted: the method must be POST"),
            Self::WebPage => f.write_str("web pages cannot post events"),
            Self::Signature { why, .. } => why.fmt(f),
            Self::TooLong => f.write_str("the body is too long"),
            Self::TooSlow => f.write_str("the body did not come in time"),
            Self::Broken => f.write_str("the body did not come whole"),
            Self::Body(bad) => bad.fmt(f),
            Self::Shortfall(shortfall) => shortfall.fmt(f),
        }
    }
}

impl Refusal {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::WebPage => StatusCode::FORBIDDEN,
            Self::Signature { .. } => StatusCode::UNAUTHORIZED,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Shortfall(shortfall) => match shortfall.why {
                Why::Unfit(EncodeError::TooLong) => StatusCode::PAYLOAD_TOO_LARGE,
                Why::Unfit(_) => StatusCode::BAD_REQUEST,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            },
        }
    }

    /// The header that belongs to the status.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let text = HeaderValue::from_static;
        match self {
            Self::Method => Some((ALLOW, text("POST"))),
            // No scheme that is registered: the headers that are missing.
            Self::Signature { wanted, .. } => Some((WWW_AUTHENTICATE, text(wanted))),
            Self::TooSlow => Some((CONNECTION, text("close"))),
            Self::Shortfall(Shortfall { why, .. }) => match why {
                Why::Unfit(_) => None,
                Why::NoWebhook => Some((RETRY_AFTER, NO_WEBHOOK.into())),
                _ => Some((RETRY_AFTER, FULL.into())),
            },
            _ => None,
        }
    }

    /// The answer, with the reason in its body.
    pub(crate) fn answer(&self) -> Response<Full<Bytes>> {
        let mut answer = Response::new(Full::from(format!("{self}\n")));
        *answer.status_mut() = self.status();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.extend(self.header());
        answer
    }
}

//! What an attempt amounts to: the one place where an answer or an error becomes an action.

use crate::{ErrorKind, Response, RetryAfter};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx: the receiver has the event.
    Delivered,
    /// The receiver may take it later: 5xx, 408, 425, 429, or no answer at all.
    Retryable {
        /// What the receiver asked for, honoured on 429 and 503.
        retry_after: Option<RetryAfter>,
    },
    /// The receiver will never take it: 3xx (redirects are not followed) and the other 4xx.
    Rejected,
}

impl Outcome {
    /// Classifies the end of an attempt. A status outside 200 to 599 is no valid answer and may be
    /// better the next time.
    #[must_use]
    pub const fn classify(result: Result<Response, ErrorKind>) -> Self {
        match result {
            Ok(Response { status, retry_after }) => match status {
                200..=299 => Self::Delivered,
                429 | 503 => Self::Retryable { retry_after },
                408 | 425 => Self::Retryable { retry_after: None },
                300..=499 => Self::Rejected,
                _ => Self::Retryable { retry_after: None },
            },
            Err(_) => Self::Retryable { retry_after: None },
        }
    }
}

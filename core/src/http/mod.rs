//! HTTP/1.1 answers without I/O: what every transport needs to know of what a receiver says.
//!
//! A transport writes a request and hands whatever it reads to an [`Answer`], until that has a
//! [`Head`]: the status, and what is to be read before the connection may carry another request.
//! Nothing here depends on the pieces that the bytes come in, and nothing grows with them.
//!
//! ```
//! use pilot_webhook_core::http::Answer;
//!
//! let bytes = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok";
//! let mut answer = Answer::new();
//! let (taken, head) = answer.take(bytes)?;
//! let head = head.expect("all of it is there");
//! assert_eq!(head.response.status, 202);
//! let mut rest = head.rest(1_024).expect("the connection may be kept");
//! assert_eq!(rest.take(&bytes[taken..]), Some(2));
//! assert!(rest.is_over());
//! # Ok::<(), pilot_webhook_core::http::Malformed>(())
//! ```

mod answer;
mod body;
mod fields;
mod request;
mod status;

use core::error::Error;
use core::fmt;

pub use answer::{Answer, HEADS_MAX};
pub use body::Rest;
pub use fields::Head;
pub use request::is_header;
pub use status::Response;

pub use crate::json::{DIGITS, decimal};

/// What about an answer is not HTTP/1 (RFC 9112) within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Malformed {
    /// The first line is no status line of HTTP/1.0 or HTTP/1.1.
    StatusLine,
    /// The body has no other length than a `Content-Length` that is no number, or several different
    /// ones.
    ContentLength,
    /// `101 Switching Protocols`, which nobody asked for.
    Upgrade,
    /// It goes on beyond [`HEADS_MAX`] before there is a final status.
    TooLarge,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StatusLine => "no valid status line",
            Self::ContentLength => "an invalid Content-Length",
            Self::Upgrade => "a switch of protocols that was not asked for",
            Self::TooLarge => "its header section is too large",
        })
    }
}

impl Error for Malformed {}

//! HTTP/1.1 without I/O: what every transport needs to know of a connection and of what a receiver says.
//!
//! A transport writes a request and tells an [`Exchange`] what becomes of that and what it reads, until
//! there is an answer, which is there with its status line. Then the exchange knows whether the connection may carry another request.
//! Nothing here depends on the pieces that the bytes come in, and nothing grows with them.
//!
//! ```
//! use pilot_webhook_core::http::Exchange;
//! use pilot_webhook_core::{EndpointBuf, Instant, Message, Policy};
//!
//! let endpoint = EndpointBuf::<64>::parse("http://example.com/", Policy::default())?;
//! let now = Instant::from_micros(0);
//! let mut exchange = Exchange::new(&endpoint.get(), now);
//! exchange.begin();
//! exchange.written();
//! let bytes = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok";
//! let response = exchange.received(bytes, now)?.expect("its status line is there");
//! assert_eq!(response.status, 202);
//! assert!(exchange.may_carry(&endpoint.get(), &Message::new(&[], b"{}"), now));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod body;
mod exchange;
mod fields;
mod request;
mod status;
mod success;
#[cfg(test)]
mod tests;

use core::error::Error;
use core::fmt;

pub use answer::HEADS_MAX;
#[cfg(feature = "nats")]
pub(crate) use exchange::AUTHORITY_MAX;
pub use exchange::{AGE_MAX, DRAIN_MAX, DRAIN_TIME, Exchange, Failure, IDLE_MAX};
pub use request::{HeaderError, basic, check_header, is_header};
pub use status::Response;
pub use success::{NoSuccess, Success};

pub use crate::json::{DIGITS, decimal};

/// What about an answer is not HTTP/1 (RFC 9112) within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Malformed {
    /// The first line is no status line of HTTP/1.0 or HTTP/1.1.
    StatusLine,
    /// `101 Switching Protocols`, which nobody asked for.
    Upgrade,
    /// It goes on beyond [`HEADS_MAX`] before there is a final status.
    TooLarge,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StatusLine => "no valid status line",
            Self::Upgrade => "a switch of protocols that was not asked for",
            Self::TooLarge => "its header section is too large",
        })
    }
}

impl Error for Malformed {}

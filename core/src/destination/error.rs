//! What is wrong with a URL.

use core::fmt;

use crate::destination::policy::Refusal;

/// Why a URL is not an endpoint. The operator corrects the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndpointError {
    /// Longer than the endpoint can hold (2,048 bytes on std).
    TooLong,
    /// Not `http://` or `https://`, or another scheme that was asked for.
    Scheme,
    /// A Unix socket. Events go over TCP only.
    Socket,
    /// A user name or password that cannot be sent: without a name, with control characters, or with a
    /// letter that must be percent-encoded.
    Userinfo,
    /// No host, or one that is neither a name nor an address.
    Host,
    /// Not a port from 1 to 65535.
    Port,
    /// A character that must be percent-encoded in a path or query.
    Character,
    /// A `%` without two hexadecimal digits behind it (RFC 3986, section 2.1).
    Percent,
    /// The URL of a NATS server with a user name or a password. They go elsewhere.
    Login,
    /// The path in the URL of a NATS server is no beginning of a subject: tokens of letters, digits, `-` and `_`
    /// with dots between them.
    Subject,
    /// The destination policy refuses the host.
    Refused(Refusal),
}

impl From<Refusal> for EndpointError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the URL is too long",
            Self::Scheme => "the URL must begin with http:// or https://",
            Self::Socket => "a Unix socket is no destination: events go over TCP only",
            Self::Userinfo => "the user name or password in the URL must be percent-encoded",
            Self::Host => "the URL must name a valid host",
            Self::Port => "the port must be a number from 1 to 65535",
            Self::Character => "the URL holds a character that must be percent-encoded",
            Self::Percent => "every % in the URL must be followed by two hexadecimal digits",
            Self::Login => "credentials do not belong in the URL of a NATS server",
            Self::Subject => {
                "the path must be the beginning of a subject, such as nats://host/pilot"
            }
            Self::Refused(refusal) => return refusal.fmt(f),
        })
    }
}

impl core::error::Error for EndpointError {}

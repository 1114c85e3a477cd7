//! Why an attempt failed, told apart by what the operator has to do.

use core::fmt;

use embedded_io_async::ErrorKind as IoKind;
use pilot_webhook_core::http::Malformed;
#[cfg(feature = "nats")]
use pilot_webhook_core::nats::Fault;
use pilot_webhook_core::{ErrorKind, Refusal, TransportError};

#[cfg(feature = "_https")]
use crate::tls::TlsFailure;

/// Why an attempt brought no answer.
///
/// The engine sees only its [`kind`](TransportError::kind); logs and tests see the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The host name did not resolve.
    Resolve,
    /// The destination policy refuses the name, or the address that it resolved to.
    Refused(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] Refusal),
    /// No TCP connection.
    Connect(IoKind),
    /// This transport does not speak the URL's protocol.
    Scheme,
    /// The endpoint is over TLS, and this transport was built or set up without TLS.
    NoTls,
    /// The TLS handshake failed, or the server is not the one it should be. Nothing was sent.
    #[cfg(feature = "_https")]
    Tls(TlsFailure),
    /// The TLS connection became unusable after the handshake.
    #[cfg(feature = "_https")]
    TlsSession(TlsFailure),
    /// There are more headers than the encoder has room for, or one that HTTP cannot carry. Nothing was
    /// sent, and no connection was made.
    InvalidRequest,
    /// The connection broke after the request was begun.
    Disconnected(IoKind),
    /// The server closed the connection before its answer was complete.
    Closed,
    /// The answer is not HTTP/1 within bounds.
    Malformed(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] Malformed),
    /// The NATS server, or what is in its place, made the connection useless.
    #[cfg(feature = "nats")]
    Nats(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] Fault),
}

impl TransportError for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Resolve => ErrorKind::Resolve,
            Self::Refused(_) => ErrorKind::Refused,
            Self::Connect(_) | Self::Scheme => ErrorKind::Connect,
            Self::NoTls => ErrorKind::Tls,
            #[cfg(feature = "_https")]
            Self::Tls(_) => ErrorKind::Tls,
            #[cfg(feature = "_https")]
            Self::TlsSession(_) => ErrorKind::Disconnected,
            Self::Disconnected(_) | Self::Closed => ErrorKind::Disconnected,
            Self::InvalidRequest | Self::Malformed(_) => ErrorKind::Protocol,
            #[cfg(feature = "nats")]
            Self::Nats(fault) => match fault {
                Fault::Credentials | Fault::NoNonce => ErrorKind::Connect,
                Fault::Ended => ErrorKind::Disconnected,
                _ => ErrorKind::Protocol,
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve => f.write_str("the host name did not resolve"),
            Self::Refused(refusal) => write!(f, "the destination is refused: {refusal}"),
            Self::Connect(kind) => write!(f, "no TCP connection: {kind:?}"),
            Self::Scheme => f.write_str("this transport does not speak the URL's protocol"),
            Self::NoTls => f.write_str("the endpoint is over TLS, but TLS is not set up"),
            #[cfg(feature = "_https")]
            Self::Tls(failure) => write!(f, "TLS: {failure}"),
            #[cfg(feature = "_https")]
            Self::TlsSession(failure) => write!(f, "TLS after the handshake: {failure}"),
            Self::InvalidRequest => f.write_str("a header cannot be sent over HTTP, or too many"),
            Self::Disconnected(kind) => write!(f, "the connection broke: {kind:?}"),
            Self::Closed => f.write_str("the server closed the connection before its answer"),
            Self::Malformed(what) => write!(f, "the answer is not HTTP/1: {what}"),
            #[cfg(feature = "nats")]
            Self::Nats(fault) => write!(f, "NATS: {fault}"),
        }
    }
}

impl core::error::Error for Error {}

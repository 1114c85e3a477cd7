//! Why a POST failed, told apart by what the operator has to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use pilot_webhook_core::http::Malformed;
use pilot_webhook_core::{ErrorKind, Refusal, Timestamp, TransportError};
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

/// Why a POST brought no answer.
///
/// `Display` is fit for a log line: it names hosts' addresses and causes, but never the payload,
/// the URL's path or query, or a header.
#[derive(Debug)]
#[non_exhaustive]
pub enum HttpError {
    /// The resolver failed or does not know the name.
    Resolve(io::Error),
    /// The look-up of the name did not end within the attempt's timeout: a DNS server does not
    /// answer. The look-up goes on, and the attempts that follow take its result.
    LookUpTimedOut {
        /// The host's name.
        name: Box<str>,
    },
    /// The resolver knows the name but has no address for it.
    NoAddress,
    /// The destination policy refuses the host, or every address it resolved to.
    Refused(Refusal),
    /// No address of the host accepted a connection. This is the most informative of the failures: a
    /// refusal before a timeout, and both before an address family without a route.
    Connect {
        /// The address that failed so.
        address: SocketAddr,
        /// What its attempt ended with; [`io::ErrorKind::TimedOut`] when it did not end in time.
        error: io::Error,
    },
    /// The host's name cannot stand in a certificate, so that TLS cannot verify it.
    ServerName,
    /// An `https` endpoint, and neither the system nor the configuration has a root to trust.
    NoTrustRoots,
    /// The TLS handshake failed. The request was not sent.
    Tls(io::Error),
    /// A header cannot be sent over HTTP. The request was not sent.
    InvalidRequest,
    /// The connection broke before a byte of the request was sent.
    Closed(io::Error),
    /// The connection broke after the request was begun and before there was an answer. The
    /// receiver may have got the event.
    Disconnected(io::Error),
    /// The answer is not HTTP/1 within bounds.
    Malformed(Malformed),
    /// No connection could be made, over reqwest.
    #[cfg(feature = "reqwest")]
    Unreachable(io::Error),
    /// The proxy cannot be reached, or does not do what it should. The endpoint was not asked.
    #[cfg(feature = "reqwest")]
    Proxy {
        /// Its scheme, host and port.
        proxy: Box<str>,
        /// What is wrong, and what to do.
        reason: Box<str>,
    },
    /// The answer is not HTTP, as reqwest sees it.
    #[cfg(feature = "reqwest")]
    NotHttp(Box<str>),
    /// The receiver did not consent to events from this origin, by this status: the event was not sent. The operator
    /// asks whoever runs it, or leaves the handshake out.
    NoConsent(u16),
}

impl HttpError {
    /// Whether a certificate was refused: the server's here, or the client's there, which may be known only once
    /// the request is begun.
    pub(crate) fn is_distrust(&self) -> bool {
        match self {
            Self::Tls(error) => certificate_error(error).is_some() || is_refused_client(error),
            Self::Closed(error) | Self::Disconnected(error) => is_refused_client(error),
            _ => false,
        }
    }
}

impl TransportError for HttpError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Resolve(error) | Self::Connect { error, .. } if is_local(error) => {
                ErrorKind::Local
            }
            #[cfg(feature = "reqwest")]
            Self::Unreachable(error) if is_local(error) => ErrorKind::Local,
            Self::Resolve(_) | Self::LookUpTimedOut { .. } | Self::NoAddress => ErrorKind::Resolve,
            Self::Refused(_) => ErrorKind::Refused,
            Self::Connect { .. } | Self::Closed(_) => ErrorKind::Connect,
            Self::ServerName | Self::NoTrustRoots | Self::Tls(_) => ErrorKind::Tls,
            Self::Disconnected(_) => ErrorKind::Disconnected,
            Self::InvalidRequest | Self::Malformed(_) | Self::NoConsent(_) => ErrorKind::Protocol,
            #[cfg(feature = "reqwest")]
            Self::Unreachable(_) | Self::Proxy { .. } => ErrorKind::Connect,
            #[cfg(feature = "reqwest")]
            Self::NotHttp(_) => ErrorKind::Protocol,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(f, "the host name did not resolve: {error}"),
            Self::LookUpTimedOut { name } => {
                write!(f, "the look-up of {name} did not end within the timeout")
            }
            Self::NoAddress => f.write_str("the host name has no address"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Connect { address, error } => write!(f, "no connection to {address}: {error}"),
            Self::ServerName => f.write_str("the host name cannot be verified over TLS"),
            Self::NoTrustRoots => f.write_str(
                "no trusted certificates found: install the system's CA certificates, or name a CA file",
            ),
            Self::Tls(error) => match certificate_error(error).and_then(untimely) {
                Some(what) => write!(f, "the TLS handshake failed: {what}"),
                None => write!(f, "the TLS handshake failed: {error}{}", tls_advice(error)),
            },
            Self::InvalidRequest => f.write_str("a header cannot be sent over HTTP"),
            Self::Closed(error) => write!(f, "the connection broke before the request: {error}"),
            Self::Disconnected(error) => {
                write!(f, "the connection broke before the answer: {error}")
            }
            Self::Malformed(what) => write!(f, "the answer is not valid HTTP: {what}"),
            #[cfg(feature = "reqwest")]
            Self::Unreachable(error) => write!(f, "no connection: {error}"),
            #[cfg(feature = "reqwest")]
            Self::Proxy { proxy, reason } => write!(f, "the proxy {proxy} {reason}"),
            #[cfg(feature = "reqwest")]
            Self::NotHttp(what) => write!(f, "the answer is not valid HTTP: {what}"),
            Self::NoConsent(status) => {
                write!(f, "the receiver did not consent to events from this origin (status {status})")
            }
        }
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Resolve(error) | Self::Connect { error, .. } | Self::Tls(error) => Some(error),
            Self::Closed(error) | Self::Disconnected(error) => Some(error),
            Self::Malformed(what) => Some(what),
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

/// Whether this machine lacked something: a descriptor, a port, a thread, memory.
fn is_local(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, OutOfMemory, WouldBlock};
    // What several attempts share stands behind an `Arc`.
    let shared = error.get_ref().and_then(|inner| inner.downcast_ref::<Arc<io::Error>>());
    let error = shared.map_or(error, |shared| shared);
    matches!(error.kind(), AddrNotAvailable | OutOfMemory | WouldBlock)
        || is_out_of_descriptors(error)
}

#[cfg(unix)]
fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS))
}

/// Other systems have no such limit.
#[cfg(not(unix))]
const fn is_out_of_descriptors(_: &io::Error) -> bool {
    false
}

/// What to do about a server that is not trusted. Webpki knows several reasons for that of a
/// self-signed one.
fn tls_advice(error: &io::Error) -> &'static str {
    match certificate_error(error) {
        Some(CertificateError::UnknownIssuer | CertificateError::Other(_)) => {
            "; to trust it, put its certificate, or its authority's, in a CA file"
        }
        _ => "",
    }
}

/// That a certificate is not valid now, with dates, where rustls has seconds since 1970.
fn untimely(reason: &CertificateError) -> Option<String> {
    let date = |time: UnixTime| {
        Timestamp::new(i64::try_from(time.as_secs()).unwrap_or(i64::MAX), 0).to_string()
    };
    match *reason {
        CertificateError::ExpiredContext { time, not_after } => Some(format!(
            "the certificate expired at {}, and now is {}",
            date(not_after),
            date(time)
        )),
        CertificateError::NotValidYetContext { time, not_before } => Some(format!(
            "the certificate is valid from {} on, and now is {}",
            date(not_before),
            date(time)
        )),
        _ => None,
    }
}

/// What is wrong with the server's certificate, if that ended the handshake.
fn certificate_error(error: &io::Error) -> Option<&CertificateError> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::InvalidCertificate(reason) => Some(reason),
        _ => None,
    }
}

/// Whether the server refused the client's certificate, or wants one.
fn is_refused_client(error: &io::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let error = error.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(rustls::Error::AlertReceived(alert)) = error else { return false };
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The receiver was held responsible: its breaker opened.
    #[cfg(unix)]
    #[test]
    fn what_this_machine_lacks_is_no_fault_of_the_receiver() {
        use rustix::io::Errno;
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let connect = |errno: Errno| HttpError::Connect { address, error: errno.into() };
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL]
        {
            assert_eq!(connect(errno).kind(), ErrorKind::Local, "{errno}");
            let shared = Arc::new(io::Error::from(errno));
            let resolve = HttpError::Resolve(io::Error::new(shared.kind(), shared));
            assert_eq!(resolve.kind(), ErrorKind::Local, "{errno}");
        }
        for errno in [Errno::CONNREFUSED, Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::TIMEDOUT] {
            assert_eq!(connect(errno).kind(), ErrorKind::Connect, "{errno}");
        }
        let unknown = HttpError::Resolve(io::Error::other("unknown name"));
        assert_eq!(unknown.kind(), ErrorKind::Resolve);
    }

    #[test]
    fn an_untrusted_server_comes_with_advice_and_an_expired_one_does_not() {
        let text = |reason| {
            let error = rustls::Error::InvalidCertificate(reason);
            HttpError::Tls(io::Error::new(io::ErrorKind::InvalidData, error)).to_string()
        };
        assert!(text(CertificateError::UnknownIssuer).contains("in a CA file"));
        assert!(!text(CertificateError::Expired).contains("CA file"));
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expired = CertificateError::ExpiredContext { time: at(86_400), not_after: at(0) };
        assert_eq!(
            text(expired),
            "the TLS handshake failed: the certificate expired at 1970-01-01T00:00:00Z, and now is 1970-01-02T00:00:00Z"
        );
        let early = CertificateError::NotValidYetContext { time: at(0), not_before: at(60) };
        assert!(text(early).contains("is valid from 1970-01-01T00:01:00Z on"));
    }
}

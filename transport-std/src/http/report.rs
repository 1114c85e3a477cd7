//! What an attempt met, for people who look for a fault.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pilot_webhook_core::{Message, Reply};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, ProtocolVersion};

use crate::http::error::HttpError;

/// How far an attempt came, and when. All times count from its beginning. What it did not come to is `None`; an
/// attempt over a kept connection resolves nothing and connects to nothing.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct HttpReport {
    /// Names and values of the message's headers: what is in the body, its id, its signatures. The headers that the
    /// endpoint asks for are not among them: they are often secrets.
    pub headers: Vec<(String, String)>,
    /// When the host's addresses were known.
    pub resolved: Option<Duration>,
    /// The address that accepted the connection.
    pub address: Option<SocketAddr>,
    /// When it did.
    pub connected: Option<Duration>,
    /// When the TLS handshake had succeeded.
    pub secured: Option<Duration>,
    /// The version of TLS, such as `TLS 1.3`.
    pub tls_version: Option<&'static str>,
    /// The certificate that the server showed, in DER, also when it was not trusted.
    pub certificate: Option<Vec<u8>>,
    /// When the attempt ended.
    pub took: Duration,
}

impl HttpReport {
    /// Of a message that is about to be sent.
    pub(crate) fn of(message: &Message<'_>) -> Self {
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        Self { headers: message.headers.iter().map(own).collect(), ..Self::default() }
    }

    /// The handshake succeeded.
    pub(crate) fn secured(&mut self, tls: &ClientConnection, when: Duration) {
        self.secured = Some(when);
        self.tls_version = match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Some("TLS 1.3"),
            Some(ProtocolVersion::TLSv1_2) => Some("TLS 1.2"),
            _ => None,
        };
        // A session that is resumed shows it once more.
        let shown = tls.peer_certificates().and_then(<[_]>::first);
        self.certificate = shown.map(|shown| shown.to_vec());
    }
}

/// Shows no signature.
impl fmt::Debug for HttpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReport")
            .field("address", &self.address)
            .field("tls_version", &self.tls_version)
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}

/// Who is told of each attempt, with its result; without one it was ended before it had one, by the timeout.
pub(crate) type ReportHook =
    Box<dyn Fn(&HttpReport, Option<&Result<Reply, HttpError>>) + Send + Sync>;

/// Where a verifier leaves the certificate that it was shown.
pub(crate) type Shown = Arc<OnceLock<CertificateDer<'static>>>;

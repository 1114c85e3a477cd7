//! Where events are published: a server, and the beginning of their subjects.

use std::error::Error;
use std::fmt;

use pilot_webhook_core::nats::SCHEMES;
use pilot_webhook_core::{EndpointBuf, EndpointError, Policy, Scheme};

use crate::client::MAX_URL;

/// A NATS server and the prefix of the subjects: `nats://host:4222/pilot`, or `tls://` for TLS.
///
/// `Display` shows all of it: there are no secrets in it, as credentials stand in
/// [`NatsConfig`](crate::NatsConfig).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsTarget {
    scheme: Scheme,
    /// The host in canonical form, with its port.
    authority: String,
    prefix: String,
}

/// Why a text is no [`NatsTarget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NatsTargetError {
    /// It begins with neither `nats://` nor `tls://`.
    Scheme,
    /// It has a user name or a password: those stand in [`NatsConfig`](crate::NatsConfig).
    Userinfo,
    /// The server's address is wrong, or the destination policy refuses it.
    Address(EndpointError),
    /// The path is no prefix of a subject: tokens of letters, digits, `-` and `_` with dots between them.
    Subject,
}

impl NatsTarget {
    /// Parses a URL.
    ///
    /// ```
    /// use pilot_webhook_std::{NatsTarget, Policy};
    /// let target = NatsTarget::parse("nats://Broker.example/pilot.eu", Policy::default()).unwrap();
    /// assert_eq!(target.to_string(), "nats://broker.example:4222/pilot.eu");
    /// ```
    ///
    /// # Errors
    /// When it is no URL of a server with a subject's prefix, or the policy refuses its address.
    pub fn parse(url: &str, policy: Policy) -> Result<Self, NatsTargetError> {
        let endpoint = EndpointBuf::<MAX_URL>::parse_with(SCHEMES, url, policy)?;
        let endpoint = endpoint.get();
        let (host, port) = (endpoint.authority(), format!(":{}", endpoint.port()));
        Ok(Self {
            scheme: endpoint.scheme(),
            authority: host.strip_suffix(&port).unwrap_or(host).to_owned() + &port,
            prefix: endpoint.target().trim_start_matches('/').to_owned(),
        })
    }

    /// Whether `url` names a NATS server.
    #[must_use]
    pub fn is_one(url: &str) -> bool {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_str()))
    }

    /// The beginning of every subject.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether both name the same server, by the same scheme, host and port.
    #[must_use]
    pub fn is_same_server(&self, other: &Self) -> bool {
        self.server() == other.server()
    }

    /// The server's URL, without the prefix.
    pub(crate) fn server(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority)
    }

    pub(crate) const fn is_tls(&self) -> bool {
        self.scheme.is_tls()
    }
}

impl From<EndpointError> for NatsTargetError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Scheme => Self::Scheme,
            EndpointError::Login | EndpointError::Userinfo => Self::Userinfo,
            EndpointError::Subject | EndpointError::Character | EndpointError::Percent => {
                Self::Subject
            }
            error => Self::Address(error),
        }
    }
}

impl fmt::Display for NatsTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server(), self.prefix)
    }
}

impl fmt::Display for NatsTargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("a NATS server's URL begins with nats:// or tls://"),
            Self::Userinfo => {
                f.write_str("credentials do not belong in the URL: put them in a file")
            }
            Self::Address(error) => error.fmt(f),
            Self::Subject => f.write_str(
                "the path must be the beginning of a subject, such as nats://host/pilot: letters, digits, - and _, in tokens with dots between them",
            ),
        }
    }
}

impl Error for NatsTargetError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<String, NatsTargetError> {
        NatsTarget::parse(url, Policy::default()).map(|target| target.to_string())
    }

    #[test]
    fn hosts_are_canonical_and_have_a_port() {
        assert_eq!(parse("nats://Host/pilot"), Ok("nats://host:4222/pilot".into()));
        assert_eq!(parse("TLS://host:80/a.b-c_1"), Ok("tls://host:80/a.b-c_1".into()));
        assert_eq!(parse("nats://[::1]/p"), Ok("nats://[::1]:4222/p".into()));
        assert_eq!(parse("nats://[::1]:1/p"), Ok("nats://[::1]:1/p".into()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(parse("http://host/p"), Err(NatsTargetError::Scheme));
        assert_eq!(parse("host"), Err(NatsTargetError::Scheme));
        for path in ["", "/", "/a..b", "/a.", "/a.>", "/a b", "/a?b", "/ä", "/a/b"] {
            assert_eq!(
                parse(&format!("nats://host{path}")),
                Err(NatsTargetError::Subject),
                "{path}"
            );
        }
        assert_eq!(parse("nats://me:secret@host/p"), Err(NatsTargetError::Userinfo));
        assert!(matches!(parse("nats://169.254.169.254/p"), Err(NatsTargetError::Address(_))));
    }
}

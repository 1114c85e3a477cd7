//! Where events are published: a server, and the beginning of their subjects.

use std::error::Error;
use std::fmt;

use pilot_webhook_core::{EndpointBuf, EndpointError, Policy};

use crate::client::MAX_URL;

/// The port of a URL without one: <https://docs.nats.io/running-a-nats-service/configuration>.
const PORT: u16 = 4222;

/// A NATS server and the prefix of the subjects: `nats://host:4222/pilot`, or `tls://` for TLS.
///
/// `Display` shows all of it: there are no secrets in it, as credentials stand in
/// [`NatsConfig`](crate::NatsConfig).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsTarget {
    is_tls: bool,
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
        let (is_tls, rest) = without_scheme(url).ok_or(NatsTargetError::Scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(NatsTargetError::Userinfo);
        }
        let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = if has_port { String::new() } else { format!(":{PORT}") };
        // Hosts, ports and the policy are the same as for HTTP.
        let endpoint = format!("http://{authority}{port}/");
        let endpoint = EndpointBuf::<MAX_URL>::parse(&endpoint, policy);
        let endpoint = endpoint.map_err(NatsTargetError::Address)?;
        let endpoint = endpoint.get();
        let is_token = |token: &str| {
            !token.is_empty()
                && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if path.len() > MAX_URL || !path.split('.').all(is_token) {
            return Err(NatsTargetError::Subject);
        }
        // Without the port where it is 80, HTTP's own.
        let host = endpoint.authority();
        let host = host.strip_suffix(&format!(":{}", endpoint.port())).unwrap_or(host);
        let authority = format!("{host}:{}", endpoint.port());
        Ok(Self { is_tls, authority, prefix: path.to_owned() })
    }

    /// Whether `url` names a NATS server.
    #[must_use]
    pub fn is_one(url: &str) -> bool {
        without_scheme(url).is_some()
    }

    /// The beginning of every subject.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The server's URL, without the prefix.
    pub(crate) fn server(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority)
    }

    pub(crate) const fn is_tls(&self) -> bool {
        self.is_tls
    }

    const fn scheme(&self) -> &'static str {
        if self.is_tls { "tls" } else { "nats" }
    }
}

/// What follows the scheme of a NATS server's URL, and whether that means TLS; `None` for another scheme.
fn without_scheme(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    match scheme {
        _ if scheme.eq_ignore_ascii_case("nats") => Some((false, rest)),
        _ if scheme.eq_ignore_ascii_case("tls") => Some((true, rest)),
        _ => None,
    }
}

impl fmt::Display for NatsTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme(), self.authority, self.prefix)
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

//! Which proxy requests go through.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, Url};

/// The proxy that requests go through: one for all, or those of the environment.
///
/// For `https` it carries bytes (`CONNECT`), and for `http` requests, which it reads. It resolves the endpoint's
/// name: the destination policy sees the name, and the addresses only where there is no proxy.
#[derive(Clone)]
pub struct Proxy(Kind);

#[derive(Clone)]
enum Kind {
    One { proxy: Box<reqwest::Proxy>, hop: Hop },
    Environment(Arc<Matcher>),
}

/// A proxy, as far as errors and look-ups need it.
#[derive(Clone)]
pub(crate) struct Hop {
    /// Scheme, host and port, for people.
    pub(crate) name: Box<str>,
    pub(crate) host: Box<str>,
}

/// Why a URL names no proxy. The operator corrects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// It is no URL with a host.
    Url,
    /// Its scheme is neither `http` nor `https`.
    Scheme,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "the proxy is not a URL such as http://proxy.example:3128",
            Self::Scheme => "a proxy's URL begins with http:// or https://",
        })
    }
}

impl Error for ProxyError {}

impl Proxy {
    /// All requests go through this one. A user name and password in its URL are sent to it, and shown nowhere.
    ///
    /// # Errors
    /// When the URL names none.
    pub fn new(url: &str) -> Result<Self, ProxyError> {
        let parsed = Url::parse(url).map_err(|_| ProxyError::Url)?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(ProxyError::Scheme);
        }
        let host = parsed.host_str().ok_or(ProxyError::Url)?;
        let hop = Hop::new(parsed.scheme(), host, parsed.port_or_known_default());
        let proxy = reqwest::Proxy::all(parsed).map_err(|_| ProxyError::Url)?;
        Ok(Self(Kind::One { proxy: Box::new(proxy), hop }))
    }

    /// As `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say now, in capitals or small letters. Where they
    /// say nothing, there is no proxy.
    #[must_use]
    pub fn from_env() -> Self {
        Self(Kind::Environment(Arc::new(Matcher::from_env())))
    }

    /// Has a client go through it.
    pub(crate) fn configure(&self, builder: ClientBuilder) -> ClientBuilder {
        match &self.0 {
            Kind::One { proxy, .. } => builder.no_proxy().proxy(reqwest::Proxy::clone(proxy)),
            // What a client does by itself.
            Kind::Environment(_) => builder,
        }
    }

    /// The proxy for this URL.
    pub(crate) fn of(&self, url: &str) -> Option<Hop> {
        match &self.0 {
            Kind::One { hop, .. } => Some(hop.clone()),
            Kind::Environment(matcher) => {
                let found = matcher.intercept(&url.parse().ok()?)?;
                let uri = found.uri();
                Some(Hop::new(uri.scheme_str()?, uri.host()?, uri.port_u16()))
            }
        }
    }
}

impl Hop {
    fn new(scheme: &str, host: &str, port: Option<u16>) -> Self {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Self { name: format!("{scheme}://{host}{port}").into(), host: host.into() }
    }
}

/// Shows no credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::One { hop, .. } => write!(f, "Proxy({})", hop.name),
            Kind::Environment(_) => f.write_str("Proxy(environment)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_without_its_credentials() {
        let proxy = Proxy::new("http://user:s3cret@proxy.test:3128/").unwrap();
        assert_eq!(&*proxy.of("https://a.test/").unwrap().name, "http://proxy.test:3128");
        assert_eq!(format!("{proxy:?}"), "Proxy(http://proxy.test:3128)");
        let usual = Proxy::new("https://proxy.test").unwrap();
        assert_eq!(&*usual.of("http://a.test/").unwrap().name, "https://proxy.test:443");
    }

    #[test]
    fn what_is_no_proxy_is_an_error() {
        assert_eq!(Proxy::new("proxy.test").err(), Some(ProxyError::Url));
        assert_eq!(Proxy::new("").err(), Some(ProxyError::Url));
        assert_eq!(Proxy::new("socks5://proxy.test").err(), Some(ProxyError::Scheme));
        assert_eq!(Proxy::new("proxy.test:3128").err(), Some(ProxyError::Scheme));
    }
}

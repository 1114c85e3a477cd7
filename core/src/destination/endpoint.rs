//! The webhook's URL: parsed strictly, checked against the policy, kept in one canonical form.

use core::fmt;
use core::net::IpAddr;

use heapless::String;

use crate::ascii::{is_same, number};
use crate::destination::error::EndpointError;
use crate::destination::host::{self, Host};
use crate::destination::nats;
use crate::destination::policy::Policy;
use crate::destination::scheme::Scheme;
use crate::destination::text::{is_plain_byte, part, push, split_before};
use crate::destination::userinfo::{Credentials, Userinfo};

/// A checked endpoint, borrowed from the [`EndpointBuf`] that holds its text.
///
/// `Display` shows the origin only: paths and queries of webhooks are often secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Endpoint<'a> {
    url: &'a str,
    scheme: Scheme,
    host: Host<'a>,
    port: u16,
    authority: &'a str,
    target: &'a str,
    credentials: Credentials<'a>,
}

impl<'a> Endpoint<'a> {
    /// `http` or `https`, or another one that was asked for.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host to resolve or to connect to; for TLS, the name to verify.
    #[must_use]
    pub const fn host(&self) -> Host<'a> {
        self.host
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` header: the host, and the port unless it is the scheme's own.
    #[must_use]
    pub const fn authority(&self) -> &'a str {
        self.authority
    }

    /// The request target: path and query, beginning with `/`.
    #[must_use]
    pub const fn target(&self) -> &'a str {
        self.target
    }

    /// The whole URL in canonical form, without a user name and password. Do not log it: paths and queries
    /// are often secrets.
    #[must_use]
    pub const fn url(&self) -> &'a str {
        self.url
    }

    /// The value of the `Authorization` header that the user name and the password in the URL amount to:
    /// `Basic` and their base64. `None` when there were none. It is a secret.
    #[must_use]
    pub const fn authorization(&self) -> Option<&'a str> {
        self.credentials.get()
    }
}

impl fmt::Display for Endpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority)
    }
}

impl fmt::Debug for Endpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self}/...)")
    }
}

/// An endpoint that owns its text, of at most `N` bytes.
///
/// ```
/// use pilot_webhook_core::{EndpointBuf, Policy};
/// let url = "HTTP://0x7f.1:80/hook?key=1#top";
/// let endpoint = EndpointBuf::<256>::parse(url, Policy::default()).unwrap();
/// assert_eq!(endpoint.get().url(), "http://127.0.0.1/hook?key=1");
/// ```
#[derive(Clone)]
pub struct EndpointBuf<const N: usize> {
    /// The URL, and behind it the credentials that it held.
    text: String<N>,
    scheme: Scheme,
    /// `None` when the host is a name, which then is in the text.
    address: Option<IpAddr>,
    port: u16,
    host_end: u16,
    target: u16,
    url_end: u16,
}

impl<const N: usize> EndpointBuf<N> {
    /// Parses and checks a URL. White space around it is not trimmed; a fragment is dropped. A user name and
    /// password become [`Endpoint::authorization`].
    ///
    /// # Errors
    /// When it is not an HTTP(S) URL that fits, or the policy refuses its host.
    pub fn parse(url: &str, policy: Policy) -> Result<Self, EndpointError> {
        Self::parse_with(&[Scheme::Http, Scheme::Https], url, policy)
    }

    /// Parses and checks a URL with one of these schemes. The path of a NATS server is the beginning of its
    /// subjects: `nats://host:4222/pilot.eu`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(
        schemes: &[Scheme],
        url: &str,
        policy: Policy,
    ) -> Result<Self, EndpointError> {
        let (scheme, rest) = split_scheme(url, schemes)?;
        let (authority, target) = split_before(rest, "/?#");
        let (target, _fragment) = split_before(target, "#");
        // Before the policy, which does not change what is wrong with a URL.
        let (userinfo, authority) = Userinfo::split(authority)?;
        if !target.bytes().all(is_target_byte) {
            return Err(EndpointError::Character);
        }
        if !percents_are_encodings(target) {
            return Err(EndpointError::Percent);
        }
        nats::check(scheme, userinfo.is_there(), target)?;
        // As nginx and others write it. A port may be empty, but a host of that name has none in use.
        if is_same(authority.as_bytes(), b"unix:") {
            return Err(EndpointError::Socket);
        }
        let (host, port) = split_port(authority)?;
        let host = host::parse(host)?;
        match host {
            Host::Name(name) => policy.check_name(name)?,
            Host::Address(address) => policy.check(address)?,
        }
        let port = port.unwrap_or(scheme.default_port());
        let mut endpoint =
            Self::canonical(scheme, host, port, target).ok_or(EndpointError::TooLong)?;
        userinfo.write(&mut endpoint.text).ok_or(EndpointError::TooLong)?;
        Ok(endpoint)
    }

    /// With this value of the `Authorization` header, in place of the URL's own credentials.
    ///
    /// # Errors
    /// [`EndpointError::Userinfo`] when HTTP cannot carry it, [`EndpointError::TooLong`] when it does not fit.
    #[cfg(feature = "userinfo")]
    pub fn with_authorization(mut self, value: &str) -> Result<Self, EndpointError> {
        if value.is_empty() || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(EndpointError::Userinfo);
        }
        self.text.truncate(self.url_end.into());
        push(&mut self.text, value).ok_or(EndpointError::TooLong)?;
        Ok(self)
    }

    /// Writes the canonical text; `None` when it does not fit.
    fn canonical(scheme: Scheme, host: Host<'_>, port: u16, target: &str) -> Option<Self> {
        let mut text = String::new();
        push(&mut text, scheme.prefix())?;
        let address = match host {
            Host::Name(name) => {
                push(&mut text, name)?;
                None
            }
            Host::Address(address) => {
                host::write_address(&mut text, address)?;
                Some(address)
            }
        };
        text.make_ascii_lowercase();
        let host_end = u16::try_from(text.len()).ok()?;
        if port != scheme.default_port() {
            push(&mut text, ":")?;
            host::write_number(&mut text, port, 10)?;
        }
        let target_start = u16::try_from(text.len()).ok()?;
        push(&mut text, if target.starts_with('/') { "" } else { "/" })?;
        push(&mut text, target)?;
        let url_end = u16::try_from(text.len()).ok()?;
        Some(Self { text, scheme, address, port, host_end, target: target_start, url_end })
    }

    /// The parts, borrowed.
    #[must_use]
    pub fn get(&self) -> Endpoint<'_> {
        let host_start = self.scheme.prefix().len();
        let part = |from, to| part(&self.text, from, to);
        Endpoint {
            url: part(0, self.url_end.into()),
            scheme: self.scheme,
            host: match self.address {
                Some(address) => Host::Address(address),
                None => Host::Name(part(host_start, self.host_end.into())),
            },
            port: self.port,
            authority: part(host_start, self.target.into()),
            target: part(self.target.into(), self.url_end.into()),
            credentials: Credentials::behind(&self.text, self.url_end),
        }
    }
}

/// By the text, which says all the rest.
impl<const N: usize> PartialEq for EndpointBuf<N> {
    fn eq(&self, other: &Self) -> bool {
        self.url_end == other.url_end && self.text == other.text
    }
}

impl<const N: usize> Eq for EndpointBuf<N> {}

impl<const N: usize> fmt::Debug for EndpointBuf<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

fn split_scheme<'u>(url: &'u str, schemes: &[Scheme]) -> Result<(Scheme, &'u str), EndpointError> {
    for &scheme in schemes {
        if let Some((prefix, rest)) = url.split_at_checked(scheme.prefix().len())
            && is_same(prefix.as_bytes(), scheme.prefix().as_bytes())
        {
            return Ok((scheme, rest));
        }
    }
    let (scheme, _rest) = split_before(url, ":");
    let sockets = [&b"unix"[..], b"http+unix", b"https+unix"];
    match sockets.iter().any(|socket| is_same(scheme.as_bytes(), socket)) {
        true => Err(EndpointError::Socket),
        false => Err(EndpointError::Scheme),
    }
}

/// Splits `host:port`; an empty port means none (RFC 3986, section 3.2.3).
fn split_port(authority: &str) -> Result<(&str, Option<u16>), EndpointError> {
    let (host, port) = match authority.bytes().position(|byte| byte == b']') {
        Some(bracket) => authority.split_at_checked(bracket + 1).unwrap_or((authority, "")),
        None if authority.starts_with('[') => return Err(EndpointError::Host),
        None => split_before(authority, ":"),
    };
    match port.as_bytes() {
        [] | [b':'] => Ok((host, None)),
        [b':', digits @ ..] => {
            let port = number(digits, 10).and_then(|port| u16::try_from(port).ok());
            match port {
                None | Some(0) => Err(EndpointError::Port),
                Some(port) => Ok((host, Some(port))),
            }
        }
        _ => Err(EndpointError::Host),
    }
}

/// Whether each `%` has two hexadecimal digits behind it (RFC 3986, section 2.1).
fn percents_are_encodings(target: &str) -> bool {
    let mut after = target.as_bytes().split(|&byte| byte == b'%').skip(1);
    after.all(|rest| matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

/// RFC 3986's `pchar`, `/` and `?`, and the brackets that queries use unencoded.
const fn is_target_byte(byte: u8) -> bool {
    is_plain_byte(byte) || matches!(byte, b'@' | b'/' | b'?' | b'%' | b'[' | b']' | b'|')
}

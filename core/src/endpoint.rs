//! The webhook's URL: parsed strictly, checked against the policy, kept in one canonical form.

use core::fmt::{self, Write as _};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::String;

use crate::{Policy, Refusal};

/// The longest host name (RFC 1035, section 2.3.4), without a trailing dot.
const MAX_NAME: usize = 253;
/// The longest label of a host name (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// Why a URL is not an endpoint. The operator corrects the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndpointError {
    /// Longer than the endpoint can hold (2,048 bytes on std).
    TooLong,
    /// Not `http://` or `https://`.
    Scheme,
    /// A user name or password in the URL.
    Userinfo,
    /// No host, or one that is neither a name nor an address.
    Host,
    /// Not a port from 1 to 65535.
    Port,
    /// A character that must be percent-encoded in a path or query.
    Character,
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
            Self::Userinfo => "the URL must not hold a user name or password",
            Self::Host => "the URL must name a valid host",
            Self::Port => "the port must be a number from 1 to 65535",
            Self::Character => "the URL holds a character that must be percent-encoded",
            Self::Refused(refusal) => return refusal.fmt(f),
        })
    }
}

impl core::error::Error for EndpointError {}

/// Plain or over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, port 80 unless given.
    Http,
    /// `https`, port 443 unless given.
    Https,
}

impl Scheme {
    /// The name as it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL without one means.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host: a name to resolve, or an address in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A DNS name in lower case.
    Name(&'a str),
    /// An address literal.
    Address(IpAddr),
}

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
}

impl<'a> Endpoint<'a> {
    /// `http` or `https`.
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

    /// The whole URL in canonical form. Do not log it: paths and queries are often secrets.
    #[must_use]
    pub const fn url(&self) -> &'a str {
        self.url
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
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointBuf<const N: usize> {
    text: String<N>,
    scheme: Scheme,
    /// `None` when the host is a name, which then is in the text.
    address: Option<IpAddr>,
    port: u16,
    host_end: u16,
    target: u16,
}

impl<const N: usize> EndpointBuf<N> {
    /// Parses and checks a URL. White space around it is not trimmed; a fragment is dropped.
    ///
    /// # Errors
    /// When it is not an HTTP(S) URL that fits, or the policy refuses its host.
    pub fn parse(url: &str, policy: Policy) -> Result<Self, EndpointError> {
        let (scheme, rest) = split_scheme(url)?;
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(authority_end);
        let target = target.split('#').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(EndpointError::Userinfo);
        }
        if !target.bytes().all(is_target_byte) {
            return Err(EndpointError::Character);
        }
        let (host, port) = split_port(authority)?;
        let host = parse_host(host)?;
        match host {
            Host::Name(name) => policy.check_name(name)?,
            Host::Address(address) => policy.check(address)?,
        }
        Self::canonical(scheme, host, port.unwrap_or(scheme.default_port()), target)
            .ok_or(EndpointError::TooLong)
    }

    /// Writes the canonical text; `None` when it does not fit.
    fn canonical(scheme: Scheme, host: Host<'_>, port: u16, target: &str) -> Option<Self> {
        let mut text = String::<N>::new();
        write!(text, "{}://", scheme.as_str()).ok()?;
        let address = match host {
            Host::Name(name) => {
                name.bytes().try_for_each(|b| text.push(b.to_ascii_lowercase().into())).ok()?;
                None
            }
            Host::Address(IpAddr::V6(address)) => {
                write!(text, "[{address}]").ok()?;
                Some(IpAddr::V6(address))
            }
            Host::Address(address) => {
                write!(text, "{address}").ok()?;
                Some(address)
            }
        };
        let host_end = u16::try_from(text.len()).ok()?;
        if port != scheme.default_port() {
            write!(text, ":{port}").ok()?;
        }
        let target_start = u16::try_from(text.len()).ok()?;
        if !target.starts_with('/') {
            text.push('/').ok()?;
        }
        text.push_str(target).ok()?;
        Some(Self { text, scheme, address, port, host_end, target: target_start })
    }

    /// The parts, borrowed.
    #[must_use]
    pub fn get(&self) -> Endpoint<'_> {
        let host_start = self.scheme.as_str().len() + "://".len();
        let part = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        Endpoint {
            url: &self.text,
            scheme: self.scheme,
            host: match self.address {
                Some(address) => Host::Address(address),
                None => Host::Name(part(host_start, self.host_end.into())),
            },
            port: self.port,
            authority: part(host_start, self.target.into()),
            target: part(self.target.into(), self.text.len()),
        }
    }
}

impl<const N: usize> fmt::Debug for EndpointBuf<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

fn split_scheme(url: &str) -> Result<(Scheme, &str), EndpointError> {
    let (scheme, rest) = url.split_once("://").ok_or(EndpointError::Scheme)?;
    if scheme.eq_ignore_ascii_case("http") {
        Ok((Scheme::Http, rest))
    } else if scheme.eq_ignore_ascii_case("https") {
        Ok((Scheme::Https, rest))
    } else {
        Err(EndpointError::Scheme)
    }
}

/// Splits `host:port`; an empty port means none (RFC 3986, section 3.2.3).
fn split_port(authority: &str) -> Result<(&str, Option<u16>), EndpointError> {
    let host_end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None if authority.starts_with('[') => return Err(EndpointError::Host),
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    if port.is_empty() {
        return Ok((host, None));
    }
    match port.strip_prefix(':') {
        None => Err(EndpointError::Host),
        Some("") => Ok((host, None)),
        // `parse` alone would take a sign.
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse() {
            Ok(0) | Err(_) => Err(EndpointError::Port),
            Ok(port) => Ok((host, Some(port))),
        },
        Some(_) => Err(EndpointError::Port),
    }
}

fn parse_host(host: &str) -> Result<Host<'_>, EndpointError> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(EndpointError::Host)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| EndpointError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() || name.len() > MAX_NAME || !name.split('.').all(is_label) {
        return Err(EndpointError::Host);
    }
    // A host whose last label is a number is an IPv4 address or nothing: that is how resolvers
    // and the URL standard read it (https://url.spec.whatwg.org/#ends-in-a-number-checker).
    let last = name.rsplit('.').next().unwrap_or_default();
    if is_number(last) {
        return parse_v4(name).map(|v4| Host::Address(v4.into())).ok_or(EndpointError::Host);
    }
    Ok(Host::Name(host))
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether a label is a number, of any size.
fn is_number(label: &str) -> bool {
    match label.as_bytes() {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

/// IPv4 as `inet_aton` reads it: one to four parts, each decimal, octal or hex, the last of which
/// fills the bytes that are left.
fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let mut address = 0_u32;
    let mut parts = text.split('.').peekable();
    for index in 0..4 {
        let part = parse_number(parts.next()?)?;
        if parts.peek().is_none() {
            let room = 32 - 8 * index;
            return (u64::from(part) < 1 << room).then(|| Ipv4Addr::from(address | part));
        }
        if part > 255 {
            return None;
        }
        address |= part << (24 - 8 * index);
    }
    None
}

fn parse_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if digits.is_empty() {
        // "0x" alone is zero, says the URL standard.
        return (radix == 16).then_some(0);
    }
    // `from_str_radix` alone would take a sign.
    if digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        u32::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}

/// RFC 3986's `pchar`, `/` and `?`, and the brackets that queries use unencoded.
const fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
                | b'?'
                | b'%'
                | b'['
                | b']'
                | b'|'
        )
}

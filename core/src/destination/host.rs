//! The host of a URL, read and written byte by byte: what `core` has for text and for formatting
//! addresses would double the size of this on a node.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::String;

use crate::ascii::number;
use crate::destination::error::EndpointError;

/// The longest host name (RFC 1035, section 2.3.4), without a trailing dot.
const MAX_NAME: usize = 253;
/// The longest label of a host name (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// A host: a name to resolve, or an address in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A DNS name in lower case.
    Name(&'a str),
    /// An address literal.
    Address(IpAddr),
}

/// The host as it stands in a URL.
pub(crate) fn parse(host: &str) -> Result<Host<'_>, EndpointError> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(EndpointError::Host)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| EndpointError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    let name = host.as_bytes();
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.len() > MAX_NAME || !labels(name).all(is_label) {
        return Err(EndpointError::Host);
    }
    // A host whose last label is a number is an IPv4 address or nothing: that is how resolvers
    // and the URL standard read it (https://url.spec.whatwg.org/#ends-in-a-number-checker).
    let last = labels(name).next_back().unwrap_or_default();
    if is_number(last) {
        return parse_v4(name).map(|v4| Host::Address(v4.into())).ok_or(EndpointError::Host);
    }
    Ok(Host::Name(host))
}

fn labels(name: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    name.split(|&byte| byte == b'.')
}

fn is_label(label: &[u8]) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Whether a label is a number, of any size.
fn is_number(label: &[u8]) -> bool {
    match label {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

/// IPv4 as `inet_aton` reads it: one to four parts, each decimal, octal or hex, the last of which
/// fills the bytes that are left.
fn parse_v4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut address = 0_u32;
    let mut parts = labels(text).peekable();
    for index in 0..4 {
        let part = parse_number(parts.next()?)?;
        if parts.peek().is_none() {
            let fits = index == 0 || part >> (32 - 8 * index) == 0;
            return fits.then(|| Ipv4Addr::from(address + part));
        }
        if part > 255 {
            return None;
        }
        address |= part << (24 - 8 * index);
    }
    None
}

fn parse_number(text: &[u8]) -> Option<u32> {
    match text {
        // Alone it is zero, says the URL standard.
        [b'0', b'x' | b'X'] => Some(0),
        [b'0', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'0', digits @ ..] if !digits.is_empty() => number(digits, 8),
        _ => number(text, 10),
    }
}

/// Writes an address as `Display` does, an IPv6 one in brackets. `None` when it does not fit.
pub(crate) fn write_address<const N: usize>(text: &mut String<N>, address: IpAddr) -> Option<()> {
    match address {
        IpAddr::V4(address) => write_v4(text, address),
        IpAddr::V6(address) => {
            text.push('[').ok()?;
            write_v6(text, address)?;
            text.push(']').ok()
        }
    }
}

fn write_v4<const N: usize>(text: &mut String<N>, address: Ipv4Addr) -> Option<()> {
    for (index, byte) in address.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.').ok()?;
        }
        write_number(text, byte.into(), 10)?;
    }
    Some(())
}

/// RFC 5952: the longest run of zeros, the first of equally long ones, is `::`.
fn write_v6<const N: usize>(text: &mut String<N>, address: Ipv6Addr) -> Option<()> {
    if let Some(v4) = address.to_ipv4_mapped() {
        text.push_str("::ffff:").ok()?;
        return write_v4(text, v4);
    }
    let segments = address.segments();
    let (mut start, mut end) = (0, 0);
    let mut run = 0;
    for (index, segment) in segments.into_iter().enumerate() {
        run = if segment == 0 { run + 1 } else { 0 };
        if run > end - start {
            (start, end) = (index + 1 - run, index + 1);
        }
    }
    // A lone zero is written.
    let is_long = end - start > 1;
    for (index, segment) in segments.into_iter().enumerate() {
        if is_long && (start..end).contains(&index) {
            if index == start {
                text.push_str("::").ok()?;
            }
            continue;
        }
        if index > 0 && !(is_long && index == end) {
            text.push(':').ok()?;
        }
        write_number(text, segment, 16)?;
    }
    Some(())
}

/// Writes a number without leading zeros.
pub(crate) fn write_number<const N: usize>(
    text: &mut String<N>,
    number: u16,
    radix: u16,
) -> Option<()> {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut unit = 1_u16;
    while number / unit >= radix {
        unit *= radix;
    }
    while unit > 0 {
        let digit = DIGITS.get(usize::from(number / unit % radix))?;
        text.push(char::from(*digit)).ok()?;
        unit /= radix;
    }
    Some(())
}

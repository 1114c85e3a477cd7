//! The host of a URL, read and written byte by byte: what `core` has for text and for formatting
//! addresses would double the size of this on a node.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::string::StringView;

use crate::ascii::number;
use crate::destination::error::EndpointError;
use crate::destination::text::push;

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
        let address = parse_v6(inner.as_bytes()).ok_or(EndpointError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    let name = host.as_bytes();
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.len() > MAX_NAME || !are_labels(name) {
        return Err(EndpointError::Host);
    }
    // A host whose last label is a number is an IPv4 address or nothing: that is how resolvers
    // and the URL standard read it (https://url.spec.whatwg.org/#ends-in-a-number-checker).
    let last = name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    if is_number(last) {
        return parse_v4(name).map(|v4| Host::Address(v4.into())).ok_or(EndpointError::Host);
    }
    Ok(Host::Name(host))
}

fn labels(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|&byte| byte == b'.')
}

/// Whether these are labels of letters, digits, hyphens and underscores, with dots between them.
fn are_labels(name: &[u8]) -> bool {
    let mut length = 0;
    for &byte in name {
        let is_dot = byte == b'.' && length > 0;
        if !is_dot && !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_') {
            return false;
        }
        length = if is_dot { 0 } else { length + 1 };
        if length > MAX_LABEL {
            return false;
        }
    }
    length > 0
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
    let mut parts = labels(text);
    let mut last = parse_number(parts.next()?)?;
    // The address without the last part, and how many bits are left for that.
    let (mut address, mut left) = (0, 32);
    for part in parts {
        if last > 255 || left == 8 {
            return None;
        }
        left -= 8;
        address |= last << left;
        last = parse_number(part)?;
    }
    (left == 32 || last >> left == 0).then(|| Ipv4Addr::from(address | last))
}

/// IPv6 as RFC 4291, section 2.2, writes it: groups of up to four hexadecimal digits, `::` once for the zeros
/// that are left, and perhaps IPv4 at the end.
fn parse_v6(text: &[u8]) -> Option<Ipv6Addr> {
    // One colon less, and `::` is a group without digits wherever it stands.
    let text = match text {
        b"::" => return Some(Ipv6Addr::UNSPECIFIED),
        [b':', rest @ ..] if rest.first() == Some(&b':') => rest,
        [rest @ .., b':'] if rest.last() == Some(&b':') => rest,
        [] | [b':', ..] | [.., b':'] => return None,
        text => text,
    };
    let count_of = |wanted: u8| text.iter().filter(|&&byte| byte == wanted).count();
    let count = count_of(b':') + if count_of(b'.') > 0 { 2 } else { 1 };
    let mut zeros = 9_usize.checked_sub(count).filter(|zeros| *zeros > 0);
    let (mut groups, mut at) = ([0_u16; 8], 0);
    for group in text.split(|&byte| byte == b':') {
        match group.len() {
            0 => at += zeros.take()?,
            1..=4 => {
                *groups.get_mut(at)? = u16::try_from(number(group, 16)?).ok()?;
                at += 1;
            }
            _ if at == 6 => {
                let [a, b, c, d] = parse_dotted(group)?.octets();
                (groups[6], groups[7]) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                at = 8;
            }
            _ => return None,
        }
    }
    (at == 8).then(|| groups.into())
}

/// IPv4 as it is usually written: four decimal numbers without leading zeros.
fn parse_dotted(text: &[u8]) -> Option<Ipv4Addr> {
    let is_usual = labels(text).all(|part| !matches!(part, [b'0', _, ..]));
    if is_usual && labels(text).count() == 4 { parse_v4(text) } else { None }
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
pub(crate) fn write_address(text: &mut StringView, address: IpAddr) -> Option<()> {
    match address {
        IpAddr::V4(address) => write_v4(text, address),
        IpAddr::V6(address) => {
            push(text, "[")?;
            write_v6(text, address)?;
            push(text, "]")
        }
    }
}

fn write_v4(text: &mut StringView, address: Ipv4Addr) -> Option<()> {
    let mut before = "";
    for byte in address.octets() {
        push(text, before)?;
        write_number(text, byte.into(), 10)?;
        before = ".";
    }
    Some(())
}

/// RFC 5952: the longest run of zeros, the first of equally long ones, is `::`.
fn write_v6(text: &mut StringView, address: Ipv6Addr) -> Option<()> {
    if let Some(v4) = address.to_ipv4_mapped() {
        push(text, "::ffff:")?;
        return write_v4(text, v4);
    }
    let segments = address.segments();
    // A lone zero is written.
    let (mut start, mut longest, mut run) = (segments.len(), 1, 0);
    for (index, segment) in segments.into_iter().enumerate() {
        run = if segment == 0 { run + 1 } else { 0 };
        if run > longest {
            (start, longest) = (index + 1 - run, run);
        }
    }
    let mut before = "";
    for (index, segment) in segments.into_iter().enumerate() {
        if index >= start && index < start + longest {
            before = "::";
            continue;
        }
        push(text, before)?;
        write_number(text, segment, 16)?;
        before = ":";
    }
    // Zeros at the end have no segment behind them.
    push(text, if before == "::" { before } else { "" })
}

/// Writes a number without leading zeros.
#[inline(never)]
pub(crate) fn write_number(text: &mut StringView, number: u16, radix: u16) -> Option<()> {
    if number >= radix {
        write_number(text, number / radix, radix)?;
    }
    let digit = char::from_digit((number % radix).into(), radix.into())?;
    text.push(digit).ok()
}

//! The destination policy: which hosts and addresses an event may be sent to.
//!
//! It is asked twice: about the host in the URL, and about every address a name resolved to, just
//! before the connection is made to that very address.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ascii::is_same;
use crate::destination::metadata;

/// Which destinations are refused beyond those that always are.
///
/// ```
/// use core::net::IpAddr;
/// use pilot_webhook_core::{Policy, Refusal};
/// let metadata: IpAddr = "169.254.169.254".parse().unwrap();
/// assert_eq!(Policy::default().check(metadata), Err(Refusal::LinkLocal));
/// let loopback: IpAddr = "127.0.0.1".parse().unwrap();
/// assert_eq!(Policy::default().check(loopback), Ok(()));
/// assert_eq!(Policy::DENY_PRIVATE.check(loopback), Err(Refusal::Private));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Also refuse loopback, private and the other special-purpose networks.
    pub deny_private: bool,
}

/// Why a destination is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// 169.254.0.0/16 or fe80::/10, where clouds serve metadata.
    LinkLocal,
    /// A cloud's metadata service, by address or by name.
    Metadata,
    /// 0.0.0.0 or `::`, which connect to this host by accident.
    Unspecified,
    /// A multicast address.
    Multicast,
    /// A loopback, private or special-purpose address or name, and `deny_private` is set.
    Private,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkLocal => "link-local addresses are refused",
            Self::Metadata => "cloud metadata services are refused",
            Self::Unspecified => "the unspecified address is refused",
            Self::Multicast => "multicast addresses are refused",
            Self::Private => "private and special-purpose destinations are refused",
        })
    }
}

impl core::error::Error for Refusal {}

/// The special-purpose networks of the IANA registry for IPv4 (RFC 6890) that are not for a
/// receiver on the public Internet, as (first address, prefix length).
const PRIVATE_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([192, 175, 48, 0], 24),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
];

/// The same for IPv6. Ranges that only wrap an IPv4 address are judged by that address.
const PRIVATE_V6: [(Ipv6Addr, u32); 10] = [
    (Ipv6Addr::LOCALHOST, 128),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 63),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
];

impl Policy {
    /// Refuses what is never a receiver.
    pub const DEFAULT: Self = Self { deny_private: false };
    /// Only receivers on the public Internet.
    pub const DENY_PRIVATE: Self = Self { deny_private: true };

    /// Judges an address, with any IPv4 address it wraps.
    ///
    /// # Errors
    /// The reason, when nothing may be sent there.
    pub fn check(self, address: IpAddr) -> Result<(), Refusal> {
        match address {
            IpAddr::V4(address) => self.check_v4(address),
            IpAddr::V6(address) => {
                wrapped_v4(address).into_iter().flatten().try_for_each(|v4| self.check_v4(v4))?;
                self.check_v6(address)
            }
        }
    }

    /// Judges a host name: any case, with or without the root's trailing dot.
    ///
    /// # Errors
    /// The reason, when nothing may be sent there.
    pub fn check_name(self, name: &str) -> Result<(), Refusal> {
        let name = name.as_bytes();
        let name = name.strip_suffix(b".").unwrap_or(name);
        if metadata::NAMES.iter().any(|known| is_same(name, known.as_bytes())) {
            return Err(Refusal::Metadata);
        }
        // RFC 6761, section 6.3: localhost and everything below it is loopback.
        let last_label = name.rsplit(|&byte| byte == b'.').next().unwrap_or(name);
        if self.deny_private && is_same(last_label, b"localhost") {
            return Err(Refusal::Private);
        }
        Ok(())
    }

    fn check_v4(self, address: Ipv4Addr) -> Result<(), Refusal> {
        if address.is_link_local() {
            Err(Refusal::LinkLocal)
        } else if metadata::V4.contains(&address) {
            Err(Refusal::Metadata)
        } else if address.is_unspecified() {
            Err(Refusal::Unspecified)
        } else if address.is_multicast() {
            Err(Refusal::Multicast)
        } else if self.deny_private && is_private_v4(address) {
            Err(Refusal::Private)
        } else {
            Ok(())
        }
    }

    fn check_v6(self, address: Ipv6Addr) -> Result<(), Refusal> {
        if address.is_unicast_link_local() {
            Err(Refusal::LinkLocal)
        } else if metadata::V6.contains(&address) {
            Err(Refusal::Metadata)
        } else if address.is_unspecified() {
            Err(Refusal::Unspecified)
        } else if address.is_multicast() {
            Err(Refusal::Multicast)
        } else if self.deny_private && is_private_v6(address) {
            Err(Refusal::Private)
        } else {
            Ok(())
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    // 240.0.0.0/4 is reserved, and holds the limited broadcast address.
    address.octets()[0] >= 240
        || PRIVATE_V4.iter().any(|&(network, prefix)| {
            let network = u32::from(Ipv4Addr::from(network));
            (u32::from(address) ^ network).leading_zeros() >= prefix
        })
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    PRIVATE_V6.iter().any(|&(network, prefix)| {
        (u128::from(address) ^ u128::from(network)).leading_zeros() >= prefix
    })
}

/// The IPv4 addresses that an IPv6 address may stand for at a gateway or in the kernel.
fn wrapped_v4(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let o = address.octets();
    let tail = Some(Ipv4Addr::new(o[12], o[13], o[14], o[15]));
    match address.segments() {
        // IPv4-compatible, IPv4-mapped, IPv4-translated (RFC 4291, RFC 2765).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => [tail, None],
        // 6to4 (RFC 3056).
        [0x2002, ..] => [Some(Ipv4Addr::new(o[2], o[3], o[4], o[5])), None],
        // NAT64, well-known prefix (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [tail, None],
        // NAT64, local-use prefix (RFC 8215): with a /48 the address stands around the u octet,
        // with a /96 below it at the end. Where there are only zeros stands no address.
        [0x64, 0xff9b, 1, ..] => [Some(Ipv4Addr::new(o[6], o[7], o[9], o[10])), tail]
            .map(|v4| v4.filter(|v4| !v4.is_unspecified())),
        _ => [None; 2],
    }
}

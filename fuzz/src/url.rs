//! URLs and the destination policy. The oracles: the crate `url` (the WHATWG URL standard) for what a
//! URL means, the C library's `inet_aton` for what a name may mean to a resolver, and a second, plain
//! statement of what the policy always refuses.
//!
//! Whatever core accepts, `url` must read the same scheme, host, port, path and query from, in the
//! original and in the canonical form. What is refused must be what the second statement refuses.
//!
//! Known differences, where `url` goes further than core:
//! - a label that begins with `xn--` is Punycode to `url`, and refused when it is none. To core it is
//!   a label: resolvers do not look inside either.
//! - `url` removes `.` and `..` from paths. Core sends paths as they are, as pilot's Go plugin does.
//! - `url` escapes `'` in queries. Core sends it as it is: RFC 3986 allows it.

use std::ffi::{CString, c_char, c_int};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pilot_webhook_core::{Endpoint, EndpointBuf, EndpointError, Host, Policy, Refusal};

mod credentials;

use credentials::{basic, userinfo};

type Buf = EndpointBuf<2048>;

/// Takes a URL.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let ours = Buf::parse(text, Policy::default());
    let strict = Buf::parse(text, Policy::DENY_PRIVATE);
    match &ours {
        Ok(endpoint) => accepted(text, &endpoint.get()),
        Err(EndpointError::Refused(refusal)) => refused(text, *refusal),
        Err(_) => {}
    }
    match (&ours, strict) {
        (Ok(endpoint), Ok(strict)) => {
            assert!(*endpoint == strict, "the policy changes what a URL means");
            assert!(!is_surely_private(endpoint.get().host()), "{text} is not public");
        }
        (Ok(_), Err(error)) => {
            assert_eq!(error, EndpointError::Refused(Refusal::Private), "{text}");
        }
        // An address that wraps two may be refused for either.
        (Err(EndpointError::Refused(_)), Err(EndpointError::Refused(_))) => {}
        (Err(error), strict) => assert_eq!(strict.err(), Some(*error), "{text}"),
    }
}

fn accepted(text: &str, ours: &Endpoint<'_>) {
    let again = Buf::parse(ours.url(), Policy::default()).expect("the canonical form is accepted");
    assert_eq!(again.get().url(), ours.url(), "the canonical form is a fixed point: {text}");
    assert_eq!(again.get().authorization(), None, "it shows no credentials: {text}");
    for (text, credentials) in [(text, ours.authorization()), (ours.url(), None)] {
        let theirs = match url::Url::parse(text) {
            Ok(theirs) => theirs,
            Err(error) => {
                let Host::Name(name) = ours.host() else { panic!("{text}: {error}") };
                assert!(is_punycode(name), "{text}: {error}");
                continue;
            }
        };
        same(text, ours, &theirs);
        let sent = credentials.map(|value| basic(value).expect("what is sent is base64"));
        assert_eq!(sent, userinfo(&theirs), "{text}");
    }
    match ours.host() {
        Host::Address(address) => assert_eq!(always_refused(address), None, "{text}"),
        Host::Name(name) => {
            assert!(!is_metadata(name), "{text}");
            assert!(!is_address_to_the_resolver(name), "{text} hides an address");
        }
    }
    assert_eq!(ours.to_string(), format!("{}://{}", ours.scheme().as_str(), ours.authority()));
}

fn same(text: &str, ours: &Endpoint<'_>, theirs: &url::Url) {
    assert_eq!(ours.scheme().as_str(), theirs.scheme(), "{text}");
    match (ours.host(), theirs.host().expect("these schemes have hosts")) {
        (Host::Name(ours), url::Host::Domain(theirs)) => assert_eq!(ours, theirs, "{text}"),
        (Host::Address(IpAddr::V4(ours)), url::Host::Ipv4(theirs)) => {
            assert_eq!(ours, theirs, "{text}");
        }
        (Host::Address(IpAddr::V6(ours)), url::Host::Ipv6(theirs)) => {
            assert_eq!(ours, theirs, "{text}");
        }
        (ours, theirs) => panic!("{text}: {ours:?}, {theirs:?}"),
    }
    assert_eq!(Some(ours.port()), theirs.port_or_known_default(), "{text}");
    let (path, query) = match ours.target().split_once('?') {
        Some((path, query)) => (path, Some(query.replace('\'', "%27"))),
        None => (ours.target(), None),
    };
    if !has_dot_segments(path) {
        assert_eq!(path, theirs.path(), "{text}");
    }
    assert_eq!(query.as_deref(), theirs.query(), "{text}");
}

fn refused(text: &str, refusal: Refusal) {
    let theirs = url::Url::parse(text).expect("only what is a URL is judged");
    let reason = match theirs.host().expect("these schemes have hosts") {
        url::Host::Domain(name) => is_metadata(name).then_some(Refusal::Metadata),
        url::Host::Ipv4(address) => always_refused(address.into()),
        url::Host::Ipv6(address) => always_refused(address.into()),
    };
    assert_eq!(reason, Some(refusal), "{text}");
}

fn is_punycode(name: &str) -> bool {
    name.split('.').any(|label| label.starts_with("xn--"))
}

fn has_dot_segments(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace("%2e", ".");
    path.split('/').any(|segment| segment == "." || segment == "..")
}

fn is_metadata(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let (first, rest) = name.split_once('.').unwrap_or((&name, ""));
    match first {
        "metadata" => matches!(
            rest,
            "google.internal"
                | "google.com"
                | "goog"
                | "azure.com"
                | "tencentyun.com"
                | "platformequinix.com"
                | "packet.net"
        ),
        "instance-data" => matches!(rest, "" | "ec2.internal"),
        "ec2" => rest == "internal",
        "instance-data-service" => rest == "ec2.internal",
        "api" => rest == "metadata.cloud.ibm.com",
        _ => false,
    }
}

/// What the policy must refuse whoever asks, and why: the README's list, said once more.
fn always_refused(address: IpAddr) -> Option<Refusal> {
    match address {
        IpAddr::V4(v4) => always_refused_v4(v4),
        IpAddr::V6(v6) => {
            wrapped(v6).into_iter().find_map(always_refused_v4).or_else(|| match u128::from(v6) {
                0 => Some(Refusal::Unspecified),
                0xfd00_0ec2_0000_0000_0000_0000_0000_0254
                | 0xfd00_0ec2_0000_0000_0000_0000_0000_0023
                | 0xfd20_00ce_0000_0000_0000_0000_0000_0254
                | 0xfd00_a9fe_a9fe_0000_0000_0000_0000_0001
                | 0xfd00_0042_0000_0000_0000_0000_0000_0042
                | 0xfd00_00c1_0000_0000_0000_0000_a9fe_a9fe
                | 0xfd00_0100_0000_0000_0000_0000_0100_0200 => Some(Refusal::Metadata),
                bits if bits >> 118 == 0xfe80 >> 6 => Some(Refusal::LinkLocal),
                bits if bits >> 120 == 0xff => Some(Refusal::Multicast),
                _ => None,
            })
        }
    }
}

fn always_refused_v4(address: Ipv4Addr) -> Option<Refusal> {
    match address.octets() {
        [169, 254, ..] => Some(Refusal::LinkLocal),
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Some(Refusal::Metadata),
        [0, 0, 0, 0] => Some(Refusal::Unspecified),
        [224..=239, ..] => Some(Refusal::Multicast),
        _ => None,
    }
}

/// The IPv4 addresses in an IPv6 address, by its bits.
fn wrapped(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bits = u128::from(address);
    let at = |shift: u32| Ipv4Addr::from(u32::try_from(bits >> shift & 0xffff_ffff).unwrap());
    let mut found = Vec::new();
    if (bits >> 32 == 0 && bits > 1) || bits >> 32 == 0xffff || bits >> 32 == 0xffff_0000 {
        found.push(at(0));
    }
    if bits >> 112 == 0x2002 {
        found.push(at(80));
    }
    if bits >> 32 == 0x64_ff9b << 64 {
        found.push(at(0));
    }
    if bits >> 80 == 0x64_ff9b_0001 {
        // RFC 6052: 16 bits before and 16 bits after the octet of zeros in the middle.
        let (high, low) = (bits >> 64 & 0xffff, bits >> 40 & 0xffff);
        let split = Ipv4Addr::from(u32::try_from(high << 16 | low).unwrap());
        found.extend([split, at(0)].into_iter().filter(|v4| !v4.is_unspecified()));
    }
    found
}

/// Not a list of all that is private, but of what the standard library knows to be.
fn is_surely_private(host: Host<'_>) -> bool {
    match host {
        Host::Address(IpAddr::V4(v4)) => {
            v4.is_private() || v4.is_loopback() || v4.is_broadcast() || v4.is_documentation()
        }
        Host::Address(IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unique_local(),
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// Whether the system's resolver takes a name for an IPv4 address, without asking anybody.
fn is_address_to_the_resolver(name: &str) -> bool {
    unsafe extern "C" {
        fn inet_aton(text: *const c_char, address: *mut u32) -> c_int;
    }
    let name = CString::new(name).expect("names hold no NUL");
    let mut address = 0;
    // SAFETY: the text ends with a NUL, and a `struct in_addr` is four bytes.
    unsafe { inet_aton(name.as_ptr(), &raw mut address) != 0 }
}

#[cfg(test)]
pub(crate) use inputs::{WORDS, grammar};

#[cfg(test)]
mod inputs {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::{Ipv4Addr, Ipv6Addr};

    pub(crate) const WORDS: &[&str] = &[
        "http://",
        "https://",
        "@",
        ":",
        "/",
        "//",
        "\\",
        "?",
        "#",
        "[",
        "]",
        "[::",
        "::",
        ".",
        "..",
        "0x",
        "0X",
        "0",
        "%",
        "%2e",
        "%00",
        "\t",
        "\r\n",
        " ",
        "xn--",
        "localhost",
        "internal",
        "169.254.169.254",
        "a9fe",
        "64:ff9b:",
        "2002:",
        "ffff:",
        "fe80",
        "\u{3002}",
        "\u{ff11}",
        "\u{df}",
        "4294967296",
        "65536",
        "80",
        "443",
        "-",
        "_",
        "0x100000000",
    ];

    pub(crate) fn grammar() -> BoxedStrategy<Vec<u8>> {
        let scheme = prop_oneof![
            6 => select(&["http://", "https://", "HTTP://", "hTTps://"][..]).prop_map(str::to_owned),
            1 => "(https?|ftp|file|ws):?[/\\\\]{0,3}",
        ];
        let user = prop_oneof![
            12 => Just(String::new()),
            1 => "[a-z:%\\\\]{0,5}@",
            1 => "([a-z!$&'()*+,;=._~-]|%[0-9a-fA-F]{2}){1,6}(:([a-z!$&'()*+,;=:._~-]|%[0-9a-fA-F]{2}){0,6})?@",
        ];
        let port = prop_oneof![
            3 => Just(String::new()),
            2 => "(:(80|443|0|1|8080|65535|65536|))?",
            1 => ":[0-9+ x-]{0,6}",
        ];
        let rest = prop_oneof![
            3 => "(/[a-zA-Z0-9%._~!$&'()*+,;=:@|\\[\\]-]{0,8}){0,3}(\\?[a-z0-9'=&/?%\\[\\]]{0,10})?",
            1 => "(/(\\.|\\.\\.|%2e|%2E%2e|a)){0,4}(\\?.{0,3})?",
            1 => "[/?#\\\\]\\PC{0,10}",
        ];
        let fragment = prop_oneof![5 => Just(String::new()), 1 => "#[a-z/@?#]{0,6}"];
        (scheme, user, host(), port, rest, fragment)
            .prop_map(|(a, b, c, d, e, f)| format!("{a}{b}{c}{d}{e}{f}").into_bytes())
            .boxed()
    }

    fn host() -> impl Strategy<Value = String> {
        prop_oneof![
            2 => "[a-z0-9_-]{1,8}(\\.[a-z0-9_-]{1,8}){0,3}\\.?",
            1 => "(xn--[a-z0-9-]{0,8}\\.){1,2}[a-zA-Z]{1,3}",
            2 => metadata_name(),
            4 => v4().prop_flat_map(v4_text),
            // Numbers that may or may not be addresses.
            2 => "(0[xX]?)?[0-9a-f]{0,12}(\\.(0[xX]?)?[0-9a-f]{0,11}){0,5}\\.?",
            4 => v6().prop_flat_map(v6_text),
            1 => "\\[[0-9a-f:.%v]{0,24}\\]?",
            1 => "[a-z]{0,63}(\\.[a-z]{50,64}){0,4}",
            1 => "\\PC{1,6}",
        ]
    }

    fn metadata_name() -> impl Strategy<Value = String> {
        let names = [
            "metadata.google.internal",
            "metadata.google.com",
            "ec2.internal",
            "instance-data-service.ec2.internal",
            "metadata.azure.com",
            "metadata.goog",
            "metadata.tencentyun.com",
            "instance-data",
            "api.metadata.cloud.ibm.com",
            "localhost",
            "a.localhost",
        ];
        (select(names.to_vec()), any::<u64>(), "\\.{0,2}").prop_map(|(name, upper, dots)| {
            let cased = name.chars().enumerate().map(|(at, letter)| {
                if upper >> (at % 64) & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
            });
            cased.collect::<String>() + &dots
        })
    }

    fn v4() -> impl Strategy<Value = Ipv4Addr> {
        prop_oneof![
            any::<[u8; 4]>(),
            any::<[u8; 2]>().prop_map(|[c, d]| [169, 254, c, d]),
            select(vec![
                [169, 254, 169, 254],
                [100, 100, 100, 200],
                [168, 63, 129, 16],
                [192, 0, 0, 192],
                [0; 4],
                [127, 0, 0, 1]
            ]),
            any::<[u8; 4]>().prop_map(|[a, b, c, d]| [224 | a >> 4, b, c, d]),
            any::<[u8; 3]>().prop_map(|[b, c, d]| [10, b, c, d]),
        ]
        .prop_map(Ipv4Addr::from)
    }

    /// One to four parts, each in a base of its own, with zeros before it.
    fn v4_text(address: Ipv4Addr) -> impl Strategy<Value = String> {
        let digits = (0_usize..3, 0_usize..4);
        (1_usize..=4, proptest::collection::vec(digits, 4), "\\.?").prop_map(
            move |(count, forms, dot)| {
                let bits = u32::from(address);
                let mut parts: Vec<u32> =
                    address.octets()[..count - 1].iter().map(|octet| (*octet).into()).collect();
                parts.push(bits & u32::MAX.checked_shr(8 * (count as u32 - 1)).unwrap_or(0));
                let written = parts.iter().zip(forms).map(|(part, (base, zeros))| {
                    let zeros = "0".repeat(zeros);
                    match base {
                        0 => format!("{part}"),
                        1 => format!("0{zeros}{part:o}"),
                        _ => format!("0x{zeros}{part:X}"),
                    }
                });
                written.collect::<Vec<_>>().join(".") + &dot
            },
        )
    }

    /// Addresses that wrap another, and some that do not.
    fn v6() -> impl Strategy<Value = Ipv6Addr> {
        (v4(), 0_usize..10, any::<u128>()).prop_map(|(v4, form, noise)| {
            let v4 = u128::from(u32::from(v4));
            let low = |bits: u32| noise & ((1 << bits) - 1);
            Ipv6Addr::from(match form {
                0 => v4,
                1 => 0xffff << 32 | v4,
                2 => 0xffff_0000 << 32 | v4,
                3 => 0x2002 << 112 | v4 << 80 | low(80),
                4 => 0x64_ff9b << 96 | v4,
                5 => 0x64_ff9b_0001 << 80 | (v4 >> 16) << 64 | (v4 & 0xffff) << 40 | low(40),
                6 => 0x64_ff9b_0001 << 80 | v4,
                7 => 0xfe80 << 112 | low(122),
                8 => 0xfd00_0ec2 << 96 | 0x254 | (low(1) << 64),
                _ => noise,
            })
        })
    }

    fn v6_text(address: Ipv6Addr) -> impl Strategy<Value = String> {
        let segments = address.segments();
        let long = segments.map(|segment| format!("{segment:04X}")).join(":");
        let [.., high, low] = segments;
        let tail = Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
        let head = segments[..6].iter().map(|s| format!("{s:x}")).collect::<Vec<_>>().join(":");
        select(vec![format!("[{address}]"), format!("[{long}]"), format!("[{head}:{tail}]")])
    }
}

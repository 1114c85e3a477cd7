//! URLs and the destination policy, from tables that can be checked by eye.

use std::net::IpAddr;

use pilot_webhook_core::{EndpointBuf, EndpointError, Host, Policy, Refusal};
use proptest::prelude::*;

type Buf = EndpointBuf<2048>;

#[track_caller]
fn canonical(url: &str) -> String {
    match Buf::parse(url, Policy::default()) {
        Ok(endpoint) => endpoint.get().url().to_owned(),
        Err(error) => panic!("{url}: {error}"),
    }
}

#[test]
fn a_url_is_kept_in_canonical_form() {
    for (url, expected) in [
        ("http://example.com", "http://example.com/"),
        ("HTTP://Example.COM:80/Hook", "http://example.com/Hook"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:8443?a=b", "https://example.com:8443/?a=b"),
        ("http://example.com:/x", "http://example.com/x"),
        ("http://example.com#frag", "http://example.com/"),
        ("http://example.com/a?b#c", "http://example.com/a?b"),
        ("http://example.com./", "http://example.com./"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0x7f000001/", "http://127.0.0.1/"),
        ("http://0177.0.0.1/", "http://127.0.0.1/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://127.0.1/", "http://127.0.0.1/"),
        ("http://127.0.0.1./", "http://127.0.0.1/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://127.0x.0.1/", "http://127.0.0.1/"),
        ("http://1.16777215/", "http://1.255.255.255/"),
        ("http://1.2.65535/", "http://1.2.255.255/"),
        ("http://[::1]:9/", "http://[::1]:9/"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
        ("http://[::ffff:10.0.0.1]/", "http://[::ffff:10.0.0.1]/"),
        ("http://a_b.example/", "http://a_b.example/"),
        ("http://1.2.3.4.example/", "http://1.2.3.4.example/"),
        ("http://unix/", "http://unix/"),
        ("http://unix:80/", "http://unix/"),
        ("http://example.com/%2f%C3%A9?a=%20", "http://example.com/%2f%C3%A9?a=%20"),
    ] {
        assert_eq!(canonical(url), expected, "{url}");
    }
}

#[test]
fn the_parts_are_those_of_the_request() {
    let endpoint = Buf::parse("https://Example.com:8443/a/b?c=d", Policy::default()).unwrap();
    let endpoint = endpoint.get();
    assert_eq!(endpoint.host(), Host::Name("example.com"));
    assert_eq!(endpoint.port(), 8443);
    assert_eq!(endpoint.authority(), "example.com:8443");
    assert_eq!(endpoint.target(), "/a/b?c=d");
}

#[test]
fn a_user_name_and_a_password_become_credentials_beside_the_url() {
    for (userinfo, expected) in [
        ("Aladdin:open%20sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("user", "Basic dXNlcjo="),
        ("user:", "Basic dXNlcjo="),
        ("user:p:w", "Basic dXNlcjpwOnc="),
        ("test:123%C2%A3", "Basic dGVzdDoxMjPCow=="),
    ] {
        let url = format!("https://{userinfo}@Example.com:8443/a?b=c");
        let endpoint = Buf::parse(&url, Policy::default()).unwrap();
        let bare = Buf::parse("https://example.com:8443/a?b=c", Policy::default()).unwrap();
        assert_ne!(endpoint, bare, "other credentials are another endpoint");
        let parts = endpoint.get();
        assert_eq!(parts.authorization(), Some(expected), "{userinfo}");
        assert_eq!(parts.url(), bare.get().url());
        assert_eq!((parts.target(), parts.authority()), ("/a?b=c", "example.com:8443"));
        assert_eq!(format!("{endpoint:?} {parts}"), format!("{bare:?} {}", bare.get()));
        assert_eq!(bare.get().authorization(), None);
    }
    let wrong = Buf::parse("http://%@127.0.0.1/", Policy::DENY_PRIVATE);
    assert_eq!(wrong.err(), Some(EndpointError::Userinfo), "whatever the policy says");
    let long = format!("http://u:{}@h/", "x".repeat(40));
    assert_eq!(
        EndpointBuf::<64>::parse(&long, Policy::default()).err(),
        Some(EndpointError::TooLong)
    );
}

#[test]
fn what_is_logged_holds_neither_path_nor_query() {
    let endpoint = Buf::parse("https://example.com/secret?token=1", Policy::default()).unwrap();
    assert_eq!(endpoint.get().to_string(), "https://example.com");
    assert_eq!(format!("{endpoint:?}"), "Endpoint(https://example.com/...)");
}

#[test]
fn a_name_has_253_bytes_at_most_the_roots_dot_apart() {
    let longest = ["x".repeat(63).as_str(); 4].join(".").split_off(2);
    assert_eq!(longest.len(), 253);
    assert!(Buf::parse(&format!("http://{longest}/"), Policy::default()).is_ok());
    assert!(Buf::parse(&format!("http://{longest}./"), Policy::default()).is_ok());
    let longer = format!("http://x{longest}/");
    assert_eq!(Buf::parse(&longer, Policy::default()).err(), Some(EndpointError::Host));
}

#[test]
fn bad_urls_say_what_is_wrong() {
    use EndpointError::{
        Character, Host, Percent, Port, Refused, Scheme, Socket, TooLong, Userinfo,
    };
    let long = format!("http://example.com/{}", "x".repeat(2_048));
    for (url, expected) in [
        ("", Scheme),
        ("example.com", Scheme),
        ("ftp://example.com/", Scheme),
        ("http:/example.com/", Scheme),
        ("file:///etc/passwd", Scheme),
        (" http://example.com/", Scheme),
        ("http://", Host),
        ("http:///path", Host),
        ("http://?x", Host),
        ("http://exa mple.com/", Host),
        ("http://exa\nmple.com/", Host),
        ("http://b\u{fc}cher.example/", Host),
        ("http://ex%61mple.com/", Host),
        ("http://example..com/", Host),
        ("http://.example.com/", Host),
        ("http://good.com\\@evil.com/", Userinfo),
        ("http://good.com\\evil/", Host),
        ("http://@example.com/", Userinfo),
        ("http://:pass@example.com/", Userinfo),
        ("http://us%3Aer:pass@example.com/", Userinfo),
        ("http://user:pa ss@example.com/", Userinfo),
        ("http://user:p%0Ass@example.com/", Userinfo),
        ("http://user:p%2@example.com/", Userinfo),
        ("http://user:p\u{e4}ss@example.com/", Userinfo),
        ("http://user:p@ss@example.com/", Host),
        ("http://user:pass@169.254.169.254/", Refused(Refusal::LinkLocal)),
        ("http://[::1/", Host),
        ("http://::1/", Port),
        ("http://[fe80::1%25eth0]/", Host),
        ("http://[::1]x/", Host),
        ("http://256.1.1.1/", Host),
        ("http://1.2.3.4.5/", Host),
        ("http://1.16777216/", Host),
        ("http://1.2.65536/", Host),
        ("http://1.2.3.256/", Host),
        ("http://4294967296/", Host),
        ("http://0x100000000/", Host),
        ("http://1.0Xfffffffff./", Host),
        ("http://08.1.1.1/", Host),
        ("http://example.1/", Host),
        ("http://example.0x1/", Host),
        ("http://example.com:0/", Port),
        ("http://example.com:65536/", Port),
        ("http://example.com:+80/", Port),
        ("http://example.com:8o/", Port),
        ("http://example.com/a b", Character),
        ("http://example.com/a\r\nX: y", Character),
        ("http://example.com/\u{e9}", Character),
        ("http://example.com/\"", Character),
        ("http://example.com/%", Percent),
        ("http://example.com/%zz", Percent),
        ("http://example.com/%a", Percent),
        ("http://example.com/%%41", Percent),
        ("http://example.com/?100%", Percent),
        ("http://unix:/run/x.sock:/hook", Socket),
        ("HTTPS://Unix:/run/x.sock", Socket),
        ("unix:///run/x.sock", Socket),
        ("http+unix://%2Frun%2Fx.sock/hook", Socket),
        (&long, TooLong),
    ] {
        assert_eq!(Buf::parse(url, Policy::default()).err(), Some(expected), "{url:?}");
    }
}

/// Every line of the table: where, and what the default policy and `deny_private` say.
#[test]
fn the_policy_table_holds() {
    let table = include_str!("../data/destinations.txt");
    let mut rows = 0;
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut columns = line.split_whitespace();
        let (host, default, private) =
            (columns.next().unwrap(), columns.next().unwrap(), columns.next().unwrap());
        for (policy, expected) in [(Policy::default(), default), (Policy::DENY_PRIVATE, private)] {
            let url = format!("http://{host}/");
            let answer = match Buf::parse(&url, policy) {
                Ok(_) => "ok",
                Err(EndpointError::Refused(Refusal::LinkLocal)) => "link-local",
                Err(EndpointError::Refused(Refusal::Metadata)) => "metadata",
                Err(EndpointError::Refused(Refusal::Unspecified)) => "unspecified",
                Err(EndpointError::Refused(Refusal::Multicast)) => "multicast",
                Err(EndpointError::Refused(Refusal::Private)) => "private",
                Err(error) => panic!("{host}: {error}"),
            };
            assert_eq!(answer, expected, "{host} with {policy:?}");
        }
        rows += 1;
    }
    assert!(rows > 60, "{rows} rows");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_panics(url in "\\PC{0,80}") {
        let _ = Buf::parse(&url, Policy::default());
    }

    #[test]
    fn canonical_form_is_a_fixed_point(url in "https?://[a-z0-9.:\\[\\]x]{1,20}(/[a-z?#=&%]{0,10})?") {
        if let Ok(endpoint) = Buf::parse(&url, Policy::default()) {
            let text = endpoint.get().url();
            let again = Buf::parse(text, Policy::default());
            prop_assert_eq!(again.as_ref().map(|e| e.get().url().to_owned()), Ok(text.to_owned()));
        }
    }

    /// However an IPv4 address is written or wrapped, it is judged alike.
    #[test]
    fn addresses_are_written_as_the_library_writes_them(
        segments in prop::array::uniform8(prop_oneof![Just(0), Just(1), Just(0xffff), any::<u16>()]),
    ) {
        let v6 = std::net::Ipv6Addr::from(segments);
        let url = format!("http://[{v6}]/");
        // In full, as it may come in.
        let full = segments.map(|segment| format!("{segment:04X}")).join(":");
        match EndpointBuf::<64>::parse(&format!("http://[{full}]"), Policy::default()) {
            Ok(endpoint) => prop_assert_eq!(endpoint.get().url(), url),
            Err(error) => prop_assert!(matches!(error, EndpointError::Refused(_))),
        }
        let v4 = std::net::Ipv4Addr::from(u32::from(segments[0]) << 16 | u32::from(segments[1]));
        match EndpointBuf::<64>::parse(&format!("http://{}", u32::from(v4)), Policy::default()) {
            Ok(endpoint) => prop_assert_eq!(endpoint.get().url(), format!("http://{v4}/")),
            Err(error) => prop_assert!(matches!(error, EndpointError::Refused(_))),
        }
    }

    #[test]
    fn disguises_do_not_help(octets in prop_oneof![
        any::<[u8; 4]>(),
        Just([169, 254, 169, 254]),
        Just([100, 100, 100, 200]),
        any::<u8>().prop_map(|last| [169, 254, 0, last]),
        any::<u8>().prop_map(|last| [224, 0, 0, last]),
    ], deny_private: bool) {
        let policy = Policy { deny_private };
        let [a, b, c, d] = octets;
        let verdict = policy.check(IpAddr::from(octets));
        let number = u32::from_be_bytes(octets);
        let hex = |high: u8, low: u8| u16::from_be_bytes([high, low]);
        let written = [
            format!("{a}.{b}.{c}.{d}"),
            format!("{number}"),
            format!("{number:#x}"),
            format!("{a:#o}.{b:#x}.{}", u16::from_be_bytes([c, d])).replace("0o", "0"),
            format!("{a}.{}", number & 0xff_ffff),
        ];
        for host in written {
            let parsed = Buf::parse(&format!("http://{host}/"), policy);
            prop_assert_eq!(parsed.err(), verdict.err().map(EndpointError::Refused), "{}", host);
        }
        let (high, low) = (hex(a, b), hex(c, d));
        let wrapped = [
            format!("[::ffff:{high:x}:{low:x}]"),
            format!("[::ffff:0:{high:x}:{low:x}]"),
            format!("[2002:{high:x}:{low:x}::1]"),
            format!("[64:ff9b::{high:x}:{low:x}]"),
        ];
        if let Err(refusal) = verdict {
            for host in wrapped {
                let parsed = Buf::parse(&format!("http://{host}/"), policy);
                prop_assert_eq!(parsed.err(), Some(EndpointError::Refused(refusal)), "{}", host);
            }
        }
    }
    #[test]
    fn an_ipv6_literal_is_what_the_library_takes_for_one(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "", "", "0", "1", "00f", "FfFe", "12345", "g", "+1", "1.2.3.4", "01.2.3.4", "1.2.3",
                "1.2.3.4.5", "256.1.1.1", "0x1.2.3.4", "0.0.0.0", ".", "1.2",
            ]),
            0..11,
        ),
        simple in 0..12_usize,
    ) {
        // Most of them have a chance: single digits, but for one part.
        let text = |part: (usize, &&'static str)| if part.0 % 12 == simple || part.1.is_empty() { *part.1 } else { "1" };
        let simpler = parts.iter().enumerate().map(text).collect::<Vec<_>>().join(":");
        for literal in [parts.join(":"), simpler] {
            let expected = literal.parse::<std::net::Ipv6Addr>();
            match (expected, Buf::parse(&format!("http://[{literal}]/"), Policy::default())) {
                (Ok(address), Ok(url)) => prop_assert_eq!(url.get().host(), Host::Address(address.into())),
                (Ok(_), Err(EndpointError::Refused(_))) | (Err(_), Err(EndpointError::Host)) => {}
                (expected, url) => panic!("{literal}: {expected:?}, {url:?}"),
            }
        }
    }
}

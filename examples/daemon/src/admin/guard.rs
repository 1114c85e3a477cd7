//! Which requests are heard at all: against DNS rebinding, and against pages of others.
//!
//! Pure functions of the request's head.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Browsers say with it whose page a request is from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// And with this one, what it is for.
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What every answer says to browsers: nothing is loaded from elsewhere or kept, nothing inline is executed, no other
/// page embeds it or reads it. `same-origin` keeps the `Origin` of forms, which `no-referrer` would make `null`.
pub(super) const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
    ),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// The names by which this address may be called. A page of another name that leads here (DNS rebinding) calls it by
/// that name.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    further: Vec<String>,
}

impl Hosts {
    /// With names beside `localhost` and the address itself. A port in them is ignored.
    pub(super) fn new(further: &[String]) -> Self {
        let further = further.iter().map(|name| match name.parse::<Authority>() {
            Ok(authority) => plain(authority.host()),
            Err(_) => plain(name),
        });
        Self { further: further.collect() }
    }

    /// Whether a request that came to `local` calls it by one of its names. It must have one `Host`, and name no other
    /// in its target. The port is not compared: it may be forwarded, and rebinding needs a name.
    pub(super) fn allow(&self, head: &Parts, local: IpAddr) -> bool {
        let mut hosts = head.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Ok(host) = Authority::try_from(host.as_bytes()) else { return false };
        let of_target = head.uri.authority();
        !host.as_str().contains('@')
            && of_target.is_none_or(|target| *target == host)
            && self.have(&plain(host.host()), local)
    }

    fn have(&self, host: &str, local: IpAddr) -> bool {
        host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == local.to_canonical())
            || self.further.iter().any(|name| name == host)
    }
}

/// A host in small letters, without the brackets of an IPv6 address and without the dot of the root.
fn plain(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether a request is heard as far as its page is concerned. A browser names the page: it must be one of this address.
/// Only a link may be on another's. What is no browser names none.
pub(super) fn is_from_own_page(method: &Method, headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE);
    let is_foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
    if matches!(*method, Method::GET | Method::HEAD) {
        return !is_foreign || headers.get(SEC_FETCH_DEST).is_some_and(|it| it == "document");
    }
    if is_foreign {
        return false;
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => is_of_host(origin, headers.get(HOST)),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a browser has said whose page the request is from.
pub(super) fn names_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE)
}

/// Whether the origin's host and port are those that were called. (Its scheme may be https, before a proxy.)
fn is_of_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let origin = origin.as_bytes();
    let origin = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host.as_bytes()))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = headers
            .iter()
            .fold(Request::post(uri), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_its_own_names_are_hosts() {
        let hosts = Hosts::new(&["Hooks.Example.org:9912".to_owned(), "[fd00::7]".to_owned()]);
        let v4 = "127.0.0.1";
        for (host, local, expected) in [
            ("127.0.0.1:9912", v4, true),
            ("127.0.0.1", v4, true),
            ("localhost:9912", v4, true),
            ("LOCALHOST.", v4, true),
            ("[::1]:9912", "::1", true),
            ("127.0.0.1:1", "::ffff:127.0.0.1", true),
            ("hooks.example.org", v4, true),
            ("HOOKS.example.org.:443", v4, true),
            ("[fd00::7]:1", v4, true),
            ("127.0.0.2", v4, false),
            ("[::1]:9912", v4, false),
            ("evil.example:9912", v4, false),
            ("localhost.evil.example", v4, false),
            ("evil.localhost", v4, false),
            ("127.0.0.1.evil.example", v4, false),
            ("2130706433", v4, false),
            ("127.1", v4, false),
            ("evil@localhost", v4, false),
            ("localhost@evil", v4, false),
            ("", v4, false),
            ("localhost:x/", v4, false),
        ] {
            let head = head("/", &[("host", host)]);
            assert_eq!(hosts.allow(&head, local.parse().unwrap()), expected, "{host} {local}");
        }
    }

    #[test]
    fn a_host_stands_there_once() {
        let hosts = Hosts::default();
        let local = IpAddr::from([127, 0, 0, 1]);
        assert!(!hosts.allow(&head("/", &[]), local));
        assert!(!hosts.allow(&head("/", &[("host", "localhost"), ("host", "localhost")]), local));
        let other = head("http://evil.example/", &[("host", "localhost")]);
        assert!(!hosts.allow(&other, local));
        assert!(hosts.allow(&head("http://localhost/", &[("host", "localhost")]), local));
    }

    #[test]
    fn changes_come_from_own_pages_or_from_no_page() {
        let host = ("host", "localhost:9912");
        for (headers, expected) in [
            (&[host][..], true),
            (&[host, ("origin", "http://localhost:9912")], true),
            (&[host, ("origin", "https://LOCALHOST:9912")], true),
            (&[host, ("sec-fetch-site", "same-origin")], true),
            (&[host, ("sec-fetch-site", "none")], true),
            (&[host, ("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")], false),
            (&[host, ("sec-fetch-site", "cross-site"), ("origin", "http://localhost:9912")], false),
            (&[host, ("sec-fetch-site", "same-site")], false),
            (&[host, ("sec-fetch-site", "")], false),
            (&[host, ("origin", "null")], false),
            (&[host, ("origin", "")], false),
            (&[host, ("origin", "http://localhost:9913")], false),
            (&[host, ("origin", "http://localhost:9912/")], false),
            (
                &[host, ("origin", "http://localhost:9912"), ("origin", "http://localhost:9912")],
                false,
            ),
            (&[("origin", "http://localhost:9912")], false),
        ] {
            let head = head("/", headers);
            assert_eq!(is_from_own_page(&head.method, &head.headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn of_another_page_only_a_link_leads_here() {
        let read = |headers: &[_]| is_from_own_page(&Method::GET, &head("/", headers).headers);
        let (cross, same_site) =
            (("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"));
        assert!(read(&[]));
        assert!(read(&[("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "script")]));
        for foreign in [cross, same_site] {
            assert!(read(&[foreign, ("sec-fetch-dest", "document")]));
            assert!(!read(&[foreign]));
            for part in ["iframe", "image", "script", "style", "empty"] {
                assert!(!read(&[foreign, ("sec-fetch-dest", part)]), "{part}");
            }
        }
    }
}

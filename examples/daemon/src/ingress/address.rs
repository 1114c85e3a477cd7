//! The address that is listened at, and whether a URL leads to it.

use std::net::{Ipv4Addr, SocketAddr};

use pilot_webhook_core::{Endpoint, Host};
use pilot_webhook_std::Destination;

/// `127.0.0.1:9911` or `[::1]:9911`; `9911` or `:9911` is a port on loopback.
///
/// # Errors
/// With what was expected.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if port.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(port) = port.parse::<u16>()
    {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let expected = "expected a port, or an address and a port such as 127.0.0.1:9911 or [::1]:9911";
    text.parse().map_err(|_| expected.to_owned())
}

/// What is wrong with a webhook from which events come back.
pub(crate) const COMES_BACK: &str =
    "is the address that --listen takes events at, so they would go round for ever";

/// Whether what is delivered to `target` comes back to the address that is listened at.
pub(crate) fn comes_back(target: Option<&Destination>, listens: Option<SocketAddr>) -> bool {
    let target = target.and_then(Destination::http);
    target.zip(listens).is_some_and(|(target, own)| leads_back(&target.get(), own))
}

/// Whether events to `endpoint` would come back to the one who listens at `own`. (By addresses of the machine that
/// are not in `own`, they may do so, too.)
fn leads_back(endpoint: &Endpoint<'_>, own: SocketAddr) -> bool {
    let takes_local = own.ip().is_loopback() || own.ip().is_unspecified();
    endpoint.port() == own.port()
        && match endpoint.host() {
            Host::Name(name) => name.trim_end_matches('.') == "localhost" && takes_local,
            Host::Address(ip) => ip == own.ip() || (ip.is_loopback() && own.ip().is_unspecified()),
        }
}

#[cfg(test)]
mod tests {
    use pilot_webhook_core::{EndpointBuf, Policy};

    use super::*;

    #[test]
    fn a_port_alone_is_one_of_loopback() {
        for (text, address) in [
            ("9911", "127.0.0.1:9911"),
            (":9911", "127.0.0.1:9911"),
            ("0", "127.0.0.1:0"),
            ("127.0.0.1:9911", "127.0.0.1:9911"),
            ("[::1]:9911", "[::1]:9911"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            assert_eq!(parse(text).map(|address| address.to_string()), Ok(address.to_owned()));
        }
        for text in
            ["", ":", "+1", "65536", "127.0.0.1", "::1", "::1:9911", "localhost:1", "::9911"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_to_the_own_address_leads_back() {
        for (url, own, expected) in [
            ("http://127.0.0.1:9911/", "127.0.0.1:9911", true),
            ("http://localhost:9911/x", "127.0.0.1:9911", true),
            ("http://LocalHost.:9911/x", "[::1]:9911", true),
            ("http://127.0.0.1:9912/", "127.0.0.1:9911", false),
            ("http://127.0.0.2:9911/", "127.0.0.1:9911", false),
            ("http://127.0.0.2:9911/", "0.0.0.0:9911", true),
            ("http://10.0.0.1:9911/", "10.0.0.1:9911", true),
            ("http://localhost:9911/", "10.0.0.1:9911", false),
            ("http://example.com:9911/", "0.0.0.0:9911", false),
        ] {
            let endpoint = EndpointBuf::<256>::parse(url, Policy::default()).unwrap();
            assert_eq!(leads_back(&endpoint.get(), own.parse().unwrap()), expected, "{url} {own}");
        }
    }
}

//! Whom to believe.

use std::net::{IpAddr, Ipv4Addr};

use pilot_webhook_core::ErrorKind;

use super::{OK, answer};
use crate::Act::{Close, Hold, Send};
use crate::Step::Post;
use crate::scenario::Names;
use crate::{Certificate, Expect, Scenario, Script};

/// The name in the certificates.
pub(super) const RECEIVER: Names = &[("receiver.test", &[IpAddr::V4(Ipv4Addr::LOCALHOST)])];

/// A name of the same server that is in none of them.
const OTHER: Names = &[("elsewhere.test", &[IpAddr::V4(Ipv4Addr::LOCALHOST)])];

pub(super) fn scenarios() -> Vec<Scenario> {
    let ok = || Post(Expect::status(200));
    let accepted = |name, certificate| Scenario::new(name, [answer(OK)], [ok()]).tls(certificate);
    let refused = |name, certificate| {
        Scenario::new(name, [answer(OK)], [Post(Expect::Fails(&[ErrorKind::Tls]))])
            .tls(certificate)
            .arrived([])
    };
    vec![
        accepted("a good certificate, by name", Certificate::Good).resolved(RECEIVER),
        accepted("a good certificate, by address", Certificate::Good),
        refused("an expired certificate", Certificate::Expired).resolved(RECEIVER),
        refused("a certificate of the future", Certificate::NotYetValid).resolved(RECEIVER),
        refused("a certificate for another name", Certificate::WrongName).resolved(RECEIVER),
        refused("a certificate for another address", Certificate::WrongName),
        refused("a certificate by nobody we trust", Certificate::Untrusted).resolved(RECEIVER),
        refused("a certificate by nobody we trust, by address", Certificate::Untrusted),
        accepted("a self-signed certificate that is trusted", Certificate::Own).resolved(RECEIVER),
        accepted("a self-signed certificate that is trusted, by address", Certificate::Own),
        refused("a self-signed certificate that is not trusted", Certificate::UntrustedOwn)
            .resolved(RECEIVER),
        refused("a trusted self-signed certificate of another name", Certificate::Own)
            .resolved(OTHER),
        no_tls(
            "a server that speaks plain HTTP where TLS is due",
            vec![Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".into()), Close],
        ),
        no_tls(
            "a server that speaks garbage where TLS is due",
            vec![Send(vec![0x16, 3, 1, 0xff, 0xff, 0, 0, 0, 1, 2, 3]), Send(vec![0; 4096]), Hold],
        ),
        no_tls("a server that closes in the handshake", vec![Close]),
    ]
}

/// The server's end has no TLS at all.
fn no_tls(name: &'static str, script: Script) -> Scenario {
    let fails = Post(Expect::Fails(&[ErrorKind::Tls, ErrorKind::Connect]));
    Scenario { https: true, ..Scenario::new(name, [script], [fails]).arrived([]) }
}

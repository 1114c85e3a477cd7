//! Servers that cheat, as the node itself meets them. Each is refused with its own error at every
//! attempt, and nothing is sent to it. How they are told apart in detail is tested with the
//! transport; these tests check that the firmware includes all of it.

use std::sync::Arc;

use pilot_webhook_embassy::{Algorithm, CertificateFault, Error, TlsFailure};
use pilot_webhook_tests::hostile_tls::{Behaviour, HostileServer, Identity, Message};
use pilot_webhook_tests::pki::{self, Authority, Kind, leaf_for};
use pilot_webhook_tests::{Server, pki::rustls};
use rcgen::DnType;

use Message::{
    BadCertificateVerify, Certificate, CertificateVerify, EncryptedExtensions, Finished,
};

use crate::node::{HOST, Image, Node};
use crate::receiver::{CaFile, answers, authority, expect_ids, url, url_of};

/// Attempts that an event gets.
const ATTEMPTS: usize = 3;

fn good() -> Identity {
    authority().issue(Kind::P256, leaf_for(HOST))
}

/// A node has one event for this server. The failure is the error of each attempt.
async fn refused(identity: Identity, behaviour: Behaviour, failure: TlsFailure) {
    if !Image::An386.is_there() {
        return;
    }
    let server = HostileServer::start(identity, behaviour);
    let ca = CaFile::new();
    let url = url_of("https", HOST, server.address().port());
    let words = [url, ca.argument(), "events=1".into(), "backoff_ms=10".into()];
    let report = Node::start(Image::An386, &words).await.end().await;
    expect_refusals(&report.story(), failure);
    assert_eq!((report.count("exhausted"), report.count("last_status")), (1, 0));
    let seen = server.seen();
    assert_eq!(seen.received, b"", "a request leaked");
    assert_eq!(seen.connections, ATTEMPTS);
}

#[track_caller]
fn expect_refusals(story: &[&str], failure: TlsFailure) {
    let text = Error::Tls(failure);
    let expected = (1..=ATTEMPTS).map(|attempt| format!("event 1 attempt {attempt}: {text}"));
    assert_eq!(story, Vec::from_iter(expected));
}

/// A server whose handshake is good and whose certificate is not.
async fn refused_certificate(identity: Identity, failure: TlsFailure) {
    refused(identity, Behaviour::good(), failure).await;
}

/// One whose certificate is good and whose handshake is not.
async fn refused_flight<const N: usize>(flight: [Message; N], failure: TlsFailure) {
    refused(good(), Behaviour::flight(flight), failure).await;
}

fn fault(fault: CertificateFault) -> TlsFailure {
    TlsFailure::Certificate(fault)
}

#[tokio::test]
async fn no_certificate_and_no_proof() {
    refused_flight([EncryptedExtensions, Finished], TlsFailure::NoCertificate).await;
}

#[tokio::test]
async fn a_certificate_without_proof() {
    let flight = [EncryptedExtensions, Certificate, Finished];
    refused_flight(flight, TlsFailure::NoSignature).await;
}

#[tokio::test]
async fn a_proof_without_certificate() {
    let flight = [EncryptedExtensions, CertificateVerify, Finished];
    refused_flight(flight, TlsFailure::NoCertificate).await;
}

#[tokio::test]
async fn a_wrong_proof() {
    let flight = [EncryptedExtensions, Certificate, BadCertificateVerify, Finished];
    refused_flight(flight, TlsFailure::BadSignature).await;
}

#[tokio::test]
async fn an_ordinary_certificate_as_a_ca() {
    let ordinary = authority().below(Kind::P256, leaf_for("other.test"));
    let identity = ordinary.issue(Kind::P256, leaf_for(HOST));
    refused_certificate(identity, fault(CertificateFault::ServerAsCa)).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_for_servers() {
    let identity = authority().issue(Kind::P256, pki::for_clients(leaf_for(HOST)));
    refused_certificate(identity, fault(CertificateFault::Usage)).await;
}

#[tokio::test]
async fn a_critical_extension_that_is_not_known() {
    let identity = authority().issue(Kind::P256, pki::with_critical_extension(leaf_for(HOST)));
    refused_certificate(identity, fault(CertificateFault::CriticalExtension)).await;
}

#[tokio::test]
async fn a_name_outside_of_what_the_ca_may_certify() {
    let ca = pki::constrained(pki::ca("for others"));
    let identity = authority().below(Kind::P256, ca).issue(Kind::P256, leaf_for(HOST));
    refused_certificate(identity, fault(CertificateFault::NameConstraint)).await;
}

#[tokio::test]
async fn a_forged_certificate_with_an_ed25519_signature() {
    let forger = Authority::of(Kind::Ed25519, pki::ca("the tests' root"));
    let identity = forger.issue(Kind::P256, leaf_for(HOST));
    refused_certificate(identity, TlsFailure::UnsupportedAlgorithm(Algorithm::Ed25519)).await;
}

#[tokio::test]
async fn a_certificate_of_another_name_with_a_common_name_that_matches() {
    let mut params = leaf_for("other.test");
    params.distinguished_name.push(DnType::CommonName, HOST);
    refused_certificate(authority().issue(Kind::P256, params), TlsFailure::WrongName).await;
}

#[tokio::test]
async fn a_certificate_of_another_name() {
    let identity = authority().issue(Kind::P256, leaf_for("192.0.2.1"));
    refused_certificate(identity, TlsFailure::WrongName).await;
}

#[tokio::test]
async fn an_expired_certificate() {
    let identity = authority().issue(Kind::P256, pki::expired(leaf_for(HOST)));
    refused_certificate(identity, TlsFailure::Expired).await;
}

#[tokio::test]
async fn a_certificate_of_the_future() {
    let identity = authority().issue(Kind::P256, pki::not_yet_valid(leaf_for(HOST)));
    refused_certificate(identity, TlsFailure::NotYetValid).await;
}

#[tokio::test]
async fn a_certificate_by_nobody_we_trust() {
    let stranger = Authority::of(Kind::P256, pki::ca("a stranger"));
    let identity = stranger.issue(Kind::P256, leaf_for(HOST));
    refused_certificate(identity, TlsFailure::UnknownIssuer).await;
}

/// The table has teeth: the same server is accepted when it is good, by its address.
#[tokio::test]
async fn the_hand_made_server_is_accepted_when_it_is_good() {
    if !Image::An386.is_there() {
        return;
    }
    let server = HostileServer::start(good(), Behaviour::good());
    let ca = CaFile::new();
    let url = url_of("https", HOST, server.address().port());
    let words = [url, ca.argument(), "events=1".into()];
    let report = Node::start(Image::An386, &words).await.end().await;
    assert_eq!(report.story(), [""; 0]);
    assert_eq!(report.count("delivered"), 1);
}

/// A node that does not know the time cannot know what is valid, and refuses a good server too.
#[tokio::test]
async fn without_a_time_nobody_is_trusted() {
    if !Image::An386.is_there() {
        return;
    }
    let server = HostileServer::start(good(), Behaviour::good());
    let ca = CaFile::new();
    let url = url_of("https", HOST, server.address().port());
    let mut words = vec![url, ca.argument()];
    words.extend(["events=1", "backoff_ms=10", "time=unknown"].map(String::from));
    let report = Node::start(Image::An386, &words).await.end().await;
    expect_refusals(&report.story(), TlsFailure::TimeUnknown);
    assert_eq!(report.count("exhausted"), 1);
    assert_eq!(server.seen().received, b"");
}

/// After a hostile server, the same node delivers to a good one at the same address: a refusal leaves
/// nothing behind.
#[tokio::test]
async fn after_refusals_a_good_server_gets_the_event() {
    if !Image::An386.is_there() {
        return;
    }
    let bad = Behaviour::flight([EncryptedExtensions, Certificate, Finished]);
    let server = HostileServer::start_with(good(), move |n| match n {
        0 | 1 => bad.clone(),
        _ => Behaviour::good(),
    });
    let ca = CaFile::new();
    let url = url_of("https", HOST, server.address().port());
    let words = [url, ca.argument(), "events=3".into(), "backoff_ms=10".into()];
    let report = Node::start(Image::An386, &words).await.end().await;
    let text = Error::Tls(TlsFailure::NoSignature);
    assert_eq!(report.story(), [1, 2].map(|attempt| format!("event 1 attempt {attempt}: {text}")));
    assert_eq!((report.count("delivered"), report.count("attempts")), (3, 5));
    // Whether the server got to read a refused handshake's end is a matter of luck.
    assert_eq!(server.seen().connections, 3);
}

/// A server below an intermediate CA, by a real TLS stack.
#[tokio::test]
async fn a_server_below_an_intermediate_is_accepted() {
    if !Image::An386.is_there() {
        return;
    }
    let between = authority().below(Kind::P256, pki::ca("between"));
    let config = Arc::new(rustls(&between.issue(Kind::P256, leaf_for(HOST))));
    let server = Server::start(vec![answers(200, 2)], Some(config)).await;
    let ca = CaFile::new();
    let words = [url("https", &server), ca.argument(), "events=2".into()];
    let report = Node::start(Image::An386, &words).await.end().await;
    assert_eq!(report.story(), [""; 0]);
    expect_ids(&server, 1..=2);
}

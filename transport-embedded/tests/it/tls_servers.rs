//! Real servers (rustls) with certificates of every kind: which are accepted, and for what reason
//! the others are refused.

use crate::support;
use crate::support::hostile_tls::Identity;
use crate::support::net::TokioNet;
use crate::support::pki::{self, Authority, Kind, leaf, leaf_for};
use crate::support::{NOW, authority, either, good_tls, post, send, serve, tls, tls_at, url};
use pilot_webhook_core::http::Malformed;
use pilot_webhook_embassy::{
    Algorithm, CertificateFault, Error, NodeTransport, Tls, TlsBuffers, TlsFailure, UnknownTime,
};
use pilot_webhook_tests::Server;

/// Posts to a rustls server with this identity, by this host name, trusting `root`.
#[track_caller]
fn ask_as(host: &str, identity: &Identity, root: &[u8]) -> Result<u16, Error> {
    ask_at(host, identity, root, Some(NOW), UnknownTime::Refuse)
}

#[track_caller]
fn ask_at(
    host: &str,
    identity: &Identity,
    root: &[u8],
    now: Option<u64>,
    unknown: UnknownTime,
) -> Result<u16, Error> {
    run(async {
        let server = good_tls(pki::rustls(identity)).await;
        let net = TokioNet::default().with(host, "127.0.0.1");
        let mut node = tls_at(net, &[root], move || now, unknown);
        let url = format!("https://{host}:{}/hook", server.address().port());
        let result = post(&mut node, &url).await.map(|reply| reply.code);
        assert_eq!(server.request_count(), usize::from(result.is_ok()), "what the server read");
        result
    })
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// The server's URL, by the name in its certificate.
fn by_name(server: &Server) -> String {
    support::by_name(server.address().port())
}

#[track_caller]
fn ask(identity: &Identity, root: &[u8]) -> Result<u16, Error> {
    ask_as(pki::NAME, identity, root)
}

fn fault(fault: CertificateFault) -> Result<u16, Error> {
    Err(Error::Tls(TlsFailure::Certificate(fault)))
}

fn failure(failure: TlsFailure) -> Result<u16, Error> {
    Err(Error::Tls(failure))
}

/// What is said of a server whose kind of key or signature is missing: by rustls on the other side that
/// no certificate of its fits what our rustls asks for.
fn unusable(embedded: TlsFailure) -> Result<u16, Error> {
    failure(either(embedded, TlsFailure::Alert(40)))
}

#[test]
fn a_good_server_is_accepted() {
    assert_eq!(ask(&authority().server(), authority().root()), Ok(200));
}

#[test]
fn a_fully_qualified_name_is_the_same_name() {
    let identity = authority().server();
    assert_eq!(ask_as("receiver.test.", &identity, authority().root()), Ok(200));
}

#[tokio::test]
async fn the_smallest_buffers_take_the_longest_name() {
    let label = |length| "n".repeat(length);
    let name = [label(63), label(63), label(63), label(61)].join(".");
    let server = good_tls(pki::rustls(&authority().issue(Kind::P256, leaf_for(&name)))).await;
    let roots: &'static [&'static [u8]] = vec![authority().root()].leak();
    let buffers = Box::leak(Box::new(TlsBuffers::<1_280, 512>::new()));
    let clock = Box::leak(Box::new(|| Some(NOW)));
    let options = Tls::new(buffers, roots, Box::leak(Box::new(rand_core::OsRng)), clock);
    let net = TokioNet::default().with(&name, "127.0.0.1");
    let mut node = support::plain(net).with_tls(options);
    let url = format!("https://{name}:{}/hook", server.address().port());
    assert_eq!(post(&mut node, &url).await.map(|reply| reply.code), Ok(200));
}

#[test]
fn a_server_below_intermediates_is_accepted() {
    let first = authority().below(Kind::P256, pki::ca("first"));
    let second = first.below(Kind::P256, pki::ca("second"));
    assert_eq!(ask(&second.server(), authority().root()), Ok(200));
}

#[tokio::test]
async fn any_of_several_roots_will_do() {
    let others = [Authority::new(), Authority::new()];
    let server = good_tls(pki::rustls(&authority().server())).await;
    let roots = [others[0].root(), b"no certificate", authority().root(), others[1].root()];
    let mut node = tls(support::here(), &roots);
    assert!(post(&mut node, &by_name(&server)).await.is_ok());
}

/// The certificates of four CAs that all have the root's name and did not get it from the root, and a
/// server's certificate by a fifth.
fn chain_that_goes_round() -> Identity {
    let impostor = || Authority::of(Kind::P256, pki::ca("the tests' root"));
    let mut identity = impostor().server();
    identity.chain.extend((0..4).map(|_| impostor().root().to_vec()));
    identity
}

#[test]
fn a_chain_that_makes_many_paths_is_refused_after_few_signature_checks() {
    // It took 65 checks, and for each time that was tried up to 65 again. Now it takes four.
    let identity = chain_that_goes_round();
    let too_complex = fault(CertificateFault::TooComplex);
    assert_eq!(ask(&identity, authority().root()), too_complex);
    let unknown = ask_at(pki::NAME, &identity, authority().root(), None, UnknownTime::SkipValidity);
    assert_eq!(unknown, too_complex);
}

#[tokio::test]
async fn the_longest_chain_passes_beside_roots_of_the_same_name() {
    let below = |authority: &Authority, name| authority.below(Kind::P256, pki::ca(name));
    let third = below(&below(&below(authority(), "first"), "second"), "third");
    let identity = below(&third, "fourth").server();
    let others: [Authority; 2] = std::array::from_fn(|_| Authority::new());
    let mut roots: Vec<&[u8]> = others.iter().map(Authority::root).collect();
    roots.push(authority().root());
    for (now, unknown) in [(Some(NOW), UnknownTime::Refuse), (None, UnknownTime::SkipValidity)] {
        let server = good_tls(pki::rustls(&identity)).await;
        let net = support::here();
        let mut node = tls_at(net, &roots, move || now, unknown);
        let result = post(&mut node, &by_name(&server)).await;
        assert_eq!(result.map(|reply| reply.code), Ok(200));
    }
}

#[test]
fn the_time_decides() {
    let root = authority().root();
    for (params, expected) in [
        (pki::expired(leaf()), TlsFailure::Expired),
        (pki::not_yet_valid(leaf()), TlsFailure::NotYetValid),
    ] {
        let identity = authority().issue(Kind::P256, params);
        assert_eq!(ask(&identity, root), failure(expected));
    }
    // An intermediate CA's time counts too.
    let expired = authority().below(Kind::P256, pki::expired(pki::ca("too old")));
    assert_eq!(ask(&expired.server(), root), failure(TlsFailure::Expired));
}

#[test]
fn an_unknown_time_refuses_or_skips_the_validity_only() {
    let root = authority().root();
    let ask = |identity: &Identity, unknown| ask_at(pki::NAME, identity, root, None, unknown);
    let good = authority().server();
    assert_eq!(ask(&good, UnknownTime::Refuse), failure(TlsFailure::TimeUnknown));
    assert_eq!(ask(&good, UnknownTime::SkipValidity), Ok(200));
    let below = authority().below(Kind::P256, pki::ca("between"));
    assert_eq!(ask(&below.server(), UnknownTime::SkipValidity), Ok(200));
    for params in [pki::expired(leaf()), pki::not_yet_valid(leaf())] {
        let identity = authority().issue(Kind::P256, params);
        assert_eq!(ask(&identity, UnknownTime::SkipValidity), Ok(200));
    }
    let other = Authority::of(Kind::P256, pki::ca("a stranger")).server();
    assert_eq!(ask(&other, UnknownTime::SkipValidity), failure(TlsFailure::UnknownIssuer));
    let never = authority().below(Kind::P256, pki::expired(pki::ca("never together")));
    let never = never.issue(Kind::P256, pki::not_yet_valid(leaf()));
    assert_eq!(ask(&never, UnknownTime::SkipValidity), failure(TlsFailure::Expired));
}

#[test]
fn another_authority_is_refused_even_under_the_same_name() {
    let other = Authority::new();
    assert_eq!(ask(&other.server(), &[]), failure(TlsFailure::Root(0)));
    // Both roots are called the same, so that only the signature tells.
    let expected = failure(TlsFailure::CertificateSignature);
    assert_eq!(ask(&other.server(), authority().root()), expected);
    let stranger = Authority::of(Kind::P256, pki::ca("a stranger"));
    assert_eq!(ask(&stranger.server(), authority().root()), failure(TlsFailure::UnknownIssuer));
}

#[test]
fn the_name_decides() {
    let root = authority().root();
    let other = authority().issue(Kind::P256, leaf_for("other.test"));
    assert_eq!(ask(&other, root), failure(TlsFailure::WrongName));
    // A common name says nothing when the subject's alternative names say otherwise.
    let mut common = leaf_for("other.test");
    common.distinguished_name.push(rcgen::DnType::CommonName, pki::NAME);
    let common = authority().issue(Kind::P256, common);
    assert_eq!(ask(&common, root), failure(TlsFailure::WrongName));
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let identity = authority().issue(Kind::P256, leaf_for("*.receiver.test"));
    let ask = |host| ask_as(host, &identity, authority().root());
    assert_eq!(ask("a.receiver.test"), Ok(200));
    assert_eq!(ask("receiver.test"), failure(TlsFailure::WrongName));
    assert_eq!(ask("a.b.receiver.test"), failure(TlsFailure::WrongName));
}

#[test]
fn an_address_must_be_in_the_certificate() {
    let root = authority().root();
    let by_address = authority().issue(Kind::P256, leaf_for("127.0.0.1"));
    assert_eq!(ask_as("127.0.0.1", &by_address, root), Ok(200));
    let other = authority().issue(Kind::P256, leaf_for("127.0.0.2"));
    assert_eq!(ask_as("127.0.0.1", &other, root), failure(TlsFailure::WrongName));
    assert_eq!(ask_as("127.0.0.1", &authority().server(), root), failure(TlsFailure::WrongName));
    assert_eq!(ask(&by_address, root), failure(TlsFailure::WrongName));
}

#[test]
fn an_ordinary_leaf_is_no_authority() {
    let leaf_as_ca = authority().below(Kind::P256, leaf_for("owned.test"));
    assert_eq!(ask(&leaf_as_ca.server(), authority().root()), fault(CertificateFault::ServerAsCa));
}

#[test]
fn an_authority_is_no_server() {
    let mut params = leaf();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let identity = authority().issue(Kind::P256, params);
    assert_eq!(ask(&identity, authority().root()), fault(CertificateFault::CaAsServer));
}

#[test]
fn a_trusted_self_signed_server_is_accepted_by_its_name_and_in_its_time() {
    // As `openssl req -x509` makes them: a CA's certificate with a server's name.
    let own = |change: fn(rcgen::CertificateParams) -> rcgen::CertificateParams| {
        let mut params = change(leaf());
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Authority::of(Kind::P256, params).itself()
    };
    let good = own(|params| params);
    let root = good.chain[0].clone();
    assert_eq!(ask(&good, &root), Ok(200));
    assert_eq!(ask_as("other.test", &good, &root), failure(TlsFailure::WrongName));
    let other = own(|params| params);
    assert_eq!(ask(&other, &root), fault(CertificateFault::CaAsServer));
    let thief = Identity { key: other.key, ..good };
    assert_eq!(ask(&thief, &root), failure(TlsFailure::BadSignature));
    let old = own(pki::expired);
    assert_eq!(ask(&old, &old.chain[0]), failure(TlsFailure::Expired));
    let early = own(pki::not_yet_valid);
    assert_eq!(ask(&early, &early.chain[0]), failure(TlsFailure::NotYetValid));
    // The same without the mark of a CA.
    let plain = Authority::of(Kind::P256, leaf()).itself();
    assert_eq!(ask(&plain, &plain.chain[0]), Ok(200));
}

#[test]
fn what_a_certificate_says_about_its_use_counts() {
    let root = authority().root();
    let clients = authority().issue(Kind::P256, pki::for_clients(leaf()));
    assert_eq!(ask(&clients, root), fault(CertificateFault::Usage));
    let critical = authority().issue(Kind::P256, pki::with_critical_extension(leaf()));
    assert_eq!(ask(&critical, root), fault(CertificateFault::CriticalExtension));
    let constrained = authority().below(Kind::P256, pki::constrained(pki::ca("for others")));
    assert_eq!(ask(&constrained.server(), root), fault(CertificateFault::NameConstraint));
    let allowed = constrained.issue(Kind::P256, leaf_for("other.test"));
    assert_eq!(ask_as("other.test", &allowed, root), Ok(200));
}

#[test]
fn a_path_is_no_longer_than_its_authorities_allow() {
    let mut params = pki::ca("the last");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let last = authority().below(Kind::P256, params);
    let beyond = last.below(Kind::P256, pki::ca("beyond"));
    let expected = fault(CertificateFault::PathLength);
    assert_eq!(ask(&beyond.server(), authority().root()), expected);
}

#[test]
fn too_many_certificates_are_refused_before_they_cost_time() {
    let mut below = authority().below(Kind::P256, pki::ca("again"));
    for _ in 0..4 {
        below = below.below(Kind::P256, pki::ca("again"));
    }
    let expected = fault(CertificateFault::TooComplex);
    assert_eq!(ask(&below.server(), authority().root()), expected);
}

#[test]
fn p384_anywhere_in_the_chain_needs_its_feature() {
    let supported = cfg!(feature = "p384");
    let root = Authority::of(Kind::P384, pki::ca("a P-384 root"));
    let between = root.below(Kind::P256, pki::ca("P-256 below P-384"));
    let sha384 = TlsFailure::UnsupportedAlgorithm(Algorithm::EcdsaSha384);
    for (identity, missing) in [
        (root.issue(Kind::P256, leaf()), failure(sha384)),
        (between.issue(Kind::P256, leaf()), failure(sha384)),
        (root.issue(Kind::P384, leaf()), unusable(sha384)),
    ] {
        let expected = if supported { Ok(200) } else { missing };
        assert_eq!(ask(&identity, root.root()), expected);
    }
    // A P-384 key under a P-256 authority: the certificate is good, the key cannot be used.
    let identity = authority().issue(Kind::P384, leaf());
    let missing = unusable(TlsFailure::UnsupportedAlgorithm(Algorithm::EcdsaP384));
    assert_eq!(ask(&identity, authority().root()), if supported { Ok(200) } else { missing });
}

#[test]
#[cfg(feature = "rsa")]
fn rsa_anywhere_in_the_chain() {
    let root = Authority::of(Kind::Rsa, pki::ca("an RSA root"));
    let between = root.below(Kind::Rsa, pki::ca("RSA below RSA"));
    for identity in [
        root.server(),
        root.issue(Kind::Rsa, leaf()),
        between.issue(Kind::Rsa, leaf()),
        root.below(Kind::P256, pki::ca("P-256 below RSA")).server(),
    ] {
        assert_eq!(ask(&identity, root.root()), Ok(200));
    }
    let identity = authority().issue(Kind::Rsa, leaf());
    assert_eq!(ask(&identity, authority().root()), Ok(200));
    // The one RSA key that there is makes a right signature under every such name: another message tells.
    let mut forged = root.issue(Kind::Rsa, leaf());
    let last = forged.chain[0].len() - 1;
    forged.chain[0][last] ^= 1;
    let wrong = failure(TlsFailure::CertificateSignature);
    assert_eq!(ask(&forged, root.root()), wrong);
}

#[test]
#[cfg(not(feature = "rsa"))]
fn rsa_is_refused_by_name() {
    let root = Authority::of(Kind::Rsa, pki::ca("an RSA root"));
    let expected = failure(TlsFailure::UnsupportedAlgorithm(Algorithm::Rsa));
    assert_eq!(ask(&root.server(), root.root()), expected);
    // No signature of an RSA server can be asked for, so it gives up itself.
    let identity = root.issue(Kind::Rsa, leaf());
    assert_eq!(ask(&identity, root.root()), unusable(TlsFailure::Aborted));
}

#[test]
fn ed25519_is_refused_by_name() {
    let root = Authority::of(Kind::Ed25519, pki::ca("an Ed25519 root"));
    let expected = failure(TlsFailure::UnsupportedAlgorithm(Algorithm::Ed25519));
    assert_eq!(ask(&root.server(), root.root()), expected);
}

#[tokio::test]
async fn a_server_without_tls_1_3_is_refused() {
    let identity = authority().server();
    let config = pki::rustls_versions(&identity, &[&rustls::version::TLS12]);
    let server = good_tls(config).await;
    let mut node = tls(support::here(), &[authority().root()]);
    let result = post(&mut node, &by_name(&server)).await;
    assert_eq!(result, Err(Error::Tls(TlsFailure::Alert(70))));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_and_reads_no_request() {
    let server = serve(vec![send("HTTP/1.1 400 Bad Request\r\n\r\n")]).await;
    let mut node = tls(TokioNet::default(), &[authority().root()]);
    let url = format!("https://{}/", server.address());
    assert_eq!(post(&mut node, &url).await, Err(Error::Tls(TlsFailure::Malformed)));
}

#[tokio::test]
async fn tls_towards_a_plain_endpoint_is_no_http() {
    let server = good_tls(pki::rustls(&authority().server())).await;
    let mut node = support::plain(TokioNet::default());
    let result = post(&mut node, &url(&server)).await;
    // rustls answers a request without TLS with an alert, in binary.
    assert!(
        matches!(result, Err(Error::Malformed(Malformed::StatusLine) | Error::Closed)),
        "{result:?}"
    );
}

#[tokio::test]
async fn https_needs_tls() {
    let mut node = support::plain(TokioNet::default());
    assert_eq!(post(&mut node, "https://127.0.0.1:9/").await, Err(Error::NoTls));
}

#[tokio::test]
async fn one_handshake_serves_many_posts_and_ticket_records_do_not_matter() {
    let server = good_tls(pki::rustls(&authority().server())).await;
    let net = support::here();
    let counts = net.counts.clone();
    let mut node: NodeTransport<'_, _> = tls(net, &[authority().root()]);
    let url = by_name(&server);
    for _ in 0..20 {
        assert_eq!(post(&mut node, &url).await.map(|reply| reply.code), Ok(200));
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(counts.resolved.load(std::sync::atomic::Ordering::Relaxed), 1);
    // A large body takes many records.
    let body = vec![b'x'; 100_000];
    assert!(support::post_body(&mut node, &url, &body).await.is_ok());
    assert!(server.requests().last().unwrap().body.ends_with(b"xxx"));
    // The Host header carries the port.
    let host = format!("{}:{}", pki::NAME, server.address().port());
    assert!(server.requests().iter().all(|seen| seen.header("host") == Some(&host)));
}

//! The roots of the feature `roots`.

use crate::support;
use crate::support::hostile_tls::Identity;
use crate::support::pki::{self, Authority, Kind, leaf};
use crate::support::{authority, good_tls, post, tls};
use pilot_webhook_embassy::{Error, ROOTS, TlsFailure};
use pilot_webhook_tests::Server;

#[path = "../../build/certificate.rs"]
mod certificate;

async fn ask(identity: &Identity, roots: &[&[u8]]) -> Result<u16, Error> {
    let server: Server = good_tls(pki::rustls(identity)).await;
    let mut node = tls(support::here(), roots);
    let url = support::by_name(server.address().port());
    post(&mut node, &url).await.map(|reply| reply.code)
}

/// The contents of the first element, and what follows it.
fn element(bytes: &[u8]) -> (&[u8], &[u8]) {
    let digits = usize::from(bytes[1].saturating_sub(0x80));
    let length = match digits {
        0 => usize::from(bytes[1]),
        _ => bytes[2..2 + digits].iter().fold(0, |length, digit| length << 8 | usize::from(*digit)),
    };
    bytes[2 + digits..].split_at(length)
}

/// The contents of a certificate's subject and key.
fn subject_and_key(certificate: &[u8]) -> (&[u8], &[u8]) {
    let mut fields = element(element(certificate).0).0;
    for _ in 0..5 {
        fields = element(fields).1;
    }
    let (subject, rest) = element(fields);
    (subject, element(rest).0)
}

#[tokio::test]
async fn a_root_without_anything_but_its_name_and_key_is_trusted_like_its_certificate() {
    let (subject, key) = subject_and_key(authority().root());
    let root = certificate::certificate(subject, key);
    assert!(root.len() < authority().root().len());
    assert_eq!(ask(&authority().server(), &[&root]).await, Ok(200));
    // The name alone is nothing.
    let other = Authority::of(Kind::P256, pki::ca("the tests' root"));
    let refused = Err(Error::Tls(TlsFailure::CertificateSignature));
    assert_eq!(ask(&other.server(), &[&root]).await, refused);
    let stranger = Authority::of(Kind::P256, pki::ca("a stranger")).issue(Kind::P256, leaf());
    assert_eq!(ask(&stranger, &[&root]).await, Err(Error::Tls(TlsFailure::UnknownIssuer)));
}

#[tokio::test]
async fn public_roots_are_read_and_know_no_private_server() {
    // One that cannot be read is an error of its own.
    let refused = Err(Error::Tls(TlsFailure::UnknownIssuer));
    assert_eq!(ask(&authority().server(), ROOTS).await, refused);
}

#[test]
fn public_roots_are_those_that_can_be_verified() {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    for (kind, is_on, expected) in
        [(P256, true, 1), (P384, cfg!(feature = "p384"), 8), (RSA, cfg!(feature = "rsa"), 9)]
    {
        let has = |root: &&&[u8]| {
            subject_and_key(root).1.windows(kind.len()).take(16).any(|part| part == kind)
        };
        let bytes: usize = ROOTS.iter().filter(has).map(|root| root.len() + 8).sum();
        let count = ROOTS.iter().filter(has).count();
        assert_eq!(count, if is_on { expected } else { 0 });
        // The numbers of `docs/sizes.md`.
        assert!(!is_on || (80..=720 * count).contains(&bytes), "{bytes}");
    }
}

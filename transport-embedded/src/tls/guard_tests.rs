//! How much work a server can make, whatever it shows. Each signature that is checked is one moment for other
//! tasks, so these are counted.

use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec as List;

use embedded_tls::{
    CertificateEntryRef, CertificateRef, CertificateVerifyRef, SignatureScheme, TlsVerifier as _,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::SignatureScheme as Rustls;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, ServerName as Name};
use sha2::Digest as _;

use super::super::transcript::Transcript;
use super::super::witness::Witness;
use super::*;

/// 2026-11-23.
const NOW: Now = Now::Known(1_795_392_000);
const NAME: &str = "receiver.test";

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: List<u8>,
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(List::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2035, 1, 1);
    params
}

fn root_of(params: CertificateParams) -> Ca {
    let key = key();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Ca { issuer: Issuer::new(params, key), der }
}

fn root(name: &str) -> Ca {
    root_of(params(name))
}

impl Ca {
    fn below(&self, params: CertificateParams) -> Self {
        self.with_key(params, key())
    }

    fn with_key(&self, params: CertificateParams, key: KeyPair) -> Self {
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// The certificate of a server, and its key.
    fn server(&self, names: List<String>) -> (List<u8>, KeyPair) {
        let key = key();
        (self.certify(&key, names), key)
    }

    fn certify(&self, key: &KeyPair, names: List<String>) -> List<u8> {
        let mut leaf = params("a receiver");
        leaf.is_ca = IsCa::NoCa;
        leaf.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
        leaf.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }
}

/// What comes of a handshake in which a server with this key shows these certificates, and the number of
/// signatures that were checked.
fn meet_at(
    chain: &[&[u8]],
    key: &KeyPair,
    roots: &[&[u8]],
    now: Now,
) -> (Result<(), TlsFailure>, usize) {
    let name = Name::try_from(NAME).unwrap();
    let mut checks = Checks::new();
    let mut witness = Witness::new(roots, &name, now, &mut checks);
    let mut message = CertificateRef::with_context(&[]);
    for der in chain {
        message.add(CertificateEntryRef::X509(der)).unwrap();
    }
    let transcript = Transcript::default();
    let signed =
        [&[b' '; 64][..], b"TLS 1.3, server CertificateVerify\0", &transcript.clone().finalize()]
            .concat();
    if witness.verify_certificate(&transcript, message).is_ok() {
        let key = any_supported_type(&PrivateKeyDer::Pkcs8(key.serialize_der().into())).unwrap();
        let signer = key.choose_scheme(&[Rustls::ECDSA_NISTP256_SHA256]).unwrap();
        let signature = signer.sign(&signed).unwrap();
        let signature_scheme = SignatureScheme::EcdsaSecp256r1Sha256;
        let proof = CertificateVerifyRef { signature_scheme, signature: &signature };
        let _ = witness.verify_signature(proof);
    }
    let mut verdict = pin!(witness.verdict());
    let mut checked = 0;
    loop {
        match verdict.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(verdict) => return (verdict, checked),
            Poll::Pending => checked += 1,
        }
    }
}

fn meet(chain: &[&[u8]], key: &KeyPair, roots: &[&[u8]]) -> (Result<(), TlsFailure>, usize) {
    meet_at(chain, key, roots, NOW)
}

const COMPLEX: Result<(), TlsFailure> = Err(TOO_COMPLEX);
const WRONG: Result<(), TlsFailure> = Err(TlsFailure::CertificateSignature);

fn names() -> List<String> {
    vec![NAME.into()]
}

#[test]
fn a_good_server_takes_a_check_for_each_certificate_and_one_for_its_proof() {
    let mut ca = root("root");
    let trusted = ca.der.clone();
    let mut chain = List::new();
    for above in 0..5 {
        let (leaf, key) = ca.server(names());
        let mut shown: List<&[u8]> = vec![&leaf];
        shown.extend(chain.iter().rev().map(List::as_slice));
        assert_eq!(meet(&shown, &key, &[&trusted]), (Ok(()), above + 2));
        // In any order, and beside the root.
        shown[1..].reverse();
        assert_eq!(meet_at(&shown, &key, &[&trusted], Now::Any), (Ok(()), above + 2));
        if above < 4 {
            ca = ca.below(params(&format!("ca {above}")));
            chain.push(ca.der.clone());
        }
    }
}

#[test]
fn a_thief_of_a_certificate_costs_one_check() {
    let root = root("root");
    let (leaf, _) = root.server(names());
    let thief = meet(&[&leaf], &key(), &[&root.der]);
    assert_eq!(thief, (Err(TlsFailure::BadSignature), 1));
}

#[test]
fn cas_of_the_roots_name_that_it_did_not_sign() {
    let trusted = root("root");
    let impostors: [Ca; 4] = core::array::from_fn(|_| root("root"));
    let (leaf, key) = impostors[0].server(names());
    for shown in 0..=4 {
        let mut chain: List<&[u8]> = vec![&leaf];
        chain.extend(impostors[..shown].iter().map(|ca| ca.der.as_slice()));
        for now in [NOW, Now::Any] {
            let (verdict, checked) = meet_at(&chain, &key, &[&trusted.der], now);
            // The leaf by the root, each impostor by it, and the proof.
            assert_eq!(verdict, if shown < 2 { WRONG } else { COMPLEX }, "{shown}");
            assert!(checked <= 4, "{shown}: {checked}");
        }
    }
}

#[test]
fn cas_that_sign_each_other_in_a_circle() {
    let trusted = root("root");
    let [a, b] = ["a", "b"].map(root);
    let a_by = |ca: &Ca, key: &KeyPair| {
        ca.with_key(params("a"), KeyPair::try_from(key.serialize_der()).unwrap()).der
    };
    let a_by_b = a_by(&b, a.issuer.key());
    let b_by_a = a.with_key(params("b"), key()).der;
    let (leaf, key) = a.server(names());
    let circle = meet(&[&leaf, &a_by_b, &b_by_a], &key, &[&trusted.der]);
    assert_eq!(circle, (Err(TlsFailure::UnknownIssuer), 0));
    // The same, with ways out to a root that signed none of them.
    let false_root = root("root");
    let a_out = a_by(&false_root, a.issuer.key());
    let b_out = false_root.below(params("b")).der;
    let chain: [&[u8]; 5] = [&leaf, &a_by_b, &b_by_a, &a_out, &b_out];
    let (verdict, checked) = meet(&chain, &key, &[&trusted.der]);
    assert!(verdict == WRONG || verdict == COMPLEX);
    assert!(checked <= 4, "{checked}");
}

#[test]
fn a_ca_under_two_roots_of_one_name_is_found_under_the_right_one() {
    let roots: [Ca; 3] = core::array::from_fn(|_| root("root"));
    for signer in &roots {
        let below = signer.below(params("below"));
        let (leaf, key) = below.server(names());
        let trusted = roots.each_ref().map(|root| root.der.as_slice());
        let (verdict, checked) = meet(&[&leaf, &below.der], &key, &trusted);
        assert_eq!(verdict, Ok(()));
        assert!(checked <= 5, "{checked}");
    }
}

#[test]
fn a_renewed_ca_is_found_beside_the_old_one() {
    let root = root("root");
    let [old, new] = [root.below(params("ca")), root.below(params("ca"))];
    let (leaf, key) = new.server(names());
    let (verdict, checked) = meet(&[&leaf, &old.der, &new.der], &key, &[&root.der]);
    assert_eq!(verdict, Ok(()));
    // Both by the root, the leaf by both, and the proof.
    assert!(checked <= 5, "{checked}");
}

#[test]
fn names_times_constraints_are_bounded() {
    let trusted = root("root");
    let constrained = |count: usize| {
        let mut params = params("constrained");
        let permitted = (0..count).map(|n| GeneralSubtree::DnsName(format!("d{n}.test")));
        let permitted = permitted.chain([GeneralSubtree::DnsName("receiver.test".into())]);
        let permitted_subtrees = permitted.collect();
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees, excluded_subtrees: List::new() });
        trusted.below(params)
    };
    let many = |count: usize| {
        let names = (0..count).map(|n| format!("x{n}.receiver.test"));
        names.chain(names_once()).collect::<List<_>>()
    };
    let few = constrained(20);
    let (leaf, key) = few.server(many(20));
    assert_eq!(meet(&[&leaf, &few.der], &key, &[&trusted.der]), (Ok(()), 3));
    let bomb = constrained(300);
    let (leaf, key) = bomb.server(many(300));
    assert_eq!(meet(&[&leaf, &bomb.der], &key, &[&trusted.der]), (COMPLEX, 0));
}

fn names_once() -> impl Iterator<Item = String> {
    names().into_iter()
}

#[test]
fn a_ca_whose_key_may_not_sign_certificates_signs_none() {
    let root = root("root");
    for (usages, expected) in [
        (vec![], Ok(())),
        (vec![KeyUsagePurpose::KeyCertSign], Ok(())),
        (vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::KeyCertSign], Ok(())),
        (
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign],
            Err(TlsFailure::Certificate(CertificateFault::ServerAsCa)),
        ),
    ] {
        let mut params = params("below");
        params.key_usages = usages.clone();
        let below = root.below(params);
        let (leaf, key) = below.server(names());
        let (verdict, _) = meet(&[&leaf, &below.der], &key, &[&root.der]);
        assert_eq!(verdict, expected, "{usages:?}");
    }
}

/// Xorshift, for the same structures in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end).unwrap()
    }
}

/// Random certificates of few names and keys, some of them not signed by whom they say: the guard accepts no
/// chain that webpki with signatures checked at once (by ring) refuses, and refuses one that webpki accepts only
/// for the work it would be.
#[test]
fn it_agrees_with_webpki_on_random_chains() {
    const NAMES: [&str; 3] = ["root", "a", "b"];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let keys: [KeyPair; 4] = core::array::from_fn(|_| key());
    let copy = |n: usize| KeyPair::try_from(keys[n].serialize_der()).unwrap();
    let trusted = params(NAMES[0]).self_signed(&keys[0]).unwrap().der().to_vec();
    let anchor = CertificateDer::from(trusted.as_slice());
    let anchors = [anchor_from_trusted_cert(&anchor).unwrap()];
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let time = UnixTime::since_unix_epoch(core::time::Duration::from_secs(1_795_392_000));
    let (mut accepted, mut refused, mut too_complex) = (0, 0, 0);
    for _ in 0..400 {
        // Mostly the key that goes with the name, so that some chains are right.
        let key_of =
            |random: &mut Random, name| if random.below(4) == 0 { random.below(4) } else { name };
        let mut chain = List::new();
        for above in 0..1 + random.below(5) {
            let issuer = random.below(3);
            let issuer = Ca {
                issuer: Issuer::new(params(NAMES[issuer]), copy(key_of(&mut random, issuer))),
                der: List::new(),
            };
            chain.push(if above == 0 {
                issuer.certify(&keys[3], names())
            } else {
                let subject = random.below(3);
                issuer.with_key(params(NAMES[subject]), copy(key_of(&mut random, subject))).der
            });
        }
        let shown: List<&[u8]> = chain.iter().map(List::as_slice).collect();
        let certificates: List<_> = shown.iter().map(|der| CertificateDer::from(*der)).collect();
        let (leaf, above) = certificates.split_first().unwrap();
        let leaf = EndEntityCert::try_from(leaf).unwrap();
        let usage = KeyUsage::server_auth();
        let expected =
            leaf.verify_for_usage(algorithms.all, &anchors, above, time, usage, None, None).is_ok();
        let (verdict, checked) = meet(&shown, &keys[3], &[&trusted]);
        assert!(checked <= 8, "{checked}");
        match (verdict, expected) {
            (Ok(()), true) => accepted += 1,
            (COMPLEX, _) => too_complex += 1,
            (Err(_), false) => refused += 1,
            _ => panic!("{verdict:?}, not {expected}: {chain:?}"),
        }
    }
    let counts = (accepted, refused, too_complex);
    assert!(accepted > 50 && refused > 50 && too_complex < 50, "{counts:?}");
}

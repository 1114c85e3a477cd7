//! In the handshake.

use pilot_webhook_embassy::{Algorithm, CertificateFault, Error, Limit, TlsFailure};

use super::{flight, meet, meet_as, refused};
use crate::support::hostile_tls::{Behaviour, Hello, Identity, Message, handshake, record};
use crate::support::pki::{self, Authority, Kind, leaf};
use crate::support::{RUSTLS, authority, either};

use Message::{
    BadCertificateVerify, BadFinished, Certificate, CertificateRequest, CertificateVerify, Chain,
    EncryptedExtensions, Finished, Raw, SchemeCertificateVerify,
};

#[test]
fn the_hand_made_server_is_accepted_when_it_is_good() {
    assert_eq!(meet(Behaviour::good()), Ok(200));
}

#[test]
fn no_certificate_and_no_proof() {
    assert_eq!(flight([EncryptedExtensions, Finished]), refused(TlsFailure::NoCertificate));
}

#[test]
fn a_certificate_without_proof() {
    let result = flight([EncryptedExtensions, Certificate, Finished]);
    assert_eq!(result, refused(TlsFailure::NoSignature));
}

#[test]
fn a_proof_without_certificate() {
    let result = flight([EncryptedExtensions, CertificateVerify, Finished]);
    assert_eq!(result, refused(TlsFailure::NoCertificate));
}

#[test]
fn an_empty_certificate() {
    let result = flight([EncryptedExtensions, Chain(vec![]), CertificateVerify, Finished]);
    assert_eq!(result, refused(TlsFailure::NoCertificate));
}

#[test]
fn a_wrong_proof() {
    let result = flight([EncryptedExtensions, Certificate, BadCertificateVerify, Finished]);
    assert_eq!(result, refused(TlsFailure::BadSignature));
}

#[test]
fn somebody_elses_certificate() {
    // The certificate is public; the key is not.
    let thief = Identity { key: authority().server().key, ..authority().server() };
    assert_eq!(meet_as(thief, Behaviour::good()), refused(TlsFailure::BadSignature));
}

#[test]
fn a_proof_before_the_certificate() {
    let result = flight([EncryptedExtensions, CertificateVerify, Certificate, Finished]);
    assert_eq!(result, refused(TlsFailure::NoCertificate));
}

#[test]
fn a_second_certificate_or_proof() {
    let good = [EncryptedExtensions, Certificate, CertificateVerify, Finished];
    for (at, message) in
        [(2, Certificate), (3, Certificate), (3, CertificateVerify), (3, BadCertificateVerify)]
    {
        let mut messages = good.to_vec();
        messages.insert(at, message);
        assert_eq!(flight(messages), refused(TlsFailure::Malformed));
    }
}

#[test]
fn a_wrong_finished() {
    let result = flight([EncryptedExtensions, Certificate, CertificateVerify, BadFinished]);
    assert_eq!(result, refused(either(TlsFailure::BadFinished, TlsFailure::BadRecord)));
}

#[test]
fn proof_by_another_algorithm() {
    for (scheme, algorithm) in [
        (0x0807, Algorithm::Ed25519),
        (0x0808, Algorithm::Ed448),
        (0x0804, Algorithm::RsaPss),
        (0x0401, Algorithm::Rsa),
        (0x0503, Algorithm::EcdsaP384),
        (0x0603, Algorithm::EcdsaP521),
        (0x0905, Algorithm::MlDsa),
        (0x0203, Algorithm::Other),
        (0xfefe, Algorithm::Other),
    ] {
        let verify = SchemeCertificateVerify(scheme);
        let result = flight([EncryptedExtensions, Certificate, verify, Finished]);
        assert_eq!(result, refused(TlsFailure::UnsupportedAlgorithm(algorithm)), "{scheme:#x}");
    }
}

#[test]
fn a_forged_certificate_with_an_ed25519_signature() {
    // An authority of the trusted one's name, with a key that embedded-tls 0.18 panicked on.
    let forger = Authority::of(Kind::Ed25519, pki::ca("the tests' root"));
    let forged = forger.issue(Kind::P256, leaf());
    let ed25519 = TlsFailure::UnsupportedAlgorithm(Algorithm::Ed25519);
    assert_eq!(meet_as(forged, Behaviour::good()), refused(ed25519));
}

#[test]
fn a_forged_certificate_with_an_ed25519_key() {
    let chain = authority().issue(Kind::Ed25519, leaf()).chain;
    let identity = Identity { chain, ..authority().server() };
    let ed25519 = TlsFailure::UnsupportedAlgorithm(Algorithm::Ed25519);
    assert_eq!(meet_as(identity, Behaviour::good()), refused(ed25519));
}

#[test]
fn garbage_for_a_certificate() {
    for garbage in [vec![], vec![0; 1], vec![0x30; 400], vec![0xff; 2_000]] {
        let identity = Identity { chain: vec![garbage], ..authority().server() };
        let result = meet_as(identity, Behaviour::good());
        let fault = CertificateFault::Malformed;
        assert_eq!(result, refused(TlsFailure::Certificate(fault)));
    }
}

const TOO_COMPLEX: TlsFailure = TlsFailure::Certificate(CertificateFault::TooComplex);

#[test]
fn a_chain_of_many_certificates() {
    for (count, expected) in
        [(6, TOO_COMPLEX), (40, either(TlsFailure::Unsupported(Limit::TooMany), TOO_COMPLEX))]
    {
        let server = authority().server();
        let chain = vec![server.chain[0].clone(); count];
        let result = meet_as(Identity { chain, ..server }, Behaviour::good());
        assert_eq!(result, refused(expected), "{count}");
    }
}

#[test]
fn a_hello_that_is_not_for_us() {
    // This server has no SHA-384, which rustls offers with P-384.
    let suite_of_sha384 = match RUSTLS && cfg!(feature = "p384") {
        true => TlsFailure::BadRecord,
        false => TlsFailure::Unsupported(Limit::Parameters),
    };
    for (hello, expected) in [
        // rustls was asked for what it had sent.
        (
            Hello::RetryRequest,
            either(TlsFailure::Unsupported(Limit::HelloRetryRequest), TlsFailure::Malformed),
        ),
        (Hello::NoKeyShare, TlsFailure::Unsupported(Limit::Parameters)),
        (Hello::BadKeyShare, TlsFailure::Unsupported(Limit::Parameters)),
        (Hello::CipherSuite(0xc02f), TlsFailure::Unsupported(Limit::Parameters)),
        (Hello::CipherSuite(0x1302), suite_of_sha384),
        (Hello::Wire(record(21, &[2, 40])), TlsFailure::Alert(40)),
        (Hello::Wire(record(21, &[2, 80])), TlsFailure::Alert(80)),
        (Hello::Wire(vec![]), TlsFailure::Closed),
        (Hello::Wire(vec![22, 3]), TlsFailure::Closed),
        (Hello::Wire(record(22, &[])), TlsFailure::Malformed),
        (Hello::Wire(record(22, &handshake(1, &[0; 40]))), TlsFailure::Malformed),
        (Hello::Wire(record(22, &handshake(11, &[0, 0, 0, 0]))), TlsFailure::Malformed),
        (Hello::Wire(record(22, &handshake(20, &[0; 32]))), TlsFailure::Malformed),
        (Hello::Wire(record(23, &[0; 40])), TlsFailure::Malformed),
        (Hello::Wire(record(20, &[1]).repeat(3)), TlsFailure::Malformed),
        (Hello::Wire(record(20, &[])), TlsFailure::Malformed),
        (Hello::Wire(record(99, &[0; 4])), TlsFailure::Malformed),
        (Hello::Wire([&[22, 3, 3, 0xff, 0xff][..], &[0; 99]].concat()), TlsFailure::Malformed),
    ] {
        let result = meet(Behaviour { hello: hello.clone(), ..Behaviour::good() });
        // Hanging up with unread data resets.
        let closed = result == refused(TlsFailure::Closed);
        assert!(result == refused(expected) || closed, "{hello:?}: {result:?}");
    }
}

#[test]
fn a_choice_that_was_not_offered() {
    let meet = |hello| meet(Behaviour { hello, ..Behaviour::good() });
    for hello in [
        Hello::Version(0x0303),
        Hello::Version(0x0305),
        Hello::LegacyVersion(0x0302),
        Hello::LegacyVersion(0x0304),
        // X25519, P-384, and a group that nobody knows.
        Hello::Group(29),
        Hello::Group(24),
        Hello::Group(0xfefe),
        Hello::Compression(1),
        // A pre-shared key, and a cookie.
        Hello::Extension(vec![0, 41, 0, 2, 0, 0]),
        Hello::Extension(vec![0, 44, 0, 2, 0, 0]),
    ] {
        let parameters = TlsFailure::Unsupported(Limit::Parameters);
        let expected = match &hello {
            // It offers X25519, and looks at the old version only if there is no other.
            Hello::Group(29) | Hello::LegacyVersion(0x0304) if RUSTLS => Ok(200),
            Hello::Compression(_) | Hello::Extension(_) => {
                refused(either(parameters, TlsFailure::Malformed))
            }
            _ => refused(parameters),
        };
        assert_eq!(meet(hello.clone()), expected, "{hello:?}");
    }
    assert_eq!(meet(Hello::ShareFirst), Ok(200));
}

#[test]
fn an_encrypted_record_without_content_in_the_handshake() {
    let result = meet(Behaviour { empty_record: true, ..Behaviour::good() });
    assert_eq!(result, refused(TlsFailure::Malformed));
}

#[test]
fn a_handshake_message_in_two_records() {
    for size in [20, 100, 300] {
        let result = meet(Behaviour { split: Some(size), ..Behaviour::good() });
        let split = refused(TlsFailure::Unsupported(Limit::SplitMessage));
        assert_eq!(result, either(split, Ok(200)), "{size}");
    }
    // Whole messages in records of their own are fine.
    assert_eq!(meet(Behaviour { split: Some(16_000), ..Behaviour::good() }), Ok(200));
}

#[test]
fn unencrypted_messages_after_the_hello() {
    // embedded-tls takes them for decrypted ones.
    let result = meet(Behaviour { unencrypted: true, ..Behaviour::good() });
    assert_eq!(result, refused(either(TlsFailure::Malformed, TlsFailure::BadRecord)));
}

#[test]
fn a_request_for_a_client_certificate_gets_none() {
    let result =
        flight([EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify, Finished]);
    assert_eq!(result, Ok(200));
}

#[test]
fn groups_and_schemes_that_nobody_knows_are_ignored() {
    // RFC 8446, sections 4.2.7 and 4.3.2. As openssl 3.6 does with `-groups MLKEM768:P-256`.
    let groups = Raw(handshake(8, &[0, 10, 0, 10, 0, 6, 0, 4, 2, 1, 0, 23]));
    let schemes = Raw(handshake(13, &[0, 0, 10, 0, 13, 0, 6, 0, 4, 0xfe, 0xfe, 4, 3]));
    for flight_of in [
        vec![groups.clone(), Certificate, CertificateVerify, Finished],
        vec![EncryptedExtensions, schemes.clone(), Certificate, CertificateVerify, Finished],
        vec![groups, schemes, Certificate, CertificateVerify, Finished],
    ] {
        assert_eq!(flight(flight_of), Ok(200));
    }
    // A server that sends what stands for it in between is authenticated for another handshake.
    let hidden = Raw(handshake(8, &[0, 10, 0xf8, 10, 0, 6, 0, 4, 2, 1, 0, 23]));
    let result = flight([hidden, Certificate, CertificateVerify, Finished]);
    assert_eq!(result, refused(either(TlsFailure::BadFinished, TlsFailure::Malformed)));
}

#[test]
fn messages_that_do_not_belong_into_the_flight() {
    for raw in [
        handshake(1, &[0; 10]),
        handshake(2, &[0; 80]),
        handshake(4, &[0; 13]),
        handshake(5, &[]),
        handshake(24, &[0]),
        handshake(99, &[1, 2, 3]),
    ] {
        let result = flight([
            EncryptedExtensions,
            Raw(raw.clone()),
            Certificate,
            CertificateVerify,
            Finished,
        ]);
        assert!(matches!(result, Err(Error::Tls(_))), "{raw:?}: {result:?}");
    }
}

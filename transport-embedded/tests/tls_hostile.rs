//! Servers that violate TLS in the handshake or after it. Each is refused with its own error, and no byte
//! of a request reaches a server that is not authenticated.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say where and why"
)]

pub(crate) mod support;

use std::task::Poll;

use pilot_webhook_embassy::{
    Algorithm, CertificateFault, Error, Limit, TlsBuffers, TlsFailure, UnknownTime,
};
use pilot_webhook_tests::Act::{Close, Read};
use support::hostile_tls::{
    After, Behaviour, Hello, HostileServer, Identity, Message, handshake, record,
};
use support::net::TokioNet;
use support::pki::{self, Authority, Kind, leaf};
use support::{NOW, Node, RUSTLS, authority, either, post, serve, ticket, tls, tls_in};

use Message::{
    BadCertificateVerify, BadFinished, Certificate, CertificateRequest, CertificateVerify, Chain,
    EncryptedExtensions, Finished, Raw, SchemeCertificateVerify,
};

fn node() -> Node {
    tls(TokioNet::default().with(pki::NAME, "127.0.0.1"), &[authority().root()])
}

fn url(server: &HostileServer) -> String {
    format!("https://{}:{}/hook", pki::NAME, server.address().port())
}

/// Posts once to a server that behaves like this. A server that is refused must have read nothing.
#[track_caller]
fn meet_as(identity: Identity, behaviour: Behaviour) -> Result<u16, Error> {
    let server = HostileServer::start(identity, behaviour);
    let mut node = node();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(post(&mut node, &url(&server)));
    if matches!(result, Err(Error::Tls(_))) {
        assert_eq!(server.seen().received, b"", "a request leaked");
    }
    result.map(|reply| reply.code)
}

#[track_caller]
fn meet(behaviour: Behaviour) -> Result<u16, Error> {
    meet_as(authority().server(), behaviour)
}

#[track_caller]
fn flight(flight: impl Into<Vec<Message>>) -> Result<u16, Error> {
    meet(Behaviour::flight(flight))
}

fn refused(failure: TlsFailure) -> Result<u16, Error> {
    Err(Error::Tls(failure))
}

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

/// A server that is authenticated, and then sends this.
#[track_caller]
fn after(after: After) -> Result<u16, Error> {
    meet(Behaviour { after: vec![after], ..Behaviour::good() })
}

#[test]
fn tickets_after_the_handshake_do_not_matter() {
    assert_eq!(meet(Behaviour { after: vec![ticket(1), ticket(9)], ..Behaviour::good() }), Ok(200));
    // rustls reads them.
    for odd in [handshake(4, &[0; 13]), handshake(4, &[0xff; 40])] {
        let malformed = Err(Error::TlsSession(TlsFailure::Malformed));
        assert_eq!(after(After::Record(odd, 22)), either(Ok(200), malformed));
    }
    assert_eq!(after(After::Record(vec![], 23)), Ok(200));
}

#[test]
fn messages_after_the_handshake_that_need_more_than_embedded_tls_has() {
    let post_handshake = Err(Error::TlsSession(either(
        TlsFailure::Unsupported(Limit::PostHandshake),
        TlsFailure::Malformed,
    )));
    for asks in [false, true] {
        assert_eq!(after(After::KeyUpdate(asks)), either(post_handshake, Ok(200)));
    }
    for raw in [
        handshake(24, &[2]),
        // embedded-tls panics on these.
        handshake(2, &[0; 80]),
        handshake(8, &[0, 0]),
        handshake(11, &[0, 0, 0, 0]),
        handshake(13, &[0, 0, 0]),
        handshake(15, &[4, 3, 0, 0]),
        handshake(20, &[0; 32]),
        // A ticket that ends early, so that a parser finds a Finished in it.
        [vec![4, 0, 0, 200], vec![0; 13], handshake(20, &[0; 32])].concat(),
    ] {
        assert_eq!(after(After::Record(raw.clone(), 22)), post_handshake, "{raw:?}");
    }
    // rustls takes an empty record for nothing.
    assert_eq!(after(After::Record(vec![], 22)), either(post_handshake, Ok(200)));
    assert_eq!(after(After::Record(vec![1], 20)), post_handshake);
    assert_eq!(after(After::Record(vec![1], 0)), Err(Error::TlsSession(TlsFailure::Malformed)));
}

#[test]
fn records_after_the_handshake_that_are_not_to_be() {
    let broken = |failure| Err(Error::TlsSession(failure));
    assert_eq!(after(After::Empty), broken(TlsFailure::Malformed));
    assert_eq!(after(After::BadTag), broken(TlsFailure::BadRecord));
    let zeros = broken(either(TlsFailure::BadRecord, TlsFailure::Malformed));
    assert_eq!(after(After::Record(vec![0; 300], 0)), zeros);
    let alert = either(TlsFailure::Aborted, TlsFailure::Alert(40));
    assert_eq!(after(After::Record(vec![2, 40], 21)), broken(alert));
    assert_eq!(after(After::Record(vec![1, 0], 21)), Err(Error::Closed));
    // Without encryption, as an on-path attacker can send them.
    for kind in [20, 21, 22, 24] {
        for content in [&[1, 0][..], &handshake(20, &[0; 32]), &handshake(8, &[0, 0])] {
            let result = after(After::Wire(record(kind, content)));
            let cannot_decrypt = RUSTLS && result == broken(TlsFailure::BadRecord);
            assert!(cannot_decrypt || result == broken(TlsFailure::Malformed), "{result:?}");
        }
    }
}

/// Posts twice to a server that says this behind each answer. Returns the number of connections.
#[track_caller]
fn twice(behind: After) -> usize {
    let behaviour = Behaviour { behind: vec![behind], ..Behaviour::good() };
    let server = HostileServer::start(authority().server(), behaviour);
    let mut node = node();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        let result = runtime.block_on(post(&mut node, &url(&server)));
        assert_eq!(result.map(|reply| reply.code), Ok(200));
    }
    server.seen().connections
}

#[test]
fn a_ticket_behind_an_answer_does_not_end_the_connection() {
    // It looked like something that the server says without being asked.
    assert_eq!(twice(ticket(9)), 1);
}

#[test]
fn anything_else_behind_an_answer_ends_the_connection_and_fails_no_post() {
    for behind in [
        After::Record(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), 23),
        After::Record(handshake(24, &[2]), 22),
        After::Record(vec![1, 0], 21),
        After::BadTag,
        After::Empty,
        After::Wire(record(21, &[1, 0])),
        // Half a record, of which the rest never comes.
        After::Wire(vec![23, 3, 3, 0, 99, 1, 2]),
        After::Wire(vec![23, 3]),
    ] {
        assert_eq!(twice(behind.clone()), 2, "{behind:?}");
    }
}

#[tokio::test]
async fn what_was_wrong_with_a_tls_connection_is_not_said_of_a_plain_one() {
    // The answer counts. The rest of its body is found broken afterwards, which is reported nowhere.
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok".to_vec();
    let behaviour = Behaviour { answer, behind: vec![After::BadTag], ..Behaviour::good() };
    let broken = HostileServer::start(authority().server(), behaviour);
    let mut node = node();
    assert_eq!(post(&mut node, &url(&broken)).await.map(|reply| reply.code), Ok(200));
    let silent = serve(vec![Read, Close]).await;
    assert_eq!(post(&mut node, &support::url(&silent)).await, Err(Error::Closed));
}

#[test]
fn a_record_larger_than_the_buffer() {
    let buffers = Box::leak(Box::new(TlsBuffers::<1_024, 512>::new()));
    let net = TokioNet::default().with(pki::NAME, "127.0.0.1");
    let roots = &[authority().root()];
    let mut node = tls_in(buffers, net, roots, || Some(NOW), UnknownTime::Refuse);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A short chain fits into 1 KiB.
    let server = HostileServer::start(authority().server(), Behaviour::good());
    assert!(runtime.block_on(post(&mut node, &url(&server))).is_ok());
    // A long one does not, and neither does a long answer; that says so.
    let long = authority().below(Kind::P256, pki::ca("a")).below(Kind::P256, pki::ca("b")).server();
    let server = HostileServer::start(long, Behaviour::good());
    let result = runtime.block_on(post(&mut node, &url(&server)));
    assert!(
        matches!(result, Err(Error::Tls(TlsFailure::Unsupported(Limit::RecordTooLarge(1_025..))))),
        "{result:?}"
    );
    let answer = [support::hostile_tls::ANSWER, &[b'x'; 3_000]].concat();
    let behaviour = Behaviour { answer, ..Behaviour::good() };
    let server = HostileServer::start(authority().server(), behaviour);
    let result = runtime.block_on(post(&mut node, &url(&server)));
    assert!(
        matches!(
            result,
            Err(Error::TlsSession(TlsFailure::Unsupported(Limit::RecordTooLarge(1_025..))))
        ),
        "{result:?}"
    );
}

#[tokio::test]
async fn every_connection_has_fresh_keys() {
    let behaviour = Behaviour { requests: 1, ..Behaviour::good() };
    let server = HostileServer::start(authority().server(), behaviour);
    let mut node = node();
    for _ in 0..5 {
        assert!(post(&mut node, &url(&server)).await.is_ok());
        node.disconnect();
    }
    let seen = server.seen();
    assert_eq!(seen.handshakes, 5);
    for (n, (key, random)) in seen.hellos.iter().enumerate() {
        for (other_key, other_random) in &seen.hellos[n + 1..] {
            assert!(key != other_key && random != other_random);
        }
    }
}

#[tokio::test]
async fn after_each_refusal_a_good_server_is_accepted_and_no_socket_is_left() {
    let bad = Behaviour::flight([EncryptedExtensions, Certificate, Finished]);
    let server = HostileServer::start_with(authority().server(), move |n| {
        if n % 2 == 0 { bad.clone() } else { Behaviour { requests: 1, ..Behaviour::good() } }
    });
    let net = TokioNet::default().with(pki::NAME, "127.0.0.1");
    let counts = net.counts.clone();
    let mut node = tls(net, &[authority().root()]);
    for _ in 0..10 {
        let refusal = post(&mut node, &url(&server)).await.map(|reply| reply.code);
        assert_eq!(refusal, refused(TlsFailure::NoSignature));
        assert_eq!(counts.open.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert!(post(&mut node, &url(&server)).await.is_ok());
        node.disconnect();
    }
}

#[tokio::test]
async fn a_handshake_that_is_given_up_before_its_last_check_leaves_no_connection() {
    // The certificate is public, so the first signatures are right or the last one is, by turns.
    let impostor = Authority::new();
    for (identity, failure) in [
        (impostor.server(), TlsFailure::CertificateSignature),
        (Identity { key: impostor.server().key, ..authority().server() }, TlsFailure::BadSignature),
    ] {
        let server = HostileServer::start(identity, Behaviour::good());
        let mut node = node();
        for polls in 1..20 {
            let url = url(&server);
            let mut left = polls;
            let mut given_up = std::pin::pin!(post(&mut node, &url));
            std::future::poll_fn(|context| {
                left -= 1;
                if left == 0 { Poll::Ready(()) } else { given_up.as_mut().poll(context).map(drop) }
            })
            .await;
        }
        let result = post(&mut node, &url(&server)).await.map(|reply| reply.code);
        assert_eq!(result, refused(failure));
        assert_eq!(server.seen().received, b"", "a request leaked");
    }
}

/// Inverts one bit of each byte of the good server's flight, on the wire or before encryption,
/// and returns at which bytes that was accepted all the same.
fn flip_all(on_wire: bool) -> Vec<usize> {
    let identity = authority().server();
    let probe = HostileServer::start(identity.clone(), Behaviour::good());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(post(&mut node(), &url(&probe))).is_ok());
    let seen = probe.seen();
    let length = if on_wire { seen.wire_length } else { seen.plain_length };
    assert!(length > 400, "{length}");
    let bit = |n: usize| 8 * n + (n * 5 + n / 8) % 8;
    let server = HostileServer::start_with(identity, move |n| {
        let flip = Some(bit(n));
        match on_wire {
            true => Behaviour { flip_wire: flip, ..Behaviour::good() },
            false => Behaviour { flip_plain: flip, ..Behaviour::good() },
        }
    });
    let mut node = node();
    let mut accepted = Vec::new();
    for n in 0..length {
        match runtime.block_on(post(&mut node, &url(&server))) {
            Err(Error::Tls(_)) => {}
            other => {
                assert_eq!(other.map(|reply| reply.code), Ok(200));
                let seen = server.seen();
                // Signatures are not all of one length; this flight may have been shorter.
                if n < if on_wire { seen.wire_length } else { seen.plain_length } {
                    accepted.push(n);
                }
            }
        }
        node.disconnect();
    }
    assert_eq!(server.seen().connections, length);
    accepted
}

#[test]
fn no_byte_of_the_flight_can_be_changed_on_its_way() {
    // But for the version in the first record's header, which "MUST be ignored for all purposes" (RFC
    // 8446, section 5.1).
    // rustls ignores the lower half of it, in the first encrypted record, too.
    assert_eq!(flip_all(true), either([1, 2], [2, 129]));
}

#[test]
fn no_byte_of_the_flight_can_be_wrong_to_begin_with() {
    assert_eq!(flip_all(false), Vec::<usize>::new());
}

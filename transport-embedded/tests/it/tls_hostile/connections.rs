//! Connections: what is left of one that was refused, given up, or had a record that is too long.

use std::task::Poll;

use pilot_webhook_embassy::{Error, Limit, TlsBuffers, TlsFailure, UnknownTime};

use super::{node, refused, url};
use crate::support;
use crate::support::hostile_tls::{Behaviour, HostileServer, Identity, Message};
use crate::support::net::TokioNet;
use crate::support::pki::{self, Authority, Kind};
use crate::support::{NOW, authority, post, tls, tls_in};

use Message::{Certificate, EncryptedExtensions, Finished};

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

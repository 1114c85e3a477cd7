//! Servers that violate TLS as only rustls meets it: with tickets, and in sessions that are resumed.

use crate::support::{self, authority, post, ticket};
use pilot_webhook_tests::hostile_tls::{Behaviour, HostileServer, Message};

#[tokio::test]
async fn a_server_that_is_not_authentic_leaves_no_ticket() {
    // A session with it would be resumed later, without any certificate.
    for proof in [Message::CertificateVerify, Message::BadCertificateVerify] {
        let is_good = matches!(proof, Message::CertificateVerify);
        let flight = [Message::EncryptedExtensions, Message::Certificate, proof, Message::Finished];
        // Go's servers send theirs before the client has proved anything.
        for (early, after) in [(1, 1), (0, 1), (1, 0)] {
            let behaviour = Behaviour {
                early: vec![ticket(100); early],
                after: vec![ticket(100); after],
                requests: 1,
                ..Behaviour::flight(flight.clone())
            };
            let server = HostileServer::start(authority().server(), behaviour);
            let mut node = support::tls_with::<16_640, 1_024>();
            let url = support::by_name(server.address().port());
            for _ in 0..3 {
                assert_eq!(post(&mut node, &url).await.is_ok(), is_good);
                node.disconnect();
            }
            assert_eq!(server.seen().resumptions, if is_good { 2 } else { 0 });
        }
    }
}

#[tokio::test]
async fn a_ticket_that_leaves_no_room_for_the_hello_is_not_used() {
    for length in [100, 400, 490, 600, 15_000] {
        let after = vec![ticket(length)];
        let behaviour = Behaviour { after, requests: 1, ..Behaviour::good() };
        let server = HostileServer::start(authority().server(), behaviour);
        let mut node = support::tls_with::<16_640, 512>();
        let url = support::by_name(server.address().port());
        for _ in 0..3 {
            assert_eq!(post(&mut node, &url).await.map(|reply| reply.code), Ok(200), "{length}");
            node.disconnect();
        }
    }
}

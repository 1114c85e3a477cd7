//! After the handshake.

use pilot_webhook_embassy::{Error, Limit, TlsFailure};
use pilot_webhook_tests::Act::{Close, Read};

use super::{meet, node, url};
use crate::support;
use crate::support::hostile_tls::{After, Behaviour, HostileServer, handshake, record};
use crate::support::{RUSTLS, authority, either, post, serve, ticket};

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

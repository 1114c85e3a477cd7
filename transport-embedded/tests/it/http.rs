//! Plain HTTP, as far as it is specific to this transport. The shared scenarios test answers, kept
//! connections and faults.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::support::net::TokioNet;
use crate::support::{BODY, HEADERS, Node, good, plain, post, send, serve, url};
use pilot_webhook_core::http::{Malformed, Response};
use pilot_webhook_core::{EndpointBuf, Message, Policy, Refusal, Reply, Transport};
use pilot_webhook_embassy::{Buffers, Error, NodeTransport};
use pilot_webhook_tests::Act::{Close, Hold, Leave, Read};
use pilot_webhook_tests::Server;

fn node() -> Node {
    plain(TokioNet::default())
}

fn status(status: u16) -> Result<Reply, Error> {
    Ok(Response::status(status).into())
}

#[tokio::test]
async fn a_request_is_complete_and_names_host_port_and_sender() {
    let server = good().await;
    assert_eq!(post(&mut node(), &url(&server)).await, status(200));
    let expected = format!(
        "POST /hook?key=1 HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nUser-Agent: \
         pilot-webhook-embassy/{}\r\n{}: {}\r\n\r\n{}",
        server.address(),
        BODY.len(),
        env!("CARGO_PKG_VERSION"),
        HEADERS[0].0,
        HEADERS[0].1,
        String::from_utf8_lossy(BODY),
    );
    let seen = &server.requests()[0];
    assert_eq!([seen.head.as_bytes(), &seen.body].concat(), expected.as_bytes());
}

#[tokio::test]
async fn another_origin_takes_another_connection() {
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let mut node = plain(net);
    for server in [good().await, good().await] {
        assert_eq!(post(&mut node, &url(&server)).await, status(200));
        assert_eq!((server.connections(), counts.open.load(Ordering::Relaxed)), (1, 1));
    }
}

#[tokio::test]
async fn a_close_in_the_status_line_is_told_as_one() {
    let server = serve(vec![Read, send("HTTP/1.1 200 O"), Close]).await;
    assert_eq!(post(&mut node(), &url(&server)).await, Err(Error::Closed));
}

#[tokio::test]
async fn a_post_can_be_dropped_at_any_time() {
    let server = serve(vec![Read, Hold]).await;
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let mut node = plain(net);
    for n in 1..=20 {
        let endpoint = EndpointBuf::<64>::parse(&url(&server), Policy::default()).unwrap();
        let message = Message::new(&[], BODY);
        let dropped =
            tokio::time::timeout(Duration::from_millis(n), node.send(&endpoint, &message)).await;
        assert!(dropped.is_err());
        assert_eq!(counts.open.load(Ordering::Relaxed), 0, "closed at once");
    }
    assert_eq!(post(&mut node, &url(&good().await)).await, status(200));
}

#[tokio::test]
async fn every_poll_may_be_the_last() {
    let server = good().await;
    let mut node = node();
    let endpoint = EndpointBuf::<64>::parse(&url(&server), Policy::default()).unwrap();
    let message = Message::new(&HEADERS, BODY);
    let mut completed = 0;
    for polls in 0..40 {
        // Also with a connection that is kept, so that both ways are cut.
        if polls % 2 == 0 {
            assert_eq!(post(&mut node, &url(&server)).await, status(200));
        }
        let mut left = polls / 2;
        let mut posting = std::pin::pin!(node.send(&endpoint, &message));
        let result = std::future::poll_fn(|cx| {
            if left == 0 {
                return std::task::Poll::Ready(None);
            }
            left -= 1;
            posting.as_mut().poll(cx).map(Some)
        });
        completed += usize::from(result.await.is_some_and(|result| result == status(200)));
    }
    assert!(completed > 0, "the last ones have polls enough");
    assert_eq!(post(&mut node, &url(&server)).await, status(200));
}

#[tokio::test]
async fn ten_thousand_failures_leave_nothing_open() {
    let script = vec![Read, send("nonsense\r\n"), Leave];
    let server = Server::start(vec![script; 10_000], None).await;
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let mut node = plain(net);
    let url = url(&server);
    for n in 0..10_000 {
        let result = post(&mut node, &url).await;
        assert!(
            matches!(result, Err(Error::Malformed(Malformed::StatusLine))),
            "post {n}: {result:?}"
        );
        assert_eq!(counts.open.load(Ordering::Relaxed), 0, "post {n}");
    }
    assert_eq!(counts.made.load(Ordering::Relaxed), 10_000);
}

#[tokio::test]
async fn the_policy_holds_for_the_address_that_a_name_leads_to() {
    let net = TokioNet::default()
        .with("metadata.test", "169.254.169.254")
        .with("mapped.test", "::ffff:169.254.169.254")
        .with("inside.test", "127.0.0.1");
    let counts = net.counts.clone();
    let buffers = Box::leak(Box::new(Buffers::<256>::new()));
    let mut node = NodeTransport::new(Box::leak(Box::new(net)), buffers, Policy::DENY_PRIVATE);
    for (host, refusal) in [
        ("metadata.test", Refusal::LinkLocal),
        ("mapped.test", Refusal::LinkLocal),
        ("inside.test", Refusal::Private),
        ("127.0.0.1", Refusal::Private),
    ] {
        let result = post(&mut node, &format!("http://{host}:9/")).await;
        assert_eq!(result, Err(Error::Refused(refusal)), "{host}");
    }
    assert_eq!(counts.made.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_refused_or_dead_address_gives_way_to_one_of_the_other_family() {
    let server = good().await;
    for dead in ["::1", "fe80::1"] {
        let net =
            TokioNet::default().with("receiver.test", dead).with("receiver.test", "127.0.0.1");
        let mut node = plain(net);
        let url = format!("http://receiver.test:{}/", server.address().port());
        assert_eq!(post(&mut node, &url).await, status(200));
    }
}

/// The whole attempt went to the silent address, and the next one too.
#[tokio::test]
async fn a_silent_address_leaves_time_for_the_other_family_which_is_remembered() {
    let server = good().await;
    let net = TokioNet::default()
        .with("receiver.test", "::1")
        .with("receiver.test", "127.0.0.1")
        .slow("::1", Duration::from_secs(3_600));
    let counts = net.counts.clone();
    let mut node = plain(net);
    let url = format!("http://receiver.test:{}/", server.address().port());
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(post(&mut node, &url).await, status(200));
        node.disconnect();
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let v6 = counts.dialled.lock().unwrap().iter().filter(|address| address.is_ipv6()).count();
    assert_eq!(v6, 1);
}

/// The HTTP timeout may be shorter than what the first address gets.
#[tokio::test]
async fn an_attempt_that_is_dropped_while_an_address_is_silent_makes_the_next_one_begin_elsewhere()
{
    let server = good().await;
    let net = TokioNet::default()
        .with("receiver.test", "::1")
        .with("receiver.test", "127.0.0.1")
        .slow("::1", Duration::from_secs(3_600));
    let mut node = plain(net);
    let url = format!("http://receiver.test:{}/", server.address().port());
    let first = tokio::time::timeout(Duration::from_millis(50), post(&mut node, &url)).await;
    assert!(first.is_err());
    let begun = Instant::now();
    assert_eq!(post(&mut node, &url).await, status(200));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_only_address_may_be_slow() {
    let server = good().await;
    let net = TokioNet::default()
        .with("receiver.test", "127.0.0.1")
        .slow("127.0.0.1", Duration::from_millis(2_500));
    let url = format!("http://receiver.test:{}/", server.address().port());
    assert_eq!(post(&mut plain(net), &url).await, status(200));
}

#[tokio::test]
async fn a_password_in_the_url_is_sent_before_other_credentials() {
    let server = good().await;
    let url = format!("http://user:hush@{}/", server.address());
    let endpoint = EndpointBuf::<128>::parse(&url, Policy::default()).unwrap();
    let headers = [("authorization", "Bearer x"), ("X-A", "b")];
    let result = node().send(&endpoint, &Message::new(&headers, BODY)).await;
    assert_eq!(result, status(200));
    let head = &server.requests()[0].head;
    assert!(head.contains("\r\nAuthorization: Basic dXNlcjpodXNo\r\n"), "{head}");
    assert!(head.contains("\r\nX-A: b\r\n") && !head.contains("Bearer"), "{head}");
}

/// It waited for an answer to what it had not sent, until the HTTP timeout.
#[tokio::test]
async fn a_request_that_cannot_be_encoded_is_an_error_at_once() {
    let server = good().await;
    let endpoint = EndpointBuf::<64>::parse(&url(&server), Policy::default()).unwrap();
    let headers = [("X-A", "b"); 18];
    for headers in [&headers[..], &[("X A", "b")], &[("X-A", "b\r\nX-B: c")]] {
        let result = node().send(&endpoint, &Message::new(headers, BODY)).await;
        assert_eq!(result, Err(Error::InvalidRequest), "{headers:?}");
    }
    assert_eq!(server.connections(), 0, "there is nothing to connect for");
    let message = Message::new(&headers[1..], BODY);
    assert_eq!(node().send(&endpoint, &message).await, status(200));
}

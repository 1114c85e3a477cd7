//! Plain HTTP against servers that are good, slow, broken or hostile.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say where and why"
)]

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pilot_webhook_core::http::Malformed;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    EndpointBuf, ErrorKind, Message, Policy, Refusal, Reply, RetryAfter, Transport,
    TransportError as _,
};
use pilot_webhook_embassy::{Buffers, Error, NodeTransport};
use support::net::TokioNet;
use support::server::Act::{self, Drip, Flood, Hold, Read, Reset};
use support::server::{OK, Server, send};
use support::{BODY, HEADERS, Node, plain, post, post_body};

fn node() -> Node {
    plain(TokioNet::default())
}

fn status(status: u16) -> Result<Reply, Error> {
    Ok(Response::status(status).into())
}

/// A server that answers so once, and then well.
fn once(answer: impl AsRef<[u8]>) -> Server {
    Server::start([vec![Read, send(answer), Hold], vec![Read, send(OK), Hold]])
}

/// The answer to one post, and a good post after it, on a connection of its own or not.
#[track_caller]
fn answer(server: &Server, expected: Result<Reply, Error>, connections: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut node = node();
    runtime.block_on(async {
        assert_eq!(post(&mut node, &server.url()).await, expected);
        if connections == 2 {
            assert_eq!(post(&mut node, &server.url()).await, status(200), "the post after it");
        }
    });
    assert_eq!(server.accepted(), connections);
}

#[tokio::test]
async fn a_request_is_complete_and_names_host_port_and_sender() {
    let server = Server::start([vec![Read, send(OK), Hold]]);
    assert_eq!(post(&mut node(), &server.url()).await, status(200));
    let expected = format!(
        "POST /hook?key=1 HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nUser-Agent: \
         pilot-webhook-embassy/{}\r\n{}: {}\r\n\r\n{}",
        server.address,
        BODY.len(),
        env!("CARGO_PKG_VERSION"),
        HEADERS[0].0,
        HEADERS[0].1,
        String::from_utf8_lossy(BODY),
    );
    assert_eq!(server.requests(), [expected]);
}

#[tokio::test]
async fn one_connection_carries_many_posts() {
    let script: Vec<Act> = std::iter::repeat_n([Read, send(OK)], 50).flatten().collect();
    let server = Server::start([script]);
    let net = TokioNet::default().with("receiver.test", "127.0.0.1");
    let counts = net.counts.clone();
    let mut node = plain(net);
    let url = format!("http://receiver.test:{}/", server.address.port());
    for _ in 0..50 {
        assert_eq!(post(&mut node, &url).await, status(200));
    }
    assert_eq!(server.accepted(), 1);
    assert_eq!(counts.resolved.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn another_origin_takes_another_connection() {
    let servers = [Server::start([vec![Read, send(OK), Hold]]), once(OK)];
    let mut node = node();
    for server in &servers {
        assert_eq!(post(&mut node, &server.url()).await, status(200));
        assert_eq!(server.accepted(), 1);
    }
    servers[0].until_closed(1).await;
}

#[test]
fn all_final_statuses_are_answers() {
    for code in [200, 201, 204, 299, 301, 304, 400, 404, 429, 500, 503, 599, 999] {
        let text = format!("HTTP/1.1 {code} Whatever\r\nContent-Length: 0\r\n\r\n");
        answer(&once(text), status(code), 1);
    }
}

#[test]
fn retry_after_is_read() {
    let seconds = RetryAfter::Delay(Duration::from_secs(120));
    for header in ["Retry-After: 120", "retry-after:120", "Retry-After: 120\r\nRetry-After: 9"] {
        let text = format!("HTTP/1.1 503 Busy\r\n{header}\r\nContent-Length: 0\r\n\r\n");
        answer(&once(text), Ok(Response { status: 503, retry_after: Some(seconds) }.into()), 1);
    }
    answer(
        &once("HTTP/1.1 503 Busy\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n"),
        status(503),
        1,
    );
}

#[tokio::test]
async fn bodies_of_known_length_and_in_chunks_keep_the_connection() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bodies = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        format!("{chunked}0\r\n\r\n"),
        format!("{chunked}5\r\nhello\r\n0\r\n\r\n"),
        format!("{chunked}A;name=value\r\n0123456789\r\n3 \r\nabc\r\n00\r\nTrailer: x\r\n\r\n"),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 16000\r\n\r\n{}", "x".repeat(16_000)),
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n".to_owned(),
    ];
    let script = bodies.iter().flat_map(|body| [Read, send(body)]).collect::<Vec<_>>();
    let server = Server::start([script]);
    let mut node = node();
    for body in &bodies {
        let result = post(&mut node, &server.url()).await;
        assert!(result.is_ok_and(|reply| [200, 204, 304].contains(&reply.code)), "{body}");
    }
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_body_that_is_not_worth_reading_costs_the_connection_only() {
    let close = "HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 0\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let both = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for text in [
        close.to_owned(),
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\n\r\nuntil the end".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{both}"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nxx".to_owned(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n{}", "x".repeat(20_000)),
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx".to_owned(),
        // Half a body, a silent server.
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_owned(),
        format!("{chunked}zz\r\n"),
        format!("{chunked}\r\n"),
        format!("{chunked}-1\r\n"),
        format!("{chunked}ffffffffffffffffffffff\r\n"),
        format!("{chunked}2\r\nokkkkkk\r\n0\r\n\r\n"),
        format!("{chunked}{}", "1\r\nx\r\n".repeat(20_000)),
        // More than the answer.
        format!("{OK}HTTP/1.1 500 Unasked\r\n\r\n"),
        format!("{OK} "),
        // Folded lines, after a header that decides.
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\n".to_owned(),
    ] {
        answer(&once(text), status(200), 2);
    }
}

#[tokio::test]
async fn ten_megabytes_are_not_read() {
    let length = 10_000_000;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let server = Server::start([vec![Read, send(head), send(vec![b'x'; length])]]);
    let begun = Instant::now();
    assert_eq!(post(&mut node(), &server.url()).await, status(200));
    assert!(begun.elapsed() < Duration::from_secs(2));
    server.until_closed(1).await;
}

#[tokio::test]
async fn a_slow_body_does_not_delay_what_the_status_says() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let slow = Drip(vec![b'x'; 1_000], Duration::from_millis(50));
    let server = Server::start([vec![Read, send(head), slow]]);
    let begun = Instant::now();
    assert_eq!(post(&mut node(), &server.url()).await, status(200));
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn interim_answers_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    answer(&once(format!("{interim}{OK}")), status(200), 1);
}

#[test]
fn interim_answers_are_bounded() {
    let many = "HTTP/1.1 102 Processing\r\n\r\n".repeat(500);
    answer(&once(format!("{many}{OK}")), status(200), 1);
    let too_many = many.repeat(3);
    answer(&once(too_many), Err(Error::Malformed(Malformed::TooLarge)), 2);
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
    answer(&once(upgrade), Err(Error::Malformed(Malformed::Upgrade)), 2);
}

#[test]
fn long_heads_and_long_lines_are_read_with_a_small_buffer() {
    let cookies = "Set-Cookie: a=b; Path=/; HttpOnly; SameSite=Strict\r\n".repeat(200);
    let long = format!("Content-Security-Policy: {}\r\n", "default-src 'self'; ".repeat(500));
    let reason = "OK ".repeat(500);
    let text = format!("HTTP/1.1 200 {reason}\r\n{cookies}{long}Content-Length: 2\r\n\r\nok");
    answer(&once(text), status(200), 1);
    // A line that decides, and is too long to be read: the status counts, the connection does not.
    let long = " ".repeat(2_000);
    answer(&once(format!("HTTP/1.1 200 OK\r\nContent-Length:{long}2\r\n\r\nok")), status(200), 2);
}

#[test]
fn heads_without_end_are_cut_off() {
    let too_large = Err(Error::Malformed(Malformed::TooLarge));
    for (script, expected) in [
        (
            vec![
                Read,
                send("HTTP/1.1 200 OK\r\n"),
                Flood(b"X-Filler: aaaaaaaaaaaaaaaa\r\n".into()),
            ],
            status(200),
        ),
        (vec![Read, send("HTTP/1.1 200 OK\r\nX: "), Flood(vec![b'a'; 4_096])], status(200)),
        (vec![Read, Flood(b"HTTP/1.1 100 Continue\r\n\r\n".into())], too_large),
    ] {
        answer(&Server::start([script, vec![Read, send(OK), Hold]]), expected, 2);
    }
    let flood = Server::start([vec![Read, Flood(b"\r\n".into())], vec![Read, send(OK), Hold]]);
    answer(&flood, Err(Error::Malformed(Malformed::TooLarge)), 2);
}

#[test]
fn lines_that_are_no_headers_are_skipped() {
    for line in ["no header", ": nameless", "X-Powered-By : PHP", " folded: 2"] {
        let text = format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 2\r\n\r\nok");
        answer(&once(text), status(200), 1);
    }
    let doubtful = "HTTP/1.1 200 OK\r\nContent-Length : 2\r\nContent-Length: 2\r\n\r\nok";
    answer(&once(doubtful), status(200), 2);
}

#[test]
fn what_is_not_http_is_an_error() {
    for (text, what) in [
        ("\0\x01\x02\r\n\r\n", Malformed::StatusLine),
        ("SSH-2.0-OpenSSH_9.9\r\n", Malformed::StatusLine),
        ("HTTP/2.0 200 OK\r\n\r\n", Malformed::StatusLine),
        ("HTTP/1.2 200 OK\r\n\r\n", Malformed::StatusLine),
        ("HTTP/1.1 2x0 OK\r\n\r\n", Malformed::StatusLine),
        ("HTTP/1.1 099 OK\r\n\r\n", Malformed::StatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", Malformed::StatusLine),
        ("HTTP/1.1 20\r\n\r\n", Malformed::StatusLine),
        ("HTTP/1.1\r\n\r\n", Malformed::StatusLine),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Malformed::ContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", Malformed::ContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", Malformed::ContentLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n", Malformed::ContentLength),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            Malformed::ContentLength,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
            Malformed::ContentLength,
        ),
    ] {
        answer(&once(text), Err(Error::Malformed(what)), 2);
    }
}

#[test]
fn an_answer_cut_short_is_an_error_until_its_status_is_sure() {
    for text in ["", "HTTP/1.", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let server = Server::start([vec![Read, send(text)], vec![Read, send(OK), Hold]]);
        answer(&server, Err(Error::Closed), 2);
    }
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfull\r\n0\r\n",
    ] {
        let server = Server::start([vec![Read, send(text)], vec![Read, send(OK), Hold]]);
        answer(&server, status(200), 2);
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_costs_no_attempt() {
    let server = Server::start([vec![Read, send(OK)], vec![Read, send(OK)], vec![Read, send(OK)]]);
    let mut node = node();
    for n in 1..=3 {
        assert_eq!(post(&mut node, &server.url()).await, status(200));
        assert_eq!(server.accepted(), n);
        server.until_closed(n).await;
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_kept_connection_on_which_the_server_speaks_is_not_used() {
    let late = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    let pause = Drip(late.into(), Duration::from_millis(1));
    let server = Server::start([vec![Read, send(OK), pause, Hold], vec![Read, send(OK), Hold]]);
    let mut node = node();
    assert_eq!(post(&mut node, &server.url()).await, status(200));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(post(&mut node, &server.url()).await, status(200));
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_request_that_may_have_been_read_is_not_sent_again() {
    for end in [vec![Read, send(OK), Read], vec![Read, send(OK), Read, Reset]] {
        let server = Server::start([end, vec![Read, send(OK), Hold]]);
        let mut node = node();
        assert_eq!(post(&mut node, &server.url()).await, status(200));
        let error = post(&mut node, &server.url()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert_eq!(server.requests().len(), 2);
        assert_eq!(post(&mut node, &server.url()).await, status(200));
    }
}

#[tokio::test]
async fn an_early_answer_counts_while_the_request_is_still_being_written() {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    // One reads no more and stays, the other closes with the request unread.
    let stay = vec![send(format!("{interim}{refusal}")), Act::Pause];
    for script in [stay, vec![send(refusal), Reset]] {
        let server = Server::start([script, vec![Read, send(OK), Hold]]);
        let mut node = node();
        let body = vec![b'x'; 16 * 1_024 * 1_024];
        let result = post_body(&mut node, &server.url(), &body).await;
        assert_eq!(result, status(413));
        assert_eq!(post(&mut node, &server.url()).await, status(200));
    }
}

#[tokio::test]
async fn a_large_body_is_written_while_interim_answers_come() {
    let interim = send("HTTP/1.1 102 Processing\r\n\r\n");
    let server = Server::start([vec![interim.clone(), interim, Read, send(OK), Hold]]);
    let body = vec![b'x'; 4 * 1_024 * 1_024];
    assert_eq!(post_body(&mut node(), &server.url(), &body).await, status(200));
    assert!(server.requests()[0].ends_with("xxx"));
}

#[tokio::test]
async fn a_post_can_be_dropped_at_any_time() {
    let server = Server::start([vec![Read, Hold]]);
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let mut node = plain(net);
    for n in 1..=20 {
        let endpoint = EndpointBuf::<64>::parse(&server.url(), Policy::default()).unwrap();
        let message = Message::new(&[], BODY);
        let dropped =
            tokio::time::timeout(Duration::from_millis(n), node.send(&endpoint, &message)).await;
        assert!(dropped.is_err());
        assert_eq!(counts.open.load(Ordering::Relaxed), 0, "closed at once");
    }
    let good = once(OK);
    assert_eq!(post(&mut node, &good.url()).await, status(200));
}

#[tokio::test]
async fn every_poll_may_be_the_last() {
    let script: Vec<Act> = std::iter::repeat_n([Read, send(OK)], 100).flatten().collect();
    let server = Server::start([script]);
    let mut node = node();
    let endpoint = EndpointBuf::<64>::parse(&server.url(), Policy::default()).unwrap();
    let message = Message::new(&HEADERS, BODY);
    let mut completed = 0;
    for polls in 0..40 {
        // Also with a connection that is kept, so that both ways are cut.
        if polls % 2 == 0 {
            assert_eq!(post(&mut node, &server.url()).await, status(200));
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
    assert_eq!(post(&mut node, &server.url()).await, status(200));
}

#[tokio::test]
async fn ten_thousand_failures_leave_nothing_open() {
    let server = Server::start([vec![Read, send("nonsense\r\n")]]);
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let mut node = plain(net);
    let url = server.url();
    for n in 0..10_000 {
        let result = post(&mut node, &url).await;
        assert!(
            matches!(result, Err(Error::Malformed(Malformed::StatusLine))),
            "post {n}: {result:?}"
        );
        assert_eq!(counts.open.load(Ordering::Relaxed), 0, "post {n}");
    }
    assert_eq!(counts.made.load(Ordering::Relaxed), 10_000);
    server.until_closed(10_000).await;
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
    let server = Server::start([vec![Read, send(OK), Hold]]);
    for dead in ["::1", "fe80::1"] {
        let net =
            TokioNet::default().with("receiver.test", dead).with("receiver.test", "127.0.0.1");
        let mut node = plain(net);
        let url = format!("http://receiver.test:{}/", server.address.port());
        assert_eq!(post(&mut node, &url).await, status(200));
    }
}

/// The whole attempt went to the silent address, and the next one too.
#[tokio::test]
async fn a_silent_address_leaves_time_for_the_other_family_which_is_remembered() {
    let server = Server::start([vec![Read, send(OK), Hold]]);
    let net = TokioNet::default()
        .with("receiver.test", "::1")
        .with("receiver.test", "127.0.0.1")
        .slow("::1", Duration::from_secs(3_600));
    let counts = net.counts.clone();
    let mut node = plain(net);
    let url = format!("http://receiver.test:{}/", server.address.port());
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
    let server = Server::start([vec![Read, send(OK), Hold]]);
    let net = TokioNet::default()
        .with("receiver.test", "::1")
        .with("receiver.test", "127.0.0.1")
        .slow("::1", Duration::from_secs(3_600));
    let mut node = plain(net);
    let url = format!("http://receiver.test:{}/", server.address.port());
    let first = tokio::time::timeout(Duration::from_millis(50), post(&mut node, &url)).await;
    assert!(first.is_err());
    let begun = Instant::now();
    assert_eq!(post(&mut node, &url).await, status(200));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_only_address_may_be_slow() {
    let server = Server::start([vec![Read, send(OK), Hold]]);
    let net = TokioNet::default()
        .with("receiver.test", "127.0.0.1")
        .slow("127.0.0.1", Duration::from_millis(2_500));
    let url = format!("http://receiver.test:{}/", server.address.port());
    assert_eq!(post(&mut plain(net), &url).await, status(200));
}

#[tokio::test]
async fn no_name_and_no_listener_are_different_errors() {
    let mut node = node();
    assert_eq!(post(&mut node, "http://unknown.test/").await, Err(Error::Resolve));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let result = post(&mut node, &format!("http://{free}/")).await;
    assert!(matches!(result, Err(Error::Connect(_))), "{result:?}");
}

/// It waited for an answer to what it had not sent, until the HTTP timeout.
#[tokio::test]
async fn a_request_that_cannot_be_encoded_is_an_error_at_once() {
    let server = once(OK);
    let endpoint = EndpointBuf::<64>::parse(&server.url(), Policy::default()).unwrap();
    let headers = [("X-A", "b"); 17];
    for headers in [&headers[..], &[("X A", "b")], &[("X-A", "b\r\nX-B: c")]] {
        let result = node().send(&endpoint, &Message::new(headers, BODY)).await;
        assert_eq!(result, Err(Error::InvalidRequest), "{headers:?}");
    }
    assert_eq!(server.accepted(), 0, "there is nothing to connect for");
    let message = Message::new(&headers[1..], BODY);
    assert_eq!(node().send(&endpoint, &message).await, status(200));
}

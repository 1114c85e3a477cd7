//! A kept connection's protocol, in every order in which a network can tell its news.

use std::time::Duration;

use pilot_webhook_core::http::{
    AGE_MAX, DRAIN_MAX, Exchange, Failure, HEADS_MAX, IDLE_MAX, Malformed, Response,
};
use pilot_webhook_core::{EndpointBuf, Instant, Message, Policy, RetryAfter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const START: Instant = Instant::from_micros(1_000_000);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn endpoint(url: &str) -> EndpointBuf<64> {
    EndpointBuf::parse(url, Policy::default()).unwrap()
}

/// A connection that was just made.
fn new() -> Exchange {
    Exchange::new(&endpoint("http://a.test/").get(), START)
}

/// A request was written on it.
fn asked() -> Exchange {
    let mut exchange = new();
    exchange.begin();
    exchange.wrote();
    exchange.written();
    exchange
}

/// It was answered so at `now`.
#[track_caller]
fn answered(answer: &[u8], now: Instant) -> Exchange {
    let mut exchange = asked();
    assert!(exchange.received(answer, now).unwrap().is_some());
    exchange
}

fn may_carry(exchange: &Exchange, now: Instant) -> bool {
    exchange.may_carry(&endpoint("http://a.test/x").get(), &Message::new(&[], b""), now)
}

#[test]
fn a_whole_answer_leaves_the_connection_ready_for_the_same_origin() {
    let exchange = answered(OK, START);
    assert!(exchange.is_ready() && exchange.is_kept() && !exchange.is_draining());
    let message = Message::new(&[], b"");
    for (url, same) in [
        ("http://a.test/another?path", true),
        ("http://a.test:80/", true),
        ("https://a.test/", false),
        ("http://a.test:8080/", false),
        ("http://b.test/", false),
    ] {
        assert_eq!(exchange.may_carry(&endpoint(url).get(), &message, START), same, "{url}");
    }
}

#[test]
fn a_message_that_asks_for_a_new_connection_gets_one() {
    let exchange = answered(OK, START);
    let mut message = Message::new(&[], b"");
    message.fresh = true;
    assert!(!exchange.may_carry(&endpoint("http://a.test/").get(), &message, START));
}

#[test]
fn a_connection_is_trusted_for_so_long_and_not_longer() {
    let micro = Duration::from_micros(1);
    let before = |duration: Duration| START + (duration - micro);
    let exchange = answered(OK, START);
    assert!(may_carry(&exchange, before(IDLE_MAX)) && !may_carry(&exchange, START + IDLE_MAX));
    let hurried = b"HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\n\r\n";
    let (exchange, four) = (answered(hurried, START), Duration::from_secs(4));
    assert!(may_carry(&exchange, before(four)) && !may_carry(&exchange, START + four));
    let exchange = answered(OK, before(AGE_MAX));
    assert!(may_carry(&exchange, before(AGE_MAX)) && !may_carry(&exchange, START + AGE_MAX));
    let at_once = b"HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=1\r\n\r\n";
    assert!(!answered(at_once, START).is_kept());
}

#[test]
fn a_body_may_come_later_and_a_request_waits_for_it() {
    let mut exchange = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", START);
    assert!(exchange.is_kept() && exchange.is_draining() && may_carry(&exchange, START));
    assert_eq!(exchange.received(b"ll", START), Ok(None));
    assert!(exchange.is_draining() && !exchange.is_ready());
    assert_eq!(exchange.received(b"o", START), Ok(None));
    assert!(exchange.is_ready());
}

#[test]
fn what_comes_behind_an_answer_is_the_end_of_the_connection_and_no_error() {
    for excess in [&b" "[..], OK] {
        let exchange = answered(&[OK, excess].concat(), START);
        assert!(!exchange.is_kept());
        let mut exchange = answered(OK, START);
        assert_eq!(exchange.received(excess, START), Ok(None), "a look before the next request");
        assert!(!exchange.is_kept() && !may_carry(&exchange, START));
    }
    let mut exchange = answered(OK, START);
    assert_eq!(exchange.ended(), Err(Failure::Broken), "it has told its answer");
    assert!(!exchange.is_kept());
}

/// Each of these was three POSTs of a delivered event: the connection broke, or was silent, before the end of
/// the head.
#[test]
fn a_status_line_is_the_answer_whatever_comes_after_it() {
    for status in [200, 204, 302, 404, 413, 500, 999] {
        let mut exchange = asked();
        let line = format!("HTTP/1.1 {status} So\r\n");
        let (start, end) = line.as_bytes().split_at(line.len() - 1);
        assert_eq!(exchange.received(start, START), Ok(None), "it could go on");
        assert_eq!(exchange.received(end, START), Ok(Some(Response::status(status))));
        assert_eq!(exchange.received(b"Content-Length: x\r\n\r\n", START), Ok(None));
        assert!(!exchange.is_kept());
    }
}

#[test]
fn the_headers_may_come_later_and_a_request_waits_for_them() {
    let mut exchange = answered(b"HTTP/1.1 200 OK\r\n", START);
    assert!(exchange.is_kept() && exchange.is_draining() && may_carry(&exchange, START));
    let later = START + Duration::from_secs(3);
    for (piece, done) in
        [(&b"Keep-Alive: timeout=5\r\nContent-"[..], false), (b"Length: 0\r\n\r\n", true)]
    {
        assert_eq!(exchange.received(piece, later), Ok(None));
        assert_eq!(exchange.is_ready(), done);
    }
    // The server has idled since it said the status.
    assert!(may_carry(&exchange, later) && !may_carry(&exchange, START + Duration::from_secs(4)));

    let mut exchange = answered(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\n", START);
    let late = START + Duration::from_secs(4);
    assert_eq!(exchange.received(b"Content-Length: 0\r\n\r\n", late), Ok(None));
    assert!(!exchange.is_kept(), "the server may be closing it");
    let mut exchange = answered(b"HTTP/1.1 200 OK\r\n", START);
    assert_eq!(exchange.received(b"Connection: close\r\n\r\n", START), Ok(None));
    assert!(!exchange.is_kept());
}

#[test]
fn a_wait_is_asked_for_in_the_headers_so_the_answer_is_their_end_or_the_connections() {
    let asked_to = |seconds| RetryAfter::Delay(Duration::from_secs(seconds));
    for status in [429, 503] {
        let response = Response { status, retry_after: Some(asked_to(7)) };
        let mut exchange = asked();
        let text = format!("HTTP/1.1 {status} So\r\nRetry-After: 7\r\nA: ");
        assert_eq!(exchange.received(text.as_bytes(), START), Ok(None));
        let mut cut = exchange.clone();
        assert_eq!(exchange.received(b"b\r\n\r\n", START), Ok(Some(response)));
        assert_eq!(cut.ended(), Ok(response));
        assert!(!cut.is_kept());
    }
}

#[test]
fn what_is_no_final_status_line_yet_is_no_answer() {
    for text in ["HTTP/1.1 200", "HTTP/1.1 100 Continue\r\nA: b\r\n", "HTTP/1.1 101 Up\r\n"] {
        let mut exchange = asked();
        assert_eq!(exchange.received(text.as_bytes(), START), Ok(None), "{text:?}");
        assert_eq!(exchange.ended(), Err(Failure::Broken), "{text:?}");
    }
}

#[test]
fn a_body_without_a_near_end_is_not_read() {
    for length in [DRAIN_MAX as u64 + 1, u64::MAX] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        assert!(!answered(text.as_bytes(), START).is_kept());
    }
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {DRAIN_MAX}\r\n\r\n");
    assert!(answered(text.as_bytes(), START).is_draining());
    assert!(!answered(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", START).is_kept());
    assert!(!answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz", START).is_kept());
}

#[test]
fn an_early_answer_counts_and_ends_the_connection() {
    let mut exchange = new();
    exchange.begin();
    exchange.wrote();
    assert_eq!(exchange.received(OK, START), Ok(Some(Response::status(200))));
    assert!(!exchange.is_kept());
    // The rest of the request could not be written; it is the same.
    exchange.begin();
    exchange.wrote();
    assert_eq!(exchange.write_failed(), Ok(()));
    assert_eq!(exchange.received(OK, START), Ok(Some(Response::status(200))));
    assert!(!exchange.is_kept());
}

#[test]
fn nothing_is_an_answer_to_what_was_not_sent() {
    let begun = || {
        let mut exchange = answered(OK, START);
        exchange.begin();
        exchange
    };
    assert_eq!(begun().received(OK, START), Err(Failure::Unsent));
    assert_eq!(begun().ended(), Err(Failure::Unsent));
    assert_eq!(begun().write_failed(), Err(Failure::Unsent));
    let mut exchange = begun();
    exchange.wrote();
    assert_eq!(exchange.ended(), Err(Failure::Broken));
}

#[test]
fn a_connection_carries_as_many_requests_as_its_age_allows() {
    let mut exchange = new();
    for _ in 0..HEADS_MAX {
        exchange.begin();
        exchange.written();
        // Told again, as by a driver that only knows that something was sent.
        exchange.wrote();
        assert_eq!(exchange.received(OK, START), Ok(Some(Response::status(200))));
        assert!(exchange.is_ready() && may_carry(&exchange, START));
    }
}

#[test]
fn an_attempt_that_was_cut_short_is_the_end() {
    let mut exchange = answered(OK, START);
    exchange.begin();
    assert!(!may_carry(&exchange, START) && !exchange.is_kept());
    exchange.wrote();
    exchange.written();
    exchange.received(&OK[..10], START).unwrap();
    assert!(!may_carry(&exchange, START) && !exchange.is_kept());
}

#[test]
fn what_is_no_answer_is_malformed() {
    for (text, what) in [
        (b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), Malformed::StatusLine),
        (vec![b'\n'; HEADS_MAX + 1], Malformed::TooLarge),
    ] {
        let mut exchange = asked();
        assert_eq!(exchange.received(&text, START), Err(Failure::Malformed(what)));
        assert!(!exchange.is_kept());
    }
}

/// The READMEs name them, and balancers close connections that are idle for 60 s.
#[test]
fn the_limits_are_those_of_the_documentation() {
    assert_eq!((DRAIN_MAX, HEADS_MAX), (16_384, 32_768));
    assert_eq!((IDLE_MAX.as_secs(), AGE_MAX.as_secs()), (55, 300));
}

/// Answers and pieces of them.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let parts: &[&[u8]] = &[
        OK,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 429 Slow\r\n",
        b"Keep-Alive: timeout=5\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"x",
        b"\r\n",
    ];
    vec(select(parts), 0..5).prop_map(|parts| parts.concat())
}

/// What a network and its driver can tell, in any order.
#[derive(Clone, Debug)]
enum News {
    Begin,
    Wrote,
    Written,
    WriteFailed,
    Received(Vec<u8>),
    Ended,
    Time(u64),
}

fn news() -> impl Strategy<Value = News> {
    prop_oneof![
        3 => Just(News::Begin),
        3 => Just(News::Wrote),
        3 => Just(News::Written),
        1 => Just(News::WriteFailed),
        6 => text().prop_map(News::Received),
        1 => Just(News::Ended),
        2 => (0..400_u64).prop_map(News::Time),
    ]
}

proptest! {
    /// The answer, and what becomes of the connection, do not depend on the pieces.
    #[test]
    fn pieces_make_no_difference(text in text(), lengths in vec(1_usize..40, 1..6)) {
        let (mut whole, mut pieces) = (asked(), asked());
        let expected = whole.received(&text, START);
        let mut result = Ok(None);
        let (mut rest, mut lengths) = (text.as_slice(), lengths.iter().cycle());
        while let (Ok(before), false) = (result, rest.is_empty()) {
            let (piece, behind) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
            result = pieces.received(piece, START).map(|now| before.or(now));
            rest = behind;
        }
        prop_assert_eq!(result, expected);
        prop_assert_eq!(pieces.is_ready(), whole.is_ready());
        prop_assert_eq!(pieces.is_draining(), whole.is_draining());
        prop_assert_eq!(may_carry(&pieces, START), may_carry(&whole, START));
    }

    /// Whatever the order: no answer and no kept connection without a request, no second try of one
    /// of which a byte was sent, and nothing after the end.
    #[test]
    fn no_order_of_events_breaks_a_promise(story in vec(news(), 0..30)) {
        let mut exchange = new();
        let (mut now, mut made_idle) = (START, START);
        let (mut begun, mut sent, mut all, mut over, mut has_answer) =
            (false, false, false, false, false);
        for news in story {
            let was_kept = exchange.is_kept();
            let failure = match news {
                // What a driver does only with a connection that is ready.
                News::Begin if exchange.is_ready() => {
                    exchange.begin();
                    (begun, sent, all, has_answer) = (true, false, false, false);
                    None
                }
                News::Wrote if begun => { exchange.wrote(); sent = true; None }
                News::Written if sent => { exchange.written(); all = true; None }
                News::WriteFailed if begun && !all && !has_answer => exchange.write_failed().err(),
                News::Received(bytes) => match exchange.received(&bytes, now) {
                    Ok(Some(response)) => {
                        prop_assert!(sent && !over && !has_answer && response.status >= 200);
                        prop_assert!(all || !exchange.is_kept());
                        (has_answer, made_idle) = (true, now);
                        None
                    }
                    Ok(None) => None,
                    Err(failure) => Some(failure),
                },
                News::Ended => match exchange.ended() {
                    Ok(response) => {
                        prop_assert!(sent && !over && !has_answer && response.status >= 200);
                        (has_answer, over) = (true, true);
                        None
                    }
                    Err(failure) => Some(failure),
                },
                News::Time(seconds) => { now = now + Duration::from_secs(seconds); None }
                _ => None,
            };
            if let Some(failure) = failure {
                prop_assert_eq!(failure == Failure::Unsent, !sent);
                over = true;
            }
            prop_assert!(!(over && exchange.is_kept()));
            prop_assert!(was_kept || has_answer || !exchange.is_kept(), "kept by an answer alone");
            if may_carry(&exchange, now) {
                prop_assert!(has_answer && all && !over);
                prop_assert!(now.saturating_since(made_idle) < IDLE_MAX);
                prop_assert!(now.saturating_since(START) < AGE_MAX);
            }
        }
    }
}

//! Servers that are there, that are slow, and that are hostile.

use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use proptest::prelude::*;

use super::input::KEPT;
use super::*;
use crate::destination::{EndpointBuf, EndpointError, Policy};
use crate::transport::{Reply, Verdict};
use crate::{Instant, Message, MessageId, Text, Writer};

const NOW: Instant = Instant::from_micros(0);
const INFO: &str = "INFO {\"server_id\":\"X\",\"headers\":true}\r\n";

fn endpoint(url: &str) -> Result<EndpointBuf<64>, EndpointError> {
    EndpointBuf::parse_with(SCHEMES, url, Policy::default())
}

fn session() -> Session {
    Session::new(&endpoint("nats://h/p").unwrap().get(), NOW)
}

/// A session that has asked for the publication 1.
fn asked() -> Session {
    let mut session = session();
    assert_eq!(session.received(INFO.as_bytes(), NOW), Ok(None));
    assert_eq!(session.begin(), 1);
    session
}

fn message() -> Message<'static> {
    let mut message = Message::new(&[("Content-Type", "application/json")], b"{}");
    message.topic = Text::new("conn.established");
    message.id = MessageId { node_id: 7, instance: 0xab, first: 3, last: 3, events: 1 };
    message
}

fn stored(number: u32) -> String {
    let payload = r#"{"stream":"S","seq":3}"#;
    format!("MSG _INBOX.7-00000000000000ab.{number} 1 {}\r\n{payload}\r\n", payload.len())
}

const ACCEPTED: Reply = Reply { verdict: Verdict::Accepted, code: STORED };

#[test]
fn urls_name_a_server_and_the_beginning_of_subjects() {
    let url = |url: &str| endpoint(url).map(|endpoint| endpoint.get().url().to_string());
    assert_eq!(url("nats://Host:4222/pilot"), Ok("nats://host/pilot".into()));
    assert_eq!(url("TLS://host:80/a.b-c_1"), Ok("tls://host:80/a.b-c_1".into()));
    assert_eq!(url("http://host/p"), Err(EndpointError::Scheme));
    assert_eq!(url("nats://me:secret@host/p"), Err(EndpointError::Login));
    for path in ["", "/", "/a..b", "/a.", "/a%20b", "/a?b", "/a/b", "/a*"] {
        assert_eq!(url(&format!("nats://host{path}")), Err(EndpointError::Subject), "{path}");
    }
    let http = EndpointBuf::<64>::parse("nats://host/p", Policy::default());
    assert_eq!(http.err(), Some(EndpointError::Scheme));
}

#[test]
fn what_is_written_is_the_protocol() {
    let (mut buf, message) = ([0; 512], message());
    let inbox = Inbox::of(&message);
    let mut out = Writer::new(&mut buf);
    hello(&mut out, Login::User { name: "n\"", password: "p" }, &session(), inbox).unwrap();
    let text = str::from_utf8(out.finish()).unwrap();
    assert!(text.starts_with("CONNECT {\"verbose\":false,"), "{text}");
    assert!(text.contains(r#","user":"n\"","pass":"p"}"#), "{text}");
    assert!(text.ends_with("}\r\nSUB _INBOX.7-00000000000000ab.* 1\r\n"), "{text}");

    let mut out = Writer::new(&mut buf);
    let to = endpoint("nats://h/p.q").unwrap();
    publication(&mut out, &to.get(), &message, inbox, 5).unwrap();
    let headers = "NATS/1.0\r\nContent-Type: application/json\r\n\
                   Nats-Msg-Id: 7-00000000000000ab-3\r\n\r\n";
    let line = "HPUB p.q.7.conn.established _INBOX.7-00000000000000ab.5";
    let expected = format!("{line} {} {}\r\n{headers}", headers.len(), headers.len() + 2);
    assert_eq!(str::from_utf8(out.finish()).unwrap(), expected);
    assert!(publication(&mut Writer::new(&mut [0; 99]), &to.get(), &message, inbox, 5).is_err());
}

#[test]
fn an_answer_counts_for_its_own_publication_alone() {
    let mut session = asked();
    for wrong in [stored(0), stored(2), stored(u32::MAX), stored(1).replace("ab.1", "ab.x")] {
        assert_eq!(session.received(wrong.as_bytes(), NOW), Ok(None), "{wrong}");
    }
    assert_eq!(session.received(stored(1).as_bytes(), NOW), Ok(Some(ACCEPTED)));
    // A second one answers nothing.
    assert_eq!(session.received(stored(1).as_bytes(), NOW), Ok(None));
    assert_eq!(session.begin(), 2);
    assert_eq!(session.received(stored(1).as_bytes(), NOW), Ok(None));
    assert_eq!(session.received(stored(2).as_bytes(), NOW), Ok(Some(ACCEPTED)));
}

#[test]
fn no_stream_is_a_status() {
    let said = "HMSG _INBOX.x.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n";
    let reply = Reply { verdict: Verdict::Later(None), code: NO_STREAM };
    assert_eq!(asked().received(said.as_bytes(), NOW), Ok(Some(reply)));
}

#[test]
fn pings_are_owed_an_answer_once() {
    let mut session = asked();
    assert!(!session.take_ping());
    let said = format!("PING\r\n{}PING\r\n", stored(1));
    assert_eq!(session.received(said.as_bytes(), NOW), Ok(Some(ACCEPTED)));
    assert!(session.take_ping());
    assert!(!session.take_ping());
}

#[test]
fn complaints_say_what_to_do() {
    for (text, fault) in [
        ("Authorization Violation", Fault::Credentials),
        ("User Authentication Expired", Fault::Credentials),
        ("Permissions Violation for Publish to \"p.7.x\"", Fault::Permission),
        ("Stale Connection", Fault::Ended),
        ("maximum connections exceeded", Fault::Ended),
    ] {
        let said = format!("-ERR '{text}'\r\n");
        let mut session = asked();
        assert_eq!(session.received(said.as_bytes(), NOW), Err(fault), "{text}");
        assert!(!session.is_kept());
    }
    let long = format!("-ERR 'Permissions Violation for Publish to \"{}\"'\r\n", "x".repeat(4_000));
    assert_eq!(asked().received(long.as_bytes(), NOW), Err(Fault::Permission));
    let mut session = asked();
    let reply = Reply { verdict: Verdict::TooLarge, code: TOO_LARGE };
    let said = session.received(b"-ERR 'Maximum Payload Violation'\r\n", NOW);
    assert_eq!(said, Ok(Some(reply)));
    assert!(!session.is_kept());
}

#[test]
fn what_is_no_answer_is_refused() {
    let long = format!("MSG {} 1 1\r\n", "x".repeat(KEPT));
    for (said, fault) in [
        ("HTTP/1.1 400 Bad Request\r\n", Fault::Malformed),
        ("\r\n", Fault::Malformed),
        ("MSG\r\n", Fault::Malformed),
        ("MSG a.1 1\r\n", Fault::Malformed),
        ("MSG a.1 1 x\r\n", Fault::Malformed),
        ("MSG a.1 1 -1\r\n", Fault::Malformed),
        ("MSG a.1 1 99999999999999999999\r\n", Fault::Malformed),
        ("MSG a.1 1 r 2 2\r\n", Fault::Malformed),
        ("MSG a.1 1 511\r\n", Fault::TooLong),
        ("MSG a.1 1 4294967295\r\n", Fault::TooLong),
        ("MSG a.1 1 2\r\n{}xx", Fault::Malformed),
        ("MSG a.1 1 0\r\n\r\n", Fault::Malformed),
        ("HMSG a.1 1 2\r\n", Fault::Malformed),
        ("HMSG a.1 1 3 2\r\n", Fault::Malformed),
        (&long, Fault::TooLong),
    ] {
        assert_eq!(asked().received(said.as_bytes(), NOW), Err(fault), "{said}");
    }
}

#[test]
fn a_server_says_first_who_it_is() {
    for said in ["PING\r\n", "+OK\r\n", &stored(0), &stored(1)] {
        let mut session = session();
        assert_eq!(session.received(said.as_bytes(), NOW), Err(Fault::Malformed), "{said}");
    }
    let mut session = session();
    let info = format!("INFO {{\"urls\":\"{}\"}}\r\n", "x".repeat(10_000));
    let (beginning, end) = info.split_at(9_000);
    assert_eq!(session.received(beginning.as_bytes(), NOW), Ok(None));
    assert!(!session.is_greeted());
    assert_eq!(session.received(end.as_bytes(), NOW), Ok(None));
    assert!(session.is_greeted());
}

#[test]
fn a_connection_is_kept_for_its_server_and_not_too_long() {
    let at = |seconds: u64| Instant::from_micros(seconds * 1_000_000);
    let mut session = asked();
    let (here, elsewhere) = (endpoint("nats://h/q").unwrap(), endpoint("nats://i/p").unwrap());
    let tls = endpoint("tls://h/p").unwrap();
    assert!(!session.may_carry(&here.get(), &message(), NOW), "asked");
    assert_eq!(session.received(stored(1).as_bytes(), at(100)), Ok(Some(ACCEPTED)));
    assert!(session.may_carry(&here.get(), &message(), at(339)));
    assert!(!session.may_carry(&here.get(), &message(), at(340)));
    assert!(!session.may_carry(&elsewhere.get(), &message(), at(100)));
    assert!(!session.may_carry(&tls.get(), &message(), at(100)));
    let mut fresh = message();
    fresh.fresh = true;
    assert!(!session.may_carry(&here.get(), &fresh, at(100)));
}

/// What a server may say, right and wrong, in any order.
fn speech() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(INFO.as_bytes().to_vec()),
        (0..3_u32).prop_map(|number| stored(number).into_bytes()),
        Just(b"PING\r\n".to_vec()),
        Just(b"+OK\r\n".to_vec()),
        Just(b"-ERR 'Stale Connection'\r\n".to_vec()),
        Just(b"HMSG _INBOX.x.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n".to_vec()),
        "(H?MSG|MSG a.1 1) ?[0-9 ]{0,8}\r\n[{}\":,a-z0-9]{0,20}\r\n".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// The first answer or fault, and whether a ping is owed an answer then.
fn hear(said: &[u8], cuts: &[usize]) -> (Option<Result<Reply, Fault>>, bool) {
    let mut session = asked();
    let (mut rest, mut cuts) = (said, cuts.iter().cycle());
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
        rest = behind;
        match session.received(piece, NOW).transpose() {
            None => {}
            end => return (end, session.take_ping()),
        }
    }
    (None, session.take_ping())
}

proptest! {
    /// Neither a panic nor another meaning, however the bytes come in.
    #[test]
    fn pieces_change_nothing(
        said in speech(),
        cuts in proptest::collection::vec(1..50_usize, 1..10),
    ) {
        let byte_by_byte = hear(&said, &[1]);
        prop_assert_eq!(hear(&said, &cuts).0, byte_by_byte.0);
        prop_assert_eq!(hear(&said, &[usize::MAX]).0, byte_by_byte.0);
    }

    /// Only a whole answer to this publication is one.
    #[test]
    fn a_truncated_answer_is_none(length in 0..200_usize) {
        let all = stored(1);
        let cut = all.get(..length.min(all.len())).unwrap();
        let expected = (cut == all).then_some(ACCEPTED);
        prop_assert_eq!(asked().received(cut.as_bytes(), NOW), Ok(expected));
    }

    /// The lengths that are written are those of what is written.
    #[test]
    fn lengths_are_right(topic in "\\PC{0,40}", value in "[ -~]{0,40}", body in "\\PC{0,40}") {
        let mut message = message();
        let headers = [("A", &*value), ("B", "b")];
        (message.topic, message.headers, message.body) =
            (Text::new(&topic), &headers, body.as_bytes());
        let mut buf = [0; 1_024];
        let mut out = Writer::new(&mut buf);
        let to = endpoint("nats://h/p").unwrap();
        publication(&mut out, &to.get(), &message, Inbox::of(&message), 1).unwrap();
        let text = String::from_utf8(out.finish().to_vec()).unwrap();
        let (line, headers) = text.split_once("\r\n").unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        prop_assert_eq!(words.len(), 5);
        prop_assert_eq!(words[3], headers.len().to_string());
        prop_assert_eq!(words[4], (headers.len() + body.len()).to_string());
    }
}

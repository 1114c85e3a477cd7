//! Receivers that misuse HTTP, or the connection.

use std::time::Duration;

use pilot_webhook_core::ErrorKind;

use super::{Ends, Hostile, LOST, Over, PROTOCOL, TIMEOUT};
use crate::Act::{Close, Drip, Flood, Hold, Read, ReadHead, Reset, Send};
use crate::{Act, Script};

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const GIGABYTE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
/// A byte a second: slower than any timeout here.
const SLOWLY: Duration = Duration::from_secs(1);
/// Fast enough that nothing is ever idle.
const STEADILY: Duration = Duration::from_millis(50);

pub(super) fn hostiles() -> Vec<Hostile> {
    let mut list = Vec::new();
    list.extend(slow());
    list.extend(endless());
    list.extend(lengths());
    list.extend(chunks());
    list.extend(broken_off());
    list.extend(early());
    list
}

fn plain(name: &'static str, script: Script, ends: Ends) -> Hostile {
    Hostile::new(name, script, Over::Plain, ends)
}

/// Reads the request, sends a text, and does one thing more.
fn then(text: impl AsRef<[u8]>, act: Act) -> Script {
    vec![Read, Send(text.as_ref().to_vec()), act]
}

fn drip(text: impl AsRef<[u8]>, pause: Duration) -> Act {
    Drip(text.as_ref().to_vec(), pause)
}

fn flood(text: impl AsRef<[u8]>) -> Act {
    Flood(text.as_ref().to_vec())
}

fn slow() -> Vec<Hostile> {
    let headers = "X-Filler: a\r\n".repeat(200);
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(200);
    vec![
        plain("accepts, and is silent", vec![Hold], TIMEOUT),
        plain("reads, and is silent", vec![Read, Hold], TIMEOUT),
        plain("a byte a second", vec![Read, drip(OK, SLOWLY)], TIMEOUT),
        plain("a header, a byte at a time", then(OK, drip(headers, STEADILY)), Ends::Delivered),
        plain("interim answers, a byte at a time", vec![Read, drip(interim, STEADILY)], TIMEOUT),
        plain("a line that does not end", then("HTTP/1.1 200 O", Hold), TIMEOUT),
        plain("a head that does not end", then(format!("{OK}A: b\r\n"), Hold), Ends::Delivered),
        // Its headers could say when to come back.
        plain("a head of a 503 that does not end", then("HTTP/1.1 503 Busy\r\n", Hold), TIMEOUT),
        plain(
            "a body, a byte a second",
            then(format!("{OK}Content-Length: 100\r\n\r\n"), drip([b'x'; 100], SLOWLY)),
            Ends::Delivered,
        ),
        plain(
            "a chunk's size, a byte a second",
            then(CHUNKED, drip("0".repeat(100), SLOWLY)),
            Ends::Delivered,
        ),
    ]
}

fn endless() -> Vec<Hostile> {
    let delivered =
        |name, head: &str, rest: Vec<u8>| plain(name, then(head, flood(rest)), Ends::Delivered);
    let broken = |name, head: &str, rest: Vec<u8>| plain(name, then(head, flood(rest)), PROTOCOL);
    let many = |text: &str| text.repeat(100).into_bytes();
    vec![
        delivered("headers without end", OK, many("X-Filler: aaaaaaaaaaaaaaaaaaaaaaaa\r\n")),
        delivered("empty headers without end", OK, many("a:\r\n")),
        delivered("a header without end", "HTTP/1.1 200 OK\r\nX: ", many("aaaaaaaaaaaaaaaa")),
        delivered("a header's name without end", OK, many("aaaaaaaaaaaaaaaaaaaa")),
        broken("a status line without end", "HTTP/1.1 200 ", many("aaaaaaaaaaaaaaaa")),
        broken("100-continue without end", "", many("HTTP/1.1 100 Continue\r\n\r\n")),
        broken("early hints without end", "", many("HTTP/1.1 103 Hints\r\nLink: <x>\r\n\r\n")),
        broken("empty lines without end", "", many("\r\n")),
        broken("zeros without end", "", vec![0; 4096]),
        broken("HTTP/2 without end", "", many("\0\0\0\u{4}\u{1}\0\0\0\0")),
        delivered("a body without end", &format!("{OK}\r\n"), vec![b'x'; 4096]),
        delivered("a gigabyte", GIGABYTE, vec![b'x'; 4096]),
        delivered("chunks without end", CHUNKED, many("4\r\nmore\r\n")),
        delivered("a chunk of a gigabyte", &format!("{CHUNKED}3b9aca00\r\n"), vec![b'x'; 4096]),
        delivered("a chunk extension without end", &format!("{CHUNKED}4;"), vec![b'x'; 4096]),
        delivered("trailers without end", &format!("{CHUNKED}0\r\n"), many("X-Filler: a\r\n")),
    ]
}

fn lengths() -> Vec<Hostile> {
    let length = |name, headers: &str| {
        let text = format!("{OK}{headers}\r\n\r\n0\r\n\r\n");
        plain(name, then(text, Hold), Ends::Delivered)
    };
    vec![
        plain("a gigabyte is announced", then(GIGABYTE, Hold), Ends::Delivered),
        length("a negative length", "Content-Length: -1"),
        length("a signed length", "Content-Length: +5"),
        length("a length in hex", "Content-Length: 0x5"),
        length("a length that is none", "Content-Length: five"),
        length("an empty length", "Content-Length:"),
        length("a length over 64 bits", "Content-Length: 99999999999999999999"),
        length("a length of 2^63", "Content-Length: 9223372036854775808"),
        length("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
        length("two lengths in one", "Content-Length: 5, 6"),
        // Both ways to read it end at the same byte. The next event needs the other connection all
        // the same.
        length("a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        length("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ]
}

fn chunks() -> Vec<Hostile> {
    let chunk =
        |name, rest: &str| plain(name, then(format!("{CHUNKED}{rest}"), Hold), Ends::Delivered);
    let encoding = |name, value: &str| {
        let head = format!("{OK}Transfer-Encoding: {value}\r\n\r\n0\r\n\r\n");
        plain(name, then(head, Hold), Ends::Delivered)
    };
    vec![
        chunk("a chunk size that is none", "zz\r\nok\r\n0\r\n\r\n"),
        chunk("a negative chunk size", "-1\r\nok\r\n0\r\n\r\n"),
        chunk("an empty chunk size", "\r\nok\r\n0\r\n\r\n"),
        chunk("a chunk size over 64 bits", "fffffffffffffffff\r\nok\r\n0\r\n\r\n"),
        chunk("a chunk size of 2^64 - 1", "ffffffffffffffff\r\nok\r\n0\r\n\r\n"),
        chunk("a chunk that is longer than its size", "1\r\nok\r\n0\r\n\r\n"),
        chunk("a last chunk that is not the end", "0\r\nok"),
        encoding("an encoding nobody knows", "gzip"),
        encoding("chunks that are not the last encoding", "chunked, gzip"),
    ]
}

fn broken_off() -> Vec<Hostile> {
    let sized = format!("{OK}Content-Length: 100\r\n\r\nhello");
    let unanswered = Ends::Fails(&[ErrorKind::Connect, ErrorKind::Disconnected]);
    vec![
        plain("resets at once", vec![Reset], unanswered),
        plain("closes at once", vec![Close], unanswered),
        plain("resets after the request", vec![Read, Reset], LOST),
        plain("closes after the request", vec![Read, Close], LOST),
        plain("resets in the status line", then("HTTP/1.1 2", Reset), LOST),
        plain("resets in the headers", then(format!("{OK}Content-Le"), Reset), Ends::Delivered),
        plain("closes in the headers", then(format!("{OK}Content-Le"), Close), Ends::Delivered),
        plain("resets in the body", then(&sized, Reset), Ends::Delivered),
        plain("closes in the body", then(&sized, Close), Ends::Delivered),
        plain("closes in a chunk", then(format!("{CHUNKED}9\r\nhel"), Close), Ends::Delivered),
        plain("garbage", then("\x01\x02 hello?\r\n\r\n", Hold), PROTOCOL),
        plain("HTTP/2", then("\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\n", Hold), PROTOCOL),
        plain("an upgrade", then("HTTP/1.1 101 Up\r\nUpgrade: x\r\n\r\n", Hold), PROTOCOL),
    ]
}

/// Before the request is read.
fn early() -> Vec<Hostile> {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let large = |name, script, ends| Hostile { large: true, ..plain(name, script, ends) };
    let refuse = |act| vec![ReadHead, Send(refusal.into()), act];
    vec![
        plain("speaks first", vec![Send(b"220 ready\r\n".into()), Hold], PROTOCOL),
        large("an answer before the request is read", refuse(Hold), Ends::Rejected(413)),
        large("the same, and closes", refuse(Close), Ends::Rejected(413)),
        large("never reads the request to its end", vec![ReadHead, Hold], TIMEOUT),
        large(
            "resets while the request is sent",
            vec![ReadHead, Reset],
            Ends::Fails(&[ErrorKind::Disconnected]),
        ),
    ]
}

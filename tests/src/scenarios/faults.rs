//! Servers that are slow, broken or hostile. After each fault, the next post works.

use std::time::Duration;

use pilot_webhook_core::http::Malformed;
use pilot_webhook_core::{ErrorKind, RetryAfter};

use super::{OK, answer, answer_then};
use crate::Act::{Close, Drip, Flood, Hold, Read, ReadHead, Reset, Send};
use crate::Step::{Post, PostLarge};
use crate::{Expect, Scenario, Script};

const LOST: &[ErrorKind] = &[ErrorKind::Disconnected];

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut list = Vec::new();
    list.extend(silent());
    list.extend(cut());
    list.extend(malformed());
    list.extend(early());
    list
}

/// A fault, and a post after it.
fn fault(name: &'static str, script: Script, expect: Expect) -> Scenario {
    let steps = [Post(expect), Post(Expect::status(200))];
    Scenario::new(name, [script, answer(OK)], steps)
}

fn silent() -> Vec<Scenario> {
    let slow = Duration::from_millis(100);
    vec![
        fault("accepts and never answers", vec![Read, Hold], Expect::Nothing),
        fault(
            "answers a byte at a time, too slowly",
            vec![Read, Drip(OK.into(), slow)],
            Expect::Nothing,
        ),
        fault(
            "sends half a head, and stops",
            answer_then("HTTP/1.1 503 Busy\r\nRetry-", Hold),
            Expect::Nothing,
        ),
        // The status counts: waiting for the rest could make a delivery a timeout.
        fault(
            "sends half a status line, and stops",
            answer_then("HTTP/1.1 200 O", Hold),
            Expect::Nothing,
        ),
        fault(
            "sends a status line, and stops",
            answer_then("HTTP/1.1 200 OK\r\n", Hold),
            Expect::status(200),
        ),
        fault(
            "answers, and is too slow with the head",
            vec![
                Read,
                Send("HTTP/1.1 200 OK\r\n".into()),
                Drip(b"A: b\r\nContent-Length: 0\r\n\r\n".into(), slow),
            ],
            Expect::status(200),
        ),
        fault(
            "answers, and is too slow with the body",
            vec![
                Read,
                Send("HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n".into()),
                Drip(vec![b'x'; 600], slow),
            ],
            Expect::status(200),
        ),
    ]
}

fn cut() -> Vec<Scenario> {
    let mut reset = fault(
        "resets at once",
        vec![Reset],
        Expect::Fails(&[ErrorKind::Connect, ErrorKind::Disconnected]),
    );
    reset.arrived = vec![1];
    vec![
        reset,
        fault("closes in the status line", answer_then("HTTP/1.", Close), Expect::Fails(LOST)),
        fault(
            "closes in the headers",
            answer_then("HTTP/1.1 200 OK\r\nContent-", Close),
            Expect::status(200),
        ),
        fault(
            "closes in the headers, after it said when to come back",
            answer_then("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-", Close),
            Expect::retry_after(429, RetryAfter::Delay(Duration::from_secs(7))),
        ),
        fault(
            "closes in the headers of an interim answer",
            answer_then("HTTP/1.1 103 Early Hints\r\nLink: a", Close),
            Expect::Fails(LOST),
        ),
        fault(
            "closes behind a status without its line's end",
            answer_then("HTTP/1.1 200", Close),
            Expect::Fails(LOST),
        ),
        fault(
            "closes in the body",
            answer_then("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", Close),
            Expect::status(200),
        ),
        fault(
            "closes in a chunk",
            answer_then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhel", Close),
            Expect::status(200),
        ),
        fault("resets without an answer", vec![Read, Reset], Expect::Fails(LOST)),
    ]
}

fn malformed() -> Vec<Scenario> {
    let broken = |name, text: &str, what| fault(name, answer_then(text, Close), what);
    let status_line = || Expect::Malformed(Malformed::StatusLine);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut banner = fault(
        "speaks first, and no HTTP",
        vec![Send(b"220 mail.test ESMTP ready\r\n".to_vec()), Hold],
        status_line(),
    );
    banner.arrived = vec![1];
    vec![
        banner,
        broken("answers garbage", "\x00\x01\x02 hello?\r\n\r\n", status_line()),
        broken("answers with another protocol", "SSH-2.0-OpenSSH_9.9\r\n\r\n", status_line()),
        broken("answers with a version that is none", "HTTP/9.9 200 OK\r\n\r\n", status_line()),
        broken("answers with a status that is none", "HTTP/1.1 2x0 OK\r\n\r\n", status_line()),
        fault(
            "answers with a header that is none",
            answer_then("HTTP/1.1 200 OK\r\nPHP Warning: no header\r\n\r\n", Close),
            Expect::status(200),
        ),
        // The framing matters to a connection that is kept, which this one is not.
        broken(
            "a negative Content-Length",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            Expect::status(200),
        ),
        broken(
            "two Content-Lengths that differ",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
            Expect::status(200),
        ),
        fault(
            "invalid chunks",
            answer_then(format!("{chunked}zz\r\nok\r\n0\r\n\r\n"), Hold),
            Expect::status(200),
        ),
        fault(
            "a chunk of absurd length",
            answer_then(format!("{chunked}fffffffffffffffffff\r\nok"), Hold),
            Expect::status(200),
        ),
        fault(
            "headers without end",
            vec![
                Read,
                Send("HTTP/1.1 200 OK\r\n".into()),
                Flood(b"X-Filler: aaaaaaaaaaaaaaaa\r\n".repeat(100)),
            ],
            Expect::status(200),
        ),
        fault(
            "a header without end",
            vec![Read, Send("HTTP/1.1 200 OK\r\nX-Filler: ".into()), Flood(vec![b'a'; 4096])],
            Expect::status(200),
        ),
    ]
}

/// Answers before the request is read. After a final one it is not read to its end.
fn early() -> Vec<Scenario> {
    let large = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let refuse = |name, text: String| {
        let script = vec![ReadHead, Send(text.into()), Hold];
        let steps = [PostLarge(Expect::status(413)), Post(Expect::status(200))];
        Scenario::new(name, [script, answer(OK)], steps).arrived([1])
    };
    let hints = vec![Send(hint.repeat(2).into()), Read, Send(OK.into())];
    vec![
        refuse("an answer before the request is read", large.into()),
        refuse(
            "an interim answer and the final one before the request is read",
            hint.to_owned() + large,
        ),
        Scenario::new(
            "interim answers before the request is read",
            [hints],
            [PostLarge(Expect::status(200))],
        ),
    ]
}

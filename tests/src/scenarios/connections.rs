//! When a connection is used again, and when not.

use pilot_webhook_core::ErrorKind;

use super::{OK, answer, answer_then, answers};
use crate::Act::{AwaitPosts, Close, Cut, Hold, Read, Reset, Send};
use crate::Step::{Closed, Post, Sent};
use crate::{Certificate, Expect, Scenario};

const TIMED_OUT: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n";
const UNASKED: &str = "HTTP/1.1 500 Not Asked\r\nContent-Length: 0\r\n\r\n";

pub(super) fn scenarios() -> Vec<Scenario> {
    let ok = || Post(Expect::status(200));
    let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let mut list = vec![
        Scenario::new("a connection is used again", [answers([OK; 2])], [ok(), ok()]),
        Scenario::new("and again", [answers([OK; 10])], (0..10).map(|_| ok())),
        Scenario::new(
            "a connection is used again over TLS",
            [answers([OK; 3])],
            [ok(), ok(), ok()],
        )
        .resolved(super::tls::RECEIVER)
        .tls(Certificate::Good),
        Scenario::new(
            "a connection is not used again after Connection: close",
            [answer_then(close, Hold), answer(OK)],
            [ok(), ok()],
        ),
        Scenario::new(
            "a connection is not kept that the server keeps for no time worth it",
            [
                answer_then(
                    "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
                    Hold,
                ),
                answer(OK),
            ],
            [ok(), ok()],
        ),
        // Some servers leave one behind a body, and it comes with the next answer.
        Scenario::new(
            "an empty line before an answer",
            [answers([OK, &format!("\r\n{OK}"), OK])],
            [ok(), ok(), ok()],
        ),
        // Whatever an idle connection says: the request was not sent over it.
        Scenario::new(
            "an idle connection speaks up and stays",
            [vec![Read, Send(OK.into()), AwaitPosts(1), Send(TIMED_OUT.into()), Hold], answer(OK)],
            [ok(), Sent(OK.len() + TIMED_OUT.len()), ok()],
        ),
        Scenario::new(
            "an idle connection speaks up and closes",
            [vec![Read, Send(OK.into()), AwaitPosts(1), Send(TIMED_OUT.into()), Close], answer(OK)],
            [ok(), Closed(1), ok()],
        ),
        // The same, in one piece with the answer: it must not pass for the next request's.
        Scenario::new(
            "an answer, and one that nobody asked for",
            [answer(OK.to_owned() + UNASKED), answer(OK)],
            [ok(), ok()],
        ),
        Scenario::new(
            "an answer without a body, and one that nobody asked for",
            [answer("HTTP/1.1 204 No Content\r\n\r\n".to_owned() + UNASKED), answer(OK)],
            [Post(Expect::status(204)), ok()],
        ),
        Scenario::new(
            "an answer in chunks, and one that nobody asked for",
            [
                answer(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()
                        + UNASKED,
                ),
                answer(OK),
            ],
            [ok(), ok()],
        ),
        Scenario::new(
            "a body that is longer than announced",
            [answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay"), answer(OK)],
            [ok(), ok()],
        ),
        // Whose end it has is a matter of opinion (RFC 9112, section 6.3).
        Scenario::new(
            "a connection is not used again after an answer with a length and chunks",
            [
                answer(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
                     0\r\n\r\n",
                ),
                answer(OK),
            ],
            [ok(), ok()],
        ),
        // The second request was read. Sending it again would deliver it twice.
        Scenario::new(
            "a used connection closes after it read a request",
            [vec![Read, Send(OK.into()), Read, Close], answer(OK)],
            [ok(), Post(Expect::Fails(&[ErrorKind::Disconnected])), ok()],
        ),
        Scenario::new(
            "a used connection is reset after it read a request",
            [vec![Read, Send(OK.into()), Read, Reset], answer(OK)],
            [ok(), Post(Expect::Fails(&[ErrorKind::Disconnected])), ok()],
        ),
        Scenario::new(
            "a new connection closes after it read a request",
            [vec![Read, Close], answer(OK)],
            [Post(Expect::Fails(&[ErrorKind::Disconnected])), ok()],
        ),
    ];
    // The status does not wait for its body, which is read when it is in the way.
    let sized = ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel", "lo body"];
    let chunked =
        ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5", ";x\r\nhello\r\n0\r\n\r\n"];
    for (plain, tls, never, [early, late]) in [
        (
            "a body that comes late",
            "a body that comes late over TLS",
            "the rest of a body never comes",
            sized,
        ),
        (
            "chunks that come late",
            "chunks that come late over TLS",
            "the rest of the chunks never comes",
            chunked,
        ),
    ] {
        let script =
            vec![Read, Send(early.into()), AwaitPosts(1), Send(late.into()), Read, Send(OK.into())];
        let steps = [ok(), Sent(early.len() + late.len()), ok()];
        let late = |name| Scenario::new(name, [script.clone()], steps.clone());
        list.push(late(plain));
        list.push(late(tls).resolved(super::tls::RECEIVER).tls(Certificate::Good));
        // The next request does not wait for it as long as it may take itself.
        list.push(Scenario::new(never, [answer_then(early, Hold), answer(OK)], [ok(), ok()]));
    }
    // The server has closed the idle connection: nobody notices, and each post arrives once.
    for (plain, tls, act) in [
        ("a kept connection was closed", "a kept TLS connection was closed", Close),
        ("a kept connection was cut", "a kept TLS connection was cut", Cut),
        ("a kept connection was reset", "a kept TLS connection was reset", Reset),
    ] {
        // Not before the client has its answer, or it would see the end together with it.
        let answer_once = |posts| vec![Read, Send(OK.into()), AwaitPosts(posts), act.clone()];
        let stale = |name| {
            Scenario::new(
                name,
                [answer_once(1), answer_once(2), answer(OK)],
                [ok(), Closed(1), ok(), Closed(2), ok()],
            )
        };
        list.push(stale(plain));
        list.push(stale(tls).resolved(super::tls::RECEIVER).tls(Certificate::Good));
    }
    list
}

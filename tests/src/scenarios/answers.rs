//! Answers that are answers, whatever their shape.

use std::time::Duration;

use pilot_webhook_core::http::{DRAIN_MAX, Malformed};
use pilot_webhook_core::{RetryAfter, Timestamp};

use super::{OK, answer, answers};
use crate::Act::{Drip, Flood, Read, Send};
use crate::Step::Post;
use crate::{Expect, Scenario};

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut list = plain();
    list.extend(redirects());
    list.extend(retry_after());
    list.extend(interim());
    list.extend(framing());
    list
}

fn ok() -> crate::Step {
    Post(Expect::status(200))
}

fn plain() -> Vec<Scenario> {
    let error = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops";
    let fails = || Post(Expect::status(500));
    vec![
        Scenario::new("success", [answer(OK)], [ok()]),
        Scenario::new("500, then success", [answers([error, OK])], [fails(), ok()]),
        Scenario::new("always 500", [answers([error; 3])], [fails(), fails(), fails()]),
        Scenario::new(
            "a status without a reason, and one nobody knows",
            [answers([
                "HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n",
            ])],
            [202, 299, 599].map(|status| Post(Expect::status(status))),
        ),
    ]
}

/// The target of the redirect would be the next thing that the server reads.
fn redirects() -> Vec<Scenario> {
    let redirect = |name, status: u16| {
        let text = format!(
            "HTTP/1.1 {status} Elsewhere\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
        );
        Scenario::new(name, [answers([&text, OK])], [Post(Expect::status(status)), ok()])
    };
    vec![
        redirect("301 is not followed", 301),
        redirect("302 is not followed", 302),
        redirect("303 is not followed", 303),
        redirect("307 is not followed", 307),
        redirect("308 is not followed", 308),
    ]
}

fn retry_after() -> Vec<Scenario> {
    let seconds = |status| {
        format!("HTTP/1.1 {status} Later\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")
    };
    let date = |status| {
        format!(
            "HTTP/1.1 {status} Later\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n\
             Content-Length: 0\r\n\r\n"
        )
    };
    let delay = RetryAfter::Delay(Duration::from_secs(120));
    let at = RetryAfter::At(Timestamp::new(946_684_799, 0));
    let both = |name, status| {
        Scenario::new(
            name,
            [answers([&seconds(status), &date(status)])],
            [delay, at].map(|retry_after| Post(Expect::retry_after(status, retry_after))),
        )
    };
    vec![
        both("408 with Retry-After, in both forms", 408),
        both("425 with Retry-After, in both forms", 425),
        both("429 with Retry-After, in both forms", 429),
        both("503 with Retry-After, in both forms", 503),
        Scenario::new(
            "a Retry-After that says nothing is none",
            [answer("HTTP/1.1 503 Later\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n")],
            [Post(Expect::status(503))],
        ),
    ]
}

fn interim() -> Vec<Scenario> {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    let many = hint.repeat(20) + OK;
    let proceed = format!("HTTP/1.1 100 Continue\r\n\r\n{OK}");
    vec![
        Scenario::new("100, then 200", [answers([&proceed, OK])], [ok(), ok()]),
        Scenario::new("many interim answers, then 200", [answers([&many, OK])], [ok(), ok()]),
        Scenario::new(
            "interim answers without end",
            [vec![Read, Flood(hint.repeat(50).into())], answer(OK)],
            [Post(Expect::Malformed(Malformed::TooLarge)), ok()],
        ),
        Scenario::new(
            "a switch of protocols that nobody asked for",
            [
                answer(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                ),
                answer(OK),
            ],
            [Post(Expect::Malformed(Malformed::Upgrade)), ok()],
        ),
    ]
}

fn framing() -> Vec<Scenario> {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = format!("{chunked}5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n");
    let trailers = format!("{chunked}2\r\nok\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n");
    let empty = format!("{chunked}0\r\n\r\n");
    let long = long();
    let megabytes = 10 * 1024 * 1024;
    let sized = format!("HTTP/1.1 200 OK\r\nContent-Length: {megabytes}\r\n\r\n");
    let body = vec![b'x'; megabytes];
    let chunk = [format!("{megabytes:x}\r\n").into_bytes(), body.clone()].concat();
    vec![
        Scenario::new(
            "204 without a body",
            [answers(["HTTP/1.1 204 No Content\r\n\r\n"; 2])],
            [Post(Expect::status(204)), Post(Expect::status(204))],
        ),
        Scenario::new(
            "a length that a proxy put together of two",
            [answers(["HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"; 2])],
            [ok(), ok()],
        ),
        // The status counts, and the connection does not.
        Scenario::new(
            "a length that is none, where it does not matter",
            [answer("HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n"), answer(OK)],
            [Post(Expect::status(204)), ok()],
        ),
        Scenario::new(
            "304 with the length of a body that does not come",
            [answers(["HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"; 2])],
            [Post(Expect::status(304)), Post(Expect::status(304))],
        ),
        Scenario::new(
            "lines that end with a line feed alone",
            [answers(["HTTP/1.1 200 OK\nContent-Length: 2\n\nok"; 2])],
            [ok(), ok()],
        ),
        Scenario::new("a long head and a long body", [answers([&long; 2])], [ok(), ok()]),
        Scenario::new("a chunked body", [answers([&chunks; 2])], [ok(), ok()]),
        Scenario::new("a chunked body that is empty", [answers([&empty; 2])], [ok(), ok()]),
        Scenario::new("a chunked body with trailers", [answers([&trailers; 2])], [ok(), ok()]),
        Scenario::new(
            "an HTTP/1.0 answer that ends with the connection",
            [
                vec![Read, Send("HTTP/1.0 200 OK\r\n\r\nhello".into()), crate::Act::Close],
                answer(OK),
            ],
            [ok(), ok()],
        ),
        // Whether the rest is read or the connection given up is the transport's choice.
        Scenario::new(
            "a body of 10 MB",
            [vec![Read, Send(sized.into()), Send(body)], answer(OK)],
            [ok(), ok()],
        )
        .connections(1..=2),
        Scenario::new(
            "a body of 10 MB in one chunk",
            [vec![Read, Send(chunked.into()), Send(chunk)], answer(OK)],
            [ok(), ok()],
        )
        .connections(1..=2),
        Scenario::new(
            "a body without end",
            [vec![Read, Send(chunked.into()), Flood(b"4\r\nmore\r\n".repeat(500))], answer(OK)],
            [ok(), ok()],
        ),
        Scenario::new(
            "a slow answer, a byte at a time",
            [vec![Read, Drip(OK.into(), Duration::from_millis(1))]],
            [ok()],
        ),
    ]
}

/// Longer than a node's buffers, and short enough for the connection to be kept.
fn long() -> String {
    let reason = "OK ".repeat(500);
    let cookies = "Set-Cookie: a=b; Path=/; HttpOnly; SameSite=Strict\r\n".repeat(200);
    let policy = "default-src 'self'; ".repeat(500);
    let body = "x".repeat(DRAIN_MAX);
    format!(
        "HTTP/1.1 200 {reason}\r\n{cookies}Content-Security-Policy: {policy}\r\n\
         Content-Length: {DRAIN_MAX}\r\n\r\n{body}"
    )
}

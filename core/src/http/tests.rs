//! Answers, in whatever pieces they come. What `httparse` makes of them is compared by fuzzing.

use std::format;
use std::string::ToString as _;
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use proptest::collection;
use proptest::prelude::*;
use proptest::sample::select;

use super::answer::{Answer, HEADS_MAX};
use super::fields::Head;
use super::{Malformed, Response};
use crate::transport::RetryAfter;

/// How much was taken, and the head if there was one.
type Outcome = Result<(usize, Option<Head>), Malformed>;

fn whole(bytes: &[u8]) -> Outcome {
    Answer::new().take(bytes)
}

/// The same in pieces; none is longer than any of `lengths`, which take turns.
fn in_pieces(mut bytes: &[u8], lengths: &[usize]) -> Outcome {
    let mut answer = Answer::new();
    let mut taken = 0;
    for length in lengths.iter().cycle() {
        let (piece, rest) = bytes.split_at(bytes.len().min(*length));
        let (of_piece, head) = answer.take(piece)?;
        taken += of_piece;
        if head.is_some() || rest.is_empty() {
            return Ok((taken, head));
        }
        assert_eq!(of_piece, piece.len(), "what is no body belongs to the heads");
        bytes = rest;
    }
    unreachable!("there are lengths")
}

#[track_caller]
fn head(text: &str) -> Head {
    let outcome = whole(text.as_bytes());
    assert_eq!(in_pieces(text.as_bytes(), &[1]), outcome);
    let (taken, head) = outcome.unwrap();
    assert_eq!(taken, text.len());
    head.unwrap()
}

/// The head of a 200 with these header lines.
#[track_caller]
fn with(lines: &str) -> Head {
    head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"))
}

#[track_caller]
fn error(text: &str) -> Malformed {
    let outcome = whole(text.as_bytes()).unwrap_err();
    assert_eq!(in_pieces(text.as_bytes(), &[1]), Err(outcome));
    outcome
}

/// How long a body the connection may be kept behind.
fn kept(head: &Head) -> Option<usize> {
    let mut rest = head.rest(1_000)?;
    (0..=1_000).find(|_| rest.is_over() || rest.take(b"x").is_none()).filter(|_| rest.is_over())
}

#[test]
fn a_head_ends_with_an_empty_line_and_the_body_is_left() {
    for (text, status, behind) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, 0),
        ("\r\n\n\r\nHTTP/1.1 203\r\n\r\n\r\n", 203, 2),
        ("HTTP/1.1 102\r\n\r\n\r\nHTTP/1.1 204\r\n\r\n", 204, 0),
        ("HTTP/1.1 200 OK\nContent-Length: 4\n\nbody", 200, 4),
        ("HTTP/1.0 599\r\nA: b\r\n\r\nuntil the end", 599, 13),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nA:\r\n\r\nHTTP/1.1 201\r\n\r\nx", 201, 1),
    ] {
        let (taken, head) = whole(text.as_bytes()).unwrap();
        assert_eq!(in_pieces(text.as_bytes(), &[1]), Ok((taken, head)));
        assert_eq!(head.unwrap().response, Response::status(status), "{text:?}");
        assert_eq!(text.len() - taken, behind, "{text:?}");
    }
}

#[test]
fn what_is_no_answer_is_an_error() {
    for text in [
        "HTTP/1.1\r\n",
        "HTTP/1.2 200 OK\r\n",
        "http/1.1 200 OK\r\n",
        "HTTP/1.1 20\r\n",
        "HTTP/1.1 2x0\r\n",
        "HTTP/1.1 099\r\n",
        "HTTP/1.1 2000\r\n",
        "SSH-2.0-OpenSSH\r\n",
    ] {
        assert_eq!(error(text), Malformed::StatusLine, "{text:?}");
    }
    for value in [
        "",
        "-1",
        "+1",
        "1x",
        "0x1",
        "1 1",
        "99999999999999999999",
        "1, 2",
        "1,",
        "1\r",
        "1\x0c",
        "1\r\nContent-Length: 2",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n");
        let head = head(&text);
        assert_eq!(
            (head.response.status, kept(&head)),
            (200, None),
            "only the end is unknown: {text:?}"
        );
    }
    assert_eq!(error("HTTP/1.1 101 Switching\r\nA: b\r\n\r\n"), Malformed::Upgrade);
}

#[test]
fn an_error_says_what_is_wrong() {
    let all = [
        (Malformed::StatusLine, "status line"),
        (Malformed::Upgrade, "switch of protocols"),
        (Malformed::TooLarge, "too large"),
    ];
    for (error, words) in all {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn all_heads_together_are_bounded() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\n\r\n";
    let room = HEADS_MAX - last.len();
    let fill = |bytes: usize| {
        let many = interim.repeat(bytes / interim.len() - 2);
        let header = "A: ";
        let rest = bytes - many.len() - interim.len() - header.len() - 2;
        let long = format!("HTTP/1.1 102 Processing\r\n{header}{}\r\n\r\n", "x".repeat(rest));
        format!("{many}{long}{last}")
    };
    let most = fill(room);
    assert_eq!(most.len(), HEADS_MAX);
    assert_eq!(head(&most).response.status, 200);
    // The status line is the last to fit.
    let cut = fill(room + 2);
    assert_eq!(whole(cut.as_bytes()).unwrap().1.map(|head| head.response.status), Some(200));
    assert_eq!(error(&fill(room + 3)), Malformed::TooLarge);
    assert_eq!(error(&"x".repeat(HEADS_MAX + 1)), Malformed::TooLarge);
    assert_eq!(whole(&vec![b'x'; HEADS_MAX]), Ok((HEADS_MAX, None)));
}

#[test]
fn the_first_valid_retry_after_counts() {
    let delay = |seconds| Some(RetryAfter::Delay(Duration::from_secs(seconds)));
    let retry_after =
        |lines: &str| head(&format!("HTTP/1.1 429 Slow\r\n{lines}\r\n")).response.retry_after;
    assert_eq!(retry_after(""), None);
    assert_eq!(with("Retry-After: 7\r\n").response.retry_after, None, "of a 200");
    assert_eq!(retry_after("Retry-After: 7\r\n"), delay(7));
    assert_eq!(retry_after("retry-after: soon\r\nRETRY-AFTER:8\r\nRetry-After: 9\r\n"), delay(8));
    let long = format!("Retry-After: {}9\r\n", "0".repeat(200));
    assert_eq!(retry_after(&long), None, "what is cut says nothing");
}

/// The receiver's clock and this one may differ, and a node may have none.
#[test]
fn a_date_to_come_back_at_is_taken_by_the_senders_own_clock() {
    let text = |status, date, retry_after| {
        format!("HTTP/1.1 {status}\r\nRetry-After: {retry_after}\r\nDate: {date}\r\n\r\n")
    };
    let retry_after =
        |status, date, retry_after| head(&text(status, date, retry_after)).response.retry_after;
    let at = "Fri, 31 Dec 1999 23:59:59 GMT";
    let before = "Fri, 31 Dec 1999 23:59:49 GMT";
    for (status, date, asked, expected) in [
        (503, before, at, Some(RetryAfter::Delay(Duration::from_secs(10)))),
        (429, before, at, Some(RetryAfter::Delay(Duration::from_secs(10)))),
        (503, at, before, Some(RetryAfter::Delay(Duration::ZERO))),
        (503, before, "7", RetryAfter::parse(b"7")),
        (503, "today", at, RetryAfter::parse(at.as_bytes())),
        (503, "", at, RetryAfter::parse(at.as_bytes())),
        // The engine asks for it with no other status.
        (500, before, at, None),
    ] {
        assert_eq!(retry_after(status, date, asked), expected, "{status} {date} {asked}");
    }
    let long = format!("{}{before}", " ".repeat(200));
    assert_eq!(retry_after(503, &long, at), RetryAfter::parse(at.as_bytes()));
    let text = format!("HTTP/1.1 503\r\nDate: {before}\r\nRetry-After: {at}\r\n\r\n");
    assert_eq!(
        head(&text).response.retry_after,
        Some(RetryAfter::Delay(Duration::from_secs(10))),
        "whichever comes first"
    );
}

#[test]
fn an_idle_connection_is_trusted_less_long_than_the_server_keeps_it() {
    let most = 30_000_000;
    let idle = |value: &str| with(&format!("Keep-Alive: {value}\r\n")).idle_max(most) / 1_000_000;
    for (value, seconds) in [
        ("timeout=5", 4),
        ("max=100, timeout=5", 4),
        ("timeout= 5 ,max=100", 4),
        ("timeout=0", 0),
        ("timeout=31", 30),
        ("timeout=18446744073709551615", 30),
        ("timeout=600", 30),
        ("timeout=soon", 30),
        ("timeout=-1", 30),
        ("max=5", 30),
        ("timeout=5\r\nKeep-Alive: timeout=9", 4),
        (&format!("{}, timeout=5", "x".repeat(200)), 30),
    ] {
        assert_eq!(idle(value), seconds, "{value:?}");
    }
    assert_eq!(with("").idle_max(most), most);
}

#[test]
fn a_connection_is_kept_when_the_end_of_the_body_is_beyond_doubt() {
    for (lines, length) in [
        ("Content-Length: 0\r\n", 0),
        ("Content-Length: 7\r\n", 7),
        ("CONTENT-LENGTH:7 \r\nConnection: keep-alive, x\r\n", 7),
        ("Content-Length: 7\r\nContent-Length: 07\r\n", 7),
        ("Content-Length: 7,7 , 7\r\n", 7),
        ("Content-Length: 1000\r\n", 1_000),
        ("Content-Length: 7\r\nA: b\r\n folded\r\n", 7),
    ] {
        assert_eq!(kept(&with(lines)), Some(length), "{lines:?}");
    }
    let mut chunks = with("Transfer-Encoding: gzip, Chunked\r\n").rest(100).unwrap();
    assert_eq!(chunks.take(b"1\r\nx\r\n0\r\n\r\n!"), Some(11));
    assert!(chunks.is_over());
    for status in ["204", "304"] {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 7\r\n\r\n");
        assert_eq!(kept(&head(&text)), Some(0), "these have no body, whatever they say");
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: x\r\n\r\n");
        assert_eq!(kept(&head(&text)), None, "but that is not to be trusted");
    }

    let long = " ".repeat(200);
    for lines in [
        "",
        "Content-Length: 1001\r\n",
        "Content-Length: 7\r\nConnection: x, Close\r\n",
        "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: \x0cchunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: x\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 7\r\n",
        "Content-Length: 7\r\n folded\r\n",
        "A: b\r\nContent-Length: 7\r\n\tfolded\r\n folded again\r\n",
        &format!("Content-Length:{long}7\r\n"),
        &format!("Content-Length: 7\r\nContent-Length:{long}8\r\n"),
        &format!("Transfer-Encoding: chunked{long}, gzip\r\n"),
        &format!("Content-Length: 7\r\nTransfer-Encoding:{long}chunked\r\n"),
        &format!("Content-Length: 7\r\nConnection: x{long}\r\n"),
    ] {
        assert_eq!(with(lines).rest(1_000), None, "{lines:?}");
    }
    assert_eq!(kept(&head("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n")), None);
}

/// A line that is longer than what is looked at does no harm when it does not matter.
#[test]
fn long_lines_are_looked_at_up_to_a_point() {
    for length in [100, 110, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 200, 9_000]
    {
        let x = "x".repeat(length);
        for text in [
            format!("HTTP/1.1 200 {x}\r\nContent-Length: 7\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\nA: {x}\r\nContent-Length: 7\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\n{x}: a\r\nContent-Length: 7\r\n\r\n"),
        ] {
            assert_eq!(kept(&head(&text)), Some(7), "{length}");
        }
        // The same, folded: it does not count as a fold of the length before.
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n{x}: a\r\n b\r\n\r\n");
        assert_eq!(kept(&head(&text)), Some(7), "{length}");
    }
}

/// A warning that a script prints among its headers made a delivered event count as failed.
#[test]
fn a_line_that_is_no_header_is_skipped() {
    let long = "x".repeat(127);
    for line in
        ["PHP Warning: x", "nothing", ": v", "X-Powered-By : PHP", " folded", "\u{e9}: v", &long]
    {
        let head = with(&format!("{line}\r\nContent-Length: 7\r\n"));
        assert_eq!((head.response.status, kept(&head)), (200, Some(7)), "{line:?}");
    }
}

/// Some read it as a header and some do not.
#[test]
fn a_framing_header_with_a_space_before_its_colon_is_not_trusted() {
    for line in ["Content-Length : 7", "transfer-encoding\t: chunked", "Connection : close"] {
        let head = with(&format!("{line}\r\nContent-Length: 7\r\n"));
        assert_eq!((head.response.status, kept(&head)), (200, None), "{line:?}");
    }
}

/// Cookies of 40 KiB made a delivered event count as failed.
#[test]
fn a_status_in_a_head_beyond_the_bound_is_the_answer() {
    let cookies = "Set-Cookie: a=b\r\n".repeat(HEADS_MAX / 16);
    let endless = format!("X: {}", "x".repeat(HEADS_MAX));
    for lines in [&cookies, &endless] {
        for status in [200, 503] {
            let start = format!("HTTP/1.1 {status} OK\r\nRetry-After: 7\r\nContent-Length: 7\r\n");
            let text = format!("{start}{lines}\r\n\r\n");
            let (_, at_once) = whole(text.as_bytes()).unwrap();
            let (_, in_pieces) = in_pieces(text.as_bytes(), &[1]).unwrap();
            assert_eq!(at_once, in_pieces);
            let head = at_once.unwrap();
            assert_eq!(head.response.status, status);
            let asked = RetryAfter::parse(b"7").filter(|_| status == 503);
            assert_eq!(head.response.retry_after, asked);
            assert_eq!(kept(&head), None);
        }
    }
    assert_eq!(error(&format!("HTTP/1.1 102 Processing\r\n{cookies}")), Malformed::TooLarge);
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => select(vec![
            "HTTP/1.1 ", "HTTP/1.0 ", "200", "100", "204", "101", "503", " OK", "\r\n", "\r\n\r\n", "\n",
            "\r", "Content-Length", ": ", "7", "Transfer-Encoding", "chunked", "Connection", "close",
            "Keep-Alive", "timeout=5", "Retry-After", "120", "Date", "Thu, 01 Jan 1970 00:00:00 GMT", " ", "\t", ",", "X", "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 103 Early\r\n\r\n", "Content-Length: 2\r\n", "Connection: close\r\n",
        ])
        .prop_map(|part| part.as_bytes().to_vec()),
        1 => (select(vec![b'x', b' ', b'0']), 100_usize..140).prop_map(|(byte, n)| vec![byte; n]),
        1 => collection::vec(any::<u8>(), 0..8),
    ];
    let start = prop_oneof![Just("HTTP/1.1 200 OK\r\n"), Just("HTTP/1.1 200"), Just("")];
    (start, collection::vec(part, 0..24))
        .prop_map(|(start, parts)| [start.as_bytes(), &parts.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn pieces_make_no_difference(text in text(), lengths in collection::vec(1_usize..40, 1..6)) {
        let outcome = whole(&text);
        prop_assert_eq!(in_pieces(&text, &lengths), outcome);
        if let Ok((taken, head)) = outcome {
            prop_assert!(taken <= text.len());
            prop_assert!(head.is_some() || taken == text.len());
            prop_assert!(head.is_none_or(|head| (200..=999).contains(&head.response.status)));
        }
    }

    #[test]
    fn nothing_panics(bytes in collection::vec(any::<u8>(), 0..600), limit in any::<usize>()) {
        let _ = whole(&bytes);
        for lines in ["Transfer-Encoding: chunked\r\n", "Content-Length: 300\r\n"] {
            if let Some(mut rest) = with(lines).rest(limit) {
                let taken = rest.take(&bytes);
                prop_assert!(taken.is_none_or(|taken| taken <= bytes.len()));
            }
        }
    }
}

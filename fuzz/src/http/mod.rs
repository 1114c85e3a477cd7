//! HTTP answers into both transports. The oracle: `httparse`, on the whole answer at once.
//!
//! Takes two bytes of piece sizes (see `pieces`), a letter for how the server ends (`c`loses, `r`esets,
//! `s`tays and says no more, `f`loods: repeats the last 64 bytes for ever), then what it answers to the
//! first post. To the second, on whatever connection, it answers `SECOND`.
//!
//! - Every post ends, and none panics. The node reads no more than 64 KiB for one.
//! - A status is the one that `httparse` finds, and so is `Retry-After`.
//! - What is plainly right gets an answer: one framing, a head of 30,000 bytes at most. A final status line is
//!   an answer without the rest of its head, too.
//! - The second post gets the second answer, always: whatever the first one was, no byte of it is
//!   taken for the second.
//! - A connection is used again when the server stays and all is well, and given up when there is more
//!   than the answer, less, or a framing in doubt.
//!
//! The node is played to in memory, cut to the byte. The transport for tokio only takes sockets, so it
//! gets one on loopback, where pieces may flow together. A server that stays closes instead where a transport
//! may wait for more of the answer: the time-outs would take all the time there is.
//!
//! Known differences, in what is an answer at all:
//! - both look only at the lines that matter, so they take heads that `httparse` refuses for what
//!   other lines hold, such as lines without a colon, folded lines and control characters. Then a reader of lines must find
//!   their status;
//! - both refuse answers that `httparse` takes, for more interim heads than they read. An error is never wrong
//!   here: the engine tries again.

mod host;
#[cfg(test)]
mod inputs;
mod node;

pub(crate) use node::wait;

use pilot_webhook_core::http::{HEADS_MAX, Response};
use pilot_webhook_core::{EndpointBuf, Message, Policy, Reply, RetryAfter};

use crate::pieces::Pieces;
#[cfg(test)]
pub(crate) use inputs::{WORDS, grammar};

/// The answer to the second post.
const SECOND: &[u8] = b"HTTP/1.1 299 Second\r\nContent-Length: 0\r\n\r\n";
/// The posts' bodies. They end as nothing else in a request does.
const BODIES: [&[u8]; 2] = [b"{\"n\":1}", b"{\"n\":2}"];
/// What is repeated of a flood.
const WAVE: usize = 64;

/// What a server does after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Close,
    Reset,
    Stay,
    Flood,
}

/// What the server does to the first post.
struct Script<'a> {
    pieces: Pieces<'a>,
    ending: Ending,
}

impl<'a> Script<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        let mut pieces = Pieces::new(data)?;
        let ending = match pieces.split_first()? {
            b'r' => Ending::Reset,
            b's' => Ending::Stay,
            b'f' => Ending::Flood,
            _ => Ending::Close,
        };
        Some(Self { pieces, ending })
    }

    /// The bytes that are repeated in a flood.
    fn wave(answer: &[u8]) -> &[u8] {
        &answer[answer.len().saturating_sub(WAVE)..]
    }
}

/// What came of both posts. The errors are for people.
struct Outcomes {
    posts: [Result<Reply, String>; 2],
    connections: usize,
}

/// Takes what a server does.
pub fn run(data: &[u8]) {
    let Some(Script { pieces, ending }) = Script::new(data) else { return };
    let answer = pieces.rest();
    // A flood without a byte is silence.
    if ending == Ending::Flood && answer.is_empty() {
        return;
    }
    let mut answer = answer.to_vec();
    if ending == Ending::Flood {
        // More than anybody reads.
        let wave = Script::wave(&answer).to_vec();
        answer.extend(wave.repeat(2 * HEADS_MAX / wave.len() + 2_048));
    }
    let judged = judge(&answer);
    let settled = matches!(&judged, Verdict::Answer(head) if head.settled);
    let ending = if ending == Ending::Stay && !settled { Ending::Close } else { ending };
    let case = Case { judged, answer, ending };
    let node = node::play(Script { pieces: pieces.clone(), ending });
    case.check("node", &node).unwrap_or_else(|wrong| panic!("{wrong}"));
    // On loopback, bytes may be on their way still when the second post is made. No transport could
    // know of them; what goes wrong three times is wrong.
    let host = || case.check("host", &host::play(Script { pieces: pieces.clone(), ending }));
    host().or_else(|_| host()).or_else(|_| host()).unwrap_or_else(|wrong| panic!("{wrong}"));
}

struct Case {
    answer: Vec<u8>,
    ending: Ending,
    judged: Verdict,
}

impl Case {
    /// Whether the outcomes are right. If not, what is wrong.
    fn check(&self, name: &str, outcomes: &Outcomes) -> Result<(), String> {
        let Outcomes { posts: [first, second], connections } = outcomes;
        // A reset may overtake what was sent before it.
        let is_cut = name == "host" && self.ending == Ending::Reset;
        let right = match (&self.judged, first) {
            (Verdict::Answer(judged), Ok(response)) => {
                let Judged { status, retry_after, plain, .. } = *judged;
                *response == Reply::from(Response { status, retry_after })
                    // It may stand beyond what is read of a head, or a reset may overtake it.
                    || ((!plain || is_cut) && *response == Response::status(status).into())
            }
            (Verdict::Answer(judged), Err(_)) => !judged.plain || is_cut,
            (_, Ok(response)) => {
                let status = response.code;
                status_by_lines(&self.answer) == Some(status) && (200..=999).contains(&status)
            }
            (_, Err(_)) => true,
        };
        if !right {
            return Err(format!("{name}: {first:?}, judged {:?}", self.judged));
        }
        if *second != Ok(Response::status(299).into()) {
            return Err(format!("{name}: {second:?} for the second post, after {first:?}"));
        }
        let expected = match (&self.judged, first, self.ending) {
            (Verdict::Answer(judged), Ok(_), Ending::Stay) => judged.then,
            (_, Ok(_), Ending::Stay) => Then::Either,
            _ => Then::New,
        };
        match (expected, connections) {
            (Then::Either, _) | (Then::Same, 1) | (Then::New, 2) => Ok(()),
            _ => Err(format!("{name}: {connections} connections, judged {:?}", self.judged)),
        }
    }
}

const fn message(post: usize) -> Message<'static> {
    Message::new(&[], BODIES[post])
}

fn endpoint(port: u16) -> EndpointBuf<64> {
    EndpointBuf::parse(&format!("http://127.0.0.1:{port}/"), Policy::default()).unwrap()
}

/// Over which connection the second post goes, if the server stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Same,
    New,
    /// Both are right.
    Either,
}

/// The final head in an answer.
#[derive(Debug)]
struct Judged {
    status: u16,
    retry_after: Option<RetryAfter>,
    /// Nothing about it is in doubt.
    plain: bool,
    then: Then,
    /// Nobody waits for more of the body.
    settled: bool,
}

#[derive(Debug)]
enum Verdict {
    Answer(Judged),
    /// It is no HTTP, or switches to something else.
    Invalid,
    Incomplete,
}

fn judge(answer: &[u8]) -> Verdict {
    let mut rest = answer;
    loop {
        let mut headers = vec![httparse::EMPTY_HEADER; 4_096];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(rest) {
            Err(_) => return Verdict::Invalid,
            Ok(httparse::Status::Partial) => return Verdict::Incomplete,
            Ok(httparse::Status::Complete(length)) => length,
        };
        rest = &rest[length..];
        match response.code {
            Some(100 | 102..200) => {}
            Some(status @ 200..1_000) => {
                let is_old = response.version == Some(0);
                let mut judged = Judged::new(status, is_old, response.headers, rest);
                judged.plain &= status_by_lines(answer) == Some(status);
                if answer.len() - rest.len() > 30_000 {
                    // Around the bound, the rest of the head may have been read, or not.
                    judged.plain = false;
                    judged.then = if judged.then == Then::New { Then::New } else { Then::Either };
                }
                return Verdict::Answer(judged);
            }
            _ => return Verdict::Invalid,
        }
    }
}

impl Judged {
    fn new(status: u16, is_old: bool, headers: &[httparse::Header<'_>], body: &[u8]) -> Self {
        let named = |name: &str| -> Vec<&[u8]> {
            let all = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            all.map(|header| header.value).collect()
        };
        let connection = named("connection").join(&b',').to_ascii_lowercase();
        let closes = connection.split(|byte| *byte == b',').any(|o| o.trim_ascii() == b"close");
        let hints = !connection.is_empty() || !named("keep-alive").is_empty() || body.len() > 8_192;
        // Whether the framing is right, and whether the body ends in time, if that can be said.
        let (right, ends) = match (&named("content-length")[..], &named("transfer-encoding")[..]) {
            ([], []) if matches!(status, 204 | 304) => (true, Some(body.is_empty())),
            // Whatever they say, these have no body.
            ([length], [])
                if matches!(status, 204 | 304) && length.iter().all(u8::is_ascii_digit) =>
            {
                ((1..10).contains(&length.len()), Some(body.is_empty()))
            }
            _ if matches!(status, 204 | 304) => (false, None),
            ([], []) => (true, Some(false)),
            ([length], []) if length.iter().all(u8::is_ascii_digit) => {
                let length = str::from_utf8(length).unwrap().parse::<u32>().ok();
                (length.is_some(), length.map(|length| body.len() == length as usize))
            }
            ([], [b"chunked"]) => (!is_old, ends_in_time(body)),
            ([], _) | (_, []) => (false, None),
            // Both at once.
            _ => (false, Some(false)),
        };
        let retry_after = named("retry-after").into_iter().find_map(RetryAfter::parse);
        // With both dates, only how far they are apart counts.
        let date = named("date").last().and_then(|date| RetryAfter::parse(date));
        let retry_after = match (retry_after, date) {
            (Some(at @ RetryAfter::At(_)), Some(RetryAfter::At(date)))
                if matches!(status, 429 | 503) =>
            {
                Some(RetryAfter::Delay(at.delay(date)))
            }
            (asked, _) => asked,
        };
        let length = named("content-length").first().and_then(|length| str::from_utf8(length).ok());
        let length = length.and_then(|length| length.parse::<usize>().ok());
        let more = right && length.is_some_and(|length| body.len() > length);
        let then = match ends {
            _ if closes || is_old => Then::New,
            Some(false) => Then::New,
            Some(true) if right && !hints => Then::Same,
            _ => Then::Either,
        };
        Self {
            status,
            retry_after,
            plain: right && headers.len() <= 100,
            then,
            settled: (right && ends == Some(true)) || closes || is_old || more,
        }
    }
}

/// Whether a body in chunks ends exactly where the bytes end. `None`: how it is framed is in doubt.
fn ends_in_time(mut body: &[u8]) -> Option<bool> {
    loop {
        // Without a digit, `httparse` takes it for 0.
        if body.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
            return None;
        }
        let (start, length) = match httparse::parse_chunk_size(body) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => return Some(false),
            Err(_) => return None,
        };
        body = &body[start..];
        if length == 0 {
            // Trailers are headers, with all their differences.
            let ends = body.starts_with(b"\r\n") || b"\r\n".starts_with(body);
            return ends.then_some(body == b"\r\n");
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((_, rest)) = body.split_at_checked(length) else { return Some(false) };
        match rest {
            [b'\r', b'\n', ..] => body = &rest[2..],
            [] | [b'\r'] => return Some(false),
            _ => return None,
        }
    }
}

/// The status of the final head, for a reader that looks at nothing but lines.
fn status_by_lines(answer: &[u8]) -> Option<u16> {
    let mut lines = answer.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n")?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    });
    loop {
        let line = lines.find(|line| *line != Some(b""))??;
        let code = line.strip_prefix(b"HTTP/1.0 ").or(line.strip_prefix(b"HTTP/1.1 "))?;
        let (code, reason) = code.split_at_checked(3)?;
        let status = str::from_utf8(code).ok()?.parse().ok()?;
        if !matches!(reason, [] | [b' ', ..]) || !code.iter().all(u8::is_ascii_digit) {
            return None;
        }
        // A final status counts when its line is there. An interim one ends with its head.
        if !(100..200).contains(&status) {
            return Some(status);
        }
        if !lines.by_ref().map_while(|line| line).any(<[u8]>::is_empty) || status == 101 {
            return None;
        }
    }
}

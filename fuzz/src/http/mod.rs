//! HTTP answers into both transports. The judge: `httparse`, on the whole answer at once.
//!
//! Takes two bytes of piece sizes (see `pieces`), a letter for how the server ends (`c`loses, `r`esets,
//! `s`tays and says no more, `f`loods: repeats the last 64 bytes for ever), then what it answers to the
//! first post. To the second, on whatever connection, it answers [`SECOND`].
//!
//! - Every post ends, and none panics. The node reads no more than 64 KiB for one.
//! - A status is the one that `httparse` finds, and so is `Retry-After`.
//! - What is plainly right gets an answer: one framing, a head of 30,000 bytes at most.
//! - The second post gets the second answer, always: whatever the first one was, no byte of it is
//!   taken for the second, and a connection that is no good is given up.
//!
//! The node is played to in memory, cut to the byte. The transport for tokio only takes sockets, so it
//! gets one on loopback, where pieces may flow together. There, a server that stays in the middle of
//! an answer closes instead: waiting for the time-outs would take all the time there is.
//!
//! Known differences, in what is an answer at all:
//! - the node looks only at the lines that matter, so it takes heads that `httparse` refuses for what
//!   other lines hold, such as folded lines and control characters. Then a reader of lines must find
//!   its status;
//! - both refuse heads that `httparse` takes, for framings in doubt or more headers than they read. An
//!   error is never wrong here: the engine tries again.

mod host;
#[cfg(test)]
mod inputs;
mod node;

use pilot_webhook_core::{EndpointBuf, Policy, Request, Response, RetryAfter};

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

/// What came of both posts. The error is for people.
type Outcomes = [Result<Response, String>; 2];

/// Takes what a server does.
pub fn run(data: &[u8]) {
    let Some(script) = Script::new(data) else { return };
    let (answer, ending) = (script.pieces.rest(), script.ending);
    // A flood without a byte is silence.
    if ending == Ending::Flood && answer.is_empty() {
        return;
    }
    let mut answer = answer.to_vec();
    if ending == Ending::Flood {
        // More than anybody reads.
        answer.extend(Script::wave(&answer).repeat(2_048));
    }
    let judged = judge(&answer);
    let node = node::play(script);
    let host = host::play(Script::new(data).expect("it was one"), &judged);
    for (name, outcomes) in [("node", &node), ("host", &host)] {
        let [first, second] = outcomes;
        match (&judged, first) {
            (Verdict::Answer(judged), Ok(response)) => {
                let Judged { status, retry_after, .. } = *judged;
                assert_eq!(*response, Response { status, retry_after }, "{name}");
            }
            (Verdict::Answer(judged), Err(error)) => {
                // A reset may overtake what was sent before it.
                let lost = name == "host" && ending == Ending::Reset;
                assert!(!judged.plain || lost, "{name}: {error} for {judged:?}");
            }
            (_, Ok(response)) => {
                assert!((200..=999).contains(&response.status), "{name}: {response:?}");
                let found = status_by_lines(&answer) == Some(response.status);
                assert!(name == "node" && found, "{name}: {response:?}, judged {judged:?}");
            }
            (_, Err(_)) => {}
        }
        assert_eq!(*second, Ok(Response::status(299)), "{name}: the second post, after {first:?}");
    }
}

fn request<'a>(endpoint: &'a EndpointBuf<64>, post: usize) -> Request<'a> {
    Request { endpoint: endpoint.get(), headers: &[], body: BODIES[post] }
}

fn endpoint(port: u16) -> EndpointBuf<64> {
    EndpointBuf::parse(&format!("http://127.0.0.1:{port}/"), Policy::default()).unwrap()
}

/// The final head in an answer.
#[derive(Debug)]
struct Judged {
    status: u16,
    retry_after: Option<RetryAfter>,
    chunked: bool,
    /// Nothing about it is in doubt.
    plain: bool,
    /// The body has come to its end.
    complete: bool,
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
                let mut judged = Judged::new(status, response.headers, rest);
                // Empty lines before a status line are passed over by `httparse`, not by the node.
                judged.plain &= status_by_lines(answer) == Some(status);
                // HTTP/1.0 knows no chunks.
                judged.plain &= response.version == Some(1) || !judged.chunked;
                judged.plain &= answer.len() - rest.len() <= 30_000;
                return Verdict::Answer(judged);
            }
            _ => return Verdict::Invalid,
        }
    }
}

impl Judged {
    fn new(status: u16, headers: &[httparse::Header<'_>], body: &[u8]) -> Self {
        let named = |name: &str| -> Vec<&[u8]> {
            let all = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            all.map(|header| header.value).collect()
        };
        let (plain, complete) =
            match (&named("content-length")[..], &named("transfer-encoding")[..]) {
                ([], []) => (true, matches!(status, 204 | 304)),
                ([length], []) if length.iter().all(u8::is_ascii_digit) => {
                    match str::from_utf8(length).unwrap().parse::<u32>() {
                        Ok(length) => (true, body.len() >= length as usize),
                        Err(_) => (false, false),
                    }
                }
                ([], [b"chunked"]) => (true, body.ends_with(b"0\r\n\r\n")),
                _ => (false, false),
            };
        Self {
            status,
            chunked: !named("transfer-encoding").is_empty(),
            retry_after: named("retry-after").into_iter().find_map(RetryAfter::parse),
            plain: plain && headers.len() <= 100,
            complete,
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
        let line = lines.next()??;
        let code = line.strip_prefix(b"HTTP/1.0 ").or(line.strip_prefix(b"HTTP/1.1 "))?;
        let (code, reason) = code.split_at_checked(3)?;
        let status = str::from_utf8(code).ok()?.parse().ok()?;
        if !matches!(reason, [] | [b' ', ..]) || !code.iter().all(u8::is_ascii_digit) {
            return None;
        }
        // To the end of the head.
        while !lines.next()??.is_empty() {}
        match status {
            100 | 102..200 => {}
            _ => return Some(status),
        }
    }
}

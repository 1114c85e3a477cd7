//! What a head says: the status, and the headers that matter.

use super::Malformed;
use super::body::{Framing, Rest};
use super::status::Response;
use crate::ascii::{find, is_same, number};
use crate::event::Timestamp;
use crate::transport::{RetryAfter, parse_date};

/// The head of a final answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// What the engine wants to know.
    pub(super) response: Response,
    /// How many seconds the server keeps an idle connection, if it says so.
    keep_alive: Option<u32>,
    /// `None` when the connection ends with this answer.
    framing: Option<Framing>,
}

impl Head {
    /// A head that is not read to its end: the status counts, the connection is not used again.
    pub(super) const fn cut_short(response: Response) -> Self {
        Self { response, keep_alive: None, framing: None }
    }

    /// What is to be read before the connection may carry another request; `None` when it may not,
    /// or when that is more than `limit` bytes as far as is known.
    pub(super) fn rest(&self, limit: usize) -> Option<Rest> {
        Rest::new(self.framing?, limit)
    }

    /// How long the connection may idle, in microseconds: `most`, or less than the server says it waits (in the
    /// widespread form `Keep-Alive: timeout=5`).
    pub(super) fn idle_max(&self, most: u64) -> u64 {
        // A second less, for the request's way.
        let seconds = self.keep_alive.map(|kept| kept.saturating_sub(1));
        seconds.map_or(most, |seconds| most.min(u64::from(seconds) * 1_000_000))
    }
}

/// What is known of a head while it comes in.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    status: u16,
    retry_after: Option<RetryAfter>,
    /// The sender's own time, if that could matter.
    date: Option<Timestamp>,
    keep_alive: Option<u32>,
    length: Length,
    /// The last transfer coding, once there is any: is it `chunked`?
    chunked: Option<bool>,
    keep: bool,
    /// A header that decides about the framing was cut or folded: do not trust the framing.
    blurred: bool,
    /// Whether the last line was a header that matters.
    last_mattered: bool,
}

/// What was said of the body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Unsaid,
    Said(u64),
    /// No number, or several different ones.
    Invalid,
}

impl Fields {
    /// Those that follow a status line.
    pub(super) fn after(status_line: &[u8]) -> Result<Self, Malformed> {
        let (status, minor) = parse_status(status_line).ok_or(Malformed::StatusLine)?;
        Ok(Self {
            status,
            retry_after: None,
            date: None,
            keep_alive: None,
            length: Length::Unsaid,
            chunked: None,
            // HTTP/1.0 connections are not kept, whatever they say.
            keep: minor >= 1,
            blurred: false,
            last_mattered: false,
        })
    }

    /// Takes a line, or the beginning of one.
    ///
    /// A line that is no header is skipped, as browsers do: the receiver has the event, and what
    /// else it says is its own affair. Only the framing must be beyond doubt, or the connection is
    /// not used again.
    pub(super) fn take(&mut self, line: &[u8], is_cut: bool) {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            // A folded line, which only ancient servers send (RFC 9112, section 5.2).
            self.blurred |= self.last_mattered;
            return;
        }
        self.last_mattered = false;
        let Some((name, [_, value @ ..])) =
            find(line, b':').and_then(|at| line.split_at_checked(at))
        else {
            return;
        };
        let value = trim(value);
        if trim(name) != name {
            // With white space before its colon, some read it as a header and some do not (RFC 9112,
            // section 5.1).
            self.blurred |= decides_framing(trim(name));
            return;
        }
        self.last_mattered = true;
        if is_same(name, b"content-length") {
            self.blurred |= is_cut;
            // Several equal ones may have been put together.
            for value in list(value).filter(|_| !is_cut) {
                self.content_length(value);
            }
        } else if is_same(name, b"transfer-encoding") {
            self.blurred |= is_cut;
            for coding in list(value) {
                // Nothing may follow `chunked`.
                let first = self.chunked != Some(true);
                self.chunked = Some(first && is_same(coding, b"chunked"));
            }
        } else if is_same(name, b"connection") {
            let closes = |option: &[u8]| is_same(option, b"close");
            self.keep &= !is_cut && !list(value).any(closes);
        } else if is_same(name, b"retry-after") {
            if !is_cut && self.retry_after.is_none() && self.may_ask_to_wait() {
                self.retry_after = RetryAfter::parse(value);
            }
        } else if is_same(name, b"date") {
            if !is_cut && self.may_ask_to_wait() {
                self.date = parse_date(value);
            }
        } else if is_same(name, b"keep-alive") {
            if !is_cut && self.keep_alive.is_none() {
                self.keep_alive = parse_keep_alive(value);
            }
        } else {
            self.last_mattered = false;
        }
    }

    /// Nobody is heard who says when to come back with another status.
    const fn may_ask_to_wait(&self) -> bool {
        Response::status(self.status).may_ask_to_wait()
    }

    fn content_length(&mut self, value: &[u8]) {
        self.length = match (parse_digits(value), self.length) {
            (Some(length), Length::Unsaid) => Length::Said(length),
            (Some(length), Length::Said(earlier)) if length == earlier => self.length,
            _ => Length::Invalid,
        };
    }

    /// What is known of it when it is not read to its end. `None` for an interim answer.
    pub(super) fn so_far(&self) -> Option<Response> {
        (self.status >= 200).then(|| self.response())
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn response(&self) -> Response {
        // By the sender's clock a date is so far away, whatever the time is here.
        let retry_after = match (self.retry_after, self.date) {
            (Some(at @ RetryAfter::At(_)), Some(date)) => Some(RetryAfter::Delay(at.delay(date))),
            (asked, _) => asked,
        };
        Response { status: self.status, retry_after }
    }

    /// What all of it says (RFC 9112, section 6.3, whose order this is).
    pub(super) fn head(&self) -> Head {
        let framing = match (self.status, self.chunked, self.length) {
            (100..=199 | 204 | 304, ..) => Some(Framing::Length(0)),
            (_, Some(true), _) => Some(Framing::Chunked),
            (_, None, Length::Said(length)) => Some(Framing::Length(length)),
            // It ends with the connection.
            (_, Some(false), _) | (_, None, _) => None,
        };
        // Both headers at once is an attack or a mistake, and an invalid one is no reason for trust.
        let doubtful = self.blurred
            || (self.chunked.is_some() && self.length != Length::Unsaid)
            || self.length == Length::Invalid;
        Head {
            response: self.response(),
            keep_alive: self.keep_alive,
            framing: framing.filter(|_| self.keep && !doubtful),
        }
    }
}

/// Whether the end of the body, or the connection's, depends on the header of this name.
fn decides_framing(name: &[u8]) -> bool {
    [&b"content-length"[..], b"transfer-encoding", b"connection"]
        .iter()
        .any(|deciding| is_same(name, deciding))
}

/// Without the white space that may stand around a value (RFC 9110, section 5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The members of a list.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim)
}

/// The status and the minor version of HTTP/1.
fn parse_status(line: &[u8]) -> Option<(u16, u8)> {
    let (version, line) = line.split_first_chunk()?;
    let minor = match version {
        b"HTTP/1.0 " => 0,
        b"HTTP/1.1 " => 1,
        _ => return None,
    };
    // A reason may follow.
    let (code, reason) = line.split_first_chunk::<3>()?;
    if !code.iter().all(u8::is_ascii_digit) || reason.first().is_some_and(|byte| *byte != b' ') {
        return None;
    }
    let status = code.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    (status >= 100).then_some((status, minor))
}

/// A number of nothing but digits.
fn parse_digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// The seconds. More than fit are as good as none said.
fn parse_keep_alive(value: &[u8]) -> Option<u32> {
    let seconds = list(value).find_map(|parameter| parameter.strip_prefix(b"timeout="))?;
    number(trim(seconds), 10)
}

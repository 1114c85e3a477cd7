//! What a server says, piece by piece.

use heapless::Vec;

#[cfg(feature = "ed25519")]
use super::nonce::Nonce;
use super::{Fault, answer};
use crate::ascii::number;
use crate::transport::Reply;

/// The longest line that counts, and the longest answer with its headers and what ends it. JetStream's answers
/// have about 40 bytes, and its errors 150.
pub(super) const KEPT: usize = 512;

/// Something that a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// What the server is. It comes first, and may come again.
    Info,
    /// It wants to hear that somebody is there.
    Ping,
    /// Nothing that matters.
    Nothing,
    /// The message was longer than the server takes, and the connection ends.
    TooLarge,
    /// An answer to the publication of that number; `None` to something else.
    Answer(Option<u32>, Reply),
}

/// Reads what a server says. After an error it is of no more use.
#[derive(Clone, Debug)]
pub(super) struct Input {
    kept: Vec<u8, KEPT>,
    state: State,
    /// That of the first line.
    #[cfg(feature = "ed25519")]
    nonce: Nonce,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a line. Of a long one the beginning is kept.
    Line { is_cut: bool },
    /// In a message with so many bytes of headers, and so many bytes with them and the line's end.
    Message { to: Option<u32>, headers: usize, total: usize },
}

impl Input {
    pub(super) const fn new() -> Self {
        Self {
            kept: Vec::new(),
            state: State::Line { is_cut: false },
            #[cfg(feature = "ed25519")]
            nonce: Nonce::new(),
        }
    }

    /// What the server wants to be signed; empty for nothing.
    #[cfg(feature = "ed25519")]
    pub(super) fn nonce(&self) -> &[u8] {
        self.nonce.get()
    }

    /// Takes bytes from the front, until something was said with them.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Result<Option<Said>, Fault> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            #[cfg(feature = "ed25519")]
            self.nonce.hear(byte);
            let said = match self.state {
                State::Line { .. } if byte == b'\n' => self.line()?,
                State::Line { is_cut } => {
                    let is_full = self.kept.push(byte).is_err();
                    self.state = State::Line { is_cut: is_cut || is_full };
                    None
                }
                State::Message { to, headers, total } => {
                    self.kept.push(byte).map_err(|_| Fault::TooLong)?;
                    if self.kept.len() == total { Some(self.message(to, headers)?) } else { None }
                }
            };
            if said.is_some() {
                self.kept.clear();
                self.state = State::Line { is_cut: false };
                return Ok(said);
            }
        }
        Ok(None)
    }

    /// A line is complete.
    fn line(&mut self) -> Result<Option<Said>, Fault> {
        let State::Line { is_cut } = self.state else { return Err(Fault::Malformed) };
        let mut words = self.kept.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let said = match words.next() {
            Some(b"INFO") => Said::Info,
            Some(b"-ERR") => complaint(&self.kept)?,
            _ if is_cut => return Err(Fault::TooLong),
            Some(b"PING") => Said::Ping,
            Some(b"PONG" | b"+OK") => Said::Nothing,
            Some(b"MSG") => return self.begin(false),
            Some(b"HMSG") => return self.begin(true),
            _ => return Err(Fault::Malformed),
        };
        Ok(Some(said))
    }

    fn begin(&mut self, has_headers: bool) -> Result<Option<Said>, Fault> {
        self.state = announced(&self.kept, has_headers)?;
        self.kept.clear();
        Ok(None)
    }

    /// A message is complete.
    fn message(&self, to: Option<u32>, headers: usize) -> Result<Said, Fault> {
        let all = self.kept.strip_suffix(b"\r\n").ok_or(Fault::Malformed)?;
        let (headers, payload) = all.split_at_checked(headers).ok_or(Fault::Malformed)?;
        Ok(Said::Answer(to, answer::read(headers, payload)?))
    }
}

/// `MSG <subject> <sid> [<reply>] <bytes>`; `HMSG` has the bytes of its headers before those of all.
fn announced(line: &[u8], has_headers: bool) -> Result<State, Fault> {
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let words: Vec<&[u8], 7> = words.take(7).collect();
    let length = |word: &[u8]| number(word, 10).and_then(|length| usize::try_from(length).ok());
    let lengths = match (has_headers, &*words) {
        (false, [_, _, _, total] | [_, _, _, _, total]) => Some(0).zip(length(total)),
        (true, [_, _, _, headers, total] | [_, _, _, _, headers, total]) => {
            length(headers).zip(length(total))
        }
        _ => None,
    };
    let subject = words.get(1).copied().unwrap_or_default();
    match lengths {
        Some((headers, total)) if headers <= total => {
            if total > KEPT - 2 {
                return Err(Fault::TooLong);
            }
            let to = subject.rsplit(|byte| *byte == b'.').next();
            let to = to.and_then(|word| number(word, 10));
            Ok(State::Message { to, headers, total: total + 2 })
        }
        _ => Err(Fault::Malformed),
    }
}

/// What `-ERR '<text>'` means: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.
fn complaint(line: &[u8]) -> Result<Said, Fault> {
    let is = |text: &[u8]| line.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text));
    Err(if is(b"maximum payload") {
        return Ok(Said::TooLarge);
    } else if is(b"permissions violation") {
        Fault::Permission
    } else if is(b"authorization") || is(b"authentication") {
        Fault::Credentials
    } else {
        Fault::Ended
    })
}

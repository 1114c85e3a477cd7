//! Reading an answer: status, the four headers that matter, and the end of the body.
//!
//! The head is read line by line, so its size is bounded by a count and not by a buffer: a receiver
//! may send kilobytes of cookies and policies, and the node still needs only the beginning of one line
//! at a time.

use embedded_io_async::{ErrorKind as IoKind, Read};
use pilot_webhook_core::RetryAfter;

use crate::Malformed;
use crate::body::{Framing, Rest};

/// The most bytes of heads, interim answers included, before the server is cut off. Arbitrary:
/// four times what the common servers let a head grow to.
const HEAD_MAX: usize = 32 * 1_024;

/// Why an answer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    Io(IoKind),
    Closed,
    Malformed(Malformed),
    TooLarge,
}

impl From<Malformed> for ReadError {
    fn from(what: Malformed) -> Self {
        Self::Malformed(what)
    }
}

/// The head of a final answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) framing: Framing,
    /// The connection may carry another request once the body was read.
    pub(crate) keep: bool,
}

/// Reads from `source` through a small buffer.
#[derive(Debug)]
pub(crate) struct Reader<'r, R> {
    source: &'r mut R,
    buf: &'r mut [u8],
    start: usize,
    end: usize,
    /// Bytes of lines that may still come.
    lines_left: usize,
}

impl<'r, R: Read<Error = IoKind>> Reader<'r, R> {
    pub(crate) const fn new(source: &'r mut R, buf: &'r mut [u8]) -> Self {
        Self { source, buf, start: 0, end: 0, lines_left: HEAD_MAX }
    }

    /// Reads at least one more byte behind `end`, which must have room.
    async fn more(&mut self) -> Result<(), ReadError> {
        match self.source.read(&mut self.buf[self.end..]).await {
            Ok(0) => Err(ReadError::Closed),
            Ok(length) => {
                self.end += length;
                Ok(())
            }
            Err(kind) => Err(ReadError::Io(kind)),
        }
    }

    /// The next line without its end, and whether it was cut because it did not fit.
    async fn line(&mut self) -> Result<(&[u8], bool), ReadError> {
        self.buf.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let half = self.buf.len() / 2;
        let mut looked = 0;
        let mut cut = false;
        loop {
            if let Some(at) = self.buf[looked..self.end].iter().position(|b| *b == b'\n') {
                self.start = looked + at + 1;
                self.count(at + 1)?;
                let line = &self.buf[..if cut { half } else { looked + at }];
                return Ok((line.strip_suffix(b"\r").unwrap_or(line), cut));
            }
            self.count(self.end - looked)?;
            if self.end == self.buf.len() {
                // The first half stays, the second is room to look for the end of the line.
                cut = true;
                self.end = half;
            }
            looked = self.end;
            self.more().await?;
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.lines_left = self.lines_left.checked_sub(bytes).ok_or(ReadError::TooLarge)?;
        Ok(())
    }

    /// Reads heads until that of the final answer.
    pub(crate) async fn head(&mut self) -> Result<Head, ReadError> {
        loop {
            let head = self.any_head().await?;
            match head.status {
                101 => return Err(Malformed::Upgrade.into()),
                100..=199 => {}
                _ => return Ok(head),
            }
        }
    }

    async fn any_head(&mut self) -> Result<Head, ReadError> {
        let (line, _cut) = self.line().await?;
        let (status, minor) = status_line(line).ok_or(Malformed::StatusLine)?;
        let mut fields = Fields::new(minor);
        loop {
            let (line, cut) = self.line().await?;
            if line.is_empty() && !cut {
                return Ok(fields.head(status));
            }
            fields.take(line, cut)?;
        }
    }

    /// Reads the rest of a body to its end. `true` when the connection stands exactly behind it;
    /// `false` when the body is larger than its limit, wrong, or cut short. Dropped while it waits, it
    /// has noted in `rest` all that it read.
    pub(crate) async fn drain(&mut self, rest: &mut Rest) -> bool {
        loop {
            let Some(taken) = rest.take(&self.buf[self.start..self.end]) else { return false };
            self.start += taken;
            if rest.is_over() {
                // Anything behind the body was not asked for.
                return self.start == self.end;
            }
            (self.start, self.end) = (0, 0);
            if self.more().await.is_err() {
                return false;
            }
        }
    }
}

/// The status and the minor version of HTTP/1.
fn status_line(line: &[u8]) -> Option<(u16, u8)> {
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

/// The headers that matter, as they come in.
#[derive(Debug)]
struct Fields {
    retry_after: Option<RetryAfter>,
    length: Option<u64>,
    /// The last transfer coding, once there is any: is it `chunked`?
    chunked: Option<bool>,
    keep: bool,
    /// A header that decides about the framing was cut or folded: do not trust the framing.
    blurred: bool,
    last_mattered: bool,
    any: bool,
}

impl Fields {
    const fn new(minor_version: u8) -> Self {
        Self {
            retry_after: None,
            length: None,
            chunked: None,
            // HTTP/1.0 connections are not kept, whatever they say.
            keep: minor_version >= 1,
            blurred: false,
            last_mattered: false,
            any: false,
        }
    }

    fn take(&mut self, line: &[u8], cut: bool) -> Result<(), ReadError> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            // A folded line, which only ancient servers send (RFC 9112, section 5.2).
            self.blurred |= self.last_mattered;
            return if self.any { Ok(()) } else { Err(Malformed::Header.into()) };
        }
        self.any = true;
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            return if cut { Ok(()) } else { Err(Malformed::Header.into()) };
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
            return Err(Malformed::Header.into());
        }
        self.last_mattered = true;
        if name.eq_ignore_ascii_case(b"content-length") {
            self.blurred |= cut;
            if !cut {
                self.content_length(value)?;
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.blurred |= cut;
            let last = value.rsplit(|b| *b == b',').next().unwrap_or_default().trim_ascii();
            // Nothing may follow `chunked`.
            let first = self.chunked != Some(true);
            self.chunked = Some(first && last.eq_ignore_ascii_case(b"chunked"));
        } else if name.eq_ignore_ascii_case(b"connection") {
            let close = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"close");
            self.keep &= !cut && !value.split(|b| *b == b',').any(close);
        } else if name.eq_ignore_ascii_case(b"retry-after") {
            if !cut && self.retry_after.is_none() {
                self.retry_after = RetryAfter::parse(value);
            }
        } else {
            self.last_mattered = false;
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), ReadError> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = core::str::from_utf8(value).ok().filter(|_| digits);
        let length = length.and_then(|digits| digits.parse().ok());
        let length: u64 = length.ok_or(Malformed::ContentLength)?;
        if self.length.is_some_and(|earlier| earlier != length) {
            return Err(Malformed::ContentLength.into());
        }
        self.length = Some(length);
        Ok(())
    }

    fn head(&self, status: u16) -> Head {
        let framing = match (status, self.chunked, self.length) {
            (100..=199 | 204 | 304, ..) => Framing::Length(0),
            _ if self.blurred => Framing::UntilClose,
            (_, Some(true), _) => Framing::Chunked,
            (_, None, Some(length)) => Framing::Length(length),
            _ => Framing::UntilClose,
        };
        // Both headers at once is an attack or a mistake (RFC 9112, section 6.3).
        let doubtful = self.blurred || (self.chunked.is_some() && self.length.is_some());
        let keep = self.keep && !doubtful && framing != Framing::UntilClose;
        Head { status, retry_after: self.retry_after, framing, keep }
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

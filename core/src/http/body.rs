//! The end of an answer's body, looked for in whatever pieces it comes.
//!
//! A body may be slower than the status that it comes with. So what is left of it is a value, which
//! is kept with the connection until the next request needs that.

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// What is not read yet of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    state: State,
    /// Bytes that may still come, framing included.
    limit: usize,
}

/// Where in a body (RFC 9112, section 7.1). Chunk extensions and trailers are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Of a body with a length, so many bytes are left.
    Length(usize),
    /// In a chunk's size, of which so much is known.
    Size(Option<usize>),
    /// Behind the size.
    Extension(usize),
    /// At the end of the size's line.
    SizeEnd(usize),
    /// In a chunk, of which so many bytes are left.
    Chunk(usize),
    /// Behind a chunk.
    ChunkEnd,
    /// The same, and half of the line's end has come.
    ChunkLineEnd,
    /// In the lines behind the last chunk. Was this one empty so far?
    Trailer(bool),
    Over,
}

impl Rest {
    /// All of a body, if it has an end within `limit` bytes as far as is known.
    pub(super) fn new(framing: Framing, limit: usize) -> Option<Self> {
        let state = match framing {
            Framing::Length(0) => State::Over,
            Framing::Length(length) => {
                State::Length(usize::try_from(length).ok().filter(|length| *length <= limit)?)
            }
            Framing::Chunked => State::Size(None),
        };
        Some(Self { state, limit })
    }

    /// Whether nothing is left.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes what belongs to it from the beginning of `bytes`; tells how much that was, or `None`
    /// when it is wrong or too long.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut taken = 0;
        while !self.is_over()
            && let Some(&byte) = bytes.get(taken)
        {
            let here = bytes.len() - taken;
            let step = match self.state {
                State::Length(left) | State::Chunk(left) => left.min(here),
                _ => 1,
            };
            self.limit = self.limit.checked_sub(step)?;
            self.state = self.state.after(step, byte)?;
            if matches!(self.state, State::Chunk(size) if size > self.limit) {
                return None;
            }
            taken += step;
        }
        Some(taken)
    }
}

impl State {
    /// After so many bytes, or after this one. `None` when it must not stand there.
    fn after(self, step: usize, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Length(left), _) if left == step => Self::Over,
            (Self::Length(left), _) => Self::Length(left - step),
            (Self::Chunk(left), _) if left == step => Self::ChunkEnd,
            (Self::Chunk(left), _) => Self::Chunk(left - step),
            (Self::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16)?;
                Self::Size(Some(size.unwrap_or(0).checked_mul(16)? + digit as usize))
            }
            (Self::Size(Some(size)), b';' | b' ' | b'\t') => Self::Extension(size),
            (Self::Size(Some(size)) | Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::SizeEnd(0), b'\n') => Self::Trailer(true),
            (Self::SizeEnd(size), b'\n') => Self::Chunk(size),
            // A line feed alone: some take it for the end of the line, and some do not.
            (Self::Extension(_), b'\n') => return None,
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::ChunkEnd, b'\r') => Self::ChunkLineEnd,
            (Self::ChunkLineEnd, b'\n') => Self::Size(None),
            (Self::Trailer(true), b'\n') => Self::Over,
            (Self::Trailer(false), b'\n') => Self::Trailer(true),
            (Self::Trailer(empty), b'\r') => Self::Trailer(empty),
            (Self::Trailer(_), _) => Self::Trailer(false),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1_000;

    /// How much of `bytes` is the body, whole and byte by byte; `None` when it is wrong.
    #[track_caller]
    fn body(framing: Framing, bytes: &[u8]) -> Option<(usize, bool)> {
        let at_once = || {
            let mut rest = Rest::new(framing, LIMIT)?;
            Some((rest.take(bytes)?, rest.is_over()))
        };
        let bytewise = || {
            let mut rest = Rest::new(framing, LIMIT)?;
            let mut taken = 0;
            for byte in bytes {
                taken += rest.take(&[*byte])?;
            }
            Some((taken, rest.is_over()))
        };
        assert_eq!(at_once(), bytewise(), "{bytes:?}");
        at_once()
    }

    #[test]
    fn a_length_is_counted() {
        assert_eq!(body(Framing::Length(0), b"more"), Some((0, true)));
        assert_eq!(body(Framing::Length(4), b"bodymore"), Some((4, true)));
        assert_eq!(body(Framing::Length(4), b"bod"), Some((3, false)));
        assert_eq!(body(Framing::Length(LIMIT as u64 + 1), b""), None);
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        for (bytes, more) in [
            (&b"0\r\n\r\n"[..], 0),
            (b"0\r\n\r\nmore", 4),
            (b"2\r\nok\r\n0\r\n\r\nmore", 4),
            (b"0002;a=\"b\"\r\nok\r\n0;c\r\nSum: 1\r\nMore: 2\r\n\r\n", 0),
            (b"2 \r\nok\r\n0\t\r\n\n", 0),
            (b"A\r\n0123456789\r\n00\r\nSum: 1\n\nmore", 4),
        ] {
            let end = bytes.len() - more;
            assert_eq!(body(Framing::Chunked, bytes), Some((end, true)));
            for cut in 0..end {
                assert_eq!(body(Framing::Chunked, &bytes[..cut]), Some((cut, false)));
            }
        }
    }

    #[test]
    fn chunks_that_are_none_are_wrong() {
        for bytes in [
            &b"\r\nok"[..],
            b"zz\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b";a\r\n",
            b"1\rx",
            b"1\nx\r\n",
            b"1;x\nx\r\n",
            b"1\r\nx\n",
            b"1\r\nok\r\n",
            b"1\r\no\rk",
            b"10000000000000000\r\n",
            b"ffffffffffffffffff\r\n",
        ] {
            assert_eq!(body(Framing::Chunked, bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn no_body_is_longer_than_its_limit() {
        let extension = [b"1;", &[b'x'; 1_000][..]].concat();
        assert_eq!(body(Framing::Chunked, &extension), None);
        let trailer = [b"0\r\n", &[b'x'; 1_000][..]].concat();
        assert_eq!(body(Framing::Chunked, &trailer), None);
        // What remains of the limit after the size of 5 bytes is 0x3e3.
        assert_eq!(body(Framing::Chunked, b"3e3\r\n"), Some((5, false)));
        for size in [&b"3e4\r\n"[..], b"3e5\r\n", b"ffffffffffffffff\r\n"] {
            assert_eq!(body(Framing::Chunked, size), None, "there is no need to read it");
        }
    }
}

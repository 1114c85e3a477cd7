//! Reading an answer through a small buffer.

use embedded_io_async::{ErrorKind as IoKind, Read};
use pilot_webhook_core::http::{Answer, Head, Malformed, Rest};

/// Why an answer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    Io(IoKind),
    Closed,
    Malformed(Malformed),
}

/// Reads from `source` through a small buffer.
#[derive(Debug)]
pub(crate) struct Reader<'r, R> {
    source: &'r mut R,
    buf: &'r mut [u8],
    start: usize,
    end: usize,
}

impl<'r, R: Read<Error = IoKind>> Reader<'r, R> {
    pub(crate) const fn new(source: &'r mut R, buf: &'r mut [u8]) -> Self {
        Self { source, buf, start: 0, end: 0 }
    }

    /// Fills the buffer anew; what was in it is taken.
    async fn more(&mut self) -> Result<(), ReadError> {
        (self.start, self.end) = (0, 0);
        self.end = match self.source.read(self.buf).await {
            Ok(0) => return Err(ReadError::Closed),
            Ok(length) => length,
            Err(kind) => return Err(ReadError::Io(kind)),
        };
        Ok(())
    }

    /// Reads heads until that of the final answer.
    pub(crate) async fn head(&mut self) -> Result<Head, ReadError> {
        let mut answer = Answer::new();
        loop {
            self.more().await?;
            let (taken, head) = answer.take(&self.buf[..self.end]).map_err(ReadError::Malformed)?;
            self.start = taken;
            if let Some(head) = head {
                return Ok(head);
            }
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
            if self.more().await.is_err() {
                return false;
            }
        }
    }
}

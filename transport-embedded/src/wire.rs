//! A socket that counts: what it has sent of a request, and what it may still read of the answer.

use core::cell::Cell;

use embedded_io_async::{Error as _, ErrorKind as IoKind, ErrorType, Read, Write};

/// The counters of a [`Wire`]. The wire moves into embedded-tls's connection, which gives no access
/// to it, so they are kept outside: the owner sets them when a request begins, then only the wire
/// changes them.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Bytes that the socket took since the request was begun.
    sent: Cell<usize>,
    /// Bytes that may still be read before the server is cut off.
    allowance: Cell<usize>,
}

impl Meter {
    pub(crate) const fn new() -> Self {
        Self { sent: Cell::new(0), allowance: Cell::new(0) }
    }

    /// A request begins, or a handshake: nothing is sent, and `allowance` bytes may be read.
    pub(crate) fn begin(&self, allowance: usize) {
        self.sent.set(0);
        self.allowance.set(allowance);
    }

    /// Whether the socket has taken a byte since [`begin`](Self::begin).
    pub(crate) const fn has_sent(&self) -> bool {
        self.sent.get() > 0
    }

    /// Whether the allowance is used up. Every read fails then.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.allowance.get() == 0
    }
}

/// The socket. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Wire<'b, S> {
    socket: S,
    meter: &'b Meter,
}

impl<'b, S: Read + Write> Wire<'b, S> {
    pub(crate) const fn new(socket: S, meter: &'b Meter) -> Self {
        Self { socket, meter }
    }

    #[cfg(feature = "_https")]
    pub(crate) const fn meter(&self) -> &'b Meter {
        self.meter
    }
}

impl<S> ErrorType for Wire<'_, S> {
    type Error = IoKind;
}

impl<S: Read + Write> Read for Wire<'_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoKind> {
        if buf.is_empty() {
            return Ok(0);
        }
        let allowance = self.meter.allowance.get();
        let room = buf.len().min(allowance);
        if room == 0 {
            return Err(IoKind::OutOfMemory);
        }
        let length = self.socket.read(&mut buf[..room]).await.map_err(|error| error.kind())?;
        self.meter.allowance.set(allowance - length);
        Ok(length)
    }
}

impl<S: Read + Write> Write for Wire<'_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        let length = self.socket.write(buf).await.map_err(|error| error.kind())?;
        if length == 0 && !buf.is_empty() {
            // `write_all` would panic on it.
            return Err(IoKind::WriteZero);
        }
        self.meter.sent.set(self.meter.sent.get() + length);
        Ok(length)
    }

    async fn flush(&mut self) -> Result<(), IoKind> {
        self.socket.flush().await.map_err(|error| error.kind())
    }
}

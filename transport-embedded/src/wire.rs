//! A socket under watch: what was sent, how much may still be read, whether it is still open.

use core::cell::Cell;
use core::task::Poll;

use embedded_io_async::{Error as _, ErrorKind as IoKind, ErrorType, Read, Write};

#[cfg(feature = "tls")]
use crate::tls::{Phase, Scanner, TlsFailure};

/// What a [`Wire`] and its owner tell each other.
///
/// The wire itself moves into embedded-tls's connection, which gives no access to it; so they talk
/// through these cells.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Bytes that the socket took since the request was begun.
    pub(crate) sent: Cell<usize>,
    /// Bytes that may still be read before the server is cut off.
    pub(crate) budget: Cell<usize>,
    /// The budget ran out.
    pub(crate) exhausted: Cell<bool>,
    /// The server closed the connection, or the socket failed.
    pub(crate) lost: Cell<Option<IoKind>>,
    pub(crate) probe: Cell<Probe>,
    /// The last read ended within a TLS record. embedded-tls then keeps what it knows of it in the
    /// future of a read, which must not be dropped.
    pub(crate) in_record: Cell<bool>,
    #[cfg(feature = "tls")]
    pub(crate) phase: Cell<Phase>,
    #[cfg(feature = "tls")]
    pub(crate) failure: Cell<Option<TlsFailure>>,
}

/// Whether a connection that should be idle really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Nobody asks.
    Off,
    /// The next read looks once, without waiting, and takes at most one byte.
    Asked,
    /// It looked: open, and nothing to read.
    Idle,
    /// It looked: closed, reset, or the server speaks without being asked.
    Stale,
}

impl Watch {
    pub(crate) const fn new() -> Self {
        Self {
            sent: Cell::new(0),
            budget: Cell::new(0),
            exhausted: Cell::new(false),
            lost: Cell::new(None),
            probe: Cell::new(Probe::Off),
            in_record: Cell::new(false),
            #[cfg(feature = "tls")]
            phase: Cell::new(Phase::Plain),
            #[cfg(feature = "tls")]
            failure: Cell::new(None),
        }
    }

    /// Forgets everything about an earlier connection or request.
    pub(crate) fn restart(&self, budget: usize) {
        self.sent.set(0);
        self.budget.set(budget);
        self.exhausted.set(false);
        self.lost.set(None);
        self.probe.set(Probe::Off);
        self.in_record.set(false);
        #[cfg(feature = "tls")]
        self.failure.set(None);
    }
}

/// The socket. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Wire<'b, S> {
    socket: S,
    watch: &'b Watch,
    #[cfg(feature = "tls")]
    scanner: Scanner,
}

impl<'b, S: Read + Write> Wire<'b, S> {
    pub(crate) const fn new(socket: S, watch: &'b Watch) -> Self {
        Self {
            socket,
            watch,
            #[cfg(feature = "tls")]
            scanner: Scanner::new(),
        }
    }

    fn lost(&self, kind: IoKind) -> IoKind {
        self.watch.lost.set(Some(kind));
        kind
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
        if self.watch.probe.get() == Probe::Asked {
            // A read that is polled once and dropped while pending takes nothing from a socket.
            let seen = embassy_futures::poll_once(self.socket.read(&mut buf[..1]));
            self.watch.probe.set(match seen {
                Poll::Pending => Probe::Idle,
                Poll::Ready(_) => Probe::Stale,
            });
            return Err(IoKind::Interrupted);
        }
        let room = buf.len().min(self.watch.budget.get());
        if room == 0 {
            self.watch.exhausted.set(true);
            return Err(IoKind::OutOfMemory);
        }
        let read = self.socket.read(&mut buf[..room]).await;
        let length = read.map_err(|error| self.lost(error.kind()))?;
        if length == 0 {
            self.lost(IoKind::ConnectionAborted);
        }
        self.watch.budget.set(self.watch.budget.get() - length);
        #[cfg(feature = "tls")]
        if self.watch.phase.get() != Phase::Plain {
            let scanned = self.scanner.scan(&mut buf[..length], self.watch.phase.get());
            scanned.map_err(|failure| {
                self.watch.failure.set(Some(failure));
                IoKind::InvalidData
            })?;
            self.watch.in_record.set(self.scanner.is_in_record());
        }
        Ok(length)
    }
}

impl<S: Read + Write> Write for Wire<'_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        let written = self.socket.write(buf).await;
        let length = written.map_err(|error| self.lost(error.kind()))?;
        if length == 0 && !buf.is_empty() {
            // `write_all` would panic on it.
            return Err(self.lost(IoKind::WriteZero));
        }
        self.watch.sent.set(self.watch.sent.get() + length);
        Ok(length)
    }

    async fn flush(&mut self) -> Result<(), IoKind> {
        let flushed = self.socket.flush().await;
        flushed.map_err(|error| self.lost(error.kind()))
    }
}

//! The wire as embedded-tls sees it: every byte from the server passes the [`Scanner`] first.

use core::cell::Cell;

use embedded_io_async::{ErrorKind as IoKind, ErrorType, Read, Write};

use super::failure::TlsFailure;
use super::scan::Scanner;
use crate::wire::Wire;

/// What a connection's fence has found. The fence moves into embedded-tls's connection, which gives
/// no access to it, so its findings are kept outside.
#[derive(Debug)]
pub(crate) struct Findings {
    /// The first failure, until it is taken.
    failure: Cell<Option<TlsFailure>>,
    /// The last read ended within a record. embedded-tls then keeps what it knows of it in the future
    /// of a read, which must not be dropped.
    in_record: Cell<bool>,
}

impl Findings {
    pub(crate) const fn new() -> Self {
        Self { failure: Cell::new(None), in_record: Cell::new(false) }
    }

    /// Forgets a connection that is gone.
    pub(super) fn clear(&self) {
        self.failure.set(None);
        self.in_record.set(false);
    }

    /// Keeps a failure, unless an earlier one is there: that one is the cause.
    pub(super) fn note(&self, failure: TlsFailure) {
        self.failure.set(self.failure.get().or(Some(failure)));
    }

    pub(super) fn take_failure(&self) -> Option<TlsFailure> {
        self.failure.take()
    }

    pub(super) const fn is_in_record(&self) -> bool {
        self.in_record.get()
    }
}

/// A wire with a scanner.
pub(super) struct Fence<'b, S> {
    wire: Wire<'b, S>,
    scanner: Scanner,
    findings: &'b Findings,
}

impl<'b, S: Read + Write> Fence<'b, S> {
    /// For a new connection, whose records are at most `room` bytes long. `findings` are clear.
    pub(super) fn new(wire: Wire<'b, S>, room: usize, findings: &'b Findings) -> Self {
        Self { wire, scanner: Scanner::new(room), findings }
    }
}

impl<S> ErrorType for Fence<'_, S> {
    type Error = IoKind;
}

impl<S: Read + Write> Read for Fence<'_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoKind> {
        let length = self.wire.read(buf).await?;
        if let Err(failure) = self.scanner.scan(&mut buf[..length]) {
            self.findings.note(failure);
            return Err(IoKind::InvalidData);
        }
        self.findings.in_record.set(self.scanner.is_in_record());
        Ok(length)
    }
}

impl<S: Read + Write> Write for Fence<'_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        self.scanner.client_writes();
        self.wire.write(buf).await
    }

    async fn flush(&mut self) -> Result<(), IoKind> {
        self.wire.flush().await
    }
}

//! The one TLS connection at a time, the record buffers that each new one takes over, and what
//! embedded-tls's errors mean.

use core::marker::PhantomData;
use core::ptr::NonNull;

use embedded_io_async::{ErrorKind as IoKind, Read, Write};
use embedded_tls::{CryptoProvider, TlsConnection, TlsContext, TlsError};

use super::failure::{Algorithm, Limit, TlsFailure};
use super::fence::{Fence, Findings};
use super::suite::{self, Suite};
use crate::wire::Wire;

/// Two buffers, borrowed for `'b`, to be lent to one connection after the other.
///
/// embedded-tls keeps the buffers as `&'b mut [u8]` and never gives them back, and the connection
/// has to live beside the buffers from one post to the next. The borrow checker knows no way to say
/// "again, now that the connection is gone"; hence two lines of unsafe code.
pub(crate) struct Records<'b> {
    rx: NonNull<[u8]>,
    tx: NonNull<[u8]>,
    borrowed: PhantomData<&'b mut [u8]>,
}

impl<'b> Records<'b> {
    pub(crate) fn new(rx: &'b mut [u8], tx: &'b mut [u8]) -> Self {
        Self { rx: rx.into(), tx: tx.into(), borrowed: PhantomData }
    }

    /// # Safety
    /// No slice from an earlier call may be used after this one.
    #[allow(unsafe_code, reason = "see the type")]
    const unsafe fn lend(&mut self) -> (&'b mut [u8], &'b mut [u8]) {
        // SAFETY: both pointers come from distinct `&'b mut [u8]` that this value took over, so for
        // 'b the memory is valid and reached through this value alone; the caller has given up what
        // was lent before.
        unsafe { (self.rx.as_mut(), self.tx.as_mut()) }
    }
}

/// At most one connection. It never leaves this type, and with it the lent buffers do not.
pub(crate) struct Session<'b, S: Read + Write + 'b> {
    connection: Option<TlsConnection<'b, Fence<'b, S>, Suite>>,
    records: Option<Records<'b>>,
    findings: &'b Findings,
}

impl<'b, S: Read + Write + 'b> Session<'b, S> {
    pub(crate) const fn new(findings: &'b Findings) -> Self {
        Self { connection: None, records: None, findings }
    }

    /// Takes over the buffers, and closes the connection that uses the ones before.
    pub(crate) fn set_records(&mut self, records: Records<'b>) {
        self.close();
        self.records = Some(records);
    }

    /// How long a record may be.
    pub(super) fn record_room(&self) -> Option<usize> {
        self.records.as_ref().map(|records| records.rx.len())
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Drops the connection, and what was found about it.
    pub(crate) fn close(&mut self) {
        self.connection = None;
        self.findings.clear();
    }

    /// Whether the last read of the connection ended within a record. If that read was dropped, a part of the
    /// record is lost.
    pub(crate) const fn is_in_record(&self) -> bool {
        self.findings.is_in_record()
    }

    /// Takes the TLS failure that made the connection unusable, if there is one.
    pub(crate) fn take_failure(&self) -> Option<TlsFailure> {
        self.findings.take_failure()
    }

    /// Starts a new connection and does the handshake. Dropped before its end, it leaves a connection
    /// that must be closed.
    #[allow(unsafe_code, reason = "see `Records`")]
    pub(super) async fn open<P: CryptoProvider<CipherSuite = Suite>>(
        &mut self,
        wire: Wire<'b, S>,
        context: TlsContext<'_, P>,
    ) -> Result<(), TlsFailure> {
        self.close();
        let records = self.records.as_mut().ok_or(Limit::SendBuffer)?;
        let meter = wire.meter();
        let fence = Fence::new(wire, records.rx.len(), self.findings);
        // SAFETY: what was lent before went into a connection, which no method lets out of here,
        // and which `close` has just dropped. `TlsConnection` gives its buffers to nobody.
        let (rx, tx) = unsafe { records.lend() };
        let opened = self.connection.insert(TlsConnection::new(fence, rx, tx)).open(context).await;
        opened.map_err(|error| match self.take_failure() {
            Some(failure) => failure,
            None if meter.is_exhausted() => TlsFailure::TooLong,
            None => during_handshake(error),
        })
    }

    pub(crate) async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoKind> {
        let Some(connection) = &mut self.connection else { return Err(IoKind::NotConnected) };
        match connection.read(buf).await {
            Err(TlsError::ConnectionClosed) => Ok(0),
            read => read.map_err(|error| self.note(error)),
        }
    }

    pub(crate) async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        let Some(connection) = &mut self.connection else { return Err(IoKind::NotConnected) };
        connection.write(buf).await.map_err(|error| self.note(error))
    }

    pub(crate) async fn flush(&mut self) -> Result<(), IoKind> {
        let Some(connection) = &mut self.connection else { return Err(IoKind::NotConnected) };
        connection.flush().await.map_err(|error| self.note(error))
    }

    /// Keeps the failure behind an error of the connection in use.
    fn note(&self, error: TlsError) -> IoKind {
        let failure = match error {
            TlsError::Io(kind) => return kind,
            TlsError::IoError => return IoKind::ConnectionAborted,
            _ if suite::is_post_handshake(error) => Limit::PostHandshake.into(),
            TlsError::CryptoError => TlsFailure::BadRecord,
            TlsError::InternalError => TlsFailure::Aborted,
            _ => TlsFailure::Malformed,
        };
        self.findings.note(failure);
        IoKind::InvalidData
    }
}

/// What embedded-tls means when it fails during the handshake.
fn during_handshake(error: TlsError) -> TlsFailure {
    match error {
        TlsError::Io(_) | TlsError::IoError | TlsError::ConnectionClosed => TlsFailure::Closed,
        _ if suite::is_split(error) => Limit::SplitMessage.into(),
        TlsError::InsufficientSpace | TlsError::EncodeError => Limit::SendBuffer.into(),
        TlsError::InvalidCipherSuite
        | TlsError::InvalidKeyShare
        | TlsError::InvalidSupportedVersions => Limit::Parameters.into(),
        TlsError::DecodeError => Limit::TooMany.into(),
        TlsError::InvalidSignatureScheme => TlsFailure::UnsupportedAlgorithm(Algorithm::Other),
        TlsError::CryptoError => TlsFailure::BadRecord,
        // Only the check of `Finished` says so; the guard's own refusals were asked for before.
        TlsError::InvalidSignature => TlsFailure::BadFinished,
        TlsError::InvalidRecord => TlsFailure::Aborted,
        _ => TlsFailure::Malformed,
    }
}

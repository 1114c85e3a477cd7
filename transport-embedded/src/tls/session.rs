//! The one TLS connection at a time, and the record buffers that each new one takes over.

use core::marker::PhantomData;
use core::ptr::NonNull;

use embedded_io_async::{Read, Write};
use embedded_tls::{CryptoProvider, TlsConnection, TlsContext, TlsError};

use super::suite::Suite;
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

    /// The size of the receive buffer.
    pub(crate) const fn rx_len(&self) -> usize {
        self.rx.len()
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
    connection: Option<TlsConnection<'b, Wire<'b, S>, Suite>>,
    records: Option<Records<'b>>,
}

impl<'b, S: Read + Write + 'b> Session<'b, S> {
    pub(crate) const fn new() -> Self {
        Self { connection: None, records: None }
    }

    /// Takes over the buffers, and closes the connection that uses the ones before.
    pub(crate) fn set_records(&mut self, records: Records<'b>) {
        self.close();
        self.records = Some(records);
    }

    pub(crate) fn rx_len(&self) -> usize {
        self.records.as_ref().map_or(0, Records::rx_len)
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    pub(crate) fn close(&mut self) {
        self.connection = None;
    }

    /// Starts a new connection and does the handshake.
    #[allow(unsafe_code, reason = "see `Records`")]
    pub(crate) async fn open<P: CryptoProvider<CipherSuite = Suite>>(
        &mut self,
        wire: Wire<'b, S>,
        context: TlsContext<'_, P>,
    ) -> Result<(), TlsError> {
        self.close();
        let records = self.records.as_mut().ok_or(TlsError::InsufficientSpace)?;
        // SAFETY: what was lent before went into a connection, which no method lets out of here,
        // and which `close` has just dropped. `TlsConnection` gives its buffers to nobody.
        let (rx, tx) = unsafe { records.lend() };
        self.connection.insert(TlsConnection::new(wire, rx, tx)).open(context).await
    }

    fn connection(&mut self) -> Result<&mut TlsConnection<'b, Wire<'b, S>, Suite>, TlsError> {
        self.connection.as_mut().ok_or(TlsError::MissingHandshake)
    }

    pub(crate) async fn read(&mut self, buf: &mut [u8]) -> Result<usize, TlsError> {
        self.connection()?.read(buf).await
    }

    pub(crate) async fn write(&mut self, buf: &[u8]) -> Result<usize, TlsError> {
        self.connection()?.write(buf).await
    }

    pub(crate) async fn flush(&mut self) -> Result<(), TlsError> {
        self.connection()?.flush().await
    }
}

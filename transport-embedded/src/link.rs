//! The connection, plain or TLS, behind one reader and writer.

#[cfg(feature = "_https")]
use core::pin::pin;

use embassy_futures::poll_once;
use embedded_io_async::{ErrorKind as IoKind, ErrorType, Read, Write};
#[cfg(feature = "_https")]
use pilot_webhook_core::Host;

#[cfg(feature = "rustls")]
use crate::tls::RustlsSession;
#[cfg(feature = "tls")]
use crate::tls::{Findings, Session};
#[cfg(feature = "_https")]
use crate::tls::{TlsClient, TlsFailure};
use crate::wire::{Meter, Wire};

/// What a connection reports while embedded-tls owns it. [`Link`] reads it.
#[derive(Debug)]
pub(crate) struct Watch {
    meter: Meter,
    #[cfg(feature = "tls")]
    findings: Findings,
}

impl Watch {
    pub(crate) const fn new() -> Self {
        Self {
            meter: Meter::new(),
            #[cfg(feature = "tls")]
            findings: Findings::new(),
        }
    }
}

/// At most one connection.
pub(crate) struct Link<'b, S: Read + Write + 'b> {
    meter: &'b Meter,
    plain: Option<Wire<'b, S>>,
    #[cfg(feature = "tls")]
    session: Session<'b, S>,
    #[cfg(feature = "rustls")]
    rustls: RustlsSession<'b, S>,
}

impl<'b, S: Read + Write + 'b> Link<'b, S> {
    pub(crate) const fn new(watch: &'b Watch) -> Self {
        Self {
            meter: &watch.meter,
            plain: None,
            #[cfg(feature = "tls")]
            session: Session::new(&watch.findings),
            #[cfg(feature = "rustls")]
            rustls: RustlsSession::new(),
        }
    }

    /// Makes a TLS connection to `host` the link. Unless that succeeds, the link must be closed.
    #[cfg(feature = "_https")]
    pub(crate) async fn open(
        &mut self,
        tls: &mut TlsClient<'b>,
        wire: Wire<'b, S>,
        host: Host<'_>,
    ) -> Result<(), TlsFailure> {
        match tls {
            #[cfg(feature = "tls")]
            TlsClient::Embedded(tls) => pin!(tls.open(&mut self.session, wire, host)).await,
            #[cfg(feature = "rustls")]
            TlsClient::Rustls(tls) => pin!(tls.open(&mut self.rustls, wire, host)).await,
        }
    }

    /// The meter of bytes sent and read, which counts over any connection.
    pub(crate) const fn meter(&self) -> &'b Meter {
        self.meter
    }

    /// The wire of a connection without TLS.
    pub(crate) const fn plain(&mut self) -> Option<&mut Wire<'b, S>> {
        self.plain.as_mut()
    }

    pub(crate) fn set_plain(&mut self, wire: Wire<'b, S>) {
        self.hang_up();
        self.plain = Some(wire);
    }

    pub(crate) const fn is_open(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.session.is_open() {
            return true;
        }
        #[cfg(feature = "rustls")]
        if self.rustls.is_open() {
            return true;
        }
        self.plain.is_some()
    }

    /// Drops the connection, and with it the socket, which closes it.
    pub(crate) fn hang_up(&mut self) {
        self.plain = None;
        #[cfg(feature = "tls")]
        self.session.close();
        #[cfg(feature = "rustls")]
        self.rustls.close();
    }

    /// Checks, without waiting, whether the server has closed the connection or sent data on it. A read that
    /// is polled once and dropped while pending takes nothing from a socket.
    pub(crate) fn is_idle(&mut self) -> bool {
        poll_once(self.read(&mut [0])).is_pending() && !self.is_in_record()
    }

    /// Whether the last read ended within a TLS record. If that read was dropped, the connection is unusable.
    pub(crate) const fn is_in_record(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.session.is_in_record() {
            return true;
        }
        #[cfg(feature = "rustls")]
        if self.rustls.is_in_record() {
            return true;
        }
        false
    }

    /// Takes the TLS failure that made the last read or write fail, if there is one.
    #[cfg(feature = "_https")]
    pub(crate) fn take_failure(&self) -> Option<TlsFailure> {
        #[cfg(feature = "tls")]
        if let Some(failure) = self.session.take_failure() {
            return Some(failure);
        }
        #[cfg(feature = "rustls")]
        if let Some(failure) = self.rustls.take_failure() {
            return Some(failure);
        }
        None
    }
}

impl<S: Read + Write> ErrorType for Link<'_, S> {
    type Error = IoKind;
}

impl<S: Read + Write> Read for Link<'_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoKind> {
        if let Some(wire) = &mut self.plain {
            return wire.read(buf).await;
        }
        #[cfg(feature = "rustls")]
        if self.rustls.is_open() {
            return self.rustls.read(buf).await;
        }
        #[cfg(feature = "tls")]
        return self.session.read(buf).await;
        #[cfg(not(feature = "tls"))]
        Err(IoKind::NotConnected)
    }
}

impl<S: Read + Write> Write for Link<'_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        if let Some(wire) = &mut self.plain {
            return wire.write(buf).await;
        }
        #[cfg(feature = "rustls")]
        if self.rustls.is_open() {
            return self.rustls.write(buf).await;
        }
        #[cfg(feature = "tls")]
        return self.session.write(buf).await;
        #[cfg(not(feature = "tls"))]
        Err(IoKind::NotConnected)
    }

    async fn flush(&mut self) -> Result<(), IoKind> {
        if let Some(wire) = &mut self.plain {
            return wire.flush().await;
        }
        #[cfg(feature = "rustls")]
        if self.rustls.is_open() {
            return self.rustls.flush().await;
        }
        #[cfg(feature = "tls")]
        return self.session.flush().await;
        #[cfg(not(feature = "tls"))]
        Err(IoKind::NotConnected)
    }
}

/// Holds the link during a dialogue. Dropped without [`keep`](Self::keep), at an await point say,
/// it closes the connection: a dialogue that was cut short must not be continued.
pub(crate) struct Lease<'l, 'b, S: Read + Write + 'b> {
    link: &'l mut Link<'b, S>,
    keep: bool,
}

impl<'l, 'b, S: Read + Write + 'b> Lease<'l, 'b, S> {
    pub(crate) const fn new(link: &'l mut Link<'b, S>) -> Self {
        Self { link, keep: false }
    }

    pub(crate) const fn link(&mut self) -> &mut Link<'b, S> {
        self.link
    }

    pub(crate) fn keep(mut self) {
        self.keep = true;
    }
}

impl<'b, S: Read + Write + 'b> Drop for Lease<'_, 'b, S> {
    fn drop(&mut self) {
        if !self.keep {
            self.link.hang_up();
        }
    }
}

//! The byte stream below HTTP: plain TCP or TLS.

use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connected stream. When a TLS stream is dropped, it sends `close_notify` (RFC 8446, section 6.1) if
/// that is possible without waiting.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// A TLS stream that gives all that was decrypted before it gives the error behind it.
pub(crate) struct Tls {
    stream: TlsStream<TcpStream>,
    /// What ended reading.
    error: Option<io::Error>,
}

impl Tls {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.error.is_none() {
            match Pin::new(&mut self.stream).poll_read(cx, buf) {
                // tokio-rustls holds back what came in the same piece before the error.
                Poll::Ready(Err(error)) => self.error = Some(error),
                read => return read,
            }
        }
        let (_, session) = self.stream.get_mut();
        let length = session.reader().read(buf.initialize_unfilled()).unwrap_or(0);
        buf.advance(length);
        match self.error.take_if(|_| length == 0) {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Stream {
    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(Tls { stream, error: None }))
    }

    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Asks the kernel whether anything has arrived. Tokio only learns it when its driver next
    /// runs, which may not have happened since; a request written meanwhile would be lost, or
    /// worse, not known to be lost.
    pub(crate) fn has_news(&self) -> bool {
        let socket = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.stream.get_ref().0,
        };
        match SockRef::from(socket).peek(&mut [MaybeUninit::uninit()]) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => tls.poll_read(cx, buf),
        }
    }

    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write_vectored(cx, bufs),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Self::Tls(tls) = self {
            // The alert goes into the socket's buffer. If that is full, the peer does not read.
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut tls.stream).poll_shutdown(&mut cx);
        }
    }
}

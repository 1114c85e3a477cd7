//! One request and its answer over an open link. Every event on the link is reported to core's `Exchange`,
//! which decides what it means.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, ready};

use embassy_futures::poll_once;
use embedded_io_async::{ErrorKind as IoKind, ErrorType, Read, Write};
use pilot_webhook_core::Endpoint;
use pilot_webhook_core::http::{Exchange, Failure, Response};

use crate::clock::monotonic;
use crate::link::Link;
use crate::request::Request;
use crate::wire::{Meter, Wire};

/// Why there is no answer, and the network's error if there is one.
pub(crate) struct Failed(pub(crate) Failure, pub(crate) Option<IoKind>);

/// Sends the request and reads the status of the answer. Of the rest it reads only what has arrived.
///
/// Over plain TCP the answer is read while the request is written. embedded-tls can only do one after
/// the other; there the answer is read even if writing failed. A receiver that answers early and then
/// neither reads nor closes costs the HTTP timeout.
pub(crate) async fn dialogue<S: Read + Write>(
    link: &mut Link<'_, S>,
    exchange: &mut Exchange,
    endpoint: &Endpoint<'_>,
    request: &Request<'_>,
    buf: &mut [u8],
) -> Result<Response, Failed> {
    exchange.begin();
    let mut news = News { meter: link.meter(), exchange, write_error: None };
    let response = match link.plain() {
        Some(wire) => both_ways(wire, &mut news, endpoint, request, buf).await?,
        #[cfg(feature = "_https")]
        None => one_after_the_other(link, &mut news, endpoint, request, buf).await?,
        #[cfg(not(feature = "_https"))]
        None => news.exchange.ended().map_err(|failure| Failed(failure, None))?,
    };
    // Waiting for the rest, which is not used, could turn a delivery into a timeout.
    let _ = poll_once(drain(link, exchange, buf));
    if exchange.is_draining() && link.is_in_record() {
        // A part of the record is lost with the read that was dropped, so the connection is unusable.
        let _ = exchange.ended();
    }
    Ok(response)
}

/// Reads the rest of the last answer. Cancel-safe: all that was read has been reported.
pub(crate) async fn drain<S: Read + Write>(
    link: &mut Link<'_, S>,
    exchange: &mut Exchange,
    buf: &mut [u8],
) {
    let mut news = News { meter: link.meter(), exchange, write_error: None };
    while news.exchange.is_draining() {
        let read = link.read(buf).await;
        // The exchange records a failure.
        let _ = news.read(buf, read);
    }
}

/// Reads the answer while the request is written.
async fn both_ways<'b, S: Read + Write + 'b>(
    wire: &mut Wire<'b, S>,
    news: &mut News<'_>,
    endpoint: &Endpoint<'_>,
    request: &Request<'_>,
    buf: &mut [u8],
) -> Result<Response, Failed> {
    let (request_buf, answer_buf) = buf.split_at_mut(buf.len() / 2);
    let shared = RefCell::new(wire);
    let mut sink = Sink::Half(&shared);
    let mut writing = pin!(request.write(endpoint, &mut sink, request_buf));
    let mut is_writing = true;
    poll_fn(|cx| {
        if is_writing && let Poll::Ready(written) = writing.as_mut().poll(cx) {
            is_writing = false;
            news.written(written)?;
        }
        loop {
            let read = poll(&shared, cx, |wire, cx| pin!(wire.read(answer_buf)).poll(cx));
            if let Some(response) = news.read(answer_buf, ready!(read))? {
                return Poll::Ready(Ok(response));
            }
        }
    })
    .await
}

/// Writes the request, then reads the answer.
#[cfg(feature = "_https")]
async fn one_after_the_other<'b, S: Read + Write + 'b>(
    link: &mut Link<'b, S>,
    news: &mut News<'_>,
    endpoint: &Endpoint<'_>,
    request: &Request<'_>,
    buf: &mut [u8],
) -> Result<Response, Failed> {
    let written = request.write(endpoint, &mut Sink::Whole(link), buf).await;
    news.written(written)?;
    loop {
        let read = link.read(buf).await;
        if let Some(response) = news.read(buf, read)? {
            return Ok(response);
        }
    }
}

/// Reports the events on the wire to the exchange.
struct News<'e> {
    exchange: &'e mut Exchange,
    /// Counts every byte that was sent, those of TLS included.
    meter: &'e Meter,
    /// When both directions fail, the first failure is the cause.
    write_error: Option<IoKind>,
}

impl News<'_> {
    /// Writing has ended with this result.
    fn written(&mut self, result: Result<(), IoKind>) -> Result<(), Failed> {
        self.look_at_meter();
        self.write_error = result.err();
        match result {
            Ok(()) => self.exchange.written(),
            Err(kind) => {
                self.exchange.write_failed().map_err(|failure| Failed(failure, Some(kind)))?;
            }
        }
        Ok(())
    }

    /// This many bytes were read into the buffer.
    fn read(
        &mut self,
        buf: &[u8],
        read: Result<usize, IoKind>,
    ) -> Result<Option<Response>, Failed> {
        self.look_at_meter();
        let (failure, error) = match read {
            Ok(length @ 1..) => match self.exchange.received(&buf[..length], monotonic()) {
                Ok(response) => return Ok(response),
                Err(failure) => (failure, None),
            },
            ended => match self.exchange.ended() {
                Ok(response) => return Ok(Some(response)),
                Err(failure) => (failure, ended.err()),
            },
        };
        Err(Failed(failure, self.write_error.or(error)))
    }

    fn look_at_meter(&mut self) {
        if self.meter.has_sent() {
            self.exchange.wrote();
        }
    }
}

/// What a request is written to. One type for both kinds of link, so that the code of the encoder is
/// generated once.
enum Sink<'h, 'w, 'b, S: Read + Write + 'b> {
    /// One direction of a wire whose other direction is in use in the same task.
    ///
    /// Each poll makes the wire's future anew and drops it, so that the wire is borrowed only while
    /// it is polled. Sockets do not lose bytes by that, which
    /// [`NodeTransport`](crate::NodeTransport) demands of them.
    Half(&'h RefCell<&'w mut Wire<'b, S>>),
    /// The link, for one direction after the other.
    #[cfg(feature = "_https")]
    Whole(&'w mut Link<'b, S>),
}

/// Polls with the wire. It is free: both directions are polled in turn.
fn poll<S, T>(
    shared: &RefCell<&mut Wire<'_, S>>,
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Wire<'_, S>, &mut Context<'_>) -> Poll<Result<T, IoKind>>,
) -> Poll<Result<T, IoKind>> {
    match shared.try_borrow_mut() {
        Ok(mut wire) => poll(&mut wire, cx),
        Err(_) => Poll::Ready(Err(IoKind::Other)),
    }
}

impl<'b, S: Read + Write + 'b> ErrorType for Sink<'_, '_, 'b, S> {
    type Error = IoKind;
}

impl<'b, S: Read + Write + 'b> Write for Sink<'_, '_, 'b, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        match self {
            Self::Half(wire) => {
                poll_fn(|cx| poll(wire, cx, |wire, cx| pin!(wire.write(buf)).poll(cx))).await
            }
            #[cfg(feature = "_https")]
            Self::Whole(link) => link.write(buf).await,
        }
    }

    async fn flush(&mut self) -> Result<(), IoKind> {
        match self {
            Self::Half(wire) => {
                poll_fn(|cx| poll(wire, cx, |wire, cx| pin!(wire.flush()).poll(cx))).await
            }
            #[cfg(feature = "_https")]
            Self::Whole(link) => link.flush().await,
        }
    }
}

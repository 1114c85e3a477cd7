//! One request and its answer over an open link.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll};

use embassy_futures::select::{Either, select};
use embedded_io_async::{ErrorKind as IoKind, ErrorType, Read, Write};
use pilot_webhook_core::Endpoint;
use pilot_webhook_core::http::{Head, Rest};

use crate::answer::{ReadError, Reader};
use crate::link::Link;
use crate::request::Request;
use crate::wire::Wire;

/// The most bytes of an answer's body that are read to keep the connection. Arbitrary: webhook
/// receivers answer with a line or two, and a new connection costs less than more of it.
const BODY_MAX: u64 = 16 * 1_024;

/// Sends the request and reads the answer. Tells also what of its body is to be read before the link
/// may carry another request; `None` when it may not.
///
/// A receiver may answer before it has read the whole request, and close or read no more: what it
/// said counts. So over plain TCP the answer is read while the request is written. embedded-tls can
/// only do one after the other; there the answer is read even if writing failed, and a receiver that
/// answers early *and* neither reads nor closes ends in the time-out.
pub(crate) async fn dialogue<S: Read + Write>(
    link: &mut Link<'_, S>,
    endpoint: &Endpoint<'_>,
    request: &Request<'_>,
    buf: &mut [u8],
) -> Result<(Head, Option<Rest>), ReadError> {
    #[cfg(feature = "tls")]
    if link.is_tls() {
        let mut whole = Side::Whole(link);
        let written = request.write(endpoint, &mut whole, buf).await;
        let mut reader = Reader::new(&mut whole, buf);
        let head = reader.head().await.map_err(|error| root_cause(error, written))?;
        return Ok(finish(reader, head, written.is_ok()).await);
    }
    let Some(wire) = link.plain() else { return Err(ReadError::Closed) };
    let (request_buf, answer_buf) = buf.split_at_mut(buf.len() / 2);
    let shared = RefCell::new(wire);
    let (mut sink, mut source) = (Side::Half(&shared), Side::Half(&shared));
    let mut reader = Reader::new(&mut source, answer_buf);
    let mut written = Err(IoKind::Interrupted);
    let head = {
        let mut reading = pin!(reader.head());
        match select(request.write(endpoint, &mut sink, request_buf), &mut reading).await {
            Either::First(result) => {
                written = result;
                reading.await
            }
            Either::Second(head) => head,
        }
    };
    let head = head.map_err(|error| root_cause(error, written))?;
    Ok(finish(reader, head, written.is_ok()).await)
}

/// When both directions failed, the first one to fail tells more.
fn root_cause(error: ReadError, written: Result<(), IoKind>) -> ReadError {
    match written {
        Ok(()) | Err(IoKind::Interrupted) => error,
        Err(kind) => ReadError::Io(kind),
    }
}

/// Reads of the body what is there.
///
/// It does not wait: the status is known, and waiting for a body that nobody reads could turn a
/// delivery into a timeout. What is missing is read when the next request comes.
async fn finish<S: Read + Write>(
    mut reader: Reader<'_, Side<'_, '_, '_, S>>,
    head: Head,
    written: bool,
) -> (Head, Option<Rest>) {
    let Some(mut rest) = head.rest(BODY_MAX).filter(|_| written) else { return (head, None) };
    let read = poll_fn(|cx| Poll::Ready(pin!(reader.drain(&mut rest)).poll(cx))).await;
    (head, Some(rest).filter(|_| read != Poll::Ready(false)))
}

/// What a request is written to, or its answer read from. One type for both kinds of link, so that
/// the code for that is there once.
enum Side<'h, 'w, 'b, S: Read + Write + 'b> {
    /// One direction of a wire whose other direction is in use in the same task.
    ///
    /// Each poll makes the wire's future anew and drops it, so that the wire is borrowed only while
    /// it is polled. Sockets do not lose bytes by that, which
    /// [`NodeTransport`](crate::NodeTransport) demands of them.
    Half(&'h RefCell<&'w mut Wire<'b, S>>),
    /// The link, for one direction after the other.
    #[cfg(feature = "tls")]
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

impl<'b, S: Read + Write + 'b> ErrorType for Side<'_, '_, 'b, S> {
    type Error = IoKind;
}

impl<'b, S: Read + Write + 'b> Read for Side<'_, '_, 'b, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoKind> {
        match self {
            Self::Half(wire) => {
                poll_fn(|cx| poll(wire, cx, |wire, cx| pin!(wire.read(buf)).poll(cx))).await
            }
            #[cfg(feature = "tls")]
            Self::Whole(link) => link.read(buf).await,
        }
    }
}

impl<'b, S: Read + Write + 'b> Write for Side<'_, '_, 'b, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        match self {
            Self::Half(wire) => {
                poll_fn(|cx| poll(wire, cx, |wire, cx| pin!(wire.write(buf)).poll(cx))).await
            }
            #[cfg(feature = "tls")]
            Self::Whole(link) => link.write(buf).await,
        }
    }

    async fn flush(&mut self) -> Result<(), IoKind> {
        match self {
            Self::Half(wire) => {
                poll_fn(|cx| poll(wire, cx, |wire, cx| pin!(wire.flush()).poll(cx))).await
            }
            #[cfg(feature = "tls")]
            Self::Whole(link) => link.flush().await,
        }
    }
}

//! One request and its answer over an open link.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll};

use embassy_futures::select::{Either, select};
use embedded_io_async::{ErrorKind as IoKind, ErrorType, Read, Write};
use pilot_webhook_core::{Request, Response};

use crate::answer::{ReadError, Reader};
use crate::body::Rest;
use crate::link::Link;
use crate::request;
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
    request: &Request<'_>,
    buf: &mut [u8],
) -> Result<(Response, Option<Rest>), ReadError> {
    let Some(wire) = link.plain() else {
        let written = request::write(request, link, buf).await;
        let mut reader = Reader::new(link, buf);
        let head = reader.head().await.map_err(|error| root_cause(error, written))?;
        return Ok(finish(reader, head, written.is_ok()).await);
    };
    let (request_buf, answer_buf) = buf.split_at_mut(buf.len() / 2);
    let shared = RefCell::new(wire);
    let (mut sink, mut source) = (Half { shared: &shared }, Half { shared: &shared });
    let mut reader = Reader::new(&mut source, answer_buf);
    let mut written = Err(IoKind::Interrupted);
    let head = {
        let mut reading = pin!(reader.head());
        match select(request::write(request, &mut sink, request_buf), &mut reading).await {
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
async fn finish<R: Read<Error = IoKind>>(
    mut reader: Reader<'_, R>,
    head: crate::answer::Head,
    written: bool,
) -> (Response, Option<Rest>) {
    let response = Response { status: head.status, retry_after: head.retry_after };
    let rest = Rest::new(head.framing, BODY_MAX).filter(|_| head.keep && written);
    let Some(mut rest) = rest else { return (response, None) };
    let read = poll_fn(|cx| Poll::Ready(pin!(reader.drain(&mut rest)).poll(cx))).await;
    (response, Some(rest).filter(|_| read != Poll::Ready(false)))
}

/// One direction of a wire whose other direction is in use in the same task.
///
/// Each poll makes the wire's future anew and drops it, so that the wire is borrowed only while it
/// is polled. Sockets do not lose bytes by that, which [`NodeTransport`](crate::NodeTransport)
/// demands of them.
struct Half<'h, 'w, 'b, S> {
    shared: &'h RefCell<&'w mut Wire<'b, S>>,
}

impl<S: Read + Write> Half<'_, '_, '_, S> {
    /// Polls with the wire. It is free: both directions are polled in turn.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Wire<'_, S>, &mut Context<'_>) -> Poll<Result<T, IoKind>>,
    ) -> Poll<Result<T, IoKind>> {
        match self.shared.try_borrow_mut() {
            Ok(mut wire) => poll(&mut wire, cx),
            Err(_) => Poll::Ready(Err(IoKind::Other)),
        }
    }
}

impl<S> ErrorType for Half<'_, '_, '_, S> {
    type Error = IoKind;
}

impl<S: Read + Write> Read for Half<'_, '_, '_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoKind> {
        poll_fn(|cx| self.poll(cx, |wire, cx| pin!(wire.read(buf)).poll(cx))).await
    }
}

impl<S: Read + Write> Write for Half<'_, '_, '_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        poll_fn(|cx| self.poll(cx, |wire, cx| pin!(wire.write(buf)).poll(cx))).await
    }

    async fn flush(&mut self) -> Result<(), IoKind> {
        poll_fn(|cx| self.poll(cx, |wire, cx| pin!(wire.flush()).poll(cx))).await
    }
}

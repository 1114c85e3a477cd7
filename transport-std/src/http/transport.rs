//! The transport itself: one POST over a kept connection, or a new one.

use std::fmt;

use pilot_webhook_core::http::{DRAIN_TIME, Response};
use pilot_webhook_core::{Endpoint, EndpointBuf, Message, Reply, SendTransport};

use tokio::time::Instant;

use crate::http::attempt::Attempt;
use crate::http::config::{HttpShared, Shared};
use crate::http::connection::Connection;
use crate::http::dial::dial;
use crate::http::error::HttpError;
use crate::http::handshake::{REQUEST_ORIGIN, REQUEST_RATE};
use crate::http::heard::{self, HEADS};
use crate::http::request::write_head;

/// Posts over HTTP/1.1, plain or TLS, one request at a time.
///
/// It keeps one connection to the last origin and uses it again. A kept connection may turn out to
/// be closed: if it is found so before a byte of the request was written, the request goes over a
/// new connection within the same attempt. Once a byte was written, the receiver may have processed
/// the request, and the attempt ends with [`HttpError::Disconnected`].
///
/// A connection is used for 5 minutes at most: the name may lead elsewhere by then, and only a new
/// connection asks.
///
/// There is no timeout here: the caller drops the future of [`send`](SendTransport::send), and with it
/// the connection it was using. (In a client, an attempt that has not found its receiver ends a moment
/// before the timeout, with what it waited for.) An idle connection is not watched, but looked at when
/// it is next needed, and not trusted after 55 s (or what the server announces with `Keep-Alive`). Only
/// look-ups are tasks: they go on when the attempt is over.
///
/// Must be used within a tokio runtime with I/O and time enabled.
pub struct HttpTransport {
    shared: HttpShared,
    /// The head of the last request, for its memory.
    head: Vec<u8>,
    /// On the heap, as it is handed from hand to hand with every request.
    idle: Option<Box<Connection>>,
    /// The beginning of the last answer's body, as far as it is wanted.
    answer: Vec<u8>,
}

impl HttpTransport {
    /// A transport without a connection yet.
    #[must_use]
    pub fn new(shared: &HttpShared) -> Self {
        Self { shared: shared.clone(), head: Vec::new(), idle: None, answer: Vec::new() }
    }

    /// Whether a connection is kept for the next request.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.idle.is_some()
    }

    /// Forgets the last answer.
    pub(crate) fn forget(&mut self) {
        self.answer.clear();
    }

    /// Sends the message over the kept connection, or over a new one. A receiver that must be asked is asked
    /// before.
    async fn exchange(
        &mut self,
        shared: &Shared,
        endpoint: &Endpoint<'_>,
        message: &Message<'_>,
        attempt: &mut Attempt<'_>,
    ) -> Result<Response, HttpError> {
        let asked_for = &shared.headers();
        if let Some(handshake) = shared.handshake.as_ref().filter(|own| own.is_due(endpoint)) {
            let (origin, rate) = handshake.question();
            let rate = rate.as_deref().map(|rate| (REQUEST_RATE, rate));
            let headers: Vec<_> = [(REQUEST_ORIGIN, origin)].into_iter().chain(rate).collect();
            let mut question = Message::new(&headers, &[]);
            question.fresh = message.fresh;
            write_head(&mut self.head, "OPTIONS", endpoint, &question, asked_for)?;
            let (answer, connection) =
                self.over_connection(endpoint, &question, attempt, usize::MAX).await?;
            let answered = handshake.answered(endpoint, answer.status, connection.heard());
            self.keep(connection);
            answered?;
        }
        write_head(&mut self.head, "POST", endpoint, message, asked_for)?;
        let wanted = shared.answers;
        let heard = if wanted > 0 { HEADS + wanted } else { 0 };
        let (response, mut connection) =
            self.over_connection(endpoint, message, attempt, heard).await?;
        if wanted > 0 {
            if !(200..300).contains(&response.status) {
                connection.hear_out(heard, attempt.until().min(Instant::now() + DRAIN_TIME)).await;
            }
            self.answer = heard::body(connection.heard());
            self.answer.truncate(wanted);
        }
        self.keep(connection);
        Ok(response)
    }

    /// Sends the head that was written, with the body, over the kept connection or a new one. `heard` bytes of what is
    /// said then are kept with the connection.
    async fn over_connection(
        &mut self,
        endpoint: &Endpoint<'_>,
        message: &Message<'_>,
        attempt: &mut Attempt<'_>,
        heard: usize,
    ) -> Result<(Response, Box<Connection>), HttpError> {
        // Taken out, so that it goes when this future is dropped half way.
        if let Some(mut kept) = self.idle.take()
            && kept.is_ready_for(endpoint, message).await
        {
            match kept.talk(&self.head, message.body, heard).await {
                // No byte of the request was sent.
                Err(HttpError::Closed(_)) => {}
                result => {
                    self.shared.get().connections.reused();
                    return Ok((result?, kept));
                }
            }
        }
        let stream = dial(self.shared.get(), endpoint, attempt).await?;
        let open = self.shared.get().connections.made();
        let mut connection = Box::new(Connection::new(stream, endpoint, open));
        Ok((connection.talk(&self.head, message.body, heard).await?, connection))
    }

    /// Keeps the connection if it can be used again.
    fn keep(&mut self, connection: Box<Connection>) {
        self.idle = Some(connection).filter(|it| it.is_kept());
    }
}

impl<const N: usize> SendTransport<EndpointBuf<N>> for HttpTransport {
    type Error = HttpError;

    async fn send(
        &mut self,
        to: &EndpointBuf<N>,
        message: &Message<'_>,
    ) -> Result<Reply, HttpError> {
        let shared = self.shared.clone();
        let shared = shared.get();
        let endpoint = &to.get();
        self.forget();
        let mut attempt = Attempt::begin(shared, endpoint, message.fresh);
        attempt.sends(message);
        let response = self.exchange(shared, endpoint, message, &mut attempt).await;
        if response.as_ref().is_err_and(HttpError::is_distrust) {
            shared.trust.doubt(Instant::now());
        }
        attempt.conclude(response, message)
    }

    fn answer(&self) -> &[u8] {
        &self.answer
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("shared", &self.shared)
            .field("is_connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::config::HttpConfig;
    use pilot_webhook_core::{EndpointBuf, Policy};

    fn assert_send<T: Send>(value: T) -> T {
        value
    }

    #[test]
    fn a_post_can_be_spawned_on_any_runtime() {
        let shared = HttpConfig::new().system_roots(false).build().unwrap();
        let mut transport = assert_send(HttpTransport::new(&shared));
        let endpoint = EndpointBuf::<64>::parse("http://127.0.0.1/", Policy::default()).unwrap();
        drop(assert_send(transport.send(&endpoint, &Message::new(&[], b""))));
    }
}

//! The transport itself: one POST over a kept connection, or a new one.

use std::fmt;

use hyper::Response as Answer;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, RETRY_AFTER};
use pilot_webhook_core::{Request, Response, RetryAfter, Transport};

use crate::config::HttpShared;
use crate::connection::Connection;
use crate::dial::dial;
use crate::error::HttpError;
use crate::request::Template;

/// The value of `User-Agent`: the crate and its version.
pub const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Posts over HTTP/1.1, plain or TLS, one request at a time.
///
/// It keeps one connection to the last origin and uses it again. A kept connection may turn out to
/// be closed: if it is found so before a byte of the request was written, the request goes over a
/// new connection, and nobody notices. Once a byte was written, the receiver may have processed
/// the request, and the attempt ends with [`HttpError::Disconnected`].
///
/// There is no timeout here: the caller drops the future of [`post`](Transport::post), and with it
/// the connection it was using. There is no task either: an idle connection is not watched, but
/// looked at when it is next needed, and not trusted after 30 s (or what the server announces with
/// `Keep-Alive`).
///
/// Must be used within a tokio runtime with I/O and time enabled.
pub struct HttpTransport {
    shared: HttpShared,
    template: Template,
    idle: Option<Box<Connection>>,
}

impl HttpTransport {
    /// A transport without a connection yet.
    #[must_use]
    pub fn new(shared: &HttpShared) -> Self {
        Self { shared: shared.clone(), template: Template::default(), idle: None }
    }

    /// Whether a connection is kept for the next request.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.idle.is_some()
    }

    /// Reads the answer and keeps the connection if it can be used again.
    async fn settle(
        &mut self,
        mut connection: Box<Connection>,
        answer: Answer<Incoming>,
    ) -> Result<Response, HttpError> {
        let (head, body) = answer.into_parts();
        if head.status.is_informational() {
            // Hyper goes on after all of them but 101.
            return Err(HttpError::Upgrade);
        }
        let response =
            Response { status: head.status.as_u16(), retry_after: retry_after(&head.headers) };
        if connection.finish(&head, body).await {
            self.idle = Some(connection);
        }
        self.template.recycle(head.headers);
        Ok(response)
    }
}

impl Transport for HttpTransport {
    type Error = HttpError;

    async fn post(&mut self, request: &Request<'_>) -> Result<Response, HttpError> {
        let endpoint = &request.endpoint;
        // Taken out, so that it goes when this future is dropped half way.
        if let Some(mut kept) = self.idle.take()
            && kept.is_ready_for(endpoint).await
        {
            let head = self.template.request(request)?;
            match kept.send(head).await {
                Ok(answer) => return self.settle(kept, answer).await,
                Err(failure) if failure.unsent => {}
                Err(failure) => return Err(failure.error),
            }
        }
        let head = self.template.request(request)?;
        let stream = dial(self.shared.get(), endpoint).await?;
        let mut connection = Connection::new(stream, endpoint).await?;
        let answer = connection.send(head).await.map_err(|failure| failure.error)?;
        self.settle(connection, answer).await
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

/// The first valid `Retry-After`.
fn retry_after(headers: &HeaderMap) -> Option<RetryAfter> {
    headers.get_all(RETRY_AFTER).iter().find_map(|value| RetryAfter::parse(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpConfig;
    use pilot_webhook_core::{EndpointBuf, Policy};

    fn assert_send<T: Send>(value: T) -> T {
        value
    }

    #[test]
    fn a_post_can_be_spawned_on_any_runtime() {
        let shared = HttpConfig::new().system_roots(false).build().unwrap();
        let mut transport = assert_send(HttpTransport::new(&shared));
        let endpoint = EndpointBuf::<64>::parse("http://127.0.0.1/", Policy::default()).unwrap();
        let request = Request { endpoint: endpoint.get(), headers: &[], body: b"" };
        drop(assert_send(transport.post(&request)));
    }

    #[test]
    fn the_first_valid_retry_after_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.append(RETRY_AFTER, "soon".parse().unwrap());
        headers.append(RETRY_AFTER, "7".parse().unwrap());
        headers.append(RETRY_AFTER, "8".parse().unwrap());
        assert_eq!(retry_after(&headers), RetryAfter::parse(b"7"));
    }
}

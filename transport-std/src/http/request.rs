//! A request's head as text, and a request on its way out.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use pilot_webhook_core::http::{DIGITS, Exchange, Failure, decimal, is_header};
use pilot_webhook_core::{Endpoint, Message};

use crate::http::error::HttpError;
use crate::http::headers::RequestHeaders;
use crate::http::stream::Stream;

/// The value of `User-Agent`: the crate and its version.
pub const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// What a compressed body begins with (RFC 1952, section 2.3.1): gzip by deflate.
pub(crate) const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// The header that a compressed body needs, unless the message has it. No format of text begins as one.
pub(crate) fn encoding(message: &Message<'_>) -> Option<(&'static str, &'static str)> {
    const NAME: &str = "Content-Encoding";
    let is_told = || message.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(NAME));
    (message.body.starts_with(&GZIP) && !is_told()).then_some((NAME, "gzip"))
}

/// Writes the head of `message` over what is in `out`, with the headers that endpoints ask for.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    method: &str,
    endpoint: &Endpoint<'_>,
    message: &Message<'_>,
    asked_for: &RequestHeaders,
) -> Result<(), HttpError> {
    out.clear();
    for part in [
        method,
        " ",
        endpoint.target(),
        " HTTP/1.1\r\nHost: ",
        endpoint.authority(),
        "\r\nUser-Agent: ",
        USER_AGENT,
        "\r\n",
    ] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in message.headers {
        write_header(out, name, value)?;
    }
    if let Some((name, value)) = encoding(message) {
        write_header(out, name, value)?;
    }
    asked_for.write(out, endpoint.authorization());
    let mut digits = [0; DIGITS];
    let length = decimal(message.body.len() as u64, &mut digits);
    for part in ["Content-Length: ", length, "\r\n\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    Ok(())
}

fn write_header(out: &mut Vec<u8>, name: &str, value: &str) -> Result<(), HttpError> {
    if !is_header(name, value) {
        return Err(HttpError::InvalidRequest);
    }
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    Ok(())
}

/// A request that is being written.
pub(crate) struct Outgoing<'r> {
    head: &'r [u8],
    body: &'r [u8],
    /// The result of writing, once it has ended.
    result: Option<io::Result<()>>,
}

impl<'r> Outgoing<'r> {
    pub(crate) const fn new(head: &'r [u8], body: &'r [u8]) -> Self {
        Self { head, body, result: None }
    }

    /// The error of writing, if it failed.
    pub(crate) fn into_error(self) -> Option<io::Error> {
        self.result?.err()
    }

    /// Writes what can be written, and tells the exchange.
    ///
    /// # Errors
    /// When it cannot be written, and no byte of it was sent.
    pub(crate) fn poll(
        &mut self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        if self.result.is_some() {
            return Ok(());
        }
        let Poll::Ready(result) = self.poll_write(stream, exchange, cx) else { return Ok(()) };
        match self.result.insert(result) {
            Ok(()) => exchange.written(),
            Err(_) => {
                if stream.is_tls() {
                    // Some records may have gone out before the one that did not.
                    exchange.wrote();
                }
                exchange.write_failed()?;
            }
        }
        Ok(())
    }

    fn poll_write(
        &mut self,
        stream: &mut Stream,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !(self.head.is_empty() && self.body.is_empty()) {
            // In one piece, so that a small request leaves in one segment or TLS record.
            let both = [IoSlice::new(self.head), IoSlice::new(self.body)];
            let written = ready!(stream.poll_write_vectored(cx, &both))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            exchange.wrote();
            let of_head = written.min(self.head.len());
            self.head = &self.head[of_head..];
            self.body = &self.body[written - of_head..];
        }
        stream.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilot_webhook_core::{EndpointBuf, Policy};

    fn head(url: &str, headers: &[(&str, &str)]) -> Result<String, HttpError> {
        let endpoint = EndpointBuf::<256>::parse(url, Policy::default()).unwrap();
        let mut out = b"what an earlier request left".to_vec();
        let mut asked_for = RequestHeaders::new();
        asked_for.add("X-Key", "k").unwrap();
        write_head(&mut out, "POST", &endpoint.get(), &Message::new(headers, b"{}"), &asked_for)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_head_says_what_is_needed_and_nothing_of_an_earlier_one() {
        let text = head("http://a.test:8080/x?q=1", &[("A", "1"), ("B", "2")]).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text,
            format!(
                "POST /x?q=1 HTTP/1.1\r\nHost: a.test:8080\r\n\
                 User-Agent: pilot-webhook-std/{version}\r\nA: 1\r\nB: 2\r\n\
                 X-Key: k\r\nContent-Length: 2\r\n\r\n"
            )
        );
    }

    #[test]
    fn every_target_that_an_endpoint_takes_is_sent_as_it_is() {
        let target = "//-._~!$&'()*+,;=:@/%41[]|?-._~!$&'()*+,;=:@/%41[]|?";
        let text = head(&format!("http://a.test{target}"), &[]).unwrap();
        assert!(text.starts_with(&format!("POST {target} HTTP/1.1\r\n")), "{text}");
    }

    #[test]
    fn a_header_that_http_cannot_carry_is_an_error() {
        for header in [("a b", "1"), ("", "1"), ("a:", "1"), ("a", "1\r\nb: 2"), ("a", "\x7f")] {
            let result = head("http://a.test/", &[header]);
            assert!(matches!(result, Err(HttpError::InvalidRequest)), "{header:?}");
        }
        assert!(head("http://a.test/", &[("a", "\t ~ü")]).is_ok());
    }
}

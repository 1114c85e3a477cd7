//! From core's request to hyper's, with as few allocations as its types allow.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT as USER_AGENT_NAME};
use hyper::{Method, Request, Uri};
use pilot_webhook_core::Endpoint;

use crate::error::HttpError;
use crate::transport::USER_AGENT;

/// A body in one piece.
pub(crate) struct Payload(Option<Bytes>);

impl Payload {
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self(Some(bytes))
    }
}

/// Never says that it has ended before it was read: hyper would leave out `Content-Length: 0`.
impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// What one request has in common with the next: kept, so that it need not be made again.
#[derive(Default)]
pub(crate) struct Template {
    /// The URL that `uri` and `host` are of.
    url: String,
    target: Option<(Uri, HeaderValue)>,
    /// The headers of earlier requests, by their place.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The emptied map of the last answer.
    spare: HeaderMap,
}

impl Template {
    /// The request for hyper, with a copy of its body.
    pub(crate) fn request(
        &mut self,
        request: &pilot_webhook_core::Request<'_>,
    ) -> Result<Request<Payload>, HttpError> {
        let (uri, host) = self.target(&request.endpoint)?;
        let mut map = std::mem::take(&mut self.spare);
        map.insert(HOST, host);
        map.insert(USER_AGENT_NAME, HeaderValue::from_static(USER_AGENT));
        for (index, &(name, value)) in request.headers.iter().enumerate() {
            let (name, value) = self.header(index, name, value)?;
            map.append(name, value);
        }
        let mut made = Request::new(Payload::new(Bytes::copy_from_slice(request.body)));
        *made.method_mut() = Method::POST;
        *made.uri_mut() = uri;
        *made.headers_mut() = map;
        Ok(made)
    }

    /// Takes back the header map of an answer.
    pub(crate) fn recycle(&mut self, mut headers: HeaderMap) {
        headers.clear();
        self.spare = headers;
    }

    fn target(&mut self, endpoint: &Endpoint<'_>) -> Result<(Uri, HeaderValue), HttpError> {
        match &self.target {
            Some(target) if self.url == endpoint.url() => Ok(target.clone()),
            _ => {
                let uri = Uri::try_from(endpoint.target());
                let host = HeaderValue::try_from(endpoint.authority());
                let (Ok(uri), Ok(host)) = (uri, host) else {
                    return Err(HttpError::InvalidRequest);
                };
                endpoint.url().clone_into(&mut self.url);
                Ok(self.target.insert((uri, host)).clone())
            }
        }
    }

    /// The header at a place. Its name rarely changes, its value often (a signature's) or never;
    /// so the value is kept from the first time, to be used when it is the same.
    fn header(
        &mut self,
        index: usize,
        name: &str,
        value: &str,
    ) -> Result<(HeaderName, HeaderValue), HttpError> {
        let invalid_value = |_| HttpError::InvalidRequest;
        let invalid_name = |_| HttpError::InvalidRequest;
        let kept = self.headers.get(index);
        if let Some((kept_name, kept_value)) = kept
            && kept_name.as_str().eq_ignore_ascii_case(name)
        {
            let value = if kept_value.as_bytes() == value.as_bytes() {
                kept_value.clone()
            } else {
                HeaderValue::try_from(value).map_err(invalid_value)?
            };
            return Ok((kept_name.clone(), value));
        }
        let header = (
            HeaderName::try_from(name).map_err(invalid_name)?,
            HeaderValue::try_from(value).map_err(invalid_value)?,
        );
        self.headers.truncate(index);
        self.headers.push(header.clone());
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilot_webhook_core::{EndpointBuf, Policy};

    fn endpoint(url: &str) -> EndpointBuf<256> {
        EndpointBuf::parse(url, Policy::default()).unwrap()
    }

    fn request(template: &mut Template, url: &str, headers: &[(&str, &str)]) -> Request<Payload> {
        let endpoint = endpoint(url);
        let request =
            pilot_webhook_core::Request { endpoint: endpoint.get(), headers, body: b"{}" };
        template.request(&request).unwrap()
    }

    #[test]
    fn what_is_kept_of_a_request_never_leaks_into_the_next() {
        let mut template = Template::default();
        let first = request(&mut template, "http://a.test:8080/x?q=1", &[("A", "1"), ("B", "2")]);
        assert_eq!(first.uri(), "/x?q=1");
        assert_eq!(first.headers()["host"], "a.test:8080");
        assert_eq!(first.headers()["b"], "2");
        template.recycle(first.into_parts().0.headers);
        let second = request(&mut template, "http://b.test/y", &[("A", "3")]);
        assert_eq!(second.uri(), "/y");
        assert_eq!(second.headers()["host"], "b.test");
        assert_eq!(second.headers()["a"], "3");
        assert_eq!(second.headers().len(), 3, "{:?}", second.headers());
        let third = request(&mut template, "http://b.test/y", &[("C", "3"), ("A", "3")]);
        assert_eq!(
            (third.headers()["c"].as_bytes(), third.headers()["a"].as_bytes()),
            (b"3".as_slice(), b"3".as_slice())
        );
    }

    #[test]
    fn every_target_that_an_endpoint_takes_can_be_sent() {
        let target = "//-._~!$&'()*+,;=:@/%41[]|?-._~!$&'()*+,;=:@/%41[]|?";
        let sent = request(&mut Template::default(), &format!("http://a.test{target}"), &[]);
        assert_eq!(sent.uri().to_string(), target);
    }

    #[test]
    fn a_header_that_http_cannot_carry_is_an_error() {
        let endpoint = endpoint("http://a.test/");
        for header in [("a b", "1"), ("", "1"), ("a", "1\r\nb: 2")] {
            let mut template = Template::default();
            let request = pilot_webhook_core::Request {
                endpoint: endpoint.get(),
                headers: &[header],
                body: b"",
            };
            let result = template.request(&request);
            assert!(matches!(result, Err(HttpError::InvalidRequest)), "{header:?}");
        }
    }
}

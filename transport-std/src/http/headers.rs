//! The headers that an endpoint asks for, beside those that every request has.

use std::fmt;

use pilot_webhook_core::http::{HeaderError, basic, check_header};

use crate::client::trace::TRACEPARENT;

/// The name of the header that holds credentials.
const AUTHORIZATION: &str = "Authorization";

/// Headers of every request, checked. They go to every URL that is set, so whoever can set one learns them.
///
/// ```
/// use pilot_webhook_std::RequestHeaders;
/// let mut headers = RequestHeaders::new();
/// headers.add("X-Api-Key", "1234")?;
/// headers.bearer("token-68")?;
/// assert!(headers.add("Host", "example.com").is_err());
/// # Ok::<(), pilot_webhook_std::HeaderError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RequestHeaders {
    /// As they stand in a request, but for credentials.
    lines: Vec<u8>,
    /// The value of `Authorization`.
    authorization: Option<String>,
}

impl RequestHeaders {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { lines: Vec::new(), authorization: None }
    }

    /// Adds a header. One of a name may be added several times, but for `Authorization`.
    ///
    /// # Errors
    /// When HTTP cannot carry it, or requests have a header of that name already. Nothing changed then.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check_header(name, value)?;
        if name.eq_ignore_ascii_case(TRACEPARENT) {
            return Err(HeaderError::Own);
        }
        if !name.eq_ignore_ascii_case(AUTHORIZATION) {
            write_line(&mut self.lines, name, value);
            return Ok(());
        }
        if self.authorization.is_some() {
            return Err(HeaderError::Credentials);
        }
        self.authorization = Some(value.to_owned());
        Ok(())
    }

    /// Adds a token as `Authorization: Bearer` (RFC 6750). Credentials in the URL go before it.
    ///
    /// # Errors
    /// When there are credentials already, or HTTP cannot carry it, or it is empty.
    pub fn bearer(&mut self, token: &str) -> Result<(), HeaderError> {
        if token.is_empty() || token.contains([' ', '\t']) {
            return Err(HeaderError::Value);
        }
        self.add(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// Adds a user name and a password as `Authorization: Basic` (RFC 7617). Credentials in the URL go
    /// before them.
    ///
    /// # Errors
    /// When there are credentials already, or the user name is empty or has a colon in it, or one of the two has
    /// a control character.
    pub fn basic(&mut self, user: &str, password: &str) -> Result<(), HeaderError> {
        let mut value = String::new();
        basic(user, password, |letters| value.push_str(letters))?;
        self.add(AUTHORIZATION, &value)
    }

    /// Names and values, for a request to an endpoint with these credentials in its URL.
    #[cfg(feature = "reqwest")]
    pub(crate) fn each<'a>(
        &'a self,
        credentials: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        // They were written from text.
        let lines = str::from_utf8(&self.lines).unwrap_or_default();
        let headers = lines.split_terminator("\r\n").filter_map(|line| line.split_once(": "));
        let credentials = credentials.or(self.authorization.as_deref());
        headers.chain(credentials.map(|value| (AUTHORIZATION, value)))
    }

    /// Writes them behind the other headers of a request to an endpoint with these credentials in its URL.
    pub(crate) fn write(&self, out: &mut Vec<u8>, credentials: Option<&str>) {
        out.extend_from_slice(&self.lines);
        if let Some(value) = credentials.or(self.authorization.as_deref()) {
            write_line(out, AUTHORIZATION, value);
        }
    }
}

fn write_line(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Shows names and values of none: they are often secrets.
impl fmt::Debug for RequestHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHeaders").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(headers: &RequestHeaders, credentials: Option<&str>) -> String {
        let mut out = Vec::new();
        headers.write(&mut out, credentials);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn headers_stand_as_they_came_and_credentials_once() {
        let mut headers = RequestHeaders::new();
        headers.add("X-A", "1").unwrap();
        headers.add("X-A", "2").unwrap();
        assert_eq!(written(&headers, None), "X-A: 1\r\nX-A: 2\r\n");
        headers.bearer("t").unwrap();
        assert_eq!(headers.basic("u", "p"), Err(HeaderError::Credentials));
        assert_eq!(headers.add("AUTHORIZATION", "x"), Err(HeaderError::Credentials));
        assert_eq!(written(&headers, None), "X-A: 1\r\nX-A: 2\r\nAuthorization: Bearer t\r\n");
        let of_url = written(&headers, Some("Basic dTpw"));
        assert_eq!(of_url, "X-A: 1\r\nX-A: 2\r\nAuthorization: Basic dTpw\r\n");
        assert_eq!(format!("{headers:?}"), "RequestHeaders { .. }");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let mut headers = RequestHeaders::new();
        for token in ["", "a b", "a\n", "a\t"] {
            assert_eq!(headers.bearer(token), Err(HeaderError::Value), "{token:?}");
        }
        for (user, password) in [("", "p"), ("u:", "p"), ("u\n", "p"), ("u", "p\0")] {
            assert_eq!(headers.basic(user, password), Err(HeaderError::Value), "{user:?}");
        }
        assert_eq!(headers.add("Traceparent", "00-1-2-01"), Err(HeaderError::Own));
        assert_eq!(headers, RequestHeaders::new());
        headers.basic("Aladdin", "open sesame").unwrap();
        let expected = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
        assert_eq!(written(&headers, None), expected);
    }
}

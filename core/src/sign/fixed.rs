//! Headers that every message has, such as the key of an API.

use super::{Signer, ToSign};
use crate::http::{HeaderError, check_header};
use crate::transport::Headers;

/// The most of them: a message has room for these beside what formats and signers write.
const MOST: usize = 4;

/// Adds the same headers to every message: what an endpoint asks for. They go to every endpoint that is set.
///
/// ```
/// use pilot_webhook_core::FixedHeaders;
/// use pilot_webhook_core::http::HeaderError;
/// let headers = FixedHeaders::new(&[("Authorization", "Bearer token"), ("X-Api-Key", "1")])?;
/// # let _ = headers;
/// assert_eq!(FixedHeaders::new(&[("Host", "a")]).err(), Some(HeaderError::Own));
/// # Ok::<(), HeaderError>(())
/// ```
#[derive(Clone, Copy)]
pub struct FixedHeaders(&'static [(&'static str, &'static str)]);

impl FixedHeaders {
    /// Up to 4 headers, as names and values.
    ///
    /// # Errors
    /// The reason why one of them cannot be added, or [`HeaderError::Many`].
    pub fn new(headers: &'static [(&'static str, &'static str)]) -> Result<Self, HeaderError> {
        if headers.len() > MOST {
            return Err(HeaderError::Many);
        }
        headers.iter().try_for_each(|(name, value)| check_header(name, value))?;
        Ok(Self(headers))
    }
}

impl Signer for FixedHeaders {
    fn sign(&self, _message: &ToSign<'_>, headers: &mut Headers<'_>) {
        for (name, value) in self.0 {
            headers.push(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_cannot_be_sent_are_refused() {
        let error = |headers| FixedHeaders::new(headers).err();
        assert_eq!(error(&[("A", "1"); 4]), None);
        assert_eq!(error(&[("A", "1"); 5]), Some(HeaderError::Many));
        assert_eq!(error(&[("A", "1"), ("Host", "a")]), Some(HeaderError::Own));
        assert_eq!(error(&[("A", "1\r\n")]), Some(HeaderError::Value));
    }
}

//! Headers that every message has, such as the key of an API.

use super::{Signer, ToSign};
use crate::transport::Headers;

/// Adds the same headers to every message: what an endpoint asks for. They go to every endpoint that is set.
///
/// Each is to pass [`http::check_header`](crate::http::check_header), or no message can be sent.
#[derive(Clone, Copy)]
pub struct FixedHeaders(pub &'static [(&'static str, &'static str)]);

impl Signer for FixedHeaders {
    fn sign(&self, _message: &ToSign<'_>, headers: &mut Headers<'_>) {
        for (name, value) in self.0 {
            headers.push(name, value);
        }
    }
}

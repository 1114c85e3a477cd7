//! What a NATS server's URL may not have, and must.

use crate::destination::error::EndpointError;
use crate::destination::scheme::Scheme;

pub(super) fn check(scheme: Scheme, has_userinfo: bool, target: &str) -> Result<(), EndpointError> {
    let is_token = |token: &[u8]| {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !token.is_empty() && token.iter().all(is_plain)
    };
    match target.as_bytes() {
        _ if !matches!(scheme, Scheme::Nats | Scheme::Tls) => Ok(()),
        _ if has_userinfo => Err(EndpointError::Login),
        [b'/', prefix @ ..] if prefix.split(|byte| *byte == b'.').all(is_token) => Ok(()),
        _ => Err(EndpointError::Subject),
    }
}

//! What an endpoint asks for: headers, credentials, and how it is to be treated.

mod certificate;
mod gzip;
mod headers;
#[cfg(feature = "proxy")]
mod proxied;
pub(crate) mod receiver;
mod treatment;

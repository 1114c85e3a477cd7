//! What an endpoint asks for: headers, credentials, and how it is to be treated.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

mod certificate;
mod gzip;
mod headers;
#[cfg(feature = "proxy")]
mod proxied;
#[allow(dead_code, reason = "each test binary uses its part")]
mod receiver;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod support;
mod treatment;

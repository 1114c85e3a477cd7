//! rustls without its standard library: the tests of `tls_servers.rs`, and what embedded-tls cannot do.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say where and why"
)]

#[path = "tls_servers.rs"]
mod tls_servers;

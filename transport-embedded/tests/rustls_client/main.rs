//! rustls without its standard library: all servers that embedded-tls meets in `it`, and what is its own.
//!
//! A program of its own: its name tells `support` which TLS client a test is about.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say where and why"
)]

mod hostile;
mod servers;
#[path = "../it/support/mod.rs"]
mod support;
#[path = "../it/tls_hostile/mod.rs"]
mod tls_hostile;
#[path = "../it/tls_servers.rs"]
mod tls_servers;

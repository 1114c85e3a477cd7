//! The transport of a node against servers on loopback and over a network in memory.
//!
//! All files are one program, as it is built and linked once. Programs of their own are `rustls_client`, which meets the same
//! hostile and real servers with rustls in the place of embedded-tls, and `rustls_heap`, whose allocator counts.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests say where and why"
)]

#[cfg(feature = "embassy-net")]
#[path = "support/cable.rs"]
mod cable;
mod clock;
#[cfg(feature = "embassy-net")]
mod dhcp;
#[cfg(all(feature = "proto-ipv6", feature = "sntp"))]
mod dns;
#[cfg(feature = "embassy-net")]
mod embassy_net;
mod http;
#[cfg(all(feature = "rustls", feature = "tls"))]
mod matrix;
#[cfg(all(feature = "roots", feature = "tls"))]
mod roots;
#[cfg(feature = "sntp")]
mod sntp;
mod support;
#[cfg(feature = "tls")]
mod tls_hostile;
#[cfg(feature = "tls")]
mod tls_servers;
#[cfg(feature = "tls")]
mod tls_words;
mod unsent;

//! The daemon's program, as people, scripts and other programs meet it: its commands, files, sockets and pages, with real
//! receivers, a real nats-server and a real browser. All files are one program, as it is built and linked once. Programs of
//! their own are `faults`, which takes the longest and starts itself again, and `fleet`, which is no test of libtest's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test says where and why at once"
)]

mod asked;
mod config;
mod follow;
#[cfg(feature = "nats")]
mod gateway;
mod ingress;
mod ipc;
mod log;
mod metrics;
mod outbox;
mod packaging;
mod page;
#[cfg(feature = "proxy")]
mod proxy;
mod run;
mod support;
mod test_url;
mod url;

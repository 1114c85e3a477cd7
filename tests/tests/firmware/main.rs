//! The node's firmware, run in QEMU against real servers on this host's loopback.
//!
//! Each test starts the image `webhook` of `examples/firmware`, looks at what arrived, and checks
//! that the node accounts for every event. Where QEMU or a compiler for the node is missing they are
//! skipped with a loud message, or fail if `PILOT_REQUIRE_FIRMWARE=1`, which CI sets.

#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test should say where and why at once"
)]

mod arguments;
mod delivery;
mod hostile;
mod link;
mod names;
mod nats;
mod node;
mod overrun;
mod public;
mod readme;
mod receiver;
#[path = "../it/readme/shell.rs"]
mod shell;
mod signed;
mod time;

//! What the daemon tells machines at its admin address: the real binary, asked over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

mod counted;
mod names;
mod prometheus;
mod served;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of `run`, which use the rest")]
mod support;

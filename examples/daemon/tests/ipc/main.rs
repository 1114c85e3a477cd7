//! The daemon's socket, as pilot's tools and other clients meet it: the real binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

mod asked;
mod commands;
mod daemon;
mod file;
#[path = "../asked/receiver.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod receiver;
mod signals;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of `run`, which use the rest")]
mod support;
mod webhook;
mod wire;

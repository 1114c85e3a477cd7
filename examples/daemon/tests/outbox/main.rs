//! `pilot-webhookd outbox`, as people and scripts call it: the real binary on real files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

mod change;
mod export;
mod look;
mod operator;
mod place;
mod read_only;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of `run`, which use the rest")]
mod support;
mod wrong;

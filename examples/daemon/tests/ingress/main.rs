//! `pilot-webhookd run --listen`, as pilot's Go plugin meets it: the real binary, a real receiver.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

mod daemon;
mod delivery;
mod ends;
mod original;
mod outbox;
#[path = "../asked/receiver.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod receiver;
mod signed;
mod standard;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of `run`, which use the rest")]
mod support;
mod traced;

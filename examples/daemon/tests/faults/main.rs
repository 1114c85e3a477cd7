//! `pilot-webhookd` with an outbox when it dies, or the disk fails, at each of the calls by which it changes anything.
//!
//! A library that is preloaded (`shim.c`) counts the calls that change the files of the outbox or write to a socket.
//! A run for each of them dies there: so every step between accept, commit, deliver and remove is a point of death,
//! and none is left out.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

mod client;
mod errors;
mod kills;
mod life;
mod place;
mod post;
mod receiver;
mod shim;
mod slow;
mod source;

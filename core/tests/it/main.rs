//! What core promises, as its users see it: by examples, properties and tables.
//!
//! All files are one program, as it is built and linked once. `tests/allocations.rs` is a program of its own: its allocator
//! counts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

mod asked;
mod batch;
mod breaker;
mod cloudevents;
mod dispatcher;
mod endpoint;
mod exchange;
mod full;
mod go;
mod in_flight;
mod message_ids;
mod messages;
mod payload;
mod poison;
mod recovery;
mod retry;
mod secrets;
mod support;
mod times;
mod tried;
mod wake_ups;
mod worker;

//! What core promises to whoever uses it. All files are modules of one program, since each program is built and linked on
//! its own. `tests/allocations.rs` is a program of its own: it counts with its process's global allocator.
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

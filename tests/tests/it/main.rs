//! What crosses the crates: the transports against servers and libraries of others, the simulation, the README, the
//! manifests.
//!
//! All files are one program, as it is built and linked once. Programs of their own are `chaos`, which is another process
//! for each receiver, `firmware`, which takes long and needs images, `hostile`, whose allocator counts, and
//! `interleavings`, whose library changes the process's panic hook and signal handlers.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test should say where and why at once"
)]

mod cloudevents;
mod conformance;
mod fleet_size;
mod http2;
mod manifests;
mod nats;
mod nats_embassy;
mod nats_embassy_tls;
mod nats_login;
mod nats_permitted;
mod proxy;
#[cfg(unix)]
mod readme;
mod seams;
mod simulation;
mod standard_webhooks;
mod streams;
mod transport_embassy;
mod transport_reqwest;
mod transport_std;
mod transport_std_answers;
mod transport_std_kept;
mod transport_std_report;
mod transport_std_trust;
mod transports;

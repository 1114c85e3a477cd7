//! The transport on tokio, as a program that uses it sees it: clients, hubs, the service, the outbox, against receivers on
//! loopback. All files are one program, as it is built and linked once. Programs of their own are `allocations`, which has
//! an allocator that counts; `process`, whose tests count what the whole process has, or listen to its log lines; and
//! `thousand`, which measures the process's memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test says where and why at once"
)]

#[cfg(target_os = "linux")]
mod dial;
#[cfg(feature = "outbox")]
mod durable;
#[cfg(feature = "outbox")]
mod durable_restart;
mod extremes;
mod hub;
mod in_flight;
#[cfg(feature = "outbox")]
mod outbox;
#[cfg(all(feature = "outbox", unix))]
mod outbox_crash;
#[cfg(feature = "outbox")]
mod outbox_endpoints;
#[cfg(feature = "outbox")]
mod outbox_errors;
#[cfg(feature = "outbox")]
mod outbox_migration;
#[cfg(feature = "outbox")]
mod outbox_model;
mod outside;
mod own_transport;
#[cfg(feature = "plugin")]
mod service;
mod sources;
#[cfg(target_os = "linux")]
mod stopped;
#[cfg(feature = "plugin")]
mod support;
mod trace;
mod waiting;

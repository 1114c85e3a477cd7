//! Several endpoints in one process: each event ends once at each that is to have it, and none disturbs another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed test says where and why at once"
)]

mod changes;
mod fan_out;
mod isolation;
mod pause;
mod pull_to;
#[cfg(feature = "outbox")]
mod stored;
mod world;

use pilot_webhook_std::{Client, ClientBuilder, EndpointOptions, Filter};

/// The options of an endpoint at `url`, with short waits.
fn options(url: &str, filter: Filter) -> EndpointOptions {
    EndpointOptions { filter, client: quick(url), ..EndpointOptions::default() }
}

fn quick(url: &str) -> ClientBuilder {
    Client::builder(url)
        .retry_backoff(std::time::Duration::from_millis(1))
        .circuit_cooldown(std::time::Duration::from_millis(5))
        .drain_timeout(std::time::Duration::from_secs(1))
}

fn topics<const N: usize>(patterns: [&str; N]) -> Filter {
    Filter::new().topics(patterns)
}

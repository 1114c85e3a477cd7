//! Several endpoints in one process: each event ends once at each that is to have it, and none disturbs another.

mod changes;
#[cfg(feature = "outbox")]
mod come_back;
mod control_model;
mod fan_out;
mod isolation;
mod left_behind;
mod pause;
mod pull_to;
#[cfg(feature = "outbox")]
mod stored;
#[cfg(feature = "outbox")]
mod too_old;
mod world;

use std::time::Duration;

use pilot_webhook_std::{Client, ClientBuilder, EndpointOptions, Filter};

/// Plays a case of a property test, on two threads.
fn in_time(play: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), play).await.expect("in time");
    });
}

/// The options of an endpoint at `url`, with short waits.
fn options(url: &str, filter: Filter) -> EndpointOptions {
    EndpointOptions { filter, client: quick(url), ..EndpointOptions::default() }
}

fn quick(url: &str) -> ClientBuilder {
    Client::builder(url)
        .retry_backoff(Duration::from_millis(1))
        .circuit_cooldown(Duration::from_millis(5))
        .drain_timeout(Duration::from_secs(1))
}

fn topics<const N: usize>(patterns: [&str; N]) -> Filter {
    Filter::new().topics(patterns)
}

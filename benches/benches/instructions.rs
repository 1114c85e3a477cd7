//! Instructions, counted by valgrind: `benches/run instructions`. They do not depend on what else
//! the machine does, so a change of a few percent shows.
#![allow(
    missing_docs,
    unused_qualifications,
    clippy::unwrap_used,
    reason = "a benchmark, and macros"
)]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use pilot_webhook_benches::events::{DATA, TOPIC};
use pilot_webhook_benches::inprocess::Engine;
use pilot_webhook_core::EmitError;
use pilot_webhook_std::Client;
use tokio::runtime::Runtime;

/// The events of one measurement.
const EVENTS: u64 = 1_000;

/// A client that is never polled, with room for all events; warm.
fn client(url: &str, capacity: u32) -> (Runtime, Client) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let guard = runtime.enter();
    let client = Client::builder(url).queue_capacity(capacity).build().unwrap();
    let _ = client.emit(TOPIC, &DATA);
    drop(guard);
    (runtime, client)
}

fn emit_all((runtime, client): (Runtime, Client)) -> (Runtime, Client) {
    for _ in 0..EVENTS {
        let _ = black_box(client.emit(black_box(TOPIC), black_box(&DATA)));
    }
    (runtime, client)
}

#[library_benchmark]
#[bench::a_thousand(args = ("http://127.0.0.1:9/", 1_024), setup = client)]
fn emit(client: (Runtime, Client)) -> (Runtime, Client) {
    emit_all(client)
}

#[library_benchmark]
#[bench::a_thousand(args = ("http://127.0.0.1:9/", 1), setup = client)]
fn emit_when_full(client: (Runtime, Client)) -> (Runtime, Client) {
    assert_eq!(client.1.emit(TOPIC, &DATA), Err(EmitError::Full));
    emit_all(client)
}

#[library_benchmark]
#[bench::a_thousand(args = ("", 1_024), setup = client)]
fn emit_without_a_url(client: (Runtime, Client)) -> (Runtime, Client) {
    emit_all(client)
}

/// An engine with a thousand events queued.
fn filled() -> Engine {
    let mut engine = Engine::new(1_024).unwrap();
    // The worker starts once before it is counted.
    engine.emit().unwrap();
    engine.deliver();
    (0..EVENTS).for_each(|_| engine.emit().unwrap());
    engine
}

#[library_benchmark]
#[bench::a_thousand(setup = filled)]
fn deliver_in_memory(mut engine: Engine) -> Engine {
    assert_eq!(engine.deliver(), EVENTS + 1);
    engine
}

library_benchmark_group!(
    name = instructions,
    benchmarks = [emit, emit_when_full, emit_without_a_url, deliver_in_memory]
);
main!(library_benchmark_groups = instructions);

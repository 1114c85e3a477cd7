//! What an `emit` costs its caller: taken in, and dropped by a full queue.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use criterion::{Criterion, criterion_group, criterion_main};
use pilot_webhook_core::OnFull;
use pilot_webhook_std::Client;
use serde::Serialize;

#[derive(Serialize)]
struct Established {
    conn_id: u32,
    dst_port: u16,
    src_addr: &'static str,
}

const DATA: Established = Established { conn_id: 2, dst_port: 444, src_addr: "0:0000.0000.0002" };

fn emit(criterion: &mut Criterion) {
    // Never polled, so that nothing is delivered meanwhile.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    // The oldest makes room, so that every event is taken in.
    let endless = Client::builder("http://127.0.0.1:9/").on_full(OnFull::DropOldest).build();
    let endless = endless.unwrap();
    criterion.bench_function("emit, three fields", |bench| {
        bench.iter(|| endless.emit("conn.established", &DATA));
    });
    let full = Client::builder("http://127.0.0.1:9/").queue_capacity(1).build().unwrap();
    full.emit("conn.established", &DATA).unwrap();
    criterion.bench_function("emit, queue full", |bench| {
        bench.iter(|| full.emit("conn.established", &DATA));
    });
    let none = Client::builder("").build().unwrap();
    criterion.bench_function("emit, no URL", |bench| {
        bench.iter(|| none.emit("conn.established", &DATA));
    });
}

criterion_group!(benches, emit);
criterion_main!(benches);

//! A thousand endpoints in one process, most of them dead: what they take, and what the others notice of it. A program
//! of its own, because it measures the memory of the process.
//!
//! `PILOT_THOUSAND=1` measures for longer, alone on the machine, and prints what `docs/performance.md` says. Tests whose
//! numbers belong to the process are to run alone then: `--exact NAME`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed test says where and why at once"
)]

use std::net::SocketAddr;
use std::time::Duration;

use pilot_webhook_std::{Client, EndpointOptions, Event, Filter, Hub, Json, Timestamp};

use receivers::{Receivers, is_played_here};
use tokio::time::MissedTickBehavior;

mod rates;
mod receivers;

const ENDPOINTS: usize = 1_000;
const DEAD: usize = 900;
const HEALTHY: usize = ENDPOINTS - DEAD;
/// Events for each.
const PER_SECOND: u32 = 22;
/// What a process with all of them may take, in bytes, the program included. Without optimization, and with all features, it
/// takes more: 61 MiB.
const MOST_MEMORY: usize = if cfg!(debug_assertions) { 68 << 20 } else { 64_000_000 };

/// As long as the data of pilot's events.
const DATA: &str = r#"{"conn_id":7,"remote_addr":"0:0000.0000.0002","src_port":49152,"dst_port":1001,"state":"established","peer_node_id":2}"#;

fn is_long() -> bool {
    std::env::var("PILOT_THOUSAND").is_ok()
}

/// What this process has in memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() << 10
}

/// The processor time of this process so far.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// An endpoint for one topic, as each has its own.
fn add(hub: &Hub, n: usize, to: SocketAddr) {
    let filter = Filter::new().topics([format!("e{n}.*")]);
    let capacity = Hub::queue_capacity(ENDPOINTS);
    let client = Client::builder(format!("http://{to}/{n}")).queue_capacity(capacity);
    hub.add(&format!("e{n}"), EndpointOptions { filter, waits: false, client }).unwrap();
}

/// An event for the endpoint of this name.
fn emit(hub: &Hub, name: &str) {
    let topic = format!("{name}.conn.established");
    let event = Event::new(&topic, 1, Timestamp::new(0, 0));
    let _ = hub.emit_event(&event, &Json(DATA));
}

fn is_healthy(name: &str) -> bool {
    name[1..].parse::<usize>().unwrap() < HEALTHY
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_endpoints_take_little_and_the_dead_ones_hold_up_no_others() {
    if is_played_here() {
        return;
    }
    let (receivers, hub, bare) = (Receivers::start(), Hub::new(), resident());
    for n in 0..ENDPOINTS {
        add(&hub, n, if n < HEALTHY { receivers.takes } else { receivers.dead(n) });
    }
    let (endpoints, idle) = (hub.endpoints(), resident());
    let healthy = || endpoints.iter().filter(|it| is_healthy(it.name()));
    // Within 3 s the queues of those that never answer are full.
    let events = PER_SECOND * if is_long() { 60 } else { 4 };
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..events {
        ticks.tick().await;
        for it in healthy() {
            it.client().room().await;
        }
        endpoints.iter().for_each(|it| emit(&hub, it.name()));
    }
    let busy = resident();
    println!(
        "{} KiB without endpoints, {} KiB with {ENDPOINTS}, {} KiB after {events} events for each",
        bare >> 10,
        idle >> 10,
        busy >> 10,
    );
    assert!(busy < MOST_MEMORY, "{} KiB", busy >> 10);
    for it in healthy() {
        it.client().drained().await;
        assert_eq!(it.stats().delivered, u64::from(events), "{}", it.name());
    }
    hub.close().await;
    let sum = hub.stats();
    assert!(sum.is_balanced(), "{sum:?}");
}

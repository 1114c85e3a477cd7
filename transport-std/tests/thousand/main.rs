//! A thousand endpoints in one process, most of them dead: what they take, and what the others notice of it.
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
use std::time::{Duration, Instant};

use pilot_webhook_std::{Client, EndpointOptions, Event, Filter, Hub, Timestamp};

use receivers::{Receivers, is_played_here};

mod rates;
mod receivers;

const ENDPOINTS: usize = 1_000;
const DEAD: usize = 900;
const HEALTHY: usize = ENDPOINTS - DEAD;
/// What a process with all of them may take, in bytes. With all features, and without optimization, it is the endpoints
/// alone.
const MOST_MEMORY: usize = 64 << 20;

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

/// Offers each of `endpoints` so many events a second, for a time, and returns how many of those of healthy ones came
/// to be delivered in it.
async fn offer(hub: &Hub, endpoints: &[usize], per_second: u32, time: Duration) -> u64 {
    let delivered = || {
        let healthy = hub.endpoints().into_iter().filter(|it| is_healthy(it.name()));
        healthy.map(|it| it.stats().delivered).sum::<u64>()
    };
    let (before, begin) = (delivered(), Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    while begin.elapsed() < time {
        ticks.tick().await;
        for n in endpoints {
            emit(hub, &format!("e{n}"));
        }
    }
    delivered() - before
}

/// An event for the endpoint of this name.
fn emit(hub: &Hub, name: &str) {
    let topic = format!("{name}.conn.established");
    let event = Event::new(&topic, 1, Timestamp::new(0, 0));
    let _ = hub.emit_event(&event, &"0:0000.0000.0002");
}

fn is_healthy(name: &str) -> bool {
    name[1..].parse::<usize>().unwrap() < HEALTHY
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_endpoints_take_little_and_the_dead_ones_cost_the_others_nothing() {
    if is_played_here() {
        return;
    }
    let is_long = is_long();
    let time = Duration::from_secs(if is_long { 60 } else { 3 });
    let receivers = Receivers::start();
    let (hub, bare) = (Hub::new(), resident());
    let healthy: Vec<_> = (0..HEALTHY).collect();
    healthy.iter().for_each(|n| add(&hub, *n, receivers.takes));
    // Each event is compared with a thousand filters, which takes its time without optimization.
    let per_second = if is_long { 20 } else { 2 };
    let begin = processor();
    let alone = offer(&hub, &healthy, per_second, time).await;
    let alone_took = processor() - begin;
    for n in HEALTHY..ENDPOINTS {
        add(&hub, n, receivers.dead(n));
    }
    let idle = resident();
    let all: Vec<_> = (0..ENDPOINTS).collect();
    let begin = processor();
    let among_dead = offer(&hub, &all, per_second, time).await;
    let (took, busy) = (processor() - begin, resident());
    println!(
        "memory: {} KiB bare, {} KiB with {ENDPOINTS} endpoints, {} KiB under load; \
         delivered in {time:?}: {alone} alone ({alone_took:?} of processor), {among_dead} among {DEAD} dead ({took:?})",
        bare >> 10,
        idle >> 10,
        busy >> 10,
    );
    let counted = if cfg!(feature = "nats") { busy - bare } else { busy };
    assert!(counted < MOST_MEMORY, "{} KiB", counted >> 10);
    // On a machine that has other work, both vary by more than the dead ones cost.
    let least = if is_long { alone * 95 / 100 } else { alone / 2 };
    assert!(among_dead >= least, "{among_dead} and alone {alone}");
    hub.close().await;
    let sum = hub.stats();
    assert!(sum.is_balanced(), "{sum:?}");
}

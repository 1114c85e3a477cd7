//! How many events the healthy endpoints deliver at most, alone and among the dead ones.

use std::time::{Duration, Instant};

use pilot_webhook_std::{Hub, HubEndpoint};

use super::{DEAD, ENDPOINTS, HEALTHY, add, emit, is_healthy, is_long, processor};
use crate::receivers::{Receivers, is_played_here};

/// Rounds of each, in turn.
const ROUNDS: usize = 7;
/// How long each is measured.
const TIME: Duration = Duration::from_secs(8);
/// Of events for each dead endpoint.
const INTERVAL: Duration = Duration::from_secs(1);
/// Events that a healthy endpoint has in its queue, at least.
const WAITING: u32 = 64;

/// The endpoints of a hub, by kind.
fn of_kind(hub: &Hub, healthy: bool) -> Vec<HubEndpoint> {
    hub.endpoints().into_iter().filter(|it| is_healthy(it.name()) == healthy).collect()
}

/// Keeps the queues of the healthy endpoints filled for a time, and brings each dead one its events. Returns how many
/// events the healthy ones delivered in a second, and the processor time that took.
async fn measure(hub: &Hub) -> (f64, Duration) {
    let (healthy, dead) = (of_kind(hub, true), of_kind(hub, false));
    dead.iter().for_each(|it| it.client().resume());
    let delivered = || healthy.iter().map(|it| it.stats().delivered).sum::<u64>();
    fill(hub, &healthy, &dead, TIME / 10).await;
    let (before, begin, used) = (delivered(), Instant::now(), processor());
    fill(hub, &healthy, &dead, TIME).await;
    let rate = (delivered() - before) as f64 / begin.elapsed().as_secs_f64();
    let used = processor() - used;
    dead.iter().for_each(|it| it.client().pause());
    for it in &healthy {
        it.client().drained().await;
    }
    (rate, used)
}

async fn fill(hub: &Hub, healthy: &[HubEndpoint], dead: &[HubEndpoint], time: Duration) {
    let begin = Instant::now();
    // The dead ones get theirs one after the other, at even distances.
    let (mut next, mut dead) = (begin, dead.iter().cycle());
    while begin.elapsed() < time {
        let mut has_room = false;
        for it in healthy {
            if it.client().stats().queued < WAITING {
                has_room = true;
                emit(hub, it.name());
            }
        }
        while next < Instant::now() {
            next += INTERVAL / u32::try_from(DEAD).unwrap();
            if let Some(it) = dead.next() {
                emit(hub, it.name());
            }
        }
        if !has_room {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut of: Vec<_> = of.collect();
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_healthy_ones_are_as_fast_among_the_dead() {
    if is_played_here() || !is_long() {
        return;
    }
    let (receivers, alone, among_dead) = (Receivers::start(), Hub::new(), Hub::new());
    for n in 0..HEALTHY {
        add(&alone, n, receivers.takes);
        add(&among_dead, n, receivers.takes);
    }
    for n in HEALTHY..ENDPOINTS {
        add(&among_dead, n, receivers.dead(n));
    }
    let (mut alone_rates, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (hub, rates) in [(&alone, &mut alone_rates), (&among_dead, &mut rates)] {
            let (rate, used) = measure(hub).await;
            let cost = used.as_secs_f64() / TIME.as_secs_f64() / rate;
            let endpoints = hub.endpoints().len();
            println!("{endpoints} endpoints: {rate:.0} events a second, {:.2} us each", cost * 1e6);
            rates.push((rate, cost));
        }
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        median(rates.iter().map(of)) / median(alone_rates.iter().map(of))
    };
    let (rate, cost) = (median(|it| it.0), median(|it| it.1));
    println!(
        "among the dead: {rate:.3} of the rate alone, for {cost:.3} of the processor time an event"
    );
    // Other work on the machine changes the rate, and the processor time much less.
    assert!(cost < 1.05, "{cost}");
}

/// What it takes to look for the endpoints that an event is for.
#[tokio::test]
async fn an_event_for_no_endpoint_is_cheap_among_many() {
    if is_played_here() || !is_long() {
        return;
    }
    let (receivers, hub) = (Receivers::start(), Hub::new());
    for n in 0..ENDPOINTS {
        add(&hub, n, receivers.takes);
    }
    const EVENTS: u32 = 100_000;
    emit(&hub, "none");
    let begin = Instant::now();
    for _ in 0..EVENTS {
        emit(&hub, "none");
    }
    println!("an event for none of {ENDPOINTS} endpoints: {:?}", begin.elapsed() / EVENTS);
}

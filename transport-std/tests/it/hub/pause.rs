//! A client that is paused sends nothing, and loses nothing.

use std::time::Duration;

use pilot_webhook_std::{BreakerState, Filter, Hub, OnOpen, Rate};
use tokio::time::sleep;

use super::world::{Behaviour, World};
use super::{options, quick};

/// Long against a delivery on loopback: nothing is sent meanwhile.
const QUIET: Duration = Duration::from_millis(100);

#[tokio::test]
async fn what_is_emitted_while_it_is_paused_waits_and_goes_out_in_order() {
    let world = World::start().await;
    let client = quick(&world.url("a", Behaviour::Takes)).build().unwrap();
    assert!(!client.is_paused());
    client.pause();
    client.pause();
    assert!(client.is_paused());
    for n in 0..20 {
        client.emit("t", &n).unwrap();
    }
    sleep(QUIET).await;
    let stats = client.stats();
    assert_eq!((stats.attempts, stats.queued), (0, 20));
    // Another target changes nothing about it.
    client.set_url(&world.url("b", Behaviour::Takes)).unwrap();
    sleep(QUIET).await;
    assert!(client.is_paused() && client.stats().attempts == 0);
    client.resume();
    client.drained().await;
    assert_eq!(world.taken("b"), Vec::from_iter(0..20));
    client.close().await;
}

#[tokio::test]
async fn what_waits_for_its_next_attempt_or_behind_a_breaker_waits_on() {
    let world = World::start().await;
    for on_open in [OnOpen::Skip, OnOpen::Hold] {
        let client = quick(&world.url("a", Behaviour::Fails))
            .on_open(on_open)
            .max_in_flight(4)
            .retry_backoff(Duration::from_millis(20))
            .build()
            .unwrap();
        for n in 0..4 {
            client.emit("t", &n).unwrap();
        }
        while client.stats().attempts < 4 {
            sleep(Duration::from_millis(1)).await;
        }
        client.pause();
        sleep(QUIET).await;
        // Those that were under way ended; what came then has waited.
        let attempts = client.stats().attempts;
        sleep(QUIET).await;
        let stats = client.stats();
        assert_eq!((stats.attempts, stats.queued + stats.in_flight), (attempts, 4), "{stats:?}");
        client.resume();
        // The breaker opens and, on hold, probes.
        while client.stats().breaker != BreakerState::Open && client.stats().exhausted < 4 {
            client.emit("t", &9).unwrap();
            sleep(Duration::from_millis(10)).await;
        }
        client.pause();
        sleep(QUIET).await;
        let before = client.stats();
        client.emit("t", &8).unwrap();
        sleep(QUIET).await;
        let after = client.stats();
        assert_eq!((after.attempts, after.skipped), (before.attempts, before.skipped));
        assert_eq!(after.queued, before.queued + 1, "held, whatever the breaker does");
        client.close().await;
        assert!(client.stats().is_balanced());
    }
}

#[tokio::test]
async fn a_rate_counts_again_afterwards() {
    let world = World::start().await;
    let rate = Rate::new(100, Duration::from_secs(1)).unwrap();
    let client = quick(&world.url("a", Behaviour::Takes)).rate(rate).build().unwrap();
    client.pause();
    for n in 0..6 {
        client.emit("t", &n).unwrap();
    }
    client.resume();
    let start = std::time::Instant::now();
    client.drained().await;
    assert!(start.elapsed() >= Duration::from_millis(50), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_close_does_not_wait_for_one_that_is_paused() {
    let world = World::start().await;
    let client = quick(&world.url("a", Behaviour::Takes)).build().unwrap();
    client.pause();
    client.emit("t", &1).unwrap();
    let start = std::time::Instant::now();
    client.close().await;
    assert!(start.elapsed() < Duration::from_millis(900));
    assert_eq!(client.stats().abandoned, 1);
}

#[tokio::test]
async fn an_endpoint_stays_paused_when_it_is_replaced_and_loses_nothing() {
    let (world, hub) = (World::start().await, Hub::new());
    let url = world.url("a", Behaviour::Takes);
    hub.add("a", options(&url, Filter::new())).unwrap();
    hub.endpoint("a").unwrap().pause();
    for n in 0..3 {
        hub.emit("t", &n).unwrap();
        hub.replace("a", options(&url, Filter::new())).unwrap();
    }
    sleep(QUIET).await;
    assert!(hub.endpoint("a").unwrap().is_paused() && world.taken("a").is_empty());
    assert_eq!(hub.endpoints()[0].stats().queued, 3);
    hub.endpoint("a").unwrap().resume();
    world.wait_for(3).await;
    hub.close().await;
    let stats = hub.endpoints()[0].stats();
    assert_eq!((stats.emitted, stats.delivered), (3, 3));
}

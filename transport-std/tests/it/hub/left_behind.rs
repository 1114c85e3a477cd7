//! Clients that a replacement left behind do what is said to their endpoint.

use std::time::Duration;

use pilot_webhook_std::{Client, ClientBuilder, EndpointOptions, Hub, OnOpen, Rate, Secret};
use tokio::time::{Instant, sleep, timeout};

use super::quick;
use super::world::{Behaviour, World};

/// Long against a delivery on loopback: nothing is sent meanwhile.
const QUIET: Duration = Duration::from_millis(100);

/// An endpoint whose client sends one event after the other.
fn slow(url: &str) -> ClientBuilder {
    quick(url).rate(Rate::new(1, Duration::from_millis(10)).unwrap())
}

/// A hub with an endpoint that was replaced so many times, 20 events each time.
fn replaced(times: u64, client: impl Fn() -> ClientBuilder) -> Hub {
    let hub = Hub::new();
    hub.add("a", client().into()).unwrap();
    for lap in 0..times {
        for n in 0..20 {
            hub.emit("t", &(lap * 20 + n)).unwrap();
        }
        hub.replace("a", client().into()).unwrap();
    }
    hub
}

#[tokio::test]
async fn a_pause_stops_them_and_a_resume_has_them_go_on() {
    let world = World::start().await;
    let url = world.url("a", Behaviour::Takes);
    let hub = replaced(2, || slow(&url));
    world.wait_at("a", 3).await;
    let endpoint = hub.endpoint("a").unwrap();
    endpoint.pause();
    sleep(QUIET).await;
    let taken = world.taken("a").len();
    sleep(QUIET).await;
    assert_eq!(world.taken("a").len(), taken);
    // One that comes now is paused, too, and so are those before it.
    hub.replace("a", slow(&url).into()).unwrap();
    sleep(QUIET).await;
    assert_eq!(world.taken("a").len(), taken);
    endpoint.resume();
    hub.drained().await;
    assert_eq!(world.taken("a"), Vec::from_iter(0..40), "of old ones, one at a time delivers");
    hub.close().await;
}

#[tokio::test]
async fn their_connections_are_counted_when_they_have_ended() {
    let world = World::start().await;
    let url = world.url("a", Behaviour::Takes);
    let hub = replaced(3, || quick(&url));
    let endpoint = hub.endpoint("a").unwrap();
    hub.drained().await;
    let before = endpoint.connections();
    assert_eq!(before.made + before.reused, 60);
    hub.replace("a", quick(&url).into()).unwrap();
    let after = hub.endpoint("a").unwrap().connections();
    assert_eq!(after.made + after.reused, 60);
    assert_eq!(endpoint.panics(), 0);
    hub.close().await;
}

#[tokio::test]
async fn what_they_have_goes_to_another_url() {
    let world = World::start().await;
    let (dead, new) = (world.url("dead", Behaviour::Fails), world.url("new", Behaviour::Takes));
    let held = |url: &str| quick(url).on_open(OnOpen::Hold);
    let hub = replaced(3, || held(&dead));
    hub.endpoint("a").unwrap().set_url(&new).unwrap();
    world.wait_at("new", 60).await;
    hub.close().await;
    // The same, when it comes with other options.
    let hub = replaced(3, || held(&dead));
    hub.replace("a", held(&new).batch(10).into()).unwrap();
    world.wait_at("new", 120).await;
    hub.close().await;
    let stats = hub.stats();
    assert_eq!((stats.emitted, stats.delivered), (60, 60), "{stats:?}");
}

#[tokio::test]
async fn a_clear_ends_them_within_the_drain_timeout() {
    let world = World::start().await;
    let url = world.url("a", Behaviour::Fails);
    let hub = replaced(3, || quick(&url).on_open(OnOpen::Hold).drain_timeout(QUIET));
    let endpoint = hub.endpoint("a").unwrap();
    endpoint.set_url("").unwrap();
    timeout(Duration::from_secs(5), hub.drained()).await.unwrap();
    let stats = endpoint.stats();
    assert_eq!((stats.emitted, stats.abandoned, stats.queued), (60, 60, 0), "{stats:?}");
    endpoint.set_url(&world.url("new", Behaviour::Takes)).unwrap();
    hub.emit("t", &60).unwrap();
    world.wait_at("new", 1).await;
    hub.close().await;
}

#[tokio::test]
async fn they_sign_with_another_secret() {
    let world = World::start().await;
    let (dead, new) = (world.url("dead", Behaviour::Fails), world.url("new", Behaviour::Takes));
    let hub = replaced(3, || quick(&dead).on_open(OnOpen::Hold).secret(b"old"));
    let endpoint = hub.endpoint("a").unwrap();
    endpoint.set_secret(Some(b"new")).unwrap();
    assert!(endpoint.set_secret(Some(b"")).is_err());
    endpoint.set_url(&new).unwrap();
    world.wait_at("new", 60).await;
    let secret = Secret::new(b"new").unwrap();
    for (body, signature) in world.posts("new") {
        assert!(secret.verify(&body, signature.unwrap().as_bytes()));
    }
    hub.close().await;
}

#[tokio::test]
async fn two_clients_deliver_at_a_time_however_often_it_was_replaced() {
    let world = World::start().await;
    let url = world.url("a", Behaviour::Fails);
    let rate = Rate::new(1, Duration::from_millis(50)).unwrap();
    let hub = replaced(20, || quick(&url).on_open(OnOpen::Hold).rate(rate));
    hub.emit("t", &400).unwrap();
    let (start, before) = (Instant::now(), hub.stats().attempts);
    sleep(QUIET * 5).await;
    let (attempts, took) = (hub.stats().attempts - before, start.elapsed());
    assert!(u128::from(attempts) <= 2 * (took.as_millis() / 50 + 1), "{attempts} in {took:?}");
    // None is lost when it ends.
    world.url("a", Behaviour::Takes);
    hub.replace("a", quick(&url).into()).unwrap();
    hub.remove("a").await.unwrap();
    let stats = hub.stats();
    assert!(stats.is_balanced() && stats.emitted == 401, "{stats:?}");
}

/// What retires a client waits for the pause to end: it is over with the endpoint.
#[tokio::test]
async fn one_that_is_paused_replaced_and_removed_is_dropped() {
    let (world, hub) = (World::start().await, Hub::new());
    let url = world.url("a", Behaviour::Takes);
    let held = std::sync::Arc::new(());
    let holding = || {
        let held = std::sync::Arc::clone(&held);
        let client = Client::builder(&url).on_notice(move |_| {
            let _ = &held;
        });
        EndpointOptions::from(client)
    };
    hub.add("a", holding()).unwrap();
    hub.endpoint("a").unwrap().pause();
    hub.replace("a", holding()).unwrap();
    hub.remove("a").await.unwrap();
    let dropped = async {
        while std::sync::Arc::strong_count(&held) > 1 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(5), dropped).await.unwrap();
}

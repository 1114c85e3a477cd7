//! Endpoints come, change and go while events do: none is lost.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use pilot_webhook_std::{EndpointOptions, Event, Filter, Hub, OnOpen, Timestamp};

use super::world::{Behaviour, World};
use super::{options, quick, topics};

/// A number of an endless sequence (xorshift).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_replacements_under_load_lose_nothing() {
    let (world, hub) = (World::start().await, Hub::new());
    let (a, b) = (world.url("a", Behaviour::Takes), world.url("b", Behaviour::Takes));
    let waits = |url: &str, capacity: u32, posts: u16| EndpointOptions {
        waits: true,
        client: quick(url).queue_capacity(capacity).max_in_flight(posts).on_open(OnOpen::Hold),
        ..EndpointOptions::default()
    };
    hub.add("a", waits(&a, 50, 1)).unwrap();
    hub.add("b", waits(&b, 50, 1)).unwrap();
    let untouched = hub.get("b").unwrap();
    let stop = Arc::<AtomicBool>::default();
    let emitting = [0_u64, 1].map(|lane| {
        let (hub, stop) = (hub.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut n = lane;
            while !stop.load(Relaxed) {
                let event = Event::new("t", 1, Timestamp::new(0, 0));
                assert!(hub.emit_when_room(&event, &n).await.unwrap().is_some());
                n += 2;
            }
            (n - lane) / 2
        })
    });
    let mut state = 0x5eed;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_micros(random(&mut state) % 5_000)).await;
        let capacity = u32::try_from(10 + random(&mut state) % 100).unwrap();
        let posts = u16::try_from(1 + random(&mut state) % 3).unwrap();
        hub.replace("a", waits(&a, capacity, posts)).unwrap();
    }
    stop.store(true, Relaxed);
    let mut emitted = 0;
    for task in emitting {
        emitted += task.await.unwrap();
    }
    hub.drained().await;
    for name in ["a", "b"] {
        let taken = world.taken(name);
        assert_eq!(taken.len() as u64, emitted, "{name}: each once");
        let different: HashSet<_> = taken.into_iter().collect();
        assert_eq!(different.len() as u64, emitted, "{name}: each");
    }
    assert!(hub.get("b").unwrap().stats() == untouched.stats(), "it has its client still");
    hub.close().await;
    for endpoint in hub.endpoints() {
        let stats = endpoint.stats();
        assert_eq!((stats.emitted, stats.delivered), (emitted, emitted), "{}", endpoint.name());
    }
    assert_eq!((hub.stats().delivered, hub.events()), (2 * emitted, emitted));
}

/// Who waits for an endpoint that takes nothing goes on when another client takes its place.
#[tokio::test]
async fn who_waits_for_a_dead_endpoint_is_freed_by_its_replacement_and_its_removal() {
    let (world, hub) = (World::start().await, Hub::new());
    let dead = |waits| EndpointOptions {
        waits,
        client: quick(&world.url("dead", Behaviour::Hangs)).queue_capacity(1),
        ..EndpointOptions::default()
    };
    let event = Event::new("t", 1, Timestamp::new(0, 0));
    hub.add("a", dead(true)).unwrap();
    hub.emit_when_room(&event, &1).await.unwrap();
    let mut waiting = std::pin::pin!(hub.emit_when_room(&event, &2));
    let still = tokio::time::timeout(Duration::from_millis(50), waiting.as_mut()).await;
    assert!(still.is_err());
    let mut good = options(&world.url("good", Behaviour::Takes), Filter::new());
    good.waits = true;
    hub.replace("a", good).unwrap();
    assert!(waiting.await.unwrap().is_some());
    // What the old client has goes there, too.
    world.wait_at("good", 2).await;

    hub.add("b", dead(true)).unwrap();
    hub.emit_when_room(&event, &3).await.unwrap();
    let waiting = hub.emit_when_room(&event, &4);
    let removed = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        hub.remove("b").await.unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, removed);
    assert!(answer.unwrap().is_some());
    world.wait_at("good", 4).await;
    let mut taken = world.taken("good");
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 3, 4]);
    hub.close().await;
    assert!(hub.stats().is_balanced(), "{:?}", hub.stats());
}

#[tokio::test]
async fn an_endpoint_that_is_removed_delivers_what_it_has_and_stays_in_the_sum() {
    let (world, hub) = (World::start().await, Hub::new());
    let url = world.url("a", Behaviour::Slow(2));
    hub.add("a", options(&url, Filter::new())).unwrap();
    hub.add("b", options(&world.url("b", Behaviour::Takes), topics(["x"]))).unwrap();
    for n in 0..20 {
        hub.emit("t", &n).unwrap();
    }
    hub.replace("a", options(&url, Filter::new())).unwrap();
    for n in 20..40 {
        hub.emit("t", &n).unwrap();
    }
    hub.remove("a").await.unwrap();
    assert_eq!(hub.endpoints().len(), 1);
    let sum = hub.stats();
    assert_eq!((sum.emitted, sum.delivered), (40, 40));
    assert_eq!(world.taken("a").len(), 40);
    assert_eq!(hub.emit("t", &41), Ok(None), "it is for nobody");
    hub.add("a", options(&url, Filter::new())).unwrap();
    assert_eq!(hub.endpoints()[1].stats().emitted, 0, "another one of that name");
    hub.close().await;
}

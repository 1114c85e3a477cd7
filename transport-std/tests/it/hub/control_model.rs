//! Whatever is done to an endpoint while events come, each of them is delivered, and by what was said last.

use std::collections::HashSet;
use std::time::Duration;

use pilot_webhook_std::{ClientBuilder, Hub, OnOpen, Secret};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::time::{sleep, timeout};

use super::quick;
use super::world::{Behaviour, World};

#[derive(Clone, Debug)]
enum Step {
    Emit(u64),
    Replace {
        posts: u16,
        batch: u16,
        url: usize,
    },
    Remove,
    Pause,
    Resume,
    SetUrl(usize),
    SetSecret(u8),
    /// Milliseconds.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..6).prop_map(Step::Emit),
        3 => (1_u16..3, 1_u16..4, 0_usize..3)
            .prop_map(|(posts, batch, url)| Step::Replace { posts, batch, url }),
        1 => Just(Step::Remove),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => (0_usize..3).prop_map(Step::SetUrl),
        1 => any::<u8>().prop_map(Step::SetSecret),
        2 => (0_u64..8).prop_map(Step::Wait),
    ]
}

fn client(url: &str) -> ClientBuilder {
    quick(url).on_open(OnOpen::Hold).secret(b"first").drain_timeout(Duration::from_secs(20))
}

async fn play(steps: Vec<Step>) {
    let (world, hub) = (World::start().await, Hub::new());
    let last = world.url("last", Behaviour::Takes);
    let urls = [
        world.url("one", Behaviour::Takes),
        world.url("two", Behaviour::Slow(1)),
        world.url("dead", Behaviour::Fails),
    ];
    hub.add("a", client(&urls[2]).into()).unwrap();
    let (mut emitted, mut removals) = (0, Vec::new());
    for step in steps {
        let endpoint = hub.endpoint("a").unwrap();
        match step {
            Step::Emit(events) => {
                for _ in 0..events {
                    hub.emit("t", &emitted).unwrap();
                    emitted += 1;
                }
            }
            Step::Replace { posts, batch, url } => {
                let client = client(&urls[url]).max_in_flight(posts).batch(batch);
                hub.replace("a", client.into()).unwrap();
            }
            Step::Remove => {
                // What it has is delivered meanwhile.
                endpoint.set_url(&urls[0]).unwrap();
                endpoint.resume();
                let removing = hub.clone();
                removals.push(tokio::spawn(async move { removing.remove("a").await.unwrap() }));
                while hub.endpoint("a").is_some() {
                    tokio::task::yield_now().await;
                }
                hub.add("a", client(&urls[2]).into()).unwrap();
            }
            Step::Pause => endpoint.pause(),
            Step::Resume => endpoint.resume(),
            Step::SetUrl(url) => endpoint.set_url(&urls[url]).unwrap(),
            Step::SetSecret(secret) => endpoint.set_secret(Some(&[secret])).unwrap(),
            Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
        }
        assert!(hub.stats().is_balanced());
    }
    let endpoint = hub.endpoint("a").unwrap();
    endpoint.set_secret(Some(b"last")).unwrap();
    endpoint.set_url(&last).unwrap();
    endpoint.resume();
    for removal in removals {
        removal.await.unwrap();
    }
    timeout(Duration::from_secs(20), hub.drained()).await.expect("all is delivered");
    hub.close().await;
    let stats = hub.stats();
    assert_eq!((stats.emitted, stats.delivered), (emitted, emitted), "{stats:?}");
    // A URL that is set breaks off what is under way, and what was broken off may have come.
    let at = |name| world.taken(name).into_iter();
    let taken: HashSet<_> = at("one").chain(at("two")).chain(at("last")).collect();
    assert_eq!(taken, (0..emitted).collect());
    assert!(world.taken("dead").is_empty());
    let secret = Secret::new(b"last").unwrap();
    for (body, signature) in world.posts("last") {
        assert!(secret.verify(&body, signature.unwrap().as_bytes()));
    }
}

proptest! {
    // Each makes some clients, which read the system's roots.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_event_is_delivered_whatever_is_done_to_its_endpoint(steps in vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}

//! A greatest age: an event is delivered, or it is lost for its age, and never both.

use std::path::Path;
use std::time::Duration;

use pilot_webhook_std::outbox::{Outbox, OutboxOptions};
use pilot_webhook_std::{Filter, Hub};
use proptest::prelude::*;

use super::world::{Behaviour, World};
use super::{in_time, options, quick};

const AGE: Duration = Duration::from_millis(20);

fn open(path: &Path) -> Outbox {
    let mut bounds = OutboxOptions::default();
    bounds.max_age = Some(AGE);
    Outbox::open(path, bounds).unwrap()
}

/// The file is looked after once more.
async fn look_after(outbox: &Outbox) {
    outbox.endpoint("other").unwrap();
    outbox.remove("other").await.unwrap();
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Emit(u8),
    Behave(Behaviour),
    Wait(u8),
    LookAfter,
    /// Another client takes its place.
    Replace,
    /// The endpoint is gone for some milliseconds.
    Away(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let behaviour =
        prop_oneof![Just(Behaviour::Fails), Just(Behaviour::Takes), Just(Behaviour::Slow(3))];
    prop_oneof![
        4 => (1_u8..15).prop_map(Step::Emit),
        2 => behaviour.prop_map(Step::Behave),
        3 => (0_u8..30).prop_map(Step::Wait),
        4 => Just(Step::LookAfter),
        1 => Just(Step::Replace),
        1 => (0_u8..30).prop_map(Step::Away),
    ]
}

async fn play(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory.path().join("events.db"));
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox.clone()));
    let url = world.url("a", Behaviour::Takes);
    let new = || {
        let mut new = options(&url, Filter::new());
        new.client = quick(&url).queue_capacity(6).max_in_flight(2);
        new
    };
    hub.add("a", new()).unwrap();
    let mut emitted = 0;
    for step in steps {
        match step {
            Step::Emit(events) => {
                for _ in 0..events {
                    hub.emit("t", &emitted).unwrap();
                    emitted += 1;
                }
            }
            Step::Behave(behaviour) => _ = world.url("a", behaviour),
            Step::Wait(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
            }
            Step::LookAfter => look_after(&outbox).await,
            Step::Replace => _ = hub.replace("a", new()).unwrap(),
            Step::Away(milliseconds) => {
                hub.remove("a").await.unwrap();
                tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
                hub.add("a", new()).unwrap();
            }
        }
    }
    world.url("a", Behaviour::Takes);
    hub.drained().await;
    let mut taken = world.taken("a");
    taken.sort_unstable();
    let all = taken.len();
    taken.dedup();
    assert_eq!(taken.len(), all, "each once");
    let account = outbox.endpoint("a").unwrap().ledger().unwrap();
    assert_eq!(account.delivered, all as u64, "{account:?}");
    // One that fails again and again while others are delivered is given up.
    let ended = account.delivered + account.dead;
    assert_eq!(account.accepted, ended + account.aged_out, "{account:?}");
    assert_eq!(account.accepted, emitted, "{account:?}");
    let sum = hub.stats();
    assert_eq!((sum.delivered, sum.emitted), (account.delivered, ended), "{sum:?}");
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_a_clients_hands_is_delivered_late_and_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory.path().join("events.db"));
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox.clone()));
    let url = world.url("a", Behaviour::Fails);
    hub.add("a", options(&url, Filter::new())).unwrap();
    for n in 0..10 {
        hub.emit("t", &n).unwrap();
    }
    while hub.stats().emitted < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let client = hub.get("a").unwrap();
    client.pause();
    tokio::time::sleep(AGE * 3).await;
    look_after(&outbox).await;
    world.url("a", Behaviour::Takes);
    client.resume();
    hub.drained().await;
    let account = outbox.endpoint("a").unwrap().ledger().unwrap();
    assert_eq!((account.delivered, account.aged_out), (10, 0), "{account:?}");
    assert_eq!(world.taken("a"), Vec::from_iter(0..10));
    hub.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn an_event_is_delivered_or_lost_for_its_age(steps in prop::collection::vec(step(), 1..40)) {
        in_time(play(steps));
    }
}

//! Endpoints of a hub with an outbox that go and come back while their receiver is slow: each event is delivered once,
//! and all counts agree.

use std::time::Duration;

use pilot_webhook_std::outbox::{Ledger, Outbox, OutboxOptions};
use pilot_webhook_std::{Filter, Hub};
use proptest::prelude::*;

use super::world::{Behaviour, World};
use super::{in_time, options, quick, topics};

/// The endpoints that come and go.
const NAMES: [&str; 2] = ["a", "b"];

/// Removes an endpoint, and waits for nothing.
async fn begin_removal(hub: &Hub, name: &str) {
    tokio::select! {
        biased;
        removed = hub.remove(name) => removed.unwrap(),
        () = std::future::ready(()) => {}
    }
}

fn ledger(outbox: &Outbox, name: &str) -> Ledger {
    outbox
        .ledgers()
        .unwrap()
        .endpoints
        .iter()
        .find(|it| it.0 == name)
        .map(|it| it.1)
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_comes_back_at_once_delivers_what_it_had_once_and_in_order() {
    const EVENTS: u64 = 200;
    let directory = tempfile::tempdir().unwrap();
    let outbox =
        Outbox::open(directory.path().join("events.db"), OutboxOptions::default()).unwrap();
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox.clone()));
    let url = world.url("a", Behaviour::Slow(3));
    let add = || {
        let mut all = options(&url, Filter::new());
        // It would deliver all that it has.
        all.client = all.client.drain_timeout(Duration::from_secs(30));
        hub.add("a", all).unwrap();
    };
    add();
    for n in 0..EVENTS {
        hub.emit("t", &n).unwrap();
    }
    for came in [10, 50, 90] {
        world.wait_at("a", came).await;
        begin_removal(&hub, "a").await;
        add();
    }
    hub.drained().await;
    assert_eq!(world.taken("a"), Vec::from_iter(0..EVENTS), "each once, and in order");
    let stats = hub.endpoints()[0].stats();
    assert_eq!((stats.emitted, stats.delivered), (EVENTS, EVENTS), "it goes on with its counters");
    assert_eq!((hub.stats().emitted, hub.stats().delivered), (EVENTS, EVENTS), "{:?}", hub.stats());
    assert_eq!(ledger(&outbox, "a").delivered, EVENTS);
    hub.close().await;
}

/// What happens to an endpoint, by its number.
#[derive(Clone, Copy, Debug)]
enum Step {
    Emit(u8),
    Add(usize),
    Remove(usize),
    /// The second: until its removal is over.
    RemoveAndWait(usize),
    Replace(usize),
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let endpoint = || 0..NAMES.len();
    prop_oneof![
        4 => (1_u8..20).prop_map(Step::Emit),
        4 => endpoint().prop_map(Step::Add),
        3 => endpoint().prop_map(Step::Remove),
        1 => endpoint().prop_map(Step::RemoveAndWait),
        2 => endpoint().prop_map(Step::Replace),
        3 => (0_u8..15).prop_map(Step::Wait),
    ]
}

async fn play(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let mut bounds = OutboxOptions::default();
    // A share is room for some twenty events, so that some are dropped.
    bounds.max_bytes = 3_000;
    let outbox = Outbox::open(directory.path().join("events.db"), bounds).unwrap();
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox.clone()));
    hub.add("none", options("", topics(["none"]))).unwrap();
    let new = |n: usize| {
        let url = world.url(NAMES[n], Behaviour::Slow(1));
        let mut new = options(&url, Filter::new());
        new.client = quick(&url).queue_capacity(8).max_in_flight(2);
        new
    };
    let mut is_there = [false; NAMES.len()];
    let (mut next, mut emitted, mut refused) = (0, [0; NAMES.len()], 0);
    for step in steps {
        match step {
            Step::Emit(events) => {
                for _ in 0..events {
                    // What waits for one that is away may have filled the file.
                    let is_taken = hub.emit("t", &next).is_ok();
                    next += 1;
                    for n in (0..NAMES.len()).filter(|n| is_there[*n]) {
                        *(if is_taken { &mut emitted[n] } else { &mut refused }) += 1;
                    }
                }
            }
            Step::Add(n) if !is_there[n] => {
                hub.add(NAMES[n], new(n)).unwrap();
                is_there[n] = true;
            }
            Step::Remove(n) if is_there[n] => {
                begin_removal(&hub, NAMES[n]).await;
                is_there[n] = false;
            }
            Step::RemoveAndWait(n) if is_there[n] => {
                hub.remove(NAMES[n]).await.unwrap();
                is_there[n] = false;
            }
            Step::Replace(n) if is_there[n] => _ = hub.replace(NAMES[n], new(n)).unwrap(),
            Step::Wait(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
            }
            _ => {}
        }
    }
    // All are there at the end, and deliver what waited meanwhile.
    for n in (0..NAMES.len()).filter(|n| !is_there[*n]) {
        hub.add(NAMES[n], new(n)).unwrap();
    }
    hub.drained().await;
    let (mut delivered, mut dropped) = (0, 0);
    for (n, name) in NAMES.iter().enumerate() {
        let mut taken = world.taken(name);
        taken.sort_unstable();
        let doubles = taken.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert_eq!(doubles, 0, "{name}: each once: {taken:?}");
        let account = ledger(&outbox, name);
        assert_eq!(taken.len() as u64, account.delivered, "{name}: {account:?}");
        assert_eq!(account.accepted, emitted[n], "{name}: {account:?}");
        assert_eq!(account.accepted, account.delivered + account.dropped, "{name}: {account:?}");
        (delivered, dropped) = (delivered + account.delivered, dropped + account.dropped);
    }
    let sum = hub.stats();
    assert!(sum.is_balanced(), "{sum:?}");
    assert_eq!((sum.delivered, sum.dropped), (delivered, dropped + refused), "{sum:?}");
    assert_eq!(sum.emitted, emitted.iter().sum::<u64>() + refused, "{sum:?}");
    hub.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_and_goes_no_event_is_delivered_twice_or_counted_twice(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        in_time(play(steps));
    }
}

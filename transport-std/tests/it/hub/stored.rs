//! A hub with an outbox: one stored event, and a delivery for each endpoint that is to have it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pilot_webhook_std::outbox::{Ledger, Outbox, OutboxFile, OutboxOptions, PutError};
use pilot_webhook_std::{
    Client, EndpointOptions, Event, Filter, Hub, HubError, StoreError, Timestamp,
};

use super::fan_out::{Book, Script};
use super::world::{Behaviour, World};
use super::{options, quick, topics};

fn open(path: &Path) -> Outbox {
    Outbox::open(path, OutboxOptions::default()).unwrap()
}

/// The law of an endpoint, or of the file.
#[track_caller]
fn is_balanced(it: &Ledger) {
    let ended = it.delivered + it.purged + it.expired + it.aged_out + it.dropped;
    assert_eq!(it.accepted, ended + it.dead + it.stored, "{it:?}");
}

#[tokio::test]
async fn each_endpoint_gets_what_is_for_it_and_the_event_is_stored_once() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory.path().join("events.db"));
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox.clone()));
    hub.add("pilot", options(&world.url("all", Behaviour::Takes), Filter::new())).unwrap();
    hub.add("a", options(&world.url("a", Behaviour::RefusesOdd), topics(["a"]))).unwrap();
    let own = Client::builder("").outbox(outbox.clone());
    assert!(matches!(hub.add("own", own.into()), Err(HubError::OwnOutbox)));
    let book = Book::default();
    let mut script = Script::new([("a", true), ("a", false), ("b", true)], &book);
    hub.pull(&mut script).await;
    assert_eq!(book.endings().await.len(), 3, "told when they are on disk");
    hub.emit("a", &3).unwrap();
    let event = Event::new("a", 1, Timestamp::new(0, 0));
    assert_eq!(hub.put_event(&event, None, &4).unwrap().await.unwrap(), 5);
    hub.drained().await;
    assert_eq!(world.taken("all"), [0, 1, 2, 3, 4]);
    assert_eq!(world.taken("a"), [0, 4]);
    let ledgers = outbox.ledgers().unwrap().endpoints;
    ledgers.iter().for_each(|(_, ledger)| is_balanced(ledger));
    let of = |name: &str| ledgers.iter().find(|it| it.0 == name).unwrap().1;
    assert_eq!((of("pilot").delivered, of("pilot").dead), (5, 0));
    assert_eq!((of("a").delivered, of("a").dead), (2, 2));
    hub.set_filter("pilot", topics(["b"])).unwrap();
    hub.set_filter("a", topics(["b"])).unwrap();
    assert!(matches!(
        hub.put_event(&event, None, &5),
        Err(StoreError::Outbox(PutError::NoEndpoint))
    ));
    assert_eq!(hub.emit("a", &5), Ok(None), "for nobody");
    hub.close().await;
    assert_eq!(hub.events(), 5);
}

/// One that takes nothing has its share of the file, and no more.
#[tokio::test]
async fn a_dead_endpoint_fills_the_file_for_no_other() {
    const EVENTS: u64 = 3_000;
    let directory = tempfile::tempdir().unwrap();
    let mut bounds = OutboxOptions::default();
    (bounds.max_bytes, bounds.dead_max) = (100_000, 10);
    let outbox = Outbox::open(directory.path().join("events.db"), bounds).unwrap();
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox.clone()));
    hub.add("dead", options(&world.url("dead", Behaviour::Hangs), Filter::new())).unwrap();
    // Sources wait for this one: it has all the room that the other leaves.
    let good = options(&world.url("good", Behaviour::Takes), Filter::new());
    hub.add("good", EndpointOptions { waits: true, ..good }).unwrap();
    for n in 0..EVENTS {
        let event = Event::new("t", 1, Timestamp::new(0, 0));
        let taken = hub.emit_when_room(&event, &n);
        tokio::time::timeout(Duration::from_secs(30), taken).await.expect("there is room").unwrap();
    }
    world.wait_at("good", usize::try_from(EVENTS).unwrap()).await;
    hub.get("good").unwrap().drained().await;
    let ledgers = outbox.ledgers().unwrap().endpoints;
    let of = |name: &str| ledgers.iter().find(|it| it.0 == name).unwrap().1;
    assert_eq!(of("good").delivered, EVENTS);
    assert!(of("dead").dropped > 0 && of("dead").stored_bytes < 100_000, "{:?}", of("dead"));
    ledgers.iter().for_each(|(_, ledger)| is_balanced(ledger));
    let stats = hub.endpoints()[0].stats();
    assert_eq!(stats.dropped, of("dead").dropped, "counted there, and with the endpoint");
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_hands_its_deliveries_over_once() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory.path().join("events.db"));
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox.clone()));
    let url = world.url("a", Behaviour::Takes);
    hub.add("a", options(&url, Filter::new())).unwrap();
    let emitting = hub.clone();
    let emitting = tokio::spawn(async move {
        for n in 0..1_000 {
            emitting.emit("t", &n).unwrap();
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
    });
    for n in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut new = options(&url, Filter::new());
        new.client = quick(&url).max_in_flight(1 + n % 3).queue_capacity(20);
        hub.replace("a", new).unwrap();
    }
    emitting.await.unwrap();
    hub.drained().await;
    let taken = world.taken("a");
    assert_eq!(BTreeSet::from_iter(taken.iter().copied()), BTreeSet::from_iter(0..1_000));
    assert_eq!(taken.len(), 1_000, "each once");
    hub.close().await;
    let stats = hub.endpoints()[0].stats();
    assert!(stats.is_balanced(), "{stats:?}");
    assert_eq!((stats.emitted, stats.delivered, stats.abandoned), (1_000, 1_000, 0));
}

#[tokio::test]
async fn what_waits_for_an_endpoint_that_is_removed_waits_for_it_to_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory.path().join("events.db"));
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox));
    let add = |behaviour| {
        hub.add("a", options(&world.url("a", behaviour), Filter::new())).unwrap();
    };
    add(Behaviour::Fails);
    for n in 0..5 {
        hub.emit("t", &n).unwrap();
    }
    hub.remove("a").await.unwrap();
    assert!(hub.stats().is_balanced());
    add(Behaviour::Takes);
    world.wait_at("a", 5).await;
    hub.close().await;
}

/// Which part this binary plays when it runs itself as a child: the file, the number of the first event, and the URLs.
const PART: &str = "HUB_PART";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plays_its_part() {
    let Ok(part) = std::env::var(PART) else { return };
    let mut part = part.split(' ');
    let hub = Hub::with_outbox(open(Path::new(part.next().unwrap())));
    let first: u64 = part.next().unwrap().parse().unwrap();
    for (name, url) in ["good", "slow", "dead"].iter().zip(part) {
        let filter = if *name == "slow" { topics(["odd"]) } else { Filter::new() };
        let client = quick(url).http_timeout(Duration::from_millis(200));
        hub.add(name, EndpointOptions { filter, client, ..EndpointOptions::default() }).unwrap();
    }
    for n in first.. {
        let topic = if n % 2 == 1 { "odd" } else { "even" };
        let event = Event::new(topic, 1, Timestamp::new(0, 0));
        let stored = hub.put_event(&event, None, &n).unwrap();
        stored.await.unwrap();
        // It is on disk: whoever reads this may rely on it.
        println!("stored {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_for_any_of_three_endpoints() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let world = World::start().await;
    let urls = [
        world.url("good", Behaviour::Takes),
        world.url("slow", Behaviour::Slow(2)),
        world.url("dead", Behaviour::Refuses),
    ];
    let mut next = 0;
    for round in 0..5_u64 {
        let part = format!("{} {next} {}", path.display(), urls.join(" "));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hub::stored::plays_its_part", "--nocapture", "--test-threads=1"])
            .env(PART, part)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let stored = tokio::task::spawn_blocking(move || {
            use std::io::BufRead as _;
            let lines = std::io::BufReader::new(output).lines().map_while(Result::ok);
            let number = |line: String| line.split_once("stored ")?.1.parse::<u64>().ok();
            lines.filter_map(number).last()
        });
        tokio::time::sleep(Duration::from_millis(700 + 130 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        // One more may be on disk than was said.
        next = stored.await.unwrap().map_or(next, |last| last + 1);
    }
    assert!(next > 20, "{next} were stored");
    let outbox = open(&path);
    let hub = Hub::with_outbox(outbox.clone());
    for (name, url) in ["good", "slow", "dead"].iter().zip(&urls) {
        hub.add(name, options(url, topics(["none"]))).unwrap();
    }
    hub.drained().await;
    let has = |name: &str| BTreeSet::from_iter(world.taken(name));
    assert!(has("good").is_superset(&BTreeSet::from_iter(0..next)), "all are delivered");
    let odd = BTreeSet::from_iter((0..next).filter(|n| n % 2 == 1));
    assert!(has("slow").is_superset(&odd), "all that are for it are delivered");
    assert!(has("slow").iter().all(|n| n % 2 == 1));
    let ledgers = outbox.ledgers().unwrap().endpoints;
    ledgers.iter().for_each(|(_, ledger)| is_balanced(ledger));
    let of = |name: &str| ledgers.iter().find(|it| it.0 == name).unwrap().1;
    assert_eq!((of("good").dead, of("slow").dead), (0, 0), "they are for the one alone");
    assert!(of("dead").dead >= next && of("dead").delivered == 0, "{:?}", of("dead"));
    assert_eq!(of("good").accepted, of("dead").accepted);
    hub.close().await;
    let found = OutboxFile::open(&path).unwrap().verify().unwrap();
    assert!(found.problems.is_empty(), "{found:?}");
}

/// Several clients of one endpoint overlap while an attempt hangs.
#[tokio::test]
async fn what_is_dropped_is_counted_once_however_often_the_endpoint_was_replaced() {
    const EVENTS: u64 = 400;
    let directory = tempfile::tempdir().unwrap();
    let mut bounds = OutboxOptions::default();
    bounds.max_bytes = 20_000;
    let outbox = Outbox::open(directory.path().join("events.db"), bounds).unwrap();
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox.clone()));
    let url = world.url("dead", Behaviour::Hangs);
    hub.add("dead", options(&url, Filter::new())).unwrap();
    hub.add("good", options(&world.url("good", Behaviour::Takes), Filter::new())).unwrap();
    hub.emit("t", &0).unwrap();
    while hub.get("dead").unwrap().stats().in_flight == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..3 {
        hub.replace("dead", options(&url, Filter::new())).unwrap();
    }
    for n in 1..EVENTS {
        let event = Event::new("t", 1, Timestamp::new(0, 0));
        hub.put_event(&event, None, &n).unwrap().await.unwrap();
    }
    let dead = |ledgers: Vec<(String, Ledger)>| ledgers.into_iter().find(|it| it.0 == "dead");
    let (_, ledger) = dead(outbox.ledgers().unwrap().endpoints).unwrap();
    assert!(ledger.dropped > 0);
    for _ in 0..2 {
        assert_eq!(hub.endpoint("dead").unwrap().stats().dropped, ledger.dropped);
    }
    hub.close().await;
    assert_eq!(hub.endpoint("dead").unwrap().stats().dropped, ledger.dropped);
}

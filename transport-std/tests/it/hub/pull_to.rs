//! A source for one endpoint alone: it waits for that one and for no other, and its events go nowhere else.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use pilot_webhook_std::{
    EmitError, Ending, Event, Fate, Hub, Incoming, OnOpen, Receipt, Source, Timestamp,
};
use tokio::sync::mpsc;

use super::world::{Behaviour, World};
use super::{options, quick, topics};

/// Yields the numbers that come over a channel; those that are even have the topic `even`, the others `odd`.
struct Numbers {
    numbers: mpsc::UnboundedReceiver<u64>,
    data: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    ended: Vec<(u64, Ending)>,
    unmatched: usize,
    is_closed: bool,
}

struct Told(u64, Arc<Mutex<Seen>>);

impl Receipt for Told {
    fn ended(self, ending: Ending) {
        self.1.lock().unwrap().ended.push((self.0, ending));
    }
}

impl Source for Numbers {
    type Receipt = Told;

    async fn next(&mut self) -> Option<Incoming<'_, Told>> {
        if self.seen.lock().unwrap().is_closed {
            return None;
        }
        let number = self.numbers.recv().await?;
        self.data = number.to_string();
        let topic = if number % 2 == 0 { "even" } else { "odd" };
        let event = Event::new(topic, 1, Timestamp::new(0, 0));
        let told = Told(number, Arc::clone(&self.seen));
        Some(Incoming::new(event, &self.data).with_receipt(told))
    }

    fn answered(&mut self, answer: Result<Option<u64>, EmitError>) {
        self.seen.lock().unwrap().is_closed = answer == Err(EmitError::Closed);
    }

    fn unmatched(&mut self) {
        self.seen.lock().unwrap().unmatched += 1;
    }
}

/// A source of its own for an endpoint, and what it was told.
fn pull_to(hub: &Hub, name: &'static str) -> (mpsc::UnboundedSender<u64>, Arc<Mutex<Seen>>) {
    let (send, numbers) = mpsc::unbounded_channel();
    let (hub, seen) = (hub.clone(), Arc::<Mutex<Seen>>::default());
    let mut source = Numbers { numbers, data: String::new(), seen: Arc::clone(&seen) };
    tokio::spawn(async move { hub.pull_to(name, &mut source).await });
    (send, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_endpoint_goes_at_its_own_pace() {
    let (world, hub) = (World::start().await, Hub::new());
    let hung = quick(&world.url("hangs", Behaviour::Hangs)).queue_capacity(2);
    hub.add("hangs", hung.into()).unwrap();
    hub.add("takes", quick(&world.url("takes", Behaviour::Takes)).queue_capacity(2).into())
        .unwrap();
    hub.add("even", options(&world.url("even", Behaviour::Takes), topics(["even"]))).unwrap();
    let sources = ["hangs", "takes", "even"].map(|name| pull_to(&hub, name));
    for (send, _) in &sources {
        (0..100).for_each(|n| send.send(n).unwrap());
    }
    world.wait_at("takes", 100).await;
    world.wait_at("even", 50).await;
    assert!(world.taken("hangs").is_empty());
    // The last event was told then, too.
    hub.get("takes").unwrap().close().await;
    hub.get("even").unwrap().close().await;
    let [hangs, takes, even] = sources.map(|(_, seen)| seen);
    let ends = |seen: &Mutex<Seen>, ending| {
        seen.lock().unwrap().ended.iter().filter(|(_, it)| *it == ending).count()
    };
    assert_eq!(ends(&takes, Ending::Ended(Fate::Delivered)), 100);
    assert_eq!(ends(&even, Ending::Ended(Fate::Delivered)), 50);
    assert_eq!((ends(&even, Ending::NoEndpoint), even.lock().unwrap().unmatched), (50, 50));
    assert!(hangs.lock().unwrap().ended.is_empty(), "its events wait, and none is dropped");
    let stats = hub.get("hangs").unwrap().stats();
    assert_eq!((stats.emitted, stats.dropped), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_with_a_successor_and_ends_with_the_endpoint() {
    let (world, hub) = (World::start().await, Hub::new());
    let url = world.url("a", Behaviour::Takes);
    let new = || quick(&url).queue_capacity(3).on_open(OnOpen::Hold);
    hub.add("a", new().into()).unwrap();
    let (send, seen) = pull_to(&hub, "a");
    for n in 0..500 {
        send.send(n).unwrap();
        if n % 50 == 0 {
            hub.replace("a", new().into()).unwrap();
            tokio::task::yield_now().await;
        }
    }
    world.wait_at("a", 500).await;
    hub.drained().await;
    let taken: HashSet<_> = world.taken("a").into_iter().collect();
    assert_eq!(taken.len(), 500);
    hub.remove("a").await.unwrap();
    send.send(500).unwrap();
    send.closed().await;
    let seen = seen.lock().unwrap();
    let is_delivered = |it: &&(u64, Ending)| it.1 == Ending::Ended(Fate::Delivered);
    let delivered = seen.ended.iter().filter(is_delivered).count();
    assert_eq!((seen.is_closed, delivered, seen.ended.len()), (true, 500, 501));
    assert!(seen.ended.contains(&(500, Ending::NotTaken)));
}

#[cfg(feature = "outbox")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_an_outbox_an_event_is_stored_for_that_endpoint_alone() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = pilot_webhook_std::Outbox::open(
        folder.path().join("events.db"),
        pilot_webhook_std::OutboxOptions::default(),
    );
    let (world, hub) = (World::start().await, Hub::with_outbox(outbox.unwrap()));
    hub.add("a", options(&world.url("a", Behaviour::Takes), topics(["even"]))).unwrap();
    hub.add("b", options(&world.url("b", Behaviour::Takes), topics(["*"]))).unwrap();
    let (send, seen) = pull_to(&hub, "a");
    (0..10).for_each(|n| send.send(n).unwrap());
    world.wait_at("a", 5).await;
    hub.remove("a").await.unwrap();
    send.send(10).unwrap();
    send.closed().await;
    let seen = seen.lock().unwrap();
    let stored = seen.ended.iter().filter(|(_, it)| matches!(it, Ending::Stored(_))).count();
    assert_eq!((stored, seen.unmatched), (5, 5));
    assert!(seen.ended.contains(&(10, Ending::NotTaken)));
    assert!(world.taken("b").is_empty());
}

//! Each event ends exactly once at each endpoint that is to have it, and its receipt is told once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilot_webhook_std::{
    EmitError, Ending, EndpointOptions, Event, Fate, Filter, Hub, HubError, Incoming, Notice,
    OnFull, OnOpen, Receipt, Source, Timestamp,
};
use proptest::prelude::*;

use super::world::{Behaviour, World};
use super::{in_time, options, quick, topics};

#[tokio::test]
async fn each_endpoint_gets_what_its_filter_lets_pass() {
    let (world, hub) = (World::start().await, Hub::new());
    let url = |name: &str| world.url(name, Behaviour::Takes);
    hub.add("all", options(&url("all"), Filter::new())).unwrap();
    hub.add("conn", options(&url("conn"), topics(["conn.*"]).exclude(["*.fin"]))).unwrap();
    hub.add("seven", options(&url("seven"), Filter::new().nodes([7]))).unwrap();
    hub.set_node_id(7);
    hub.emit("conn.up", &1).unwrap();
    hub.emit("conn.fin", &2).unwrap();
    let other = Event::new("conn.up", 8, Timestamp::new(0, 0));
    hub.emit_event(&other, &3).unwrap();
    hub.set_filter("seven", topics(["nothing"])).unwrap();
    hub.emit("node.up", &4).unwrap();
    world.wait_for(8).await;
    hub.drained().await;
    assert_eq!(world.taken("all"), [1, 2, 3, 4]);
    assert_eq!(world.taken("conn"), [1, 3]);
    assert_eq!(world.taken("seven"), [1, 2]);
    assert_eq!((hub.stats().delivered, hub.events()), (8, 4));
}

#[tokio::test]
async fn what_is_for_nobody_ends_at_once() {
    let (world, hub) = (World::start().await, Hub::new());
    assert_eq!(hub.emit("t", &1), Ok(None), "there is no endpoint");
    hub.add("a", options(&world.url("a", Behaviour::Takes), topics(["a"]))).unwrap();
    assert_eq!(hub.emit("t", &1), Ok(None));
    let book = Book::default();
    let mut script = Script::new([("a", true), ("t", true), ("t", false)], &book);
    hub.pull(&mut script).await;
    hub.drained().await;
    assert_eq!(script.unmatched, 2);
    let delivered = Ending::Ended(Fate::Delivered);
    assert_eq!(book.endings().await, [delivered, Ending::NoEndpoint, Ending::NoEndpoint]);
    assert_eq!(hub.stats().emitted, 1);
}

#[tokio::test]
async fn names_are_checked_and_a_closed_hub_refuses_all() {
    let hub = Hub::new();
    let long = "a".repeat(65);
    for bad in ["", "A", "a b", "ä", &long] {
        assert!(matches!(hub.add(bad, quick("").into()), Err(HubError::Name)), "{bad}");
    }
    hub.add("a-b_1", quick("").into()).unwrap();
    assert!(matches!(hub.add("a-b_1", quick("").into()), Err(HubError::Exists)));
    assert!(matches!(hub.add("b", quick("ftp://x").into()), Err(HubError::Client(_))));
    assert!(matches!(hub.replace("b", quick("").into()), Err(HubError::Unknown)));
    assert!(matches!(hub.set_filter("b", Filter::new()), Err(HubError::Unknown)));
    assert!(matches!(hub.remove("b").await, Err(HubError::Unknown)));
    hub.close().await;
    hub.close().await;
    assert!(matches!(hub.add("b", quick("").into()), Err(HubError::Closed)));
    assert_eq!(hub.emit("t", &1), Err(EmitError::Closed));
}

/// What the receipts were told, by their events' numbers.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<HashMap<usize, Vec<Ending>>>>);

pub(crate) struct Slip(Book, usize);

impl Receipt for Slip {
    fn ended(self, ending: Ending) {
        self.0.0.lock().unwrap().entry(self.1).or_default().push(ending);
    }
}

impl Book {
    /// How each event ended, in their order: each was told once.
    pub(crate) async fn endings(&self) -> Vec<Ending> {
        let all = async {
            while self.0.lock().unwrap().values().any(Vec::is_empty) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.expect("each is told");
        let book = self.0.lock().unwrap();
        let ending = |n| {
            assert_eq!(book[&n].len(), 1, "event {n} was told {:?}", book[&n]);
            book[&n][0]
        };
        (0..book.len()).map(ending).collect()
    }
}

/// Events with receipts; their data is their number.
pub(crate) struct Script {
    events: std::vec::IntoIter<(String, bool)>,
    book: Book,
    number: usize,
    topic: String,
    data: String,
    pub(crate) unmatched: usize,
    pub(crate) answers: Vec<Result<Option<u64>, EmitError>>,
}

impl Script {
    /// Of topics, and whether their source can wait.
    pub(crate) fn new<'t>(events: impl IntoIterator<Item = (&'t str, bool)>, book: &Book) -> Self {
        let events = events.into_iter().map(|(topic, can_wait)| (topic.to_owned(), can_wait));
        let events: Vec<_> = events.collect();
        Self {
            events: events.into_iter(),
            book: book.clone(),
            number: 0,
            topic: String::new(),
            data: String::new(),
            unmatched: 0,
            answers: Vec::new(),
        }
    }
}

impl Source for Script {
    type Receipt = Slip;

    fn can_wait(&self) -> bool {
        self.events.as_slice().first().is_some_and(|it| it.1)
    }

    async fn next(&mut self) -> Option<Incoming<'_, Slip>> {
        let (topic, _) = self.events.next()?;
        (self.topic, self.data) = (topic, self.number.to_string());
        let slip = Slip(self.book.clone(), self.number);
        self.book.0.lock().unwrap().entry(self.number).or_default();
        self.number += 1;
        let event = Event::new(&self.topic, 1, Timestamp::new(0, 0));
        Some(Incoming::new(event, &self.data).with_receipt(slip))
    }

    fn answered(&mut self, answer: Result<Option<u64>, EmitError>) {
        self.answers.push(answer);
    }

    fn unmatched(&mut self) {
        self.unmatched += 1;
    }
}

/// An endpoint of a random hub.
#[derive(Clone, Debug)]
struct Plan {
    topics: Vec<&'static str>,
    exclude: Vec<&'static str>,
    waits: bool,
    capacity: u32,
    on_full: OnFull,
    on_open: OnOpen,
    /// `None`: it has no target.
    behaviour: Option<Behaviour>,
}

impl Plan {
    fn filter(&self) -> Filter {
        Filter::new().topics(self.topics.clone()).exclude(self.exclude.clone())
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let patterns = || prop::sample::subsequence(vec!["a.*", "b.*", "*.x", "*.y"], 0..=2);
    let behaviour = prop::sample::select(vec![
        Some(Behaviour::Takes),
        Some(Behaviour::Takes),
        Some(Behaviour::RefusesOdd),
        Some(Behaviour::Refuses),
        Some(Behaviour::Fails),
        None,
    ]);
    let policies = (
        prop::sample::select(vec![OnFull::DropNewest, OnFull::DropOldest]),
        prop::sample::select(vec![OnOpen::Skip, OnOpen::Hold]),
    );
    (patterns(), patterns(), any::<bool>(), 1_u32..20, policies, behaviour).prop_map(
        |(topics, exclude, waits, capacity, (on_full, on_open), behaviour)| {
            // Sources would wait for ever for a target, or for one that never takes.
            let is_reached = matches!(behaviour, Some(it) if it != Behaviour::Fails);
            let waits = waits && is_reached;
            let exclude = if exclude.len() > 1 { Vec::new() } else { exclude };
            Plan { topics, exclude, waits, capacity, on_full, on_open, behaviour }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_event_ends_once_everywhere(
        plans in prop::collection::vec(plan(), 0..5),
        events in prop::collection::vec(
            (prop::sample::select(vec!["a.x", "a.y", "b.x", "b.y", "c.z"]), any::<bool>()),
            0..60,
        ),
    ) {
        in_time(play(plans, events));
    }
}

/// How often events ended at an endpoint, by their ids.
type Ends = Arc<Mutex<HashMap<u64, u64>>>;

async fn play(plans: Vec<Plan>, events: Vec<(&'static str, bool)>) {
    let (world, hub, book) = (World::start().await, Hub::new(), Book::default());
    let mut ends: Vec<Ends> = Vec::new();
    for (n, plan) in plans.iter().enumerate() {
        let name = format!("e{n}");
        let url = plan.behaviour.map_or_else(String::new, |it| world.url(&name, it));
        let told = Ends::default();
        ends.push(Arc::clone(&told));
        let client = quick(&url)
            .queue_capacity(plan.capacity)
            .on_full(plan.on_full)
            .on_open(plan.on_open)
            .drain_timeout(Duration::from_millis(50))
            .on_notice(move |notice| {
                if let Notice::Settled { event_id, .. } = notice {
                    *told.lock().unwrap().entry(*event_id).or_default() += 1;
                }
            });
        let options = EndpointOptions { filter: plan.filter(), waits: plan.waits, client };
        hub.add(&name, options).unwrap();
    }
    let mut script = Script::new(events.iter().copied(), &book);
    hub.pull(&mut script).await;
    hub.close().await;
    let endings = book.endings().await;
    assert_eq!(endings.len(), events.len());
    let matches = |plan: &Plan, topic: &str| plan.filter().matches(topic, 1);
    for (plan, (endpoint, ends)) in plans.iter().zip(hub.endpoints().iter().zip(&ends)) {
        let expected = events.iter().filter(|(topic, _)| matches(plan, topic)).count() as u64;
        let expected = if plan.behaviour.is_some() { expected } else { 0 };
        let stats = endpoint.stats();
        assert!(stats.is_balanced() && stats.emitted == expected, "{plan:?}: {stats:?}");
        let ends = ends.lock().unwrap();
        assert_eq!(ends.len() as u64, expected, "each ended");
        assert!(ends.values().all(|times| *times == 1), "once");
        if plan.waits && events.iter().all(|(_, can_wait)| *can_wait) {
            assert_eq!(stats.dropped, 0, "{plan:?}");
        }
    }
    for (n, (topic, _)) in events.iter().enumerate() {
        let of: Vec<_> = plans.iter().filter(|plan| matches(plan, topic)).collect();
        let reached: Vec<_> = of.iter().filter_map(|plan| plan.behaviour).collect();
        match endings[n] {
            Ending::NoEndpoint => assert!(of.is_empty()),
            Ending::NotTaken => assert!(!of.is_empty() && reached.is_empty()),
            Ending::Ended(Fate::Delivered) => {
                let takes = |it: &Behaviour| match it {
                    Behaviour::Takes => true,
                    Behaviour::RefusesOdd => n % 2 == 0,
                    _ => false,
                };
                assert!(!reached.is_empty() && reached.iter().all(takes), "{n}");
                for (at, plan) in plans.iter().enumerate() {
                    if matches(plan, topic) && plan.behaviour.is_some() {
                        let taken = world.taken(&format!("e{at}"));
                        assert!(taken.contains(&(n as u64)), "{n} is not at {at}");
                    }
                }
            }
            _ => assert!(!reached.is_empty()),
        }
    }
    let unmatched = endings.iter().filter(|it| **it == Ending::NoEndpoint).count();
    assert_eq!(script.unmatched, unmatched);
    assert_eq!(script.answers.len() + unmatched, events.len());
    let counted = script.answers.iter().filter(|it| !matches!(it, Ok(None))).count();
    assert_eq!(hub.events(), counted as u64);
}

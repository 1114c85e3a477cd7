//! A fleet on one machine: nodes publish to a real nats-server, gateways deliver to a receiver, and gateways and server
//! are killed with -9 at random. Every message id must arrive.
//!
//! `FLEET_SECONDS` (default 20), `FLEET_GATEWAYS` (4), `FLEET_NODES` (4), `FLEET_RATE` (events a second of a node, 200),
//! `FLEET_ENDPOINTS` (2; every message id must arrive at each of them), `FLEET_SEED`. With `FLEET_KILLS=0` nothing is killed, and `FLEET_RATE=0` publishes as fast as it goes: that measures.

#![cfg(feature = "nats")]
#![allow(clippy::unwrap_used, reason = "a failed test says where and why at once")]

#[allow(dead_code, reason = "each suite uses a part of it")]
#[path = "../it/support.rs"]
mod support;
#[allow(dead_code, reason = "each suite uses a part of it")]
#[path = "../it/gateway/world.rs"]
mod world;

use std::collections::{HashMap, HashSet};
use std::env;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pilot_webhook_std::{
    Client, ClientBuilder, Event, NatsConfig, NatsTarget, NatsTransport, Notice, OnOpen, Policy,
    Timestamp,
};
use serde_json::{Value, json};
use tokio::time::{sleep, sleep_until};

use world::World;

/// Far more than what was not acknowledged needs to come again.
const PATIENCE: Duration = Duration::from_secs(120);

struct Plan {
    duration: Duration,
    gateways: usize,
    /// The names of the endpoints.
    endpoints: Vec<String>,
    nodes: u32,
    /// The pause between two events of a node.
    pace: Option<Duration>,
    kills: bool,
    random: Random,
}

impl Plan {
    fn read() -> Self {
        let number =
            |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().unwrap());
        let seed = number("FLEET_SEED", u64::from(std::process::id()));
        println!("FLEET_SEED={seed}");
        let rate = number("FLEET_RATE", 200);
        Self {
            duration: Duration::from_secs(number("FLEET_SECONDS", 20)),
            gateways: usize::try_from(number("FLEET_GATEWAYS", 4)).unwrap(),
            endpoints: (0..number("FLEET_ENDPOINTS", 2)).map(|n| format!("e{n}")).collect(),
            nodes: u32::try_from(number("FLEET_NODES", 4)).unwrap(),
            pace: 1_000_000_u64.checked_div(rate).map(Duration::from_micros),
            kills: number("FLEET_KILLS", 1) == 1,
            random: Random(seed | 1),
        }
    }
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

type Ids = Arc<Mutex<HashSet<String>>>;

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    // A name of a test, or `--list`: this is one test.
    if env::args().skip(1).any(|argument| argument == "--list") {
        return println!("fleet: test");
    }
    let plan = Plan::read();
    let Some(world) = World::start().await else { return };
    world.stream().await;
    play(world, plan).await;
}

async fn play(mut world: World, mut plan: Plan) {
    let endpoints: Vec<_> = plan.endpoints.iter().map(|name| (&**name, "")).collect();
    world.configure("max_in_flight = 8\ncircuit_cooldown = \"500ms\"", &endpoints);
    let published = Ids::default();
    let nodes: Vec<_> = (1..=plan.nodes).map(|node| publisher(&world, node, &published)).collect();
    let begin = Instant::now();
    let end = begin + plan.duration;
    let mut publishing: Vec<_> =
        nodes.iter().map(|node| tokio::spawn(publish(node.clone(), plan.pace, end))).collect();
    let mut gateways: Vec<Child> = (0..plan.gateways).map(|_| gateway(&world)).collect();
    let (mut killed, mut restarts) = (0, 0);
    while Instant::now() < end {
        let pause = Duration::from_millis(300 + plan.random.below(1_200));
        sleep_until((Instant::now() + pause).min(end).into()).await;
        if !plan.kills {
            continue;
        }
        if plan.random.below(6) == 0 {
            world.restart_server();
            restarts += 1;
        } else {
            let which = usize::try_from(plan.random.below(plan.gateways as u64)).unwrap();
            kill(&mut gateways[which]);
            gateways[which] = gateway(&world);
            killed += 1;
        }
    }
    for publishing in publishing.drain(..) {
        publishing.await.unwrap();
    }
    for node in &nodes {
        node.drained().await;
        // The last event was told then, too.
        node.close().await;
        assert_eq!(node.stats().delivered, node.stats().emitted, "{:?}", node.stats());
    }
    let count = published.lock().unwrap().len();
    println!("published  {count} events of {} nodes in {:?}", plan.nodes, begin.elapsed());
    let patience = Instant::now() + PATIENCE;
    let missing = || -> usize {
        let published = published.lock().unwrap();
        plan.endpoints.iter().map(|name| world.missing_at(name, &published)).sum()
    };
    while missing() > 0 && Instant::now() < patience {
        // To look costs time that the fleet needs.
        sleep(Duration::from_millis(250)).await;
    }
    let took = begin.elapsed();
    let missing = missing();
    println!("killed     {killed} gateways of {}, the server {restarts} times", plan.gateways);
    for name in &plan.endpoints {
        let received = world.all_at(name);
        let different: HashSet<_> = received.iter().map(|(id, _)| id).collect();
        let per_second = different.len() as u128 * 1_000 / took.as_millis().max(1);
        println!(
            "{name}: {} of {count} arrived, {per_second}/s, {} duplicates, {} behind a later one of their node",
            different.len(),
            received.len() - different.len(),
            late(&received)
        );
        assert_eq!(different.len(), count, "nothing is lost, and nothing invented");
    }
    println!("missing    {missing}");
    let (messages, bytes) = world.size().await;
    println!("stream     {messages} messages of {bytes} bytes");
    for gateway in &mut gateways {
        kill(gateway);
    }
}

/// A node: a client that publishes to the stream.
fn publisher(world: &World, node: u32, published: &Ids) -> Client<NatsTarget> {
    let target = NatsTarget::parse(&format!("{}/pilot", world.server_url()), Policy::default());
    let shared = NatsConfig::new().build().unwrap();
    let published = Arc::clone(published);
    ClientBuilder::with_transport(move || NatsTransport::new(&shared), Some(target.unwrap()))
        .node_id(node)
        .on_open(OnOpen::Hold)
        .max_in_flight(16)
        .retry_backoff(Duration::from_millis(50))
        .circuit_cooldown(Duration::from_millis(200))
        .on_notice(move |notice| {
            if let Notice::Settled { message: Some(message), .. } = notice {
                published.lock().unwrap().insert(message.to_string());
            }
        })
        .build()
        .unwrap()
}

async fn publish(node: Client<NatsTarget>, pace: Option<Duration>, end: Instant) {
    let mut next = Instant::now();
    for n in 1_u64.. {
        if Instant::now() >= end {
            return;
        }
        let event = Event::new("test.event", node.node_id(), Timestamp::new(1_768_480_496, 0));
        node.emit_when_room(&event, &json!({ "n": n })).await.unwrap();
        if let Some(pace) = pace {
            next += pace;
            sleep_until(next.into()).await;
        }
    }
}

fn gateway(world: &World) -> Child {
    let mut command = world.configured(&[]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

fn kill(gateway: &mut Child) {
    let _ = gateway.kill();
    gateway.wait().unwrap();
}

/// The events that arrived first behind a later one of their node.
fn late(received: &[(String, String)]) -> usize {
    let mut last = HashMap::<u64, u64>::new();
    let mut seen = HashSet::new();
    let mut late = 0;
    for (id, body) in received {
        if !seen.insert(id) {
            continue;
        }
        let body: Value = serde_json::from_str(body).unwrap();
        let number = |key: &str| body[key].as_u64().unwrap();
        let last = last.entry(number("node_id")).or_default();
        late += usize::from(number("event_id") < *last);
        *last = (*last).max(number("event_id"));
    }
    late
}

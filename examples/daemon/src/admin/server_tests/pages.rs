//! What the pages show.

use std::time::Duration;

use pilot_webhook_std::Hub;
use pilot_webhook_std::outbox::{Outbox, OutboxOptions};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::world::{HOSTILE, TOKEN, World};

#[tokio::test]
async fn what_is_hostile_is_text() {
    let world = World::new(&[]).await;
    world.fail(HOSTILE, &json!({"data": HOSTILE})).await;
    let token = format!("authorization: Bearer {TOKEN}");
    let shown = world.get("/endpoints/pilot?done=%3Cscript%3E", &[&token]).await;
    assert!(shown.body().contains("&lt;script&gt;alert(1)"), "{}", shown.0);
    assert!(!shown.body().contains("<script>"), "{}", shown.0);
    assert!(!shown.body().contains("<img"), "{}", shown.0);
    let asked = world.get("/endpoints/%3Cscript%3E%22", &[]).await;
    assert!(!asked.body().contains("<script>"), "{}", asked.0);
}

#[tokio::test]
async fn pages_are_kept_live_and_readers_are_few() {
    let world = World::new(&[]).await;
    let mut readers = Vec::new();
    for n in 0..=16 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let request = format!("GET /live HTTP/1.1\r\nhost: {}\r\n\r\n", world.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        while !text.contains("\n\n") && !text.contains("too many") {
            let mut bytes = [0; 4096];
            let read = timeout(Duration::from_secs(20), stream.read(&mut bytes)).await.unwrap();
            text += &String::from_utf8_lossy(&bytes[..read.unwrap()]);
        }
        assert_eq!(text.starts_with("HTTP/1.1 200"), n < 16, "{n}: {text}");
        assert_eq!(text.contains("\"name\":\"pilot\""), n < 16, "{n}: {text}");
        readers.push(stream);
    }
    // Their places are free when they go.
    drop(readers);
    for _ in 0..100 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let request = format!("GET /live HTTP/1.1\r\nhost: {}\r\n\r\n", world.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        if &status == b"HTTP/1.1 200" {
            return;
        }
    }
    panic!("no place came free");
}

/// Without a script: what the page shows and asks for stands in it.
#[tokio::test]
async fn the_page_is_whole_without_its_script() {
    let world = World::new(&[]).await;
    world.fail("a.topic", &json!(7)).await;
    let cookie = format!("cookie: {}", world.log_in().await);
    let own = format!("origin: http://{}", world.address);
    let page = world.get("/endpoints/pilot", &[&cookie]).await;
    for there in [
        "failing: the last attempts failed",
        ">400<",
        "a.topic",
        "action=\"/endpoints/pilot/pause\"",
        "data-paused=\"false\"",
    ] {
        assert!(page.body().contains(there), "{there}: {}", page.0);
    }
    let health = world.get("/healthz", &[]).await;
    assert_eq!(health.body(), "ok\npilot: failing: the last attempts failed\n");
    for (action, is_paused) in [("pause", true), ("resume", false)] {
        let path = format!("/endpoints/pilot/{action}");
        let answer = world.ask("POST", &path, &[&cookie, &own], "").await;
        assert_eq!(answer.status(), 303);
        assert_eq!(world.client.is_paused(), is_paused);
        let then = world.get(answer.header("location").unwrap(), &[&cookie]).await;
        assert!(then.body().contains(&format!("data-paused=\"{is_paused}\"")), "{}", then.0);
    }
    for unknown in ["/endpoints/none/pause", "/endpoints/pilot/explode"] {
        let answer = world.ask("POST", unknown, &[&cookie, &own], "").await;
        assert!(matches!(answer.status(), 400 | 404), "{unknown}: {}", answer.0);
    }
}

/// Its events have ids when they are on disk, and wait there.
#[tokio::test]
async fn with_an_outbox_a_test_event_is_taken_and_all_that_waits_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(directory.path().join("events.db"), OutboxOptions::default());
    let world = World::over(Hub::with_outbox(outbox.unwrap()), &[]).await;
    world.client.pause();
    let token = format!("authorization: Bearer {TOKEN}");
    let answer = world.ask("POST", "/endpoints/pilot/test", &[&token], "").await;
    assert_eq!(answer.header("location"), Some("/endpoints/pilot?done=test"), "{}", answer.0);
    // More than the queue holds.
    for n in 1..1_500 {
        world.client.emit("t", &n).unwrap();
    }
    world.client.emit_durable("t", &1_500).await.unwrap();
    let page = world.get("/endpoints/pilot", &[&token]).await;
    assert!(page.body().contains(">1501<"), "{}", page.0);
}

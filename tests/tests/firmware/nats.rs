//! Into a stream of a real nats-server, which is killed meanwhile.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, Stream};
use pilot_webhook_tests::NatsServer;

use crate::node::{HOST, Image, Node};

const EVENTS: usize = 300;

async fn stream(server: &NatsServer) -> Stream {
    let client = async_nats::connect(server.url()).await.unwrap();
    let config =
        Config { name: "EVENTS".into(), subjects: vec!["pilot.7.>".into()], ..Config::default() };
    ContextBuilder::new().build(client).get_or_create_stream(config).await.unwrap()
}

/// How many messages the stream has.
async fn stored(stream: &Stream) -> u64 {
    stream.get_info().await.unwrap().state.messages
}

#[tokio::test]
async fn nothing_is_lost_or_stored_twice_when_the_server_is_killed() {
    if !NatsServer::is_installed() || !Image::An386Nats.is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = NatsServer::start(folder.path(), "").unwrap();
    let before = stream(&server).await;
    let words = [
        format!("url=nats://{HOST}:{}/pilot", server.port()),
        format!("events={EVENTS}"),
        "node_id=7".into(),
        "pace_ms=10".into(),
        "on_open=hold".into(),
        "backoff_ms=50".into(),
        "cooldown_ms=100".into(),
    ];
    let node = Node::start(Image::An386Nats, &words).await;
    while stored(&before).await < 50 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.restart().unwrap();
    let report = node.end().await;
    assert_eq!(report.count("delivered"), EVENTS as u64);
    let stream = stream(&server).await;
    assert_eq!(stored(&stream).await, EVENTS as u64);
    let mut ids = HashSet::new();
    for sequence in 1..=EVENTS as u64 {
        let message = stream.get_raw_message(sequence).await.unwrap();
        assert!(message.subject.starts_with("pilot.7."), "{}", message.subject);
        ids.insert(message.headers.get("Nats-Msg-Id").unwrap().to_string());
    }
    assert_eq!(ids.len(), EVENTS);
}

//! What the tests over a real nats-server have in common.

pub(crate) mod node;

use std::collections::HashSet;
use std::path::Path;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::{Client, ConnectOptions};
use pilot_webhook_tests::NatsServer;
use serde_json::Value;

/// What all subjects begin with.
pub(crate) const PREFIX: &str = "pilot";

/// A stream of all events.
pub(crate) fn events() -> Config {
    Config { name: "EVENTS".into(), subjects: vec![format!("{PREFIX}.>")], ..Config::default() }
}

pub(crate) fn jetstream(client: Client) -> Context {
    ContextBuilder::new().build(client)
}

/// A server, and a client of it.
pub(crate) async fn server(folder: &Path, extra: &str) -> (NatsServer, Context) {
    let server = NatsServer::start(folder, extra).unwrap();
    let context = jetstream(ConnectOptions::new().connect(server.url()).await.unwrap());
    (server, context)
}

/// All messages that a stream has, in its order.
pub(crate) async fn stored(stream: &Stream) -> Vec<StreamMessage> {
    let info = stream.get_info().await.unwrap();
    let mut messages = Vec::new();
    for sequence in info.state.first_sequence..=info.state.last_sequence {
        messages.push(stream.get_raw_message(sequence).await.unwrap());
    }
    messages
}

/// The first messages are events of the node 7 with the numbers from 1 to `last`, each in a batch of one, under its subject and
/// its id.
pub(crate) fn expect_numbered(messages: &[StreamMessage], last: u64) {
    assert!(messages.len() as u64 >= last);
    for (n, message) in (1..=last).zip(messages) {
        assert_eq!(message.subject.as_str(), "pilot.7.conn.established");
        let body: Value = serde_json::from_slice(&message.payload).unwrap();
        // A batch of one is an array, too.
        assert_eq!(body[0]["data"]["n"], n);
        let header = |name: &str| message.headers.get(name).unwrap().as_str();
        assert!(header("Nats-Msg-Id").starts_with("7-"));
        assert_eq!(header("Nats-Msg-Id"), header("X-Pilot-Message-Id"));
    }
}

/// The stream of all events has `count` of them, each with another number.
pub(crate) async fn expect_each_once(server: &NatsServer, count: usize) {
    // An older connection may still be on its way back.
    let context = jetstream(async_nats::connect(server.url()).await.unwrap());
    let messages = stored(&context.get_stream("EVENTS").await.unwrap()).await;
    assert_eq!(messages.len(), count, "the server knows a message by its id");
    let number = |message: &StreamMessage| {
        let body: Value = serde_json::from_slice(&message.payload).unwrap();
        body["data"]["n"].as_u64().unwrap()
    };
    assert_eq!(messages.iter().map(number).collect::<HashSet<_>>().len(), count);
}

/// The part of a server's configuration that names its certificate and key, which are written to `folder`.
pub(crate) fn tls(folder: &Path, certificate: &str, key: &str, extra: &str) -> String {
    let at = |name: &str| folder.join(name);
    std::fs::write(at("cert.pem"), certificate).unwrap();
    std::fs::write(at("key.pem"), key).unwrap();
    format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\"{extra} }}",
        at("cert.pem").display(),
        at("key.pem").display()
    )
}

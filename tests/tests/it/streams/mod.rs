//! What the tests over a real nats-server have in common.

pub(crate) mod node;

use std::path::Path;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::{Client, ConnectOptions};
use pilot_webhook_tests::NatsServer;

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

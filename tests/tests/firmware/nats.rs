//! Into a stream of a real nats-server, which is killed meanwhile, or knows its users by their keys.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, Stream};
use nkeys::KeyPair;
use pilot_webhook_tests::pki::{Kind, leaf_for};
use pilot_webhook_tests::{NatsOperator, NatsServer};
use rcgen::SanType;

use crate::node::{HOST, Image, Node};
use crate::receiver::{CaFile, authority};

const EVENTS: usize = 300;

async fn stream(server: &NatsServer) -> Stream {
    stream_by(ConnectOptions::new(), &server.url()).await
}

async fn stream_by(options: ConnectOptions, url: &str) -> Stream {
    let client = options.connect(url).await.unwrap();
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

/// The arguments of a node that delivers so many events.
fn words(scheme: &str, server: &NatsServer, events: u64, login: String) -> Vec<String> {
    let url = format!("url={scheme}://{HOST}:{}/pilot", server.port());
    vec![url, format!("events={events}"), "node_id=7".into(), "backoff_ms=10".into(), login]
}

#[tokio::test]
async fn a_node_logs_in_by_its_key_and_says_when_it_is_refused() {
    if !NatsServer::is_installed() || !Image::An386Nats.is_there() {
        return;
    }
    let (folder, user) = (tempfile::tempdir().unwrap(), KeyPair::new_user());
    let users = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", user.public_key());
    let server = NatsServer::start(folder.path(), &users).unwrap();
    let seed = user.seed().unwrap();
    let stream = stream_by(ConnectOptions::with_nkey(seed.clone()), &server.url()).await;
    let words = |events, seed: &str| words("nats", &server, events, format!("nkey={seed}"));
    let report = Node::start(Image::An386Nats, &words(20, &seed)).await.end().await;
    assert_eq!(report.story(), [""; 0]);
    assert_eq!((report.count("delivered"), stored(&stream).await), (20, 20));

    let stranger = KeyPair::new_user().seed().unwrap();
    let report = Node::start(Image::An386Nats, &words(1, &stranger)).await.end().await;
    assert_eq!((report.count("delivered"), report.count("exhausted")), (0, 1));
    let refused = "NATS: the server refuses the credentials, or wants some";
    assert!(report.story().iter().all(|line| line.ends_with(refused)), "{:?}", report.story());
    assert_eq!(report.story().len() as u64, report.count("attempts"));
}

/// With a JWT and over TLS by rustls, to a server that is killed meanwhile.
#[tokio::test]
async fn nothing_is_lost_over_rustls_with_a_jwt() {
    const EVENTS: u64 = 100;
    if !NatsServer::is_installed()
        || !NatsServer::knows_handshake_first()
        || !Image::An386NatsRustls.is_there()
    {
        return;
    }
    let (folder, operator) = (tempfile::tempdir().unwrap(), NatsOperator::new());
    let mut names = leaf_for("localhost");
    names.subject_alt_names.push(SanType::IpAddress(HOST.parse().unwrap()));
    let tls = NatsServer::tls_first(folder.path(), &authority().issue(Kind::P256, names));
    let config = tls.unwrap() + &operator.config(&[]);
    let mut server = NatsServer::start(folder.path(), &config).unwrap();
    let pem = folder.path().join("ca.pem");
    std::fs::write(&pem, authority().pem()).unwrap();
    let file = |lifetime| operator.user(Duration::from_secs(lifetime)).credentials();
    let (admin, url) = (file(3_600), format!("tls://localhost:{}", server.port()));
    let admin = async || {
        let options = ConnectOptions::with_credentials(&admin).unwrap();
        stream_by(options.add_root_certificates(pem.clone()).tls_first(), &url).await
    };
    let before = admin().await;

    let credentials = folder.path().join("node.creds");
    std::fs::write(&credentials, file(3_600)).unwrap();
    let ca = CaFile::new();
    let mut words = words("tls", &server, EVENTS, format!("creds={}", credentials.display()));
    let more = ["pace_ms=10", "on_open=hold", "backoff_ms=50", "cooldown_ms=100"];
    words.extend(more.map(String::from));
    words.push(ca.argument());
    let node = Node::start(Image::An386NatsRustls, &words).await;
    while stored(&before).await < 30 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.restart().unwrap();
    let report = node.end().await;
    assert_eq!(report.count("delivered"), EVENTS);
    assert_eq!(stored(&admin().await).await, EVENTS);
}

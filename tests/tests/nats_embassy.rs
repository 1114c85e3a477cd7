//! A node's events into a stream of a real nats-server, through good days and bad ones.

#![allow(clippy::unwrap_used, reason = "a failed test says where and why at once")]

mod streams;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy};
use base64ct::{Base64, Encoding as _};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::nats::SCHEMES;
use pilot_webhook_core::{
    Backoff, Config, Dispatcher, Encoding, Event, OnOpen, PilotFormat, Stats, Transport,
};
use pilot_webhook_embassy::{
    Buffers, Error, NatsFault, NatsLogin, NatsTransport, Policy, Tls, TlsBuffers, TlsFailure,
};
use pilot_webhook_tests::nal::{Counts, TokioNet};
use pilot_webhook_tests::pki::{Authority, Kind, leaf_for};
use pilot_webhook_tests::{HostClock, NatsServer, Url};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use streams::{PREFIX, events, jetstream, server, stored, tls};

type Node = NatsTransport<'static, TokioNet>;

/// Memory leaks, as it does on a node, where it is static.
fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn node_over(net: TokioNet, login: NatsLogin<'static>) -> Node {
    NatsTransport::new(leak(net), leak(Buffers::<1_024>::new()), Policy::default(), login)
}

fn node(login: NatsLogin<'static>) -> Node {
    node_over(TokioNet::default(), login)
}

fn url(scheme: &str, port: u16) -> Url {
    let host = if scheme == "tls" { "localhost" } else { "127.0.0.1" };
    let url = format!("{scheme}://{host}:{port}/{PREFIX}");
    Url::parse_with(SCHEMES, &url, Policy::default()).unwrap()
}

fn of(server: &NatsServer) -> Url {
    url("nats", server.port())
}

/// Short waits, and no event that is given up.
fn config() -> Config {
    Config {
        http_timeout: Duration::from_secs(5),
        backoff: Backoff { initial: Duration::from_millis(20), jitter_percent: 0 },
        circuit_cooldown: Duration::from_millis(50),
        on_open: OnOpen::Hold,
        ..Config::DEFAULT
    }
}

type Engine = Dispatcher<NoopRawMutex, Vec<u8>, Url>;

/// The worker over a transport, while a test goes on.
async fn running<T>(
    mut node: impl Transport<Url>,
    to: Url,
    config: Config,
    test: impl AsyncFnOnce(&Engine) -> T,
) -> T {
    let engine = Engine::new(config, vec![0; 65_536], rand_seed());
    engine.swap(to).unwrap();
    let mut buffer = vec![0; PilotFormat::BOUND.buffer(8, config.max_event_bytes)];
    let clock = HostClock::new();
    let work = pilot_webhook_core::run(&engine, &mut node, &clock, Encoding::PILOT, &mut buffer);
    tokio::select! {
        () = work => panic!("nobody closes it"),
        result = tokio::time::timeout(Duration::from_secs(120), test(&engine)) => result.unwrap(),
    }
}

/// Message ids are unique by it.
fn rand_seed() -> u64 {
    use rand_core::RngCore as _;
    rand_core::OsRng.next_u64()
}

async fn emit(engine: &Engine, topic: &str, data: &Value) {
    let event = Event::new(topic, 7, pilot_webhook_core::Clock::wall(&HostClock::new()));
    engine.emit_when_room(&event, data, &mut [0; 8_192]).await.unwrap();
}

async fn delivered(engine: &Engine) -> Stats {
    engine.drained().await;
    let stats = engine.stats();
    assert!(stats.is_balanced());
    stats
}

fn made(counts: &Counts) -> usize {
    counts.made.load(Ordering::Relaxed)
}

#[tokio::test]
async fn an_event_is_delivered_when_the_server_has_stored_it() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "").await;
    let stream = context.create_stream(events()).await.unwrap();
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let config = Config { batch: 8, ..config() };
    running(node_over(net, NatsLogin::None), of(&server), config, async |engine| {
        for n in 1..=20 {
            emit(engine, "conn.established", &json!({ "n": n })).await;
        }
        emit(engine, "odd topic.*", &json!(null)).await;
        // Longer than the transport's buffer.
        emit(engine, "long", &json!("x".repeat(2_000))).await;
        let stats = delivered(engine).await;
        assert_eq!((stats.delivered, stats.last_status), (22, 200));
    })
    .await;
    assert_eq!(made(&counts), 1, "the connection is kept");

    let messages = stored(&stream).await;
    assert_eq!(messages.len(), 22);
    for (n, message) in (1..=20).zip(&messages) {
        assert_eq!(message.subject.as_str(), "pilot.7.conn.established");
        let body: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(body[0]["data"]["n"], json!(n));
        let header = |name: &str| message.headers.get(name).unwrap().as_str();
        assert!(header("Nats-Msg-Id").starts_with("7-"));
        assert_eq!(header("Nats-Msg-Id"), header("X-Pilot-Message-Id"));
        assert_eq!(header("Content-Type"), "application/json");
    }
    assert_eq!(messages[20].subject.as_str(), "pilot.7.odd%20topic.%2A");
    let long: Value = serde_json::from_slice(&messages[21].payload).unwrap();
    assert_eq!(long[0]["data"], json!("x".repeat(2_000)));
}

#[tokio::test]
async fn nothing_is_lost_or_stored_twice_when_the_server_is_killed() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut server, context) = server(folder.path(), "").await;
    context.create_stream(events()).await.unwrap();
    let (to, client) = (of(&server), node(NatsLogin::None));
    running(client, to, config(), async |engine| {
        for n in 1..=900_u64 {
            emit(engine, "conn.established", &json!({ "n": n })).await;
            if n % 300 == 0 {
                while engine.stats().delivered < n / 2 {
                    tokio::task::yield_now().await;
                }
                server.restart().unwrap();
            }
        }
        let stats = delivered(engine).await;
        assert_eq!((stats.delivered, stats.exhausted), (900, 0));
    })
    .await;
    // The old connection may still be on its way back.
    let context = jetstream(async_nats::connect(server.url()).await.unwrap());
    let stream = context.get_stream("EVENTS").await.unwrap();
    let numbers: Vec<u64> = stored(&stream)
        .await
        .iter()
        .map(|message| {
            let body: Value = serde_json::from_slice(&message.payload).unwrap();
            body["data"]["n"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(numbers.len(), 900, "the server knows a message by its id");
    assert_eq!(numbers.into_iter().collect::<HashSet<_>>().len(), 900);
}

#[tokio::test]
async fn events_wait_for_a_stream_and_for_room_in_it() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "max_payload: 4096").await;
    running(node(NatsLogin::None), of(&server), config(), async |engine| {
        let status = async |code| {
            while engine.stats().last_status != code {
                tokio::task::yield_now().await;
            }
        };
        emit(engine, "a", &json!(1)).await;
        status(503).await;
        let full = StreamConfig {
            max_messages: 2,
            max_message_size: 2_000,
            discard: DiscardPolicy::New,
            ..events()
        };
        let stream = context.create_stream(full).await.unwrap();
        delivered(engine).await;
        // Too long for the stream, and for the server, which ends the connection.
        emit(engine, "b", &json!("x".repeat(3_000))).await;
        emit(engine, "b", &json!("x".repeat(3_900))).await;
        let stats = delivered(engine).await;
        assert_eq!((stats.delivered, stats.rejected, stats.last_status), (1, 2, 413));
        emit(engine, "c", &json!(2)).await;
        delivered(engine).await;
        emit(engine, "c", &json!(3)).await;
        status(10_077).await;
        stream.purge().await.unwrap();
        assert_eq!(delivered(engine).await.delivered, 3);
    })
    .await;
}

/// One attempt.
async fn send(node: &mut Node, to: &Url) -> Result<u16, Error> {
    let message = pilot_webhook_core::Message::new(&[], b"{}");
    node.send(to, &message).await.map(|reply| reply.code)
}

/// Whichever poll is the last, the next publication works, with a connection that was kept or not.
#[tokio::test]
async fn every_poll_may_be_the_last() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, context) = server(folder.path(), "").await;
    context.create_stream(events()).await.unwrap();
    let (to, net) = (of(&server), TokioNet::default());
    let counts = net.counts.clone();
    let mut node = node_over(net, NatsLogin::None);
    for polls in 0..30 {
        if polls % 2 == 0 {
            assert_eq!(send(&mut node, &to).await, Ok(200), "before {polls}");
        }
        {
            let mut left = polls / 2;
            let mut sending = std::pin::pin!(send(&mut node, &to));
            std::future::poll_fn(|cx| {
                if left == 0 || sending.as_mut().poll(cx).is_ready() {
                    return std::task::Poll::Ready(());
                }
                left -= 1;
                std::task::Poll::Pending
            })
            .await;
        }
        assert_eq!(send(&mut node, &to).await, Ok(200), "after {polls}");
        assert_eq!(counts.open.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn what_the_server_does_not_permit_is_said() {
    if !NatsServer::is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let users = "authorization { users: [ { user: me, password: \"p\\\"w\" }, \
                 { user: mute, password: pw, permissions: { publish: { deny: \">\" } } } ] }";
    let server = NatsServer::start(folder.path(), users).unwrap();
    let user = |name, password| NatsLogin::User { name, password };
    let admin = ConnectOptions::with_user_and_password("me".into(), "p\"w".into());
    let admin = jetstream(admin.connect(server.url()).await.unwrap());
    admin.create_stream(events()).await.unwrap();
    for (login, expected) in [
        (NatsLogin::None, Err(Error::Nats(NatsFault::Credentials))),
        (user("me", "no"), Err(Error::Nats(NatsFault::Credentials))),
        (NatsLogin::Token("no"), Err(Error::Nats(NatsFault::Credentials))),
        (user("mute", "pw"), Err(Error::Nats(NatsFault::Permission))),
        (user("me", "p\"w"), Ok(200)),
    ] {
        assert_eq!(send(&mut node(login), &of(&server)).await, expected, "{login:?}");
    }
}

#[tokio::test]
async fn a_node_may_sleep() {
    if !NatsServer::is_installed() {
        return;
    }
    // A server that asks often and is patient, and one that is not: it closes the connection meanwhile.
    tokio::join!(sleep_over("ping_max: 1000", 1), sleep_over("ping_max: 1", 2));
}

/// Two events with a sleep between them take so many connections, and an attempt each.
async fn sleep_over(extra: &str, connections: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (server, context) =
        server(folder.path(), &format!("ping_interval: \"50ms\"\n{extra}")).await;
    context.create_stream(events()).await.unwrap();
    let net = TokioNet::default();
    let counts = net.counts.clone();
    let mut node = node_over(net, NatsLogin::None);
    assert_eq!(send(&mut node, &of(&server)).await, Ok(200));
    // The server first asks after 2 s, and closes a moment later when it has no answer.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(send(&mut node, &of(&server)).await, Ok(200));
    assert_eq!(made(&counts), connections, "{extra}");
}

fn secure(net: TokioNet, root: &'static [u8]) -> Node {
    let roots: &[&[u8]] = leak([root]);
    let buffers = leak(TlsBuffers::<16_640, 1_024>::new());
    let clock = leak(|| Some(1_795_392_000));
    let tls = Tls::new(buffers, roots, leak(rand_core::OsRng), clock);
    node_over(net, NatsLogin::None).with_tls(tls)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[tokio::test]
async fn over_tls_the_server_is_verified() {
    if !NatsServer::is_installed() || !NatsServer::knows_handshake_first() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let identity = authority.issue(Kind::P256, leaf_for("localhost"));
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let certificate = pem("CERTIFICATE", &identity.chain[0]);
    let key = pem("PRIVATE KEY", &identity.key);
    let tls = tls(folder.path(), &certificate, &key, ", handshake_first: true");
    let server = NatsServer::start(folder.path(), &tls).unwrap();
    let admin = ConnectOptions::new().add_root_certificates(ca).tls_first();
    let admin = admin.connect(format!("tls://localhost:{}", server.port())).await.unwrap();
    let stream = jetstream(admin).create_stream(events()).await.unwrap();

    let net = TokioNet::default().with("localhost", "127.0.0.1");
    let to = url("tls", server.port());
    let root: &'static [u8] = authority.root().to_vec().leak();
    running(secure(net.clone(), root), to.clone(), config(), async |engine| {
        for n in 1..=20 {
            emit(engine, "conn.established", &json!({ "n": n })).await;
        }
        assert_eq!(delivered(engine).await.delivered, 20);
    })
    .await;
    assert_eq!(made(&net.counts), 1, "the connection is kept");
    assert_eq!(stored(&stream).await.len(), 20);

    let other: &'static [u8] = Authority::new().root().to_vec().leak();
    let sent = send(&mut secure(net.clone(), other), &to).await;
    assert_eq!(sent, Err(Error::Tls(TlsFailure::CertificateSignature)));
    assert_eq!(send(&mut node_over(net, NatsLogin::None), &to).await, Err(Error::NoTls));
}

/// What a server says to each connection before it closes it, and what comes of it.
#[tokio::test]
async fn a_hostile_server_does_nothing_but_fail_the_attempt() {
    let info = b"INFO {}\r\n".to_vec();
    let long = [b"INFO ".to_vec(), vec![b'x'; 100_000]].concat();
    for (said, expected) in [
        (vec![], Error::Closed),
        (b"INFO {".to_vec(), Error::Closed),
        (info.clone(), Error::Closed),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), Error::Nats(NatsFault::Malformed)),
        (long, Error::Nats(NatsFault::TooLong)),
        ([&info[..], b"MSG a.1 1 999999\r\n"].concat(), Error::Nats(NatsFault::TooLong)),
        ([&info[..], b"MSG a.2 1 1\r\n{\r\n"].concat(), Error::Nats(NatsFault::Malformed)),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = url("nats", listener.local_addr().unwrap().port());
        let mut client = node(NatsLogin::None);
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.write_all(&said).await;
            let _ = socket.shutdown().await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        };
        let (sent, ()) = tokio::join!(send(&mut client, &to), serve);
        assert_eq!(sent, Err(expected), "{}", said.escape_ascii());
    }
    let http = Url::parse("http://127.0.0.1:1/hook", Policy::default()).unwrap();
    assert_eq!(send(&mut node(NatsLogin::None), &http).await, Err(Error::Scheme));
}

//! What the tests of a node's NATS transport have in common.

use std::sync::atomic::Ordering;
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::nats::SCHEMES;
use pilot_webhook_core::{
    Backoff, Config, Dispatcher, Encoding, Event, OnOpen, PilotFormat, Stats, Transport,
};
use pilot_webhook_embassy::{Buffers, Error, NatsLogin, NatsTransport, Policy};
use pilot_webhook_tests::nal::{Counts, TokioNet};
use pilot_webhook_tests::{HostClock, NatsServer, Url};
use serde_json::Value;

use crate::streams::PREFIX;

pub(crate) type Node = NatsTransport<'static, TokioNet>;

/// Memory leaks, as it does on a node, where it is static.
pub(crate) fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

pub(crate) fn node_over(net: TokioNet, login: NatsLogin<'static>) -> Node {
    NatsTransport::new(leak(net), leak(Buffers::<1_024>::new()), Policy::default(), login)
}

pub(crate) fn node(login: NatsLogin<'static>) -> Node {
    node_over(TokioNet::default(), login)
}

pub(crate) fn url(scheme: &str, port: u16) -> Url {
    let host = if scheme == "tls" { "localhost" } else { "127.0.0.1" };
    let url = format!("{scheme}://{host}:{port}/{PREFIX}");
    Url::parse_with(SCHEMES, &url, Policy::default()).unwrap()
}

pub(crate) fn of(server: &NatsServer) -> Url {
    url("nats", server.port())
}

/// Short waits, and no event that is given up.
pub(crate) fn config() -> Config {
    Config {
        http_timeout: Duration::from_secs(5),
        backoff: Backoff { initial: Duration::from_millis(20), jitter_percent: 0 },
        circuit_cooldown: Duration::from_millis(50),
        on_open: OnOpen::Hold,
        ..Config::DEFAULT
    }
}

pub(crate) type Engine = Dispatcher<NoopRawMutex, Vec<u8>, Url>;

/// The worker over a transport, while a test goes on.
pub(crate) async fn running<T>(
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
pub(crate) fn rand_seed() -> u64 {
    use rand_core::RngCore as _;
    rand_core::OsRng.next_u64()
}

pub(crate) async fn emit(engine: &Engine, topic: &str, data: &Value) {
    let event = Event::new(topic, 7, pilot_webhook_core::Clock::wall(&HostClock::new()));
    engine.emit_when_room(&event, data, &mut [0; 8_192]).await.unwrap();
}

pub(crate) async fn delivered(engine: &Engine) -> Stats {
    engine.drained().await;
    let stats = engine.stats();
    assert!(stats.is_balanced());
    stats
}

pub(crate) fn made(counts: &Counts) -> usize {
    counts.made.load(Ordering::Relaxed)
}

/// One attempt.
pub(crate) async fn send(node: &mut Node, to: &Url) -> Result<u16, Error> {
    let message = pilot_webhook_core::Message::new(&[], b"{}");
    node.send(to, &message).await.map(|reply| reply.code)
}

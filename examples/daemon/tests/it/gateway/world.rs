//! A nats-server, a receiver that can fail, and a publisher.

use std::collections::{BTreeSet, HashSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::{ContextBuilder, PublishAckFuture};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Config, Stream};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pilot_webhook_tests::NatsServer;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::support;

/// Far more than any of the waits takes.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct World {
    server: NatsServer,
    context: Context,
    webhook: String,
    arrived: Arc<Arrived>,
    folder: TempDir,
}

/// What was answered with success.
struct Taken {
    path: String,
    id: String,
    trace: String,
    body: String,
}

#[derive(Default)]
struct Arrived {
    all: Mutex<Vec<Taken>>,
    attempts: AtomicUsize,
    is_failing: AtomicBool,
    /// The path that is always answered 500.
    dead: Mutex<Option<String>>,
    /// The number of the event that is always answered 500.
    poison: AtomicU64,
}

impl World {
    /// `None`, loudly, where there is no nats-server.
    pub(crate) async fn start() -> Option<Self> {
        if !NatsServer::is_installed() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let server = NatsServer::start(folder.path(), "").unwrap();
        let context = ContextBuilder::new().build(async_nats::connect(server.url()).await.unwrap());
        let arrived = Arc::<Arrived>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(receive(listener, Arc::clone(&arrived)));
        Some(Self { server, context, webhook, arrived, folder })
    }

    pub(crate) fn server_url(&self) -> String {
        self.server.url()
    }

    /// Kills the server with -9, and starts it again.
    pub(crate) fn restart_server(&mut self) {
        self.server.restart().unwrap();
    }

    /// How many of these ids have not arrived at the path of an endpoint.
    pub(crate) fn missing_at(&self, name: &str, ids: &HashSet<String>) -> usize {
        let (path, all) = (format!("/hook/{name}"), self.arrived.all.lock().unwrap());
        let arrived: HashSet<_> =
            all.iter().filter(|it| it.path == path).map(|it| &it.id).collect();
        ids.iter().filter(|id| !arrived.contains(id)).count()
    }

    /// Ids and bodies of what arrived at the path of an endpoint.
    pub(crate) fn all_at(&self, name: &str) -> Vec<(String, String)> {
        let (path, all) = (format!("/hook/{name}"), self.arrived.all.lock().unwrap());
        let of_path = all.iter().filter(|it| it.path == path);
        of_path.map(|it| (it.id.clone(), it.body.clone())).collect()
    }

    pub(crate) async fn stream(&self) -> Stream {
        self.stream_with(Config::default()).await
    }

    pub(crate) async fn stream_with(&self, config: Config) -> Stream {
        let subjects = vec!["pilot.>".to_owned()];
        let config = Config { name: "EVENTS".to_owned(), subjects, ..config };
        self.context.create_stream(config).await.unwrap()
    }

    /// Another stream, which is made if it is missing: how many messages it has.
    pub(crate) async fn other_stream(&self, name: &str, subject: &str) -> u64 {
        let subjects = vec![subject.to_owned()];
        let config = Config { name: name.to_owned(), subjects, ..Config::default() };
        let stream = self.context.get_or_create_stream(config).await.unwrap();
        stream.get_info().await.unwrap().state.messages
    }

    pub(crate) async fn until_stream(&self) {
        timeout(PATIENCE, async {
            while self.context.get_stream("EVENTS").await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
    }

    /// Whether the server knows subject transforms, and consumers with several filters.
    pub(crate) async fn has_stream(&self) -> bool {
        self.context.get_stream("EVENTS").await.is_ok()
    }

    pub(crate) fn is_of_2_10(&self) -> bool {
        self.context.client().is_server_compatible(2, 10, 0)
    }

    pub(crate) async fn publish(&self, numbers: RangeInclusive<u64>) {
        self.until_stream().await;
        let mut acks = Vec::new();
        for n in numbers {
            acks.push(self.send(7, n).await);
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }

    pub(crate) async fn publish_as(&self, node: u32, n: u64) {
        self.send(node, n).await.await.unwrap();
    }

    /// With this header `traceparent`.
    pub(crate) async fn publish_in(&self, trace: &str, n: u64) {
        self.send_in(Some(trace), "test.event", 7, n).await.await.unwrap();
    }

    /// Publishes an event of this topic, and returns its id.
    pub(crate) async fn publish_about(&self, topic: &str, n: u64) -> String {
        self.send_about(topic, 7, n).await.await.unwrap();
        format!("7-00000000000000ab-{n}")
    }

    async fn send(&self, node: u32, n: u64) -> PublishAckFuture {
        self.send_about("test.event", node, n).await
    }

    pub(crate) async fn send_about(&self, topic: &str, node: u32, n: u64) -> PublishAckFuture {
        self.send_in(None, topic, node, n).await
    }

    async fn send_in(
        &self,
        trace: Option<&str>,
        topic: &str,
        node: u32,
        n: u64,
    ) -> PublishAckFuture {
        let body = format!(
            r#"{{"event_id":{n},"event":"{topic}","node_id":{node},"timestamp":"2026-01-15T12:34:56.789Z","data":{{"n":{n}}}}}"#
        );
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{node}-00000000000000ab-{n}"));
        if let Some(trace) = trace {
            headers.insert("traceparent", trace);
        }
        // It is for this stream, and not for that of the dead letters.
        headers.insert("Nats-Expected-Stream", "EVENTS");
        let subject = format!("pilot.{node}.{topic}");
        self.context.publish_with_headers(subject, headers, body.into()).await.unwrap()
    }

    pub(crate) async fn raw(&self, subject: &str, body: &str) {
        let ack = self.context.publish(subject.to_owned(), body.to_owned().into()).await.unwrap();
        ack.await.unwrap();
    }

    pub(crate) fn fail(&self, is_failing: bool) {
        self.arrived.is_failing.store(is_failing, Relaxed);
    }

    /// This event is always answered 500.
    pub(crate) fn poison(&self, number: u64) {
        self.arrived.poison.store(number, Relaxed);
    }

    pub(crate) fn attempts(&self) -> usize {
        self.arrived.attempts.load(Relaxed)
    }

    /// The headers `traceparent` of what was answered with success.
    pub(crate) fn traces(&self) -> Vec<String> {
        self.arrived.all.lock().unwrap().iter().map(|it| it.trace.clone()).collect()
    }

    /// The path of this endpoint is always answered 500; that of no other is.
    pub(crate) fn kill_path(&self, name: Option<&str>) {
        *self.arrived.dead.lock().unwrap() = name.map(|name| format!("/hook/{name}"));
    }

    /// Ids and bodies of what was answered with success.
    pub(crate) fn received(&self) -> Vec<(String, String)> {
        let all = self.arrived.all.lock().unwrap();
        all.iter().map(|it| (it.id.clone(), it.body.clone())).collect()
    }

    /// The URL that all receivers' paths begin with.
    pub(crate) fn webhook(&self) -> &str {
        &self.webhook
    }

    /// The numbers of the events that arrived at the path of an endpoint, in their order.
    pub(crate) fn received_at(&self, name: &str) -> Vec<u64> {
        let (path, all) = (format!("/hook/{name}"), self.arrived.all.lock().unwrap());
        let number = |it: &Taken| it.id.rsplit('-').next().unwrap().parse().unwrap();
        all.iter().filter(|it| it.path == path).map(number).collect()
    }

    /// The different ids that arrived at the path of an endpoint.
    pub(crate) fn ids_at(&self, name: &str) -> BTreeSet<String> {
        let (path, all) = (format!("/hook/{name}"), self.arrived.all.lock().unwrap());
        all.iter().filter(|it| it.path == path).map(|it| it.id.clone()).collect()
    }

    /// These ids have arrived at the path of an endpoint, and no other.
    pub(crate) async fn arrived_at(&self, name: &str, ids: &BTreeSet<String>) {
        let all_there = timeout(PATIENCE, async {
            while !self.ids_at(name).is_superset(ids) {
                sleep(Duration::from_millis(10)).await;
            }
        });
        let is_in_time = all_there.await.is_ok();
        let arrived = self.ids_at(name);
        let missing: Vec<_> = ids.difference(&arrived).take(5).collect();
        assert!(is_in_time, "{name} has {} of {}, not {missing:?}", arrived.len(), ids.len());
        assert_eq!(arrived.difference(ids).next(), None, "invented at {name}");
    }

    pub(crate) async fn until(&self, holds: impl Fn() -> bool) {
        timeout(PATIENCE, async {
            while !holds() {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
    }

    /// So many different ids have arrived.
    pub(crate) async fn arrived(&self, count: u64) {
        self.until(|| {
            let all = self.arrived.all.lock().unwrap();
            let ids: HashSet<_> = all.iter().map(|it| &it.id).collect();
            ids.len() as u64 >= count
        })
        .await;
    }

    /// The server waits for no word about any message.
    pub(crate) async fn acknowledged(&self, consumer: &str) {
        timeout(PATIENCE, async {
            loop {
                let stream = self.context.get_stream("EVENTS").await.unwrap();
                let consumer: Result<PullConsumer, _> = stream.get_consumer(consumer).await;
                if let Ok(mut consumer) = consumer {
                    let info = consumer.info().await.unwrap();
                    if info.num_pending == 0 && info.num_ack_pending == 0 {
                        return;
                    }
                }
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap();
    }

    pub(crate) async fn stored(&self, stream: &Stream) -> Vec<StreamMessage> {
        let state = stream.get_info().await.unwrap().state;
        let mut messages = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            messages.push(stream.get_raw_message(sequence).await.unwrap());
        }
        messages
    }

    /// The messages that the stream has had, and the bytes that one takes.
    pub(crate) async fn size(&self) -> (u64, u64) {
        let stream = self.context.get_stream("EVENTS").await.unwrap();
        let state = stream.get_info().await.unwrap().state;
        (state.messages, state.bytes / state.messages.max(1))
    }

    pub(crate) async fn until_dead(&self, count: u64) {
        timeout(PATIENCE, async {
            loop {
                let stream = self.context.get_stream("EVENTS-dead").await;
                if let Ok(stream) = stream
                    && stream.get_info().await.unwrap().state.messages >= count
                {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap();
    }

    pub(crate) async fn dead_reasons(&self) -> Vec<String> {
        self.dead_headers("X-Pilot-Reason").await
    }

    /// What the dead letters have in this header.
    pub(crate) async fn dead_headers(&self, name: &str) -> Vec<String> {
        let stream = self.context.get_stream("EVENTS-dead").await.unwrap();
        let letters = self.stored(&stream).await;
        letters.iter().map(|it| it.headers.get(name).unwrap().to_string()).collect()
    }

    /// The subjects that a consumer is sent, in order.
    pub(crate) async fn filter_of(&self, consumer: &str) -> Vec<String> {
        let stream = self.context.get_stream("EVENTS").await.unwrap();
        let consumer: PullConsumer = stream.get_consumer(consumer).await.unwrap();
        let config = &consumer.cached_info().config;
        let one = Some(config.filter_subject.clone()).filter(|it| !it.is_empty());
        one.into_iter().chain(config.filter_subjects.clone()).collect()
    }

    /// How many messages of a consumer were sent more than once and are not acknowledged.
    pub(crate) async fn sent_again(&self, consumer: &str) -> usize {
        let stream = self.context.get_stream("EVENTS").await.unwrap();
        let consumer: PullConsumer = stream.get_consumer(consumer).await.unwrap();
        consumer.cached_info().num_redelivered
    }

    /// So many messages of a consumer are with gateways.
    pub(crate) async fn until_taken(&self, consumer: &str, count: usize) {
        timeout(PATIENCE, async {
            loop {
                let stream = self.context.get_stream("EVENTS").await.unwrap();
                let consumer: Result<PullConsumer, _> = stream.get_consumer(consumer).await;
                if consumer.is_ok_and(|it| it.cached_info().num_ack_pending >= count) {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
    }

    /// How many messages a consumer has not acknowledged.
    pub(crate) async fn left(&self, consumer: &str) -> u64 {
        let stream = self.context.get_stream("EVENTS").await.unwrap();
        let consumer: PullConsumer = stream.get_consumer(consumer).await.unwrap();
        let info = consumer.cached_info();
        info.num_pending + info.num_ack_pending as u64
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = support::bare();
        let from = format!("{}/EVENTS", self.server.url());
        command.args(["gateway", "--from", &from, "--webhook", &self.webhook]).args(arguments);
        command
    }
}

impl World {
    /// The path of a file in the folder of this world.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a configuration, with these lines at the top and these endpoints, each with lines of its own. Each delivers
    /// to a path of its name.
    pub(crate) fn configure(&self, top: &str, endpoints: &[(&str, &str)]) {
        let mut text = format!("from = \"{}/EVENTS\"\n{top}\n", self.server.url());
        for (name, lines) in endpoints {
            let url = format!("{}/{name}", self.webhook);
            text += &format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\n{lines}\n");
        }
        let (new, path) = (self.path("new.toml"), self.path("pilot.toml"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// A gateway with that configuration, and what else it is told.
    pub(crate) fn configured(&self, arguments: &[&str]) -> Command {
        let mut command = support::bare();
        command.arg("gateway").arg("--config").arg(self.path("pilot.toml")).args(arguments);
        command
    }
}

pub(crate) fn gateway(world: &World, arguments: &[&str]) -> Child {
    world.command(arguments).spawn().unwrap()
}

/// The receiver.
async fn receive(listener: TcpListener, arrived: Arc<Arrived>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let arrived = Arc::clone(&arrived);
        let answer = service_fn(move |request| answer(Arc::clone(&arrived), request));
        tokio::spawn(async move {
            // A gateway that was killed breaks its connections.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(
    arrived: Arc<Arrived>,
    request: Request<Incoming>,
) -> Result<Response<String>, hyper::Error> {
    let id = request.headers()["X-Pilot-Message-Id"].to_str().unwrap().to_owned();
    let trace = request.headers()["traceparent"].to_str().unwrap().to_owned();
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    arrived.attempts.fetch_add(1, Relaxed);
    let poison = format!("-{}", arrived.poison.load(Relaxed));
    let mut answer = Response::new(String::new());
    let is_dead = arrived.dead.lock().unwrap().as_ref() == Some(&path);
    if is_dead || arrived.is_failing.load(Relaxed) || id.ends_with(&poison) {
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    } else {
        arrived.all.lock().unwrap().push(Taken { path, id, trace, body });
    }
    Ok(answer)
}

/// Ends a gateway, and returns its counters.
pub(crate) fn stop(child: Child) -> (Value, String) {
    support::signal(&child, "TERM");
    let output = support::wait(child);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let stats: Value = serde_json::from_str(&stdout).unwrap();
    let count = |key: &str| stats[key].as_u64().unwrap();
    if stats["outbox"].is_null() {
        let unmatched = stats["unmatched"].as_u64().unwrap_or_default();
        let ends = unmatched + count("bad_messages") + count("not_taken");
        assert_eq!(count("messages"), count("emitted") + ends, "{stats}");
    }
    (stats, stderr)
}

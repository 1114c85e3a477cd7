//! A nats-server, a receiver that can fail, and a publisher.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::ContextBuilder;
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
    _folder: TempDir,
}

#[derive(Default)]
struct Arrived {
    /// Ids and bodies of what was answered with success.
    all: Mutex<Vec<(String, String)>>,
    attempts: AtomicUsize,
    is_failing: AtomicBool,
    /// The number of the event that is always answered 500.
    poison: AtomicU64,
    traces: Mutex<Vec<String>>,
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
        Some(Self { server, context, webhook, arrived, _folder: folder })
    }

    pub(crate) fn server_url(&self) -> String {
        self.server.url()
    }

    /// Kills the server with -9, and starts it again.
    pub(crate) fn restart_server(&mut self) {
        self.server.restart().unwrap();
    }

    /// How many of these ids have not arrived.
    pub(crate) fn missing(&self, ids: &HashSet<String>) -> usize {
        let all = self.arrived.all.lock().unwrap();
        let arrived: HashSet<_> = all.iter().map(|(id, _)| id).collect();
        ids.iter().filter(|id| !arrived.contains(id)).count()
    }

    pub(crate) async fn stream(&self) -> Stream {
        let subjects = vec!["pilot.>".to_owned()];
        let config = Config { name: "EVENTS".to_owned(), subjects, ..Config::default() };
        self.context.create_stream(config).await.unwrap()
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

    /// Whether the server knows subject transforms.
    pub(crate) async fn can_partition(&self) -> bool {
        self.context.client().is_server_compatible(2, 10, 0)
    }

    pub(crate) async fn publish(&self, numbers: RangeInclusive<u64>) {
        self.until_stream().await;
        let mut acks = Vec::new();
        for n in numbers {
            acks.push(self.send(7, n, None).await);
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }

    pub(crate) async fn publish_as(&self, node: u32, n: u64) {
        self.send(node, n, None).await.await.unwrap();
    }

    /// With this header `traceparent`.
    pub(crate) async fn publish_in(&self, trace: &str, n: u64) {
        self.send(7, n, Some(trace)).await.await.unwrap();
    }

    async fn send(
        &self,
        node: u32,
        n: u64,
        trace: Option<&str>,
    ) -> async_nats::jetstream::context::PublishAckFuture {
        let body = format!(
            r#"{{"event_id":{n},"event":"test.event","node_id":{node},"timestamp":"2026-01-15T12:34:56.789Z","data":{{"n":{n}}}}}"#
        );
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{node}-00000000000000ab-{n}"));
        if let Some(trace) = trace {
            headers.insert("traceparent", trace);
        }
        let subject = format!("pilot.{node}.test.event");
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

    /// The headers `traceparent` of those that arrived.
    pub(crate) fn traces(&self) -> Vec<String> {
        self.arrived.traces.lock().unwrap().clone()
    }

    pub(crate) fn received(&self) -> Vec<(String, String)> {
        self.arrived.all.lock().unwrap().clone()
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
            let ids: HashSet<_> = all.iter().map(|(id, _)| id).collect();
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
        let stream = self.context.get_stream("EVENTS-dead").await.unwrap();
        let letters = self.stored(&stream).await;
        let reason =
            |letter: &StreamMessage| letter.headers.get("X-Pilot-Reason").unwrap().to_string();
        letters.iter().map(reason).collect()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = support::bare();
        let from = format!("{}/EVENTS", self.server.url());
        command.args(["gateway", "--from", &from, "--webhook", &self.webhook]).args(arguments);
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
    let body = request.into_body().collect().await?.to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    arrived.attempts.fetch_add(1, Relaxed);
    let poison = format!("-{}", arrived.poison.load(Relaxed));
    let mut answer = Response::new(String::new());
    if arrived.is_failing.load(Relaxed) || id.ends_with(&poison) {
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    } else {
        arrived.traces.lock().unwrap().push(trace);
        arrived.all.lock().unwrap().push((id, body));
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
        let came = count("messages");
        assert_eq!(came, count("emitted") + count("bad_messages") + count("not_taken"), "{stats}");
    }
    (stats, stderr)
}

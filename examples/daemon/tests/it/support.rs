//! The daemon as a child process, and a receiver that keeps what it gets.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use hyper::StatusCode;
use pilot_webhook_core::Secret;
use pilot_webhook_receiver::{Behaviour, Check, Receiver};
use pilot_webhook_tests::PLACES;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

pub(crate) const EVENTS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/pilot-events.jsonl");

/// The daemon without arguments.
pub(crate) fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pilot-webhookd"));
    // No URL of this machine's user.
    command.env("PILOT_HOME", "/nowhere/at/all").env_remove("PILOT_WEBHOOK_URL");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn daemon(url: &str) -> Command {
    let mut command = bare();
    command.args(["run", "--webhook", url]);
    command
}

/// What keeps events while a receiver is down.
pub(crate) fn hold() -> [&'static str; 7] {
    [
        "--on-open",
        "hold",
        "--circuit-cooldown",
        "1s",
        "--retry-backoff",
        "50ms",
        "--block-when-full",
    ]
}

/// Runs it to its end; returns the counters it printed, which satisfy the conservation invariant.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> (Value, Output) {
    end(command.spawn().unwrap())
}

/// Sends it a signal, by its name without SIG.
#[track_caller]
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

/// How long a daemon may live. Arbitrary, and far more than any needs: a test that would wait for
/// ever fails instead.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for a child's end, and ends one that goes on for ever.
pub(crate) fn wait(child: Child) -> Output {
    let pid = child.id().to_string();
    let (ended, end) = mpsc::channel::<()>();
    thread::spawn(move || {
        if end.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-s", "KILL", &pid]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    output
}

#[track_caller]
pub(crate) fn end(child: Child) -> (Value, Output) {
    let output = wait(child);
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stdout.lines().count(), 1, "stdout: {stdout}stderr: {stderr}");
    let stats: Value = serde_json::from_str(&stdout).unwrap();
    let count = |key: &str| stats[key].as_u64().unwrap();
    assert_eq!(count("emitted"), PLACES.into_iter().map(count).sum::<u64>(), "{stats}");
    assert_eq!((count("queued"), count("in_flight")), (0, 0));
    // What is taken out of an outbox may have come in an earlier life.
    if stats["outbox"].is_null() {
        // Of several endpoints, each may have an event.
        let taken = if stats["events"].is_null() { "emitted" } else { "events" };
        let ends = [taken, "bad_lines", "not_taken", "repeats", "sent_back"];
        let unmatched = stats["unmatched"].as_u64().unwrap_or_default();
        let came = count("lines") + count("posted");
        assert_eq!(came, unmatched + ends.into_iter().map(count).sum::<u64>(), "{stats}");
    }
    (stats, output)
}

/// What arrived is what was captured.
#[track_caller]
pub(crate) fn expect_all_in_order(sink: &Sink) {
    let bodies = sink.received();
    let events = bodies.iter().map(|body| serde_json::from_str(body).unwrap());
    expect_captured(&events.collect::<Vec<_>>());
}

/// These are the captured events, in their order.
#[track_caller]
pub(crate) fn expect_captured(received: &[Value]) {
    let captured = std::fs::read_to_string(EVENTS).unwrap();
    assert_eq!(received.len(), 54);
    for (index, (line, body)) in captured.lines().zip(received).enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(body["event_id"], index + 1);
        assert_eq!(body["event"], event["topic"]);
        assert_eq!(body["node_id"], event["node_id"]);
        assert_eq!(body["timestamp"], event["timestamp"]);
        // `null` is no data: the key is missing then, and indexing gives null.
        assert_eq!(body["data"], event["data"]);
    }
}

/// A receiver on a thread of its own, on loopback.
pub(crate) struct Sink {
    address: SocketAddr,
    listener: Option<std::net::TcpListener>,
    bodies: Arc<(Mutex<Vec<String>>, Condvar)>,
    certificate: Option<rcgen::CertifiedKey<rcgen::KeyPair>>,
}

impl Sink {
    /// An address where nobody answers yet: connections are refused.
    pub(crate) fn reserve() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        Self { address, listener: None, bodies: Arc::default(), certificate: None }
    }

    fn bind() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, listener: Some(listener), bodies: Arc::default(), certificate: None }
    }

    pub(crate) fn start() -> Self {
        Self::bind().serve(Check::default(), Behaviour::default())
    }

    pub(crate) fn start_with_secret(secret: &[u8]) -> Self {
        Self::start_with(Secret::new(secret))
    }

    /// One that answers 401 to what is not signed as it must be.
    pub(crate) fn start_with(check: impl Into<Check>) -> Self {
        Self::bind().serve(check, Behaviour::default())
    }

    /// One that answers 503, with a `Retry-After` in seconds.
    pub(crate) fn start_ill(retry_after: Option<u32>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::bind()
            .serve(Check::default(), Behaviour { status, retry_after, ..Behaviour::default() })
    }

    /// One that answers 413 to longer bodies, and to batches that are not signed 401.
    pub(crate) fn start_for_batches(secret: &[u8], max_body: usize) -> Self {
        let behaviour = Behaviour { max_body, ..Behaviour::default() };
        Self::bind().serve(Secret::new(secret), behaviour)
    }

    pub(crate) fn start_tls() -> Self {
        Self::start_tls_as(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
    }

    /// One whose certificate has these names.
    pub(crate) fn start_tls_as(names: Vec<String>) -> Self {
        let mut sink = Self::bind();
        sink.certificate = Some(rcgen::generate_simple_self_signed(names).unwrap());
        sink.serve(Check::default(), Behaviour::default())
    }

    /// Starts a reserved receiver later, on a thread.
    pub(crate) fn start_after(mut self, delay: Duration) -> thread::JoinHandle<Self> {
        thread::spawn(move || {
            // The time that it is down is what is tested.
            thread::sleep(delay);
            self.listener = Some(std::net::TcpListener::bind(self.address).unwrap());
            self.serve(Check::default(), Behaviour::default())
        })
    }

    fn serve(mut self, check: impl Into<Check>, behaviour: Behaviour) -> Self {
        let listener = self.listener.take().unwrap();
        let bodies = Arc::clone(&self.bodies);
        let receiver = Receiver::new(check, move |received| {
            if received.status.is_success() {
                let body = String::from_utf8(received.body.to_vec()).unwrap();
                bodies.0.lock().unwrap().push(body);
                bodies.1.notify_all();
            }
        });
        receiver.behave(behaviour);
        let acceptor = self.certificate.as_ref().map(|certificate| {
            let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
            let config = ServerConfig::builder()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.cert.der().clone()], key)
                .unwrap();
            TlsAcceptor::from(Arc::new(config))
        });
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                listener.set_nonblocking(true).unwrap();
                let listener = TcpListener::from_std(listener).unwrap();
                match acceptor {
                    None => receiver.serve(listener).await.unwrap(),
                    Some(acceptor) => serve_tls(&receiver, &listener, &acceptor).await,
                }
            });
        });
        self
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}/hook", self.address.port())
    }

    pub(crate) fn ca_file(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(self.certificate.as_ref().unwrap().cert.pem().as_bytes()).unwrap();
        file
    }

    /// The bodies that were answered with success.
    pub(crate) fn received(&self) -> Vec<String> {
        self.bodies.0.lock().unwrap().clone()
    }

    pub(crate) fn wait_for(&self, count: usize) {
        let (bodies, arrived) = &*self.bodies;
        let wait =
            arrived.wait_timeout_while(bodies.lock().unwrap(), Duration::from_secs(10), |bodies| {
                bodies.len() < count
            });
        assert!(!wait.unwrap().1.timed_out(), "{count} events in time");
    }
}

async fn serve_tls(receiver: &Receiver, listener: &TcpListener, acceptor: &TlsAcceptor) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (receiver, acceptor) = (receiver.clone(), acceptor.clone());
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                receiver.serve_connection(stream).await;
            }
        });
    }
}

//! Clients, good and bad, against a server with small limits.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{JoinHandle, spawn_blocking};

use super::*;

const SET: u8 = 0x1B;
const INFO: u8 = 0x0D;

/// Keeps what it is told; refuses "no", panics at "panic".
#[derive(Default)]
struct Memory(Mutex<String>);

impl Handler for Memory {
    async fn set_webhook(&self, url: &str) -> Result<(), String> {
        // As a save does.
        spawn_blocking(|| ()).await.unwrap();
        match url {
            "no" => return Err("not this one".into()),
            "panic" => panic!("as it was asked to"),
            url => *self.0.lock().unwrap() = url.to_owned(),
        }
        Ok(())
    }

    fn info(&self) -> Value {
        json!({"webhook": {"url": *self.0.lock().unwrap()}})
    }

    fn health(&self) -> Value {
        json!({"status": "ok"})
    }

    async fn reload(&self) -> Result<Vec<String>, String> {
        Err("f:1: no\nf: 1 error".into())
    }
}

struct Serving {
    path: PathBuf,
    task: JoinHandle<Lost>,
    _directory: TempDir,
}

impl Serving {
    async fn start(limits: Limits) -> Self {
        Self::start_on_lost(limits, OnLost::Rebind).await
    }

    async fn start_on_lost(limits: Limits, on_lost: OnLost) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("s");
        let mut server = Server::bind(&path, on_lost).await.unwrap();
        server.limits = limits;
        let task = tokio::spawn(server.serve(Arc::new(Memory::default())));
        Self { path, task, _directory: directory }
    }

    async fn client(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.unwrap()
    }
}

/// A stall that no test waits for.
const PATIENT: Limits =
    Limits { clients: 64, stall: Duration::from_secs(60), look: Duration::from_millis(5) };

async fn ask(client: &mut UnixStream, command: u8, payload: &str) -> (u8, String) {
    let frame = Frame { command, payload: payload.into() };
    client.write_all(&frame.encode().unwrap()).await.unwrap();
    answer_of(client).await
}

async fn answer_of(client: &mut UnixStream) -> (u8, String) {
    let reply = Frames::new(client, PATIENT.stall).next().await.unwrap().unwrap();
    (reply.command, String::from_utf8(reply.payload).unwrap())
}

/// The server closed the connection, with nothing more to say.
async fn expect_end(client: &mut UnixStream) {
    match client.read(&mut [0]).await {
        Ok(count) => assert_eq!(count, 0),
        // Closed with bytes of ours unread.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[tokio::test]
async fn commands_reach_the_handler_and_its_answers_the_client() {
    let serving = Serving::start(PATIENT).await;
    let mut client = serving.client().await;
    let set = ask(&mut client, SET, "http://h/").await;
    assert_eq!(set, (0x1C, r#"{"webhook":"http://h/"}"#.into()));
    let refused = ask(&mut client, SET, "no").await;
    assert_eq!(refused, (0x0A, "\0\x01not this one".into()));
    let info = ask(&mut client, INFO, "").await;
    assert_eq!(info, (0x0E, r#"{"webhook":{"url":"http://h/"}}"#.into()));
    let unknown = ask(&mut client, 0x2A, "x").await;
    assert_eq!(unknown, (0x0A, "\0\x01unknown command: 0x2A".into()));
    assert_eq!(ask(&mut client, SET, "").await.1, r#"{"webhook":""}"#);
}

/// The command sat on the thread that it waited for.
#[test]
fn a_command_may_wait_for_the_only_thread_that_may_block() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let serving = Serving::start(PATIENT).await;
        assert_eq!(ask(&mut serving.client().await, SET, "http://h/").await.0, 0x1C);
    });
}

#[tokio::test]
async fn a_panic_costs_its_client_the_connection_and_nobody_else_anything() {
    let serving = Serving::start(PATIENT).await;
    let (mut one, mut other) = (serving.client().await, serving.client().await);
    assert_eq!(ask(&mut other, SET, "http://h/").await.0, 0x1C);
    assert_eq!(ask(&mut one, SET, "panic").await, (0x0A, "\0\x01internal error".into()));
    expect_end(&mut one).await;
    assert_eq!(ask(&mut other, INFO, "").await.0, 0x0E);
    assert_eq!(ask(&mut serving.client().await, INFO, "").await.0, 0x0E);
}

#[tokio::test]
async fn a_half_sent_frame_is_given_up_and_an_idle_client_is_not() {
    let stall = Duration::from_millis(50);
    let serving = Serving::start(Limits { stall, ..PATIENT }).await;
    let mut idle = serving.client().await;
    assert_eq!(ask(&mut idle, INFO, "").await.0, 0x0E);
    let start = Instant::now();
    let mut half = serving.client().await;
    half.write_all(b"\0\0\0\x09\x1bhttp").await.unwrap();
    expect_end(&mut half).await;
    assert!(start.elapsed() >= stall);
    // By now it has been idle for longer than that.
    assert_eq!(ask(&mut idle, INFO, "").await.0, 0x0E);
}

#[tokio::test]
async fn who_does_not_take_answers_is_given_up() {
    let stall = Duration::from_millis(50);
    let serving = Serving::start(Limits { clients: 1, stall, ..PATIENT }).await;
    let mut deaf = serving.client().await;
    let request = Frame { command: 0xFF, payload: Vec::new() }.encode().unwrap().repeat(1_000);
    // Until the server, its answers not taken, gives up.
    while deaf.write_all(&request).await.is_ok() {}
    // Its place is free again.
    assert_eq!(ask(&mut serving.client().await, INFO, "").await.0, 0x0E);
}

#[tokio::test]
async fn a_frame_too_long_is_said_and_ends_the_connection() {
    let serving = Serving::start(PATIENT).await;
    let mut client = serving.client().await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let said = "\0\x01a frame of 1195725856 bytes: the most is 1048576";
    assert_eq!(answer_of(&mut client).await, (0x0A, said.into()));
    expect_end(&mut client).await;
}

#[tokio::test]
async fn one_client_too_many_is_told_and_takes_no_place() {
    let serving = Serving::start(Limits { clients: 2, ..PATIENT }).await;
    let (mut one, mut two) = (serving.client().await, serving.client().await);
    assert_eq!(ask(&mut one, INFO, "").await.0, 0x0E);
    assert_eq!(ask(&mut two, INFO, "").await.0, 0x0E);
    let mut three = serving.client().await;
    assert_eq!(answer_of(&mut three).await, (0x0A, "\0\x01too many clients".into()));
    expect_end(&mut three).await;
    // One says goodbye; when the server has seen it, there is a place.
    one.shutdown().await.unwrap();
    expect_end(&mut one).await;
    let mut four = serving.client().await;
    assert_eq!(ask(&mut four, INFO, "").await.0, 0x0E);
    assert_eq!(ask(&mut two, INFO, "").await.0, 0x0E);
}

#[tokio::test]
async fn dropping_the_server_ends_its_clients_and_removes_the_file() {
    let serving = Serving::start(PATIENT).await;
    let mut client = serving.client().await;
    assert_eq!(ask(&mut client, INFO, "").await.0, 0x0E);
    serving.task.abort();
    expect_end(&mut client).await;
    assert!(serving.task.await.unwrap_err().is_cancelled());
    assert!(!serving.path.exists());
}

impl Serving {
    /// Waits until it is this server that answers.
    async fn expect_found(&self) {
        for _ in 0..10_000 {
            if let Ok(mut client) = UnixStream::connect(&self.path).await {
                assert_eq!(ask(&mut client, INFO, "").await.0, 0x0E);
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
        panic!("nobody listens");
    }
}

/// It was unreachable for ever, and said nothing.
#[tokio::test]
async fn a_socket_that_was_taken_away_comes_back() {
    let serving = Serving::start(PATIENT).await;
    let mut before = serving.client().await;
    std::fs::remove_file(&serving.path).unwrap();
    serving.expect_found().await;
    // Clients that are there stay.
    assert_eq!(ask(&mut before, INFO, "").await.0, 0x0E);

    std::fs::remove_file(&serving.path).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&serving.path).unwrap();
    // Several looks at it.
    sleep(10 * PATIENT.look).await;
    other.set_nonblocking(true).unwrap();
    while other.accept().is_ok() {}
    drop(other);
    serving.expect_found().await;
}

#[tokio::test]
async fn by_choice_a_server_ends_when_its_socket_is_taken_away() {
    let serving = Serving::start_on_lost(PATIENT, OnLost::End).await;
    assert_eq!(ask(&mut serving.client().await, INFO, "").await.0, 0x0E);
    std::fs::remove_file(&serving.path).unwrap();
    assert!(matches!(serving.task.await, Ok(Lost)));
}

//! A process that is stopped past the HTTP timeout: an answer that arrived meanwhile counts.

use std::env;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use pilot_webhook_std::Client;
use tokio::runtime::Builder;

/// Where the child posts to, and on how many threads.
const URL: &str = "PILOT_STOPPED_URL";
const THREADS: &str = "PILOT_STOPPED_THREADS";
/// Long enough for the child to be stopped within it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// When a process goes on, its timers fire before it has asked the system for news. The answer that was
/// there was not read, and the receiver got the event again.
#[test]
fn an_answer_that_arrived_while_the_process_was_stopped_counts() {
    thread::scope(|scope| {
        for threads in ["1", "1", "2", "2"] {
            scope.spawn(move || stop_and_go_on(threads));
        }
    });
}

fn stop_and_go_on(threads: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "stopped::child", "--nocapture"])
        .env(URL, format!("http://{}/", listener.local_addr().unwrap()))
        .env(THREADS, threads)
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    read_request(&mut stream);
    signal(&child, "STOP");
    while !is_stopped(&child) {
        thread::yield_now();
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    thread::sleep(TIMEOUT + Duration::from_millis(100));
    signal(&child, "CONT");
    assert!(child.wait().unwrap().success(), "on {threads} threads");
}

/// What is stopped: it delivers one event. Does nothing unless the test above started it.
#[test]
fn child() {
    let Ok(url) = env::var(URL) else { return };
    let threads = env::var(THREADS).unwrap().parse().unwrap();
    let runtime = match threads {
        1 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    runtime.unwrap().block_on(async {
        let client = Client::builder(url).http_timeout(TIMEOUT).build().unwrap();
        client.emit("t", &1).unwrap();
        client.drained().await;
        let stats = client.stats();
        assert_eq!((stats.delivered, stats.attempts), (1, 1), "{stats:?}");
    });
}

fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut piece = [0; 512];
        let read = stream.read(&mut piece).unwrap();
        assert_ne!(read, 0);
        request.extend_from_slice(&piece[..read]);
    }
}

fn signal(child: &Child, name: &str) {
    let command = format!("kill -s {name} {}", child.id());
    let status = Command::new("sh").args(["-c", &command]).status();
    assert!(status.unwrap().success());
}

fn is_stopped(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
}

//! A thousand endpoints in one process, most of them dead: what they take, and what the others notice of it.
//!
//! The receivers are another process, this binary once more. `PILOT_THOUSAND=1` measures for longer, alone on the
//! machine, and prints what `docs/performance.md` says.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed test says where and why at once"
)]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pilot_webhook_std::{Client, EndpointOptions, Event, Filter, Hub, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const ENDPOINTS: usize = 1_000;
const DEAD: usize = 900;
/// What a process with all of them may take, in bytes. With all features, and without optimization, it is the endpoints
/// alone.
const MOST_MEMORY: usize = 64 << 20;
const PART: &str = "THOUSAND_PART";

/// The receivers: one that takes all, one that never answers, and one that has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plays_the_receivers() {
    if std::env::var(PART).is_err() {
        return;
    }
    // They end with whoever began them.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    let (takes, hangs, gone) = (bind().await, bind().await, bind().await);
    let address = |listener: &TcpListener| listener.local_addr().unwrap();
    println!("they listen at {} {} {}", address(&takes), address(&hangs), address(&gone));
    drop(gone);
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(hangs.accept().await.unwrap());
        }
    });
    loop {
        let (stream, _) = takes.accept().await.unwrap();
        tokio::spawn(take_all(stream));
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Answers each request, which comes in one piece.
async fn take_all(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
        if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
            return;
        }
    }
}

struct Receivers {
    child: Child,
    takes: SocketAddr,
    hangs: SocketAddr,
    gone: SocketAddr,
}

impl Receivers {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "plays_the_receivers", "--nocapture", "--test-threads=1"])
            .env(PART, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = |line: String| line.split_once("they listen at ").map(|it| it.1.to_owned());
        let addresses = lines.into_iter().find_map(said).expect("they are said");
        let mut addresses = addresses.split(' ').map(|it| it.parse().unwrap());
        let mut next = || addresses.next().unwrap();
        Self { takes: next(), hangs: next(), gone: next(), child }
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this process has in memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() << 10
}

/// The processor time of this process so far.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// An endpoint for one topic, as each has its own.
fn add(hub: &Hub, n: usize, to: SocketAddr) {
    let filter = Filter::new().topics([format!("e{n}.*")]);
    let client = Client::builder(format!("http://{to}/{n}"));
    hub.add(&format!("e{n}"), EndpointOptions { filter, waits: false, client }).unwrap();
}

/// Offers each of `endpoints` so many events a second, for a time, and returns how many of those of healthy ones came
/// to be delivered in it.
async fn offer(hub: &Hub, endpoints: &[usize], per_second: u32, time: Duration) -> u64 {
    let delivered = || {
        let healthy = hub.endpoints().into_iter().filter(|it| is_healthy(it.name()));
        healthy.map(|it| it.stats().delivered).sum::<u64>()
    };
    let (before, begin) = (delivered(), Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut topic = String::new();
    while begin.elapsed() < time {
        ticks.tick().await;
        for n in endpoints {
            use std::fmt::Write as _;
            topic.clear();
            write!(topic, "e{n}.conn.established").unwrap();
            let event = Event::new(&topic, 1, Timestamp::new(0, 0));
            let _ = hub.emit_event(&event, &"0:0000.0000.0002");
        }
    }
    delivered() - before
}

fn is_healthy(name: &str) -> bool {
    name[1..].parse::<usize>().unwrap() < ENDPOINTS - DEAD
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_endpoints_take_little_and_the_dead_ones_cost_the_others_nothing() {
    if std::env::var(PART).is_ok() {
        return;
    }
    let is_long = std::env::var("PILOT_THOUSAND").is_ok();
    let time = Duration::from_secs(if is_long { 20 } else { 3 });
    let receivers = Receivers::start();
    let (hub, bare) = (Hub::new(), resident());
    let healthy: Vec<_> = (0..ENDPOINTS - DEAD).collect();
    healthy.iter().for_each(|n| add(&hub, *n, receivers.takes));
    // Each event is compared with a thousand filters, which takes its time without optimization.
    let per_second = if is_long { 20 } else { 2 };
    let begin = processor();
    let alone = offer(&hub, &healthy, per_second, time).await;
    let alone_took = processor() - begin;
    for n in healthy.len()..ENDPOINTS {
        add(&hub, n, if n % 2 == 0 { receivers.hangs } else { receivers.gone });
    }
    let idle = resident();
    let all: Vec<_> = (0..ENDPOINTS).collect();
    let begin = processor();
    let among_dead = offer(&hub, &all, per_second, time).await;
    let (took, busy) = (processor() - begin, resident());
    println!(
        "memory: {} KiB bare, {} KiB with {ENDPOINTS} endpoints, {} KiB under load; \
         delivered in {time:?}: {alone} alone ({alone_took:?} of processor), {among_dead} among {DEAD} dead ({took:?})",
        bare >> 10,
        idle >> 10,
        busy >> 10,
    );
    let counted = if cfg!(feature = "nats") { busy - bare } else { busy };
    assert!(counted < MOST_MEMORY, "{} KiB", counted >> 10);
    // On a machine that has other work, both vary by more than the dead ones cost.
    let least = if is_long { alone * 95 / 100 } else { alone / 2 };
    assert!(among_dead >= least, "{among_dead} and alone {alone}");
    hub.close().await;
    let sum = hub.stats();
    assert!(sum.is_balanced(), "{sum:?}");
}

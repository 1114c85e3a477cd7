//! The pilot node: an address by DHCP, and the captured events of a pilot node delivered to a
//! webhook, from a task and from an interrupt.
//!
//! Arguments, besides those of the engine in `settings.rs` and of other signatures in `signing.rs`:
//!
//! | argument | default | |
//! |---|---|---|
//! | `url=URL` | required | `http://` or, with the feature `tls`, `https://`; with the feature `nats` instead `nats://` and `tls://` |
//! | `token=TEXT` | none | for the NATS server |
//! | `nkey=SEED`, `creds=PATH` | none | the same with the feature `nkeys`: a user's key, or its JWT and key in a file of the host |
//! | `ca=PATH` | none | the trusted CA's certificate in DER, a file of the host |
//! | `secret=TEXT` | none | signs the events |
//! | `node_id=N` | 1 | |
//! | `time=host\|sntp\|unknown` | `host` | while the time is unknown, `https` is refused |
//! | `ntp=HOST:PORT` | none | the server for `time=sntp`, with the feature `sntp` |
//! | `events=N` | 20 | events that the task emits |
//! | `pace_ms=MS` | 0 | the task's pause after each |
//! | `drop=1` | 0 | the task does not wait for room in the queue |
//! | `isr=N` | 0 | events emitted in one interrupt, after half of the task's |
//! | `idle_ms=MS` | 0 | a pause after that, once all is delivered |
//! | `drain_s=S` | 30 | how long to wait for the deliveries before the close |
//!
//! It prints what went wrong with an attempt, the breaker's changes, and at the end the counters
//! in the daemon's keys. The status is 0 if every event was delivered, 3 if not, 1 for a bad argument, and
//! 4 if the counters do not add up.
#![no_std]
#![no_main]

mod report;
mod settings;
mod signing;
mod time;
mod workload;

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources};
use embassy_time::{Duration, with_timeout};
#[cfg(feature = "rustls")]
use firmware::heap;
use firmware::{
    board::Board,
    executor,
    host::{self, Args},
    net, println, stack,
};
use pilot_webhook_core::{Stats, to_json};
#[cfg(feature = "nats")]
use pilot_webhook_embassy::NatsLogin;
#[cfg(not(feature = "https"))]
use pilot_webhook_embassy::Runner;
use pilot_webhook_embassy::{Options, Resources, Webhook, new};
#[cfg(feature = "https")]
use pilot_webhook_embassy::{TlsBuffers, TlsRunner as Runner};
use report::Report;
use static_cell::ConstStaticCell;

#[cfg(feature = "board-an386")]
const QUEUE: usize = 8192;
#[cfg(feature = "board-lm3s6965")]
const QUEUE: usize = 4096;

#[cfg(not(feature = "https"))]
static MEMORY: ConstStaticCell<Resources<QUEUE>> = ConstStaticCell::new(Resources::new());

/// The longest record that the server may send: all there are, or what the small board can hold and asks for.
#[cfg(all(feature = "https", feature = "board-an386"))]
const RECORD: usize = 16_640;
#[cfg(all(feature = "https", feature = "board-lm3s6965"))]
const RECORD: usize = 4096 + 256;
#[cfg(feature = "https")]
static MEMORY: ConstStaticCell<Resources<QUEUE, TlsBuffers<RECORD, 1024>>> =
    ConstStaticCell::new(Resources::with_tls());

/// DHCP, DNS, the one connection, and the time.
const SOCKETS: usize = if cfg!(feature = "sntp") { 4 } else { 3 };
/// The longest line of arguments. Arbitrary.
const ARGS: usize = 768;
/// The longest CA certificate. Arbitrary: most are half as long.
#[cfg(feature = "https")]
const CA: usize = 2048;

#[entry]
fn main() -> ! {
    let board = Board::take();
    #[cfg(feature = "rustls")]
    heap::start();
    executor::run(|spawner| task(spawner, board))
}

#[embassy_executor::task]
async fn task(spawner: Spawner, board: Board) {
    let status = match node(spawner, board).await {
        Ok(stats) => verdict(&stats),
        Err(reason) => {
            println!("failed: {reason}");
            1
        }
    };
    host::exit(status)
}

/// The exit status. What became of the events is in the counters, and the script says what the status means.
fn verdict(stats: &Stats) -> u8 {
    if !stats.is_balanced() {
        4
    } else if stats.delivered < stats.emitted {
        3
    } else {
        0
    }
}

async fn node(spawner: Spawner, board: Board) -> Result<Stats, &'static str> {
    static BUFFER: ConstStaticCell<[u8; ARGS]> = ConstStaticCell::new([0; ARGS]);
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> =
        ConstStaticCell::new(StackResources::new());

    let args = Args::from_host(BUFFER.take()).map_err(|_| "no arguments, or too long ones")?;
    let workload = settings::workload(&args)?;
    let drain = Duration::from_secs(settings::number(&args, "drain_s", 30)?);
    let node_id = settings::number(&args, "node_id", 1)?;
    let seed = host::seed().map_err(|_| "no entropy")?;
    let mut options = Options::new(node_id, seed);
    options.config = settings::config(&args)?;
    options.observer = &Report;
    signing::choose(&mut options, &args)?;
    let (webhook, runner) = new(MEMORY.take(), options).map_err(|_| "bad config")?;
    if let Some(secret) = args.get("secret") {
        webhook.set_secret(secret.as_bytes()).map_err(|_| "bad secret")?;
    }

    let seed = host::seed().map_err(|_| "no entropy")?;
    let stack = net::start(spawner, board.ethernet, RESOURCES.take(), seed)
        .await
        .map_err(|_| "the network is already running")?;
    time::start(webhook, spawner, stack, &args)?;
    webhook.set_url(args.get("url").ok_or("url=URL is missing")?).map_err(|_| "bad url")?;
    spawner.spawn(deliver(runner, stack, args).map_err(|_| "no room for the delivery task")?);

    workload::run(webhook, &workload, board.soft_interrupt).await;
    // What is late is abandoned, and the counters tell.
    let _ = with_timeout(drain, webhook.drained()).await;
    webhook.close().await;
    report(webhook)
}

fn report(webhook: Webhook) -> Result<Stats, &'static str> {
    let stats = webhook.stats();
    println!("stats: {}", to_json(&stats, &mut [0; 512]).map_err(|_| "the counters are too long")?);
    println!("stack: peak {} of {} bytes", stack::peak(), stack::size());
    #[cfg(feature = "rustls")]
    println!("heap: peak {} of {} bytes", heap::peak(), heap::SIZE);
    Ok(stats)
}

#[cfg(not(feature = "https"))]
#[embassy_executor::task]
async fn deliver(mut runner: Runner, stack: Stack<'static>, args: Args<'static>) {
    signing::wait(&runner, &args).await;
    #[cfg(not(feature = "nats"))]
    runner.run(stack).await;
    #[cfg(feature = "nats")]
    runner.run_nats(stack, login(args)).await;
}

#[cfg(feature = "https")]
#[embassy_executor::task]
async fn deliver(mut runner: Runner, stack: Stack<'static>, args: Args<'static>) {
    signing::wait(&runner, &args).await;
    let Ok(mut entropy) = host::Entropy::from_host() else {
        println!("failed: no entropy");
        host::exit(1)
    };
    let ca = certificate(args);
    static ROOTS: ConstStaticCell<[&[u8]; 1]> = ConstStaticCell::new([&[]]);
    let [root] = ROOTS.take();
    *root = ca;
    // Without a certificate no server is trusted.
    let roots = if ca.is_empty() { &[] } else { core::slice::from_ref(root) };
    #[cfg(all(feature = "rustls", not(feature = "nats")))]
    runner.run_rustls(stack, roots, &mut entropy).await;
    #[cfg(not(any(feature = "nats", feature = "rustls")))]
    runner.run(stack, roots, &mut entropy).await;
    #[cfg(all(feature = "nats", feature = "rustls"))]
    runner.run_nats_rustls(stack, login(args), roots, &mut entropy).await;
    #[cfg(all(feature = "nats", not(feature = "rustls")))]
    runner.run_nats(stack, login(args), roots, &mut entropy).await;
}

/// What the NATS server is told.
#[cfg(feature = "nats")]
fn login(args: Args<'static>) -> NatsLogin<'static> {
    match firmware::login::login(args) {
        Ok(login) => login,
        Err(reason) => {
            println!("failed: {reason}");
            host::exit(1)
        }
    }
}

#[cfg(feature = "https")]
fn certificate(args: Args<'static>) -> &'static [u8] {
    static BUFFER: ConstStaticCell<[u8; CA]> = ConstStaticCell::new([0; CA]);
    let Some(path) = args.get("ca") else { return &[] };
    let buffer = BUFFER.take();
    match host::read_file(path, buffer) {
        Ok(length) if length < CA => &buffer[..length],
        _ => {
            println!("failed: {path} cannot be read, or is too long");
            host::exit(1)
        }
    }
}

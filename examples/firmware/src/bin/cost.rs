//! What an event costs in instructions: to emit it, and to deliver it in memory, or over HTTP.
//!
//! | argument | |
//! |---|---|
//! | `url=URL` | also deliver there |
//! | `ca=PATH` | the CA's certificate in DER, for `https` |
//! | `token=TEXT`, `nkey=SEED`, `creds=PATH` | for a NATS server, with the feature `nats`: as for the program `webhook` |
//!
//! To be run with `-icount shift=0`; `run.sh cost` does. Each number is a mean over [`ROUNDS`] times
//! [`EVENTS`] captured events, emitted at once and then delivered, without what the core does in as
//! many rounds of nothing. The first round, which connects, is not counted.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_net::{Stack, StackResources};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use firmware::{
    board::{Board, CORE_HZ},
    executor,
    host::{self, Args},
    meter, net, println,
};
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock, Config, Dispatcher, Encoding, EndpointBuf, ErrorKind, Event, Json, Message, PilotFormat,
    Policy, Reply, Secret, SecretCell, Timestamp, Transport,
};
use pilot_webhook_embassy::{EmbassyClock, Options, Resources, WallTime, new};
use static_cell::{ConstStaticCell, StaticCell};

/// Events in a round: what the queue has room for.
const EVENTS: usize = 32;
const ROUNDS: usize = 30;
const QUEUE: usize = 8192;
const EVENT: usize = 512;
/// For an event of that length.
const BUFFER_BYTES: usize = PilotFormat::BOUND.buffer(1, EVENT);

/// As the program `webhook` has them.
const CAPTURED: &str = include_str!("../events.txt");
/// Instructions in a cycle, where each takes a nanosecond.
const PER_CYCLE: u64 = 1_000_000_000 / CORE_HZ as u64;

static SECRET: SecretCell<CriticalSectionRawMutex> = SecretCell::new();
static WALL: WallTime = WallTime::new();
static CLOCK: EmbassyClock<'static> = EmbassyClock::new(&WALL);
type Engine = Dispatcher<CriticalSectionRawMutex, &'static mut [u8], EndpointBuf<128>>;

#[cfg(not(feature = "https"))]
use pilot_webhook_embassy::Runner;
#[cfg(feature = "https")]
use pilot_webhook_embassy::{TlsBuffers, TlsRunner as Runner};

#[cfg(not(feature = "https"))]
static NODE: ConstStaticCell<Resources<QUEUE>> = ConstStaticCell::new(Resources::new());
#[cfg(feature = "https")]
static NODE: ConstStaticCell<Resources<QUEUE, TlsBuffers<4096, 1024>>> =
    ConstStaticCell::new(Resources::with_tls());

#[entry]
fn main() -> ! {
    let board = Board::take();
    #[cfg(feature = "rustls")]
    firmware::heap::start();
    executor::run(|spawner| task(spawner, board))
}

#[embassy_executor::task]
async fn task(spawner: Spawner, board: Board) {
    let status = match measure(spawner, board).await {
        Some(()) => 0,
        None => 1,
    };
    host::exit(status)
}

/// Answers at once.
struct Null;

impl Transport<EndpointBuf<128>> for Null {
    type Error = ErrorKind;

    async fn send(&mut self, _: &EndpointBuf<128>, _: &Message<'_>) -> Result<Reply, ErrorKind> {
        Ok(Response::status(200).into())
    }
}

#[embassy_executor::task]
async fn worker(engine: &'static Engine) {
    static BUFFER: ConstStaticCell<[u8; BUFFER_BYTES]> = ConstStaticCell::new([0; BUFFER_BYTES]);
    let encoding = Encoding { signer: &SECRET, ..Encoding::PILOT };
    pilot_webhook_core::run(engine, &mut Null, &CLOCK, encoding, BUFFER.take()).await;
}

async fn measure(spawner: Spawner, board: Board) -> Option<()> {
    static ARGS: ConstStaticCell<[u8; 512]> = ConstStaticCell::new([0; 512]);
    static BYTES: ConstStaticCell<[u8; QUEUE]> = ConstStaticCell::new([0; QUEUE]);
    static ENGINE: StaticCell<Engine> = StaticCell::new();
    static RESOURCES: ConstStaticCell<StackResources<3>> =
        ConstStaticCell::new(StackResources::new());

    check()?;
    WALL.set(Timestamp::new(1_795_478_400, 0));
    let config = Config { max_event_bytes: EVENT, ..Config::DEFAULT };
    let engine: &Engine = ENGINE.init(Dispatcher::new(config, BYTES.take(), 1));
    engine.swap(EndpointBuf::parse("http://10.0.2.2:8080/hook", Policy::default()).ok()?).ok()?;
    spawner.spawn(worker(engine).ok()?);

    let emit = |topic: &str, data: &Json<'_>| {
        let event = Event::new(topic, 1, CLOCK.wall());
        engine.emit(&event, data, &mut [0; EVENT]).is_ok()
    };
    let (emitted, delivered) = rounds(&emit, async || engine.drained().await).await?;
    println!("emit: {emitted} instructions");
    println!("deliver, in memory: {delivered} instructions");
    SECRET.set(Secret::new(b"secret"));
    let (_, signed) = rounds(&emit, async || engine.drained().await).await?;
    println!("deliver, in memory, signed: {signed} instructions");
    println!("emit, refused by a full queue: {} instructions", refused(&emit)?);
    engine.drained().await;

    let args = Args::from_host(ARGS.take()).ok()?;
    let Some(url) = args.get("url") else { return Some(()) };
    let stack = net::start(spawner, board.ethernet, RESOURCES.take(), host::seed().ok()?).await;
    let now = host::WallClock::from_host().now();
    let (webhook, runner) = new(NODE.take(), Options::new(1, host::seed().ok()?)).ok()?;
    webhook.wall().set(Timestamp::new(i64::try_from(now.as_secs()).ok()?, 0));
    webhook.set_url(url).ok()?;
    webhook.set_secret(b"secret").ok()?;
    spawner.spawn(deliver(runner, stack.ok()?, args).ok()?);
    let emit = |topic: &str, data: &Json<'_>| webhook.emit(topic, data).is_ok();
    meter::longest_poll();
    let begin = meter::busy();
    emit("conn.fin", &Json(r#"{"conn_id":2}"#));
    webhook.drained().await;
    println!("the first, which connects: {} instructions", (meter::busy() - begin) * PER_CYCLE);
    let delivered = rounds(&emit, async || webhook.drained().await).await;
    let longest = meter::longest_poll() * PER_CYCLE;
    println!("the longest without a turn for other tasks: {longest} instructions");
    let (_, delivered) = delivered?;
    println!("deliver, to {url}, signed: {delivered} instructions");
    let stats = webhook.stats();
    (stats.delivered == stats.emitted && stats.attempts == stats.emitted).then_some(())
}

/// Whether instructions are what is counted: a loop with a known number of them.
fn check() -> Option<()> {
    const TIMES: u32 = 500_000;
    let begin = meter::busy();
    // A subtraction and a branch, so many times and once more.
    cortex_m::asm::delay(TIMES);
    let (counted, known) = ((meter::busy() - begin) * PER_CYCLE, u64::from(2 * TIMES));
    println!("a loop of {known} instructions: {counted}");
    if counted.abs_diff(known) > known / 100 {
        println!("failed: run it with -icount shift=0");
        return None;
    }
    Some(())
}

/// Instructions for each event: to emit it, and to deliver it.
async fn rounds(
    emit: &impl Fn(&str, &Json<'_>) -> bool,
    drained: impl AsyncFn(),
) -> Option<(u64, u64)> {
    let mut captured = [("", Json("null")); EVENTS];
    for (event, line) in captured.iter_mut().zip(CAPTURED.lines().cycle()) {
        let (topic, data) = line.split_once(' ')?;
        *event = (topic, Json(data));
    }
    let (mut emitting, mut delivering) = (0, 0);
    for round in 0..=ROUNDS {
        let start = meter::busy();
        let begin = meter::busy();
        for (topic, data) in &captured {
            if !emit(topic, data) {
                return None;
            }
        }
        let emitted = meter::busy();
        drained().await;
        let end = meter::busy();
        if round > 0 {
            let looking = begin - start;
            emitting += (emitted - begin).saturating_sub(looking);
            delivering += (end - emitted).saturating_sub(looking);
        }
    }
    let events = (ROUNDS * EVENTS) as u64;
    Some((emitting * PER_CYCLE / events, delivering * PER_CYCLE / events))
}

/// Instructions for an event that is turned away.
fn refused(emit: &impl Fn(&str, &Json<'_>) -> bool) -> Option<u64> {
    const TIMES: u32 = 1_000;
    let mut room = 1_000_u32;
    while emit("conn.fin", &Json(r#"{"conn_id":2}"#)) {
        room = room.checked_sub(1)?;
    }
    let begin = meter::busy();
    for _ in 0..TIMES {
        if emit("conn.fin", &Json(r#"{"conn_id":2}"#)) {
            return None;
        }
    }
    Some((meter::busy() - begin) * PER_CYCLE / u64::from(TIMES))
}

#[cfg(not(feature = "https"))]
#[embassy_executor::task]
async fn deliver(mut runner: Runner, stack: Stack<'static>, args: Args<'static>) {
    #[cfg(not(feature = "nats"))]
    {
        let _ = args;
        runner.run(stack).await;
    }
    #[cfg(feature = "nats")]
    runner.run_nats(stack, login(args)).await;
}

/// What the NATS server is told.
#[cfg(feature = "nats")]
fn login(args: Args<'static>) -> pilot_webhook_embassy::NatsLogin<'static> {
    let Ok(login) = firmware::login::login(args) else { host::exit(1) };
    login
}

#[cfg(feature = "https")]
#[embassy_executor::task]
async fn deliver(mut runner: Runner, stack: Stack<'static>, args: Args<'static>) {
    static CA: ConstStaticCell<[u8; 2048]> = ConstStaticCell::new([0; 2048]);
    let Ok(mut entropy) = host::Entropy::from_host() else { host::exit(1) };
    let buffer = CA.take();
    let read = args.get("ca").map(|path| host::read_file(path, buffer));
    let length = read.and_then(Result::ok).unwrap_or(0);
    static ROOTS: ConstStaticCell<[&[u8]; 1]> = ConstStaticCell::new([&[]]);
    let roots = ROOTS.take();
    roots[0] = &buffer[..length];
    #[cfg(all(feature = "rustls", not(feature = "nats")))]
    runner.run_rustls(stack, roots, &mut entropy).await;
    #[cfg(not(any(feature = "nats", feature = "rustls")))]
    runner.run(stack, roots, &mut entropy).await;
    #[cfg(all(feature = "nats", feature = "rustls"))]
    runner.run_nats_rustls(stack, login(args), roots, &mut entropy).await;
    #[cfg(all(feature = "nats", not(feature = "rustls")))]
    runner.run_nats(stack, login(args), roots, &mut entropy).await;
}

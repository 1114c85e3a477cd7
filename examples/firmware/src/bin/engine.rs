//! The engine and its worker without a network: their size is the difference to `idle`.
//! All of it is used: a URL is parsed, events are emitted, signed, retried and settled.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_executor::Spawner;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::Timer;
use firmware::{board::Board, executor, host, println, stack};
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock, Config, Dispatcher, Encoding, EndpointBuf, ErrorKind, Event, Json, Message, PilotFormat,
    Policy, Reply, Secret, SecretCell, Transport,
};
use pilot_webhook_embassy::{EmbassyClock, WallTime};
use static_cell::{ConstStaticCell, StaticCell};

/// Both are their user's choice, and not counted as the engine's.
const QUEUE: usize = 4096;
const EVENT: usize = 512;
/// For an event of that length.
const BUFFER_BYTES: usize = PilotFormat::BOUND.buffer(1, EVENT);
const URL: usize = 128;

static SECRET: SecretCell<CriticalSectionRawMutex> = SecretCell::new();
static WALL: WallTime = WallTime::new();
static CLOCK: EmbassyClock<'static> = EmbassyClock::new(&WALL);

type Engine = Dispatcher<CriticalSectionRawMutex, &'static mut [u8], EndpointBuf<URL>>;

/// Fails every other time.
struct Null {
    fails: bool,
}

impl Transport<EndpointBuf<URL>> for Null {
    type Error = ErrorKind;

    async fn send(&mut self, _: &EndpointBuf<URL>, _: &Message<'_>) -> Result<Reply, ErrorKind> {
        embassy_futures::yield_now().await;
        self.fails = !self.fails;
        if self.fails { Err(ErrorKind::Connect) } else { Ok(Response::status(200).into()) }
    }
}

#[entry]
fn main() -> ! {
    let _board = Board::take();
    executor::run(task)
}

#[embassy_executor::task]
async fn worker(engine: &'static Engine) {
    static BUFFER: ConstStaticCell<[u8; BUFFER_BYTES]> = ConstStaticCell::new([0; BUFFER_BYTES]);
    let mut null = Null { fails: false };
    let encoding = Encoding { signer: &SECRET, ..Encoding::PILOT };
    pilot_webhook_core::run(engine, &mut null, &CLOCK, encoding, BUFFER.take()).await;
}

#[embassy_executor::task]
async fn task(spawner: Spawner) {
    let status = if emit(spawner).await.is_some() { 0 } else { 1 };
    println!("stack: peak {} of {} bytes", stack::peak(), stack::size());
    host::exit(status)
}

async fn emit(spawner: Spawner) -> Option<()> {
    static BYTES: ConstStaticCell<[u8; QUEUE]> = ConstStaticCell::new([0; QUEUE]);
    static ENGINE: StaticCell<Engine> = StaticCell::new();
    let config = Config { max_event_bytes: EVENT, ..Config::DEFAULT };
    let engine: &Engine = ENGINE.init(Dispatcher::new(config, BYTES.take(), 1));
    SECRET.set(Secret::new(b"secret"));
    engine.swap(EndpointBuf::parse("http://10.0.2.2:8080/hook", Policy::default()).ok()?).ok()?;
    spawner.spawn(worker(engine).ok()?);
    for _ in 0..3 {
        let event = Event::new("conn.fin", 1, CLOCK.wall());
        engine.emit(&event, &Json(r#"{"conn_id": 2}"#), &mut [0; EVENT]).ok()?;
        Timer::after_millis(1).await;
    }
    engine.close(CLOCK.now());
    engine.closed().await;
    (engine.stats().delivered == 3).then_some(())
}

//! The delivery loop, with a receiver that follows a script, on a clock that moves when all wait.

mod attempts;
mod breaker;
mod ends;
mod notices;
mod receiver;
mod swaps;
mod time;
mod told;

use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::{
    Config, Dispatcher, Encoding, EndpointBuf, Event, Instant, PilotFormat, Policy, Timestamp, run,
};

use notices::Notices;
use receiver::Receiver;

const BODY: usize = 128;
const BUFFER: usize = PilotFormat::BOUND.buffer(1, BODY);
/// The wall-clock time when the other clock is at 0, in seconds.
const WALL: i64 = 1_000_000_000;

type Core = Dispatcher<NoopRawMutex, [u8; 1_024], EndpointBuf<64>, Notices, 2>;

/// A dispatcher with an endpoint and so many events.
fn core(config: Config, events: usize) -> Core {
    let core = Core::with_observer(config, [0; 1_024], 1, Notices::default());
    swap(&core, "http://one.example/");
    (0..events).for_each(|_| emit(&core));
    core
}

fn swap(core: &Core, url: &str) {
    core.swap(endpoint(url)).unwrap();
}

fn endpoint(url: &str) -> EndpointBuf<64> {
    EndpointBuf::parse(url, Policy::default()).unwrap()
}

fn emit(core: &Core) {
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    core.emit(&event, &(), &mut [0; BODY]).unwrap();
}

const fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// One worker over the receiver, on the receiver's time.
async fn worker(core: &Core, mut receiver: &Receiver<'_>) {
    // A clock may be shared.
    let time = &receiver.time.unwrap();
    run(core, &mut receiver, time, Encoding::PILOT, &mut [0; BUFFER]).await;
}

async fn join_two(core: &Core, receiver: &Receiver<'_>) {
    join(worker(core, receiver), worker(core, receiver)).await;
}

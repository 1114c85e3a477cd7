//! Batches: several events in one POST, each with a story of its own in the counters.

mod delay;
mod ends;
mod message;
mod together;

use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    After, Backoff, Config, Delivery, Dispatcher, EndpointBuf, Event, Format, Instant, Next,
    PilotFormat, Policy, Timestamp,
};

const DELAY: Duration = Duration::from_millis(50);
const BUFFER: usize = 2_000;
const NOW: Instant = Instant::from_micros(1_000);

type Core = Dispatcher<NoopRawMutex, Vec<u8>, EndpointBuf<64>, (), 4>;

fn batches(batch: u16) -> Config {
    let backoff = Backoff { initial: DELAY, jitter_percent: 0 };
    Config { batch, backoff, circuit_threshold: 2, max_in_flight: 2, ..Config::DEFAULT }
}

fn core(config: Config) -> Core {
    let core = Core::new(config, vec![0; 4_000], 1);
    swap(&core);
    core
}

fn swap(core: &Core) {
    core.swap(EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap()).unwrap();
}

fn emit(core: &Core, count: usize) {
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    for _ in 0..count {
        core.emit(&event, &(), &mut [0; 200]).unwrap();
    }
}

fn event(id: u64) -> String {
    format!(r#"{{"event_id":{id},"event":"t","node_id":1,"timestamp":"1970-01-01T00:00:00Z"}}"#)
}

/// The buffer for so many of these events.
const fn room(events: u32) -> usize {
    PilotFormat::BOUND.buffer(events, 3 * events as usize)
}

fn array(ids: impl IntoIterator<Item = u64>) -> String {
    format!("[{}]", ids.into_iter().map(event).collect::<Vec<_>>().join(","))
}

#[track_caller]
fn take_into(core: &Core, now: Instant, buffer: usize) -> (Delivery, String) {
    let mut body = vec![0; buffer];
    match core.next(now, PilotFormat::BOUND, &mut body).0 {
        Next::Attempt(delivery) => {
            let (events, mut out) = delivery.split(&mut body);
            PilotFormat.encode(&events, &mut out).unwrap();
            let body = String::from_utf8(out.finish().to_vec()).unwrap();
            (delivery, body)
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn take(core: &Core) -> (Delivery, String) {
    take_into(core, NOW, BUFFER)
}

fn finish(core: &Core, delivery: &mut Delivery, status: u16) -> After {
    core.finish(delivery, Ok(Response::status(status).into()), NOW, Timestamp::UNIX_EPOCH)
}

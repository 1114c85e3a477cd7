//! The payload against what pilot's Go plugin produced, against `serde_json`, and at its bounds.

mod bounds;
mod original;
mod text;
mod values;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::{
    Config, Data, Dispatcher, EmitError, EndpointBuf, Event, Format, Instant, Next, PilotFormat,
    Policy, Timestamp,
};
use serde_json::Value;

type Bench = Dispatcher<NoopRawMutex, Vec<u8>>;

const MAX: usize = 16_384;

fn dispatcher() -> Bench {
    let config = Config { max_event_bytes: MAX, ..Config::DEFAULT };
    let dispatcher = Bench::new(config, vec![0; 4 * MAX], 1);
    let url = EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap();
    dispatcher.swap(url).unwrap();
    dispatcher
}

fn event(topic: &str) -> Event<'_> {
    Event::new(topic, 5, Timestamp::new(1_768_480_496, 789_000_000))
}

/// The body that would be sent.
fn body(dispatcher: &Bench) -> String {
    let mut buffer = vec![0; PilotFormat::BOUND.buffer(1, MAX)];
    let (Next::Attempt(mut delivery), _) =
        dispatcher.next(Instant::default(), PilotFormat::BOUND, &mut buffer)
    else {
        panic!("an event is queued");
    };
    dispatcher.release(&mut delivery);
    let (events, mut out) = delivery.split(&mut buffer);
    PilotFormat.encode(&events, &mut out).unwrap();
    String::from_utf8(out.finish().to_vec()).unwrap()
}

#[track_caller]
fn emitted<D: Data + ?Sized>(event: &Event<'_>, data: &D) -> Result<String, EmitError> {
    let dispatcher = dispatcher();
    dispatcher.emit(event, data, &mut vec![0; MAX + 4])?;
    Ok(body(&dispatcher))
}

fn data_of<D: Data + ?Sized>(data: &D) -> Result<String, EmitError> {
    let body = emitted(&event("t"), data)?;
    let start = body.find("\"data\":").map(|at| at + 7);
    Ok(start.map_or(String::new(), |start| body[start..body.len() - 1].to_owned()))
}

/// The dispatcher gives ids itself, so the id of the Go plugin is put in place of the first one.
fn with_id(body: &str, id: &str) -> String {
    body.replacen("{\"event_id\":1,", &format!("{{\"event_id\":{id},"), 1)
}

/// Equal as JSON: `2` and `2.0` are one number.
fn same_json(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => l == r || l.as_f64() == r.as_f64(),
        (Value::Array(l), Value::Array(r)) => {
            l.len() == r.len() && l.iter().zip(r).all(|(l, r)| same_json(l, r))
        }
        (Value::Object(l), Value::Object(r)) => {
            l.len() == r.len()
                && l.iter().all(|(key, l)| r.get(key).is_some_and(|r| same_json(l, r)))
        }
        _ => left == right,
    }
}

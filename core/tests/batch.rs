//! Batches: several events in one POST, each with a story of its own in the counters.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    After, BATCH_HEADER, Backoff, BreakerState, Config, ConfigError, Delivery, Dispatcher,
    Encoding, EndpointBuf, ErrorKind, Event, Fate, Format, Headers, Instant, MESSAGE_ID_HEADER,
    Message, Next, OnFull, OnOpen, PilotFormat, Policy, Rate, Reply, SIGNATURE_HEADER, Secret,
    Signer, Timestamp, ToSign, Transport, run,
};
use still::Still;

#[path = "support/still.rs"]
mod still;

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

#[test]
fn a_batch_of_no_events_is_no_config() {
    assert_eq!(batches(0).validate(), Err(ConfigError::Batch));
    assert_eq!(batches(1).validate(), Ok(()));
}

#[test]
fn events_that_wait_go_together_in_their_order_and_each_is_counted() {
    let core = core(batches(3));
    emit(&core, 4);
    let (mut batch, body) = take(&core);
    assert_eq!((body, batch.event_id(), batch.events()), (array(1..=3), 1, 3));
    assert_eq!((core.stats().in_flight, core.stats().queued, core.stats().attempts), (3, 1, 1));
    assert_eq!(finish(&core, &mut batch, 204), After::Settled(Fate::Delivered));
    assert_eq!((core.stats().in_flight, core.stats().delivered), (0, 3));
    // What is left goes alone, and is still an array.
    assert_eq!(take(&core).1, array([4]));
}

#[test]
fn a_batch_is_as_long_as_the_workers_buffer_at_most() {
    let core = core(batches(100));
    emit(&core, 5);
    assert_eq!(take_into(&core, NOW, room(2)).1, array(1..=2));
    assert_eq!(take_into(&core, NOW, room(3) - 1).1, array(3..=4));
    let next = core.next(NOW, PilotFormat::BOUND, &mut vec![0; room(1) - 1]).0;
    assert!(matches!(next, Next::Again), "too short for any");
    assert_eq!(core.stats().oversize, 1);
}

#[test]
fn a_batch_that_comes_back_is_not_mixed_with_one_that_is_under_way() {
    let core = core(batches(2));
    emit(&core, 5);
    let (mut first, _) = take(&core);
    let (_second, body) = take(&core);
    assert_eq!(body, array(3..=4));
    core.release(&mut first);
    // Not 1, 2 and 5: what lies between is in other hands.
    assert_eq!(take(&core).1, array(1..=2));
    assert_eq!(take(&core).1, array([5]));
}

#[test]
fn a_batch_that_is_too_large_comes_again_as_smaller_ones() {
    let core = core(batches(8));
    emit(&core, 8);
    let longest = array(1..=3).len();
    let mut bodies = Vec::new();
    while core.stats().queued > 0 {
        let (mut batch, body) = take(&core);
        let status = if body.len() > longest { 413 } else { 200 };
        finish(&core, &mut batch, status);
        bodies.push(body);
    }
    // Eight are refused, so half of their bytes is tried, which is three events and the brackets.
    assert_eq!(bodies, [array(1..=8), array(1..=3), array(4..=6), array(7..=8)]);
    let stats = core.stats();
    assert_eq!((stats.delivered, stats.rejected, stats.attempts), (8, 0, 4));
    // Another receiver may take more.
    swap(&core);
    emit(&core, 8);
    assert_eq!(take(&core).1, array(9..=16));
}

/// A batch was refused as a whole, though the receiver took each of its events alone but one.
#[test]
fn a_batch_that_is_refused_for_what_is_in_it_is_sent_event_by_event() {
    for status in [400, 422] {
        let core = core(batches(8));
        emit(&core, 20);
        let mut bodies = Vec::new();
        let mut now = NOW;
        while core.stats().queued > 0 {
            let (mut batch, body) = take_into(&core, now, BUFFER);
            let is_bad = body.contains(r#""event_id":11,"#);
            let status = if body.matches("event_id").count() > 7 || is_bad { status } else { 204 };
            bodies.push(body.matches("event_id").count());
            finish(&core, &mut batch, status);
            now = now + DELAY;
        }
        // One more for each that was taken, until the bad one is alone.
        assert_eq!(bodies, [8, 1, 2, 3, 4, 5, 1, 1, 2, 3, 3], "{status}");
        assert_eq!((core.stats().delivered, core.stats().rejected), (19, 1));
    }
}

/// A receiver that falls over a long body, and takes short ones.
#[test]
fn a_batch_that_used_up_its_attempts_is_sent_event_by_event() {
    let timeout = || Err(ErrorKind::Timeout);
    let reset = || Err(ErrorKind::Disconnected);
    let error = || Ok(Response::status(500).into());
    let ends: [&dyn Fn() -> Result<Reply, ErrorKind>; 3] = [&timeout, &reset, &error];
    for (on_open, end) in
        [OnOpen::Skip, OnOpen::Hold].into_iter().flat_map(|on| ends.map(|end| (on, end)))
    {
        let core = core(Config { on_open, ..batches(4) });
        emit(&core, 8);
        let mut now = NOW;
        while core.stats().queued + core.stats().in_flight > 0 {
            let (mut batch, _) = take_into(&core, now, BUFFER);
            let is_long = batch.events() > 3;
            let result = if is_long { end() } else { Ok(Response::status(204).into()) };
            if let After::Retry(at) = core.finish(&mut batch, result, now, Timestamp::UNIX_EPOCH) {
                now = at;
            }
        }
        let stats = core.stats();
        assert_eq!((stats.delivered, stats.circuit_opens), (8, 0));
        assert_eq!(stats.attempts, 3 + 4, "1, 2, 3, and 2 are left");
    }
}

/// The others of the batch are no reason to ask a receiver that said no for itself.
#[test]
fn a_batch_that_is_refused_for_what_it_is_stays_one() {
    let core = core(batches(4));
    emit(&core, 4);
    let (mut batch, _) = take(&core);
    assert_eq!(finish(&core, &mut batch, 403), After::Settled(Fate::Rejected));
    assert_eq!(core.stats().rejected, 4);
}

#[test]
fn an_event_that_is_too_large_alone_is_rejected() {
    let core = core(batches(2));
    emit(&core, 2);
    let (mut both, _) = take(&core);
    assert_eq!(finish(&core, &mut both, 413), After::Returned);
    assert_eq!((core.stats().queued, core.stats().in_flight), (2, 0));
    let (mut one, body) = take(&core);
    assert_eq!(body, array([1]));
    assert_eq!(finish(&core, &mut one, 413), After::Settled(Fate::Rejected));
    assert_eq!((core.stats().rejected, core.stats().queued), (1, 1));
}

#[test]
fn a_receiver_that_was_left_has_no_say_in_how_long_batches_are() {
    let core = core(batches(2));
    emit(&core, 2);
    let (mut both, _) = take(&core);
    swap(&core);
    assert_eq!(finish(&core, &mut both, 413), After::Returned);
    assert_eq!(take(&core).1, array(1..=2));
}

#[test]
fn a_batch_is_one_failure_of_the_breaker_and_all_its_events_are_exhausted() {
    let core = core(batches(3));
    emit(&core, 9);
    for n in 1..=2 {
        let (mut batch, _) = take(&core);
        let mut now = NOW;
        while let After::Retry(at) =
            core.finish(&mut batch, Err(ErrorKind::Connect), now, Timestamp::UNIX_EPOCH)
        {
            now = at;
            batch = take_into(&core, now, BUFFER).0;
        }
        assert_eq!(core.stats().exhausted, 3 * n);
        assert_eq!(core.stats().attempts, 3 * n);
        let is_open = core.stats().breaker == BreakerState::Open;
        assert_eq!(is_open, n == 2, "two failures in a row");
    }
}

#[test]
fn with_hold_a_batch_goes_back_to_its_place() {
    let core = core(Config { on_open: OnOpen::Hold, circuit_threshold: 1, ..batches(2) });
    emit(&core, 3);
    let (mut batch, _) = take(&core);
    let mut now = NOW;
    while let After::Retry(at) =
        core.finish(&mut batch, Err(ErrorKind::Connect), now, Timestamp::UNIX_EPOCH)
    {
        now = at;
        batch = take_into(&core, now, BUFFER).0;
    }
    assert_eq!((core.stats().queued, core.stats().attempts), (3, 3));
    let later = now + core.config().circuit_cooldown;
    let (probe, body) = take_into(&core, later, BUFFER);
    // One event is enough to learn whether the receiver is there.
    assert_eq!((body, probe.is_probe()), (array([1]), true));
}

#[test]
fn a_batch_that_is_not_full_waits_for_its_delay() {
    let core = core(Config { batch_delay: DELAY, ..batches(3) });
    emit(&core, 1);
    let Next::Wait(until) = core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]).0 else {
        panic!("no wait")
    };
    assert_eq!(until, NOW + DELAY);
    emit(&core, 1);
    // Another worker waits for the same moment.
    let soon = NOW + DELAY / 2;
    assert!(
        matches!(core.next(soon, PilotFormat::BOUND, &mut [0; BUFFER]).0, Next::Wait(at) if at == until)
    );
    assert_eq!(take_into(&core, until, BUFFER).1, array(1..=2));
    // The next one has a delay of its own.
    emit(&core, 1);
    let wait = core.next(until, PilotFormat::BOUND, &mut [0; BUFFER]).0;
    assert!(matches!(wait, Next::Wait(at) if at == until + DELAY));
    // A full one goes at once.
    emit(&core, 2);
    assert_eq!(take_into(&core, until, BUFFER).1, array(3..=5));
}

#[test]
fn nothing_waits_for_a_batch_when_the_queue_is_half_full() {
    let core = core(Config { batch_delay: DELAY, capacity: 4, ..batches(100) });
    emit(&core, 2);
    assert!(matches!(core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]).0, Next::Wait(_)));
    emit(&core, 1);
    assert_eq!(take(&core).1, array(1..=3));
}

/// Also with some bytes more, which are too few for another event.
#[test]
fn nothing_waits_for_a_batch_that_fills_the_workers_buffer() {
    for buffer in [room(2), PilotFormat::BOUND.buffer(3, 6 + 2) - 1] {
        let core = core(Config { batch_delay: DELAY, ..batches(100) });
        emit(&core, 1);
        let next = core.next(NOW, PilotFormat::BOUND, &mut vec![0; buffer]).0;
        assert!(matches!(next, Next::Wait(_)));
        emit(&core, 1);
        assert_eq!(take_into(&core, NOW, buffer).1, array(1..=2));
    }
}

#[test]
fn the_delay_of_a_batch_begins_with_its_first_event() {
    let core = core(Config { batch_delay: DELAY, ..batches(3) });
    assert!(matches!(core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]).0, Next::Idle(None)));
    emit(&core, 1);
    let later = NOW + DELAY;
    let Next::Wait(until) = core.next(later, PilotFormat::BOUND, &mut [0; BUFFER]).0 else {
        panic!("sent too early")
    };
    assert_eq!(until, later + DELAY);
}

/// A long event takes half of the queue, so it need not wait for more. A short one takes its place while the rate lets none go.
#[test]
fn the_delay_of_a_batch_counts_from_when_a_worker_was_free_for_it_though_it_was_full() {
    let rate = Rate::new(1, Duration::from_secs(1)).unwrap();
    let config = Config { batch_delay: DELAY, on_full: OnFull::DropOldest, rate, ..batches(3) };
    let core = Core::new(config, vec![0; 80], 1);
    swap(&core);
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    let emit = |data: &str| core.emit(&event, data, &mut [0; 200]).unwrap();
    let next = |now| core.next(now, PilotFormat::BOUND, &mut [0; BUFFER]).0;
    let long = "x".repeat(30);
    emit(&long);
    let (mut first, _) = take(&core);
    finish(&core, &mut first, 204);
    emit(&long);
    let go = NOW + Duration::from_secs(1);
    assert!(matches!(next(NOW), Next::Wait(at) if at == go));
    emit("");
    assert_eq!((core.stats().dropped, core.stats().queued), (1, 1));
    assert!(matches!(next(go), Next::Attempt(batch) if batch.event_id() == 3));
}

#[test]
fn the_delay_of_a_batch_begins_when_a_message_has_ended_where_no_more_may_be_under_way() {
    let core = core(Config { batch_delay: DELAY, max_in_flight: 1, ..batches(3) });
    emit(&core, 3);
    let (mut first, _) = take(&core);
    emit(&core, 1);
    let next = |now| core.next(now, PilotFormat::BOUND, &mut [0; BUFFER]).0;
    assert!(matches!(next(NOW), Next::Idle(None)));
    finish(&core, &mut first, 204);
    let later = NOW + DELAY;
    assert!(matches!(next(later), Next::Wait(at) if at == later + DELAY));
}

/// Then who waits is woken when a place is free, and need not wait for the rate first.
#[test]
fn the_delay_of_a_batch_begins_with_a_free_place_also_while_the_rate_lets_nothing_go() {
    let rate = Rate::new(1, Duration::from_secs(1)).unwrap();
    let core = core(Config { batch_delay: DELAY, max_in_flight: 1, rate, ..batches(3) });
    emit(&core, 3);
    let (mut first, _) = take(&core);
    emit(&core, 1);
    let next = |now| core.next(now, PilotFormat::BOUND, &mut [0; BUFFER]);
    let (idle, seen) = next(NOW);
    assert!(matches!(idle, Next::Idle(None)));
    let mut work = pin!(core.work(seen));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(work.as_mut().poll(&mut cx).is_pending());
    finish(&core, &mut first, 204);
    assert!(work.poll(&mut cx).is_ready());
    assert!(matches!(next(NOW).0, Next::Wait(at) if at == NOW + DELAY));
    let go = NOW + Duration::from_secs(1);
    assert!(matches!(next(NOW + DELAY).0, Next::Wait(at) if at == go));
    assert!(matches!(next(go).0, Next::Attempt(_)));
}

/// The event that comes takes the place of one that waited, which is no news for who waits for the rate.
#[test]
fn without_batches_their_delay_wakes_nobody() {
    let rate = Rate::new(1, Duration::from_secs(1)).unwrap();
    let on_full = OnFull::DropOldest;
    let core = core(Config { batch_delay: DELAY, on_full, rate, capacity: 1, ..batches(1) });
    emit(&core, 1);
    let (mut first, _) = take(&core);
    finish(&core, &mut first, 204);
    emit(&core, 1);
    let (next, seen) = core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]);
    assert!(matches!(next, Next::Wait(_)));
    emit(&core, 1);
    assert_eq!(core.stats().dropped, 1);
    let changed = pin!(core.changed(seen));
    assert!(changed.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_drain_does_not_wait_for_a_batch_to_fill() {
    let core = core(Config { batch_delay: DELAY, ..batches(3) });
    emit(&core, 1);
    assert!(matches!(core.next(NOW, PilotFormat::BOUND, &mut [0; BUFFER]).0, Next::Wait(_)));
    core.clear(NOW);
    assert_eq!(take(&core).1, array([1]));
}

/// Keeps what it gets.
#[derive(Default)]
struct Receiver {
    bodies: RefCell<Vec<String>>,
    headers: RefCell<Vec<Vec<(String, String)>>>,
}

impl Transport<EndpointBuf<64>> for &Receiver {
    type Error = ErrorKind;

    async fn send(
        &mut self,
        _: &EndpointBuf<64>,
        request: &Message<'_>,
    ) -> Result<Reply, ErrorKind> {
        assert_eq!(request.topic.as_str(), "t");
        let owned = request.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        self.headers.borrow_mut().push(owned.collect());
        self.bodies.borrow_mut().push(String::from_utf8(request.body.to_vec()).unwrap());
        Ok(Response::status(204).into())
    }
}

/// Sends until the worker waits.
fn work(core: &Core, mut receiver: &Receiver, encoding: Encoding<'_>) {
    let mut buffer = [0; BUFFER];
    let worker = pin!(run(core, &mut receiver, &Still(NOW), encoding, &mut buffer));
    assert!(worker.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_batch_says_how_many_it_holds_and_is_signed_as_a_whole() {
    let core = core(batches(200));
    let secret = Secret::new(b"key").unwrap();
    emit(&core, 2);
    let receiver = Receiver::default();
    work(&core, &receiver, Encoding { signer: &secret, ..Encoding::PILOT });
    assert_eq!(*receiver.bodies.borrow(), [array(1..=2)]);
    let expected = [
        ("Content-Type".to_owned(), "application/json".to_owned()),
        (MESSAGE_ID_HEADER.into(), "1-0000000000000001-1-2-2".into()),
        (BATCH_HEADER.into(), "2".into()),
        (SIGNATURE_HEADER.into(), secret.sign(array(1..=2).as_bytes()).as_str().to_owned()),
    ];
    assert_eq!(receiver.headers.borrow()[0], expected);
}

#[test]
fn without_batches_an_event_is_no_array_and_no_header_counts_it() {
    let core = core(batches(1));
    emit(&core, 2);
    let receiver = Receiver::default();
    work(&core, &receiver, Encoding::PILOT);
    assert_eq!(*receiver.bodies.borrow(), [event(1), event(2)]);
    let names =
        receiver.headers.borrow()[0].iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names, ["Content-Type", MESSAGE_ID_HEADER]);
}

/// Its headers have no room. (A body that has none: `tests/tests/it/seams.rs`.)
#[test]
fn a_batch_that_cannot_be_made_is_oversize_and_no_attempt() {
    struct Long;
    impl Signer for Long {
        fn sign(&self, _: &ToSign<'_>, headers: &mut Headers<'_>) {
            headers.format("long", "x".repeat(1_000));
        }
    }
    let core = core(Config { batch: 2, ..Config::DEFAULT });
    emit(&core, 2);
    let receiver = Receiver::default();
    work(&core, &receiver, Encoding { signer: &Long, ..Encoding::PILOT });
    let stats = core.stats();
    assert_eq!((stats.oversize, stats.attempts, stats.queued), (2, 0, 0));
    assert!(receiver.bodies.borrow().is_empty() && stats.is_balanced());
}

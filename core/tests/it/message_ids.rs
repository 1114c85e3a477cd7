//! Message ids are unique for all time and the same in every attempt; a seed makes waits differ.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    After, Backoff, Config, Dispatcher, EmitError, Encoding, EndpointBuf, ErrorKind, Event,
    Instant, MESSAGE_ID_HEADER, Message, MessageId, Next, PilotFormat, Policy, Reply, Timestamp,
    Transport, run,
};
use proptest::prelude::*;

use crate::support::still::Still;

const NOW: Instant = Instant::from_micros(0);

type Core = Dispatcher<NoopRawMutex, [u8; 1_024], EndpointBuf<64>, (), 1>;

/// One start of node 7, which emits so many events.
fn started(config: Config, seed: u64, events: usize) -> Core {
    let core = Core::new(config, [0; 1_024], seed);
    core.swap(EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap()).unwrap();
    let event = Event::new("t", 7, Timestamp::UNIX_EPOCH);
    for _ in 0..events {
        core.emit(&event, &(), &mut [0; 128]).unwrap();
    }
    core
}

/// Answers with these statuses, one after the other, then with 204. Keeps the ids that it saw.
struct Receiver {
    statuses: Vec<u16>,
    ids: Vec<String>,
}

impl Transport<EndpointBuf<64>> for Receiver {
    type Error = ErrorKind;

    async fn send(
        &mut self,
        _: &EndpointBuf<64>,
        request: &Message<'_>,
    ) -> Result<Reply, ErrorKind> {
        let id = request.headers.iter().find(|(name, _)| *name == MESSAGE_ID_HEADER);
        self.ids.push(id.unwrap().1.to_owned());
        Ok(Response::status(self.statuses.pop().unwrap_or(204)).into())
    }
}

/// The ids of all attempts, until the queue is empty.
fn ids(core: &Core, statuses: &[u16]) -> Vec<String> {
    let mut receiver = Receiver { statuses: statuses.iter().rev().copied().collect(), ids: vec![] };
    {
        let mut body = [0; 512];
        let worker = pin!(run(core, &mut receiver, &Still(NOW), Encoding::PILOT, &mut body));
        assert!(worker.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    receiver.ids
}

fn at_once() -> Config {
    Config { backoff: Backoff { initial: Duration::ZERO, jitter_percent: 0 }, ..Config::DEFAULT }
}

#[test]
fn every_attempt_of_an_event_has_the_same_id_and_every_event_another() {
    let core = started(at_once(), 0xfeed, 2);
    let (first, second) = ("7-000000000000feed-1", "7-000000000000feed-2");
    assert_eq!(ids(&core, &[503, 500]), [first, first, first, second]);
}

/// Event ids begin at 1 with every start: a receiver that recognised repetitions by them dropped the
/// events of the second start.
#[test]
fn the_same_event_id_of_another_start_has_another_message_id() {
    let [one, two] = [1, 2].map(|seed| ids(&started(at_once(), seed, 3), &[]));
    assert!(one.iter().all(|id| !two.contains(id)), "{one:?} {two:?}");
}

#[test]
fn a_batch_is_named_by_its_first_and_last_event_and_their_number() {
    let batches = Config { batch: 2, ..at_once() };
    let core = started(batches, 1, 3);
    let (both, third) = ("7-0000000000000001-1-2-2", "7-0000000000000001-3");
    assert_eq!(ids(&core, &[500]), [both, both, third]);
    // A batch that comes again in two halves is two other messages.
    let core = started(batches, 1, 2);
    assert_eq!(ids(&core, &[413]), [both, "7-0000000000000001-1", "7-0000000000000001-2"]);
}

/// A source that stores its events gives them their ids, and the same ones after a restart.
#[test]
fn ids_of_the_source_go_up_and_are_what_is_sent_and_told() {
    let core = started(at_once(), 0xfeed, 1);
    let event = |id| Event::new("t", 7, Timestamp::UNIX_EPOCH).with_id(id);
    let emit = |id| core.emit(&event(id), &(), &mut [0; 128]);
    assert_eq!(emit(40), Ok(Some(40)));
    for id in [0, 1, 39, 40] {
        assert_eq!(emit(id), Err(EmitError::Id), "{id}");
    }
    assert!(core.emit(&event(41), &f64::NAN, &mut [0; 128]).is_err());
    assert_eq!(emit(41), Err(EmitError::Id), "it was counted as oversize");
    assert_eq!(emit(u64::MAX), Ok(Some(u64::MAX)));
    // There is no next one.
    let none = Event::new("t", 7, Timestamp::UNIX_EPOCH);
    assert_eq!(core.emit(&none, &(), &mut [0; 128]), Err(EmitError::Id));
    let expected = ["1", "40", "18446744073709551615"].map(|id| format!("7-000000000000feed-{id}"));
    assert_eq!(ids(&core, &[]), expected);
    assert_eq!((core.stats().emitted, core.stats().oversize), (4, 1));
    assert!(core.stats().is_balanced());
}

/// The waits of two nodes were the same: all nodes came back at the same instants.
#[test]
fn with_jitter_two_nodes_wait_for_different_times() {
    let backoff = Backoff { initial: Duration::from_secs(100), jitter_percent: 100 };
    let config = Config { backoff, max_attempts: 9, ..Config::DEFAULT };
    let waits = |seed| {
        let core = started(config, seed, 1);
        let mut now = NOW;
        [(); 6].map(|()| {
            let Next::Attempt(mut delivery) = core.next(now, PilotFormat::BOUND, &mut [0; 512]).0
            else {
                panic!()
            };
            let failed = Err(ErrorKind::Connect);
            match core.finish(&mut delivery, failed, now, Timestamp::UNIX_EPOCH) {
                After::Retry(at) => now = at,
                other => panic!("{other:?}"),
            }
            now
        })
    };
    assert_eq!(waits(1), waits(1));
    // Seeds that hardly differ, and 0, do as well as others.
    for (one, other) in [(0, 1), (1, 2), (u64::MAX, u64::MAX - 1), (1, 1 << 63)] {
        assert_ne!(waits(one), waits(other), "{one} {other}");
    }
}

proptest! {
    /// What is read back from the text is the id: two ids never have the same text.
    #[test]
    fn the_text_says_everything(
        node_id: u32, instance: u64, first: u64, last: u64, events in 1_u32..
    ) {
        let last = if events == 1 { first } else { last };
        let id = MessageId { node_id, instance, first, last, events };
        let text = id.to_string();
        prop_assert!(text.len() <= MessageId::LENGTH);
        let parts: Vec<&str> = text.split('-').collect();
        let read = MessageId {
            node_id: parts[0].parse().unwrap(),
            instance: u64::from_str_radix(parts[1], 16).unwrap(),
            first: parts[2].parse().unwrap(),
            last: parts.get(3).map_or(first, |last| last.parse().unwrap()),
            events: parts.get(4).map_or(1, |events| events.parse().unwrap()),
        };
        prop_assert_eq!(read, id);
        prop_assert_eq!(parts[1].len(), 16);
    }
}

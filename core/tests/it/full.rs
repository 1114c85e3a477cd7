//! What a full queue does, to the byte, and what it does not look at.

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Config, Dispatcher, EmitError, EndpointBuf, Event, Instant, Next, OnFull, PilotFormat, Policy,
    Stats, Timestamp,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Serialize, Serializer};

const NOW: Instant = Instant::from_micros(0);
/// What an event with data of no letters takes: a header, `"t"` and `""`.
const EMPTY: usize = 32 + 3 + 2;

type Core = Dispatcher<NoopRawMutex, Vec<u8>, EndpointBuf<64>>;

fn core(config: Config, bytes: usize) -> Core {
    let core = Core::new(config, vec![0; bytes], 1);
    core.swap(EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap()).unwrap();
    core
}

const EVENT: Event<'_> = Event::new("t", 1, Timestamp::UNIX_EPOCH);

/// Emits an event that takes so many bytes.
fn emit(core: &Core, bytes: usize) -> Result<Option<u64>, EmitError> {
    core.emit(&EVENT, &"x".repeat(bytes - EMPTY), &mut [0; 1_024])
}

/// Data that must not be looked at.
struct Unseen;

impl Serialize for Unseen {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("it was encoded");
    }
}

fn emit_unseen(core: &Core) -> Result<Option<u64>, EmitError> {
    core.emit(&EVENT, &Unseen, &mut [0; 1_024])
}

#[test]
fn what_is_turned_away_is_not_encoded() {
    let core = core(Config { capacity: 1, ..Config::DEFAULT }, 1_000);
    emit(&core, 100).unwrap();
    assert_eq!(core.refuse(), Some(Err(EmitError::Full)));
    assert_eq!(emit_unseen(&core), Err(EmitError::Full));
    assert_eq!((core.stats().emitted, core.stats().dropped), (3, 2));
    core.clear(NOW);
    assert_eq!((core.refuse(), emit_unseen(&core)), (Some(Ok(None)), Ok(None)));
    core.close(NOW);
    let closed = Err(EmitError::Closed);
    assert_eq!((core.refuse(), emit_unseen(&core)), (Some(closed), closed));
    assert_eq!(core.stats().emitted, 3);
}

#[test]
fn the_backlog_tells_the_room_that_is_taken_and_the_oldest_event() {
    let core = core(Config { capacity: 7, ..Config::DEFAULT }, 1_000);
    let at = |seconds| Timestamp::new(seconds, 0);
    let state = |core: &Core| {
        let backlog = core.backlog();
        assert_eq!((backlog.capacity, backlog.capacity_bytes), (7, 1_000));
        (backlog.bytes, backlog.oldest)
    };
    assert_eq!(state(&core), (0, None));
    for seconds in [5, 3] {
        let event = Event::new("t", 1, at(seconds));
        core.emit(&event, "", &mut [0; 1_024]).unwrap();
    }
    assert_eq!(state(&core), (2 * EMPTY, Some(at(5))));
    // While it is under way it is the oldest still.
    let (Next::Attempt(mut delivery), _) = core.next(NOW, PilotFormat::BOUND, &mut [0; 1_024])
    else {
        panic!("nothing goes out")
    };
    assert_eq!(state(&core), (2 * EMPTY, Some(at(5))));
    core.finish(&mut delivery, Ok(Response::status(200).into()), NOW, Timestamp::UNIX_EPOCH);
    assert_eq!(state(&core), (EMPTY, Some(at(3))));
}

#[test]
fn what_may_be_taken_in_is_not_refused() {
    let config = Config { capacity: 1, ..Config::DEFAULT };
    let newest = core(config, 1_000);
    assert_eq!(newest.refuse(), None);
    let oldest = core(Config { on_full: OnFull::DropOldest, ..config }, 1_000);
    emit(&oldest, 100).unwrap();
    assert_eq!(oldest.refuse(), None);
    assert_eq!(emit(&oldest, 100), Ok(Some(2)));
    assert_eq!(oldest.stats().dropped, 1);
}

#[test]
fn an_event_may_fill_the_queue_to_the_byte() {
    let core = core(Config::DEFAULT, 200);
    assert!(matches!(emit(&core, 201), Err(EmitError::Payload(_))), "never");
    assert_eq!(emit(&core, 200), Ok(Some(2)));
    assert_eq!(emit(&core, EMPTY), Err(EmitError::Full));
    let stats = core.stats();
    assert_eq!((stats.oversize, stats.dropped, stats.queued), (1, 1, 1));
}

/// Lengths are multiples of 20 bytes, so that they often fit to the byte.
fn lengths(of: std::ops::Range<usize>) -> impl Strategy<Value = usize> {
    of.prop_map(|twenties| twenties * 20)
}

proptest! {
    #[test]
    fn what_would_be_refused_is_and_nothing_else(
        capacity in 1..4_u32,
        bytes in lengths(3..12),
        (most, more) in (lengths(2..8), 0..2_usize),
        steps in vec((0..12_u8, lengths(2..8)), 1..12),
    ) {
        // The texts are all but the 32 bytes of the header.
        let max_event_bytes = most - 32 + more;
        let core = core(Config { capacity, max_event_bytes, ..Config::DEFAULT }, bytes);
        let mut is_active = true;
        for (step, length) in steps {
            match step {
                0 => core.clear(NOW),
                1 => core.close(NOW),
                _ => {}
            }
            is_active &= step > 1;
            let (data, mut scratch) = ("x".repeat(length - EMPTY), [0; 1_024]);
            let foretold = core.would_refuse(&EVENT, &data, &mut scratch);
            let answer = core.emit_if_room(&EVENT, &data, &mut scratch);
            let is_long = length - 32 > max_event_bytes || length > bytes;
            prop_assert_eq!(matches!(answer, Err(EmitError::Payload(_))), is_active && is_long);
            let is_taken_or_long = matches!(answer, Ok(Some(_)) | Err(EmitError::Payload(_)));
            prop_assert_eq!(foretold, (!is_taken_or_long).then_some(answer));
        }
    }
}

/// What is in flight stays: dropping the others would not make the room.
#[test]
fn nothing_is_dropped_in_vain() {
    let core = core(Config { on_full: OnFull::DropOldest, ..Config::DEFAULT }, 300);
    emit(&core, 150).unwrap();
    emit(&core, 100).unwrap();
    assert!(matches!(core.next(NOW, PilotFormat::BOUND, &mut [0; 640]).0, Next::Attempt(_)));
    assert_eq!(emit(&core, 151), Err(EmitError::Full));
    assert_eq!((core.stats().dropped, core.stats().queued), (1, 1));
    assert_eq!(emit(&core, 150), Ok(Some(4)));
    assert_eq!((core.stats().dropped, core.stats().queued), (2, 1));
}

#[test]
fn the_law_is_broken_by_an_event_that_is_nowhere() {
    assert!(Stats::default().is_balanced());
    assert!(!Stats { emitted: 1, ..Stats::default() }.is_balanced());
    assert!(!Stats { dropped: 1, ..Stats::default() }.is_balanced());
}

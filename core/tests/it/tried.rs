//! Events that an earlier start has tried go on where they were.

use std::collections::BTreeMap;
use std::time::Duration;

use embassy_futures::block_on;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::{
    After, Config, Delivery, Dispatcher, EndpointBuf, ErrorKind, Event, Fate, Instant, LongWaits,
    Next, Notice, Observer, OnOpen, PilotFormat, Policy, Reply, Schedule, Timestamp, Tried,
    Verdict,
};
use proptest::prelude::*;

type Core<O = ()> = Dispatcher<NoopRawMutex, Vec<u8>, EndpointBuf<64>, O, 8>;

const SECOND: Duration = Duration::from_secs(1);

fn config(waits: &[Duration], max_in_flight: u16, batch: u16) -> Config {
    Config {
        schedule: Schedule::new(waits),
        circuit_threshold: u16::MAX,
        on_open: OnOpen::Hold,
        long_waits: LongWaits::Keep,
        max_in_flight,
        batch,
        ..Config::DEFAULT
    }
}

fn start<O: Observer>(config: Config, observer: O) -> Core<O> {
    let core = Core::with_observer(config, vec![0; 10_000], 1, observer);
    core.swap(EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap()).unwrap();
    core
}

fn at(seconds: u64) -> Instant {
    Instant::default() + Duration::from_secs(seconds)
}

fn hand_in<O: Observer>(core: &Core<O>, id: u64, tried: Option<Tried>) {
    let (event, mut scratch) = (Event::new("t", 1, Timestamp::UNIX_EPOCH).with_id(id), [0; 128]);
    let answer = match tried {
        Some(tried) => block_on(core.emit_tried(&event, &(), &mut scratch, tried)),
        None => core.emit(&event, &(), &mut scratch),
    };
    assert_eq!(answer, Ok(Some(id)));
}

fn next<O: Observer>(core: &Core<O>, now: Instant) -> Next {
    core.next(now, PilotFormat::BOUND, &mut [0; 2_000]).0
}

fn attempt<O: Observer>(core: &Core<O>, now: Instant) -> Delivery {
    match next(core, now) {
        Next::Attempt(delivery) => delivery,
        other => panic!("{other:?}"),
    }
}

fn fail<O: Observer>(core: &Core<O>, delivery: &mut Delivery, now: Instant) -> After {
    core.finish(delivery, Err(ErrorKind::Connect), now, Timestamp::UNIX_EPOCH)
}

#[test]
fn an_event_goes_on_at_its_attempt_when_that_is_due() {
    let core = start(config(&[SECOND, 10 * SECOND], 1, 1), ());
    hand_in(&core, 7, Some(Tried { attempts: 1, due: at(5) }));
    hand_in(&core, 8, None);
    assert!(matches!(next(&core, at(4)), Next::Idle(Some(due)) | Next::Wait(due) if due == at(5)));
    let mut delivery = attempt(&core, at(5));
    assert_eq!((delivery.event_id(), delivery.attempt()), (7, 2));
    assert_eq!(fail(&core, &mut delivery, at(5)), After::Retry(at(15)));
    let mut delivery = attempt(&core, at(15));
    assert_eq!((delivery.event_id(), delivery.attempt()), (7, 3));
    let accepted = Ok(Reply { verdict: Verdict::Accepted, code: 204 });
    core.finish(&mut delivery, accepted, at(15), Timestamp::UNIX_EPOCH);
    assert_eq!(attempt(&core, at(15)).event_id(), 8);
}

/// Order is kept with one message in flight, whatever was noted.
#[test]
fn an_event_behind_others_does_not_overtake_them() {
    let core = start(config(&[SECOND], 1, 1), ());
    hand_in(&core, 7, None);
    hand_in(&core, 8, Some(Tried { attempts: 1, due: at(0) }));
    let delivery = attempt(&core, at(1));
    assert_eq!((delivery.event_id(), delivery.attempt()), (7, 1));
}

#[test]
fn what_was_a_batch_is_one_again() {
    let core = start(config(&[SECOND, SECOND], 1, 3), ());
    let tried = Tried { attempts: 1, due: at(5) };
    (1..=3).for_each(|id| hand_in(&core, id, Some(tried)));
    (4..=5).for_each(|id| hand_in(&core, id, None));
    let mut delivery = attempt(&core, at(5));
    assert_eq!((delivery.event_id(), delivery.events(), delivery.attempt()), (1, 3, 2));
    let accepted = Ok(Reply { verdict: Verdict::Accepted, code: 204 });
    core.finish(&mut delivery, accepted, at(5), Timestamp::UNIX_EPOCH);
    let delivery = attempt(&core, at(5));
    assert_eq!((delivery.event_id(), delivery.events(), delivery.attempt()), (4, 2, 1));
}

/// How events ended.
#[derive(Default)]
struct Ends(std::cell::RefCell<Vec<(u64, Fate)>>);

impl Observer for Ends {
    fn notice(&self, notice: Notice<'_>) {
        if let Notice::Settled { event_id, fate, .. } = notice {
            self.0.borrow_mut().push((event_id, fate));
        }
    }
}

/// A host that keeps events makes no attempt before its time because it is stopped, and need not wait for the end of the drain.
#[test]
fn a_close_that_cuts_no_wait_abandons_what_is_due_later() {
    let core = start(config(&[SECOND, 100 * SECOND], 4, 2), Ends::default());
    let late = Tried { attempts: 1, due: at(50) };
    (1..=2).for_each(|id| hand_in(&core, id, Some(late)));
    hand_in(&core, 3, Some(Tried { attempts: 1, due: at(2) }));
    core.close(at(0));
    for _ in 0..2 {
        assert!(matches!(next(&core, at(0)), Next::Again));
    }
    assert_eq!(*core.observer().0.borrow(), [(1, Fate::Abandoned), (2, Fate::Abandoned)]);
    // It is due before the end of the drain.
    assert!(matches!(next(&core, at(1)), Next::Idle(Some(_)) | Next::Wait(_)));
    let mut delivery = attempt(&core, at(2));
    assert_eq!((delivery.event_id(), delivery.attempt()), (3, 2));
    assert_eq!(fail(&core, &mut delivery, at(2)), After::Retry(at(102)));
    assert!(matches!(next(&core, at(2)), Next::Again));
    assert!(matches!(next(&core, at(2)), Next::Done));
    assert!(core.is_closed());
    let stats = core.stats();
    assert_eq!((stats.abandoned, stats.in_flight, stats.queued), (3, 0, 0));
}

#[test]
fn where_order_is_kept_a_close_abandons_what_is_behind_it_too() {
    let core = start(config(&[SECOND, 100 * SECOND], 1, 1), Ends::default());
    hand_in(&core, 1, Some(Tried { attempts: 1, due: at(50) }));
    (2..=3).for_each(|id| hand_in(&core, id, None));
    core.close(at(0));
    while matches!(next(&core, at(0)), Next::Again) {}
    assert!(core.is_closed());
    let ends = core.observer().0.borrow().clone();
    assert_eq!(ends, [2, 3, 1].map(|id| (id, Fate::Abandoned)));
}

/// What a host notes of an event.
#[derive(Clone, Copy, Debug)]
struct Noted {
    attempts: u8,
    due: Instant,
}

proptest! {
    /// However often the host starts anew, also during an attempt: the attempts of an event are numbered as without, none is
    /// made before its time, and with one in flight the order is kept.
    #[test]
    fn a_schedule_means_the_same_over_restarts(
        waits in prop::collection::vec(1_u64..100, 1..5),
        in_flight in 1_u16..4,
        steps in prop::collection::vec((0_u64..40, 0_u8..10), 1..200),
    ) {
        let waits: Vec<_> = waits.into_iter().map(Duration::from_secs).collect();
        let config = config(&waits, in_flight, 1);
        // The file: what waits, and what was noted of it.
        let mut file: BTreeMap<u64, Option<Noted>> = (1..=6).map(|id| (id, None)).collect();
        let begin = |file: &BTreeMap<u64, Option<Noted>>| {
            let core = start(config, ());
            for (id, noted) in file {
                let tried = noted.map(|Noted { attempts, due }| Tried { attempts, due });
                hand_in(&core, *id, tried);
            }
            core
        };
        let (mut core, mut now) = (begin(&file), 0);
        for (passes, what) in steps {
            now += passes;
            if what == 0 {
                core = begin(&file);
            }
            let mut delivery = match next(&core, at(now)) {
                Next::Attempt(delivery) => delivery,
                Next::Idle(_) | Next::Wait(_) | Next::Again => continue,
                Next::Done => panic!(),
            };
            let id = delivery.event_id();
            if in_flight == 1 {
                prop_assert_eq!(Some(&id), file.keys().next());
            }
            match file.get(&id).unwrap() {
                None => prop_assert_eq!(delivery.attempt(), 1),
                Some(noted) => {
                    prop_assert_eq!(delivery.attempt(), noted.attempts + 1);
                    prop_assert!(at(now) >= noted.due);
                }
            }
            match what {
                // The host dies during the attempt.
                1 => core = begin(&file),
                2 => {
                    let accepted = Ok(Reply { verdict: Verdict::Accepted, code: 204 });
                    core.finish(&mut delivery, accepted, at(now), Timestamp::UNIX_EPOCH);
                    file.remove(&id);
                }
                _ => {
                    let failed = delivery.attempt();
                    let After::Retry(due) = fail(&core, &mut delivery, at(now)) else { panic!() };
                    let is_last = usize::from(failed) == waits.len() + 1;
                    let attempts = if is_last { 0 } else { failed };
                    if !is_last {
                        prop_assert_eq!(due, at(now) + waits[usize::from(failed) - 1]);
                    }
                    file.insert(id, Some(Noted { attempts, due }));
                }
            }
        }
        // A close tries nothing before its time, ends within its deadline, and loses count of nothing.
        core.close(at(now));
        let end = at(now) + config.drain_timeout;
        let mut time = at(now);
        loop {
            match next(&core, time) {
                Next::Attempt(mut delivery) => {
                    let id = delivery.event_id();
                    if in_flight == 1 {
                        prop_assert_eq!(Some(&id), file.keys().next());
                    }
                    let noted = file.get(&id).unwrap();
                    prop_assert!(noted.is_none_or(|noted| noted.due <= time));
                    if let After::Retry(due) = fail(&core, &mut delivery, time) {
                        file.insert(id, Some(Noted { attempts: delivery.attempt() - 1, due }));
                    }
                }
                Next::Idle(Some(until)) | Next::Wait(until) => time = until,
                Next::Again => {}
                Next::Idle(None) => panic!(),
                Next::Done => break,
            }
        }
        let stats = core.stats();
        prop_assert!(time <= end && core.is_closed());
        prop_assert_eq!((stats.queued, stats.in_flight), (0, 0));
        prop_assert_eq!(stats.emitted, stats.delivered + stats.abandoned);
    }
}

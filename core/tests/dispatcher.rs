//! The dispatcher as a whole, through random sequences of everything that can happen to it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test says where and why at once")]

use std::collections::BTreeMap;
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    After, Backoff, BreakerState, Config, Delivery, Dispatcher, EmitError, EndpointBuf, ErrorKind,
    Event, Fate, Format, Instant, Next, OnFull, OnOpen, PilotFormat, Policy, Reply, Retry,
    RetryAfter, Stats, Timestamp,
};
use proptest::prelude::*;

/// The longest topic and data, and a buffer that is long enough for them.
const TEXTS: usize = 256;
const BUFFER: usize = PilotFormat::BOUND.buffer(1, TEXTS);
const BACKOFF: Duration = Duration::from_millis(100);
const DRAIN: Duration = Duration::from_secs(5);

type Core = Dispatcher<NoopRawMutex, Vec<u8>, EndpointBuf<64>, (), 4>;

fn config() -> Config {
    Config {
        backoff: Backoff { initial: BACKOFF, jitter_percent: 0 },
        circuit_threshold: 2,
        circuit_cooldown: Duration::from_secs(1),
        max_event_bytes: TEXTS,
        drain_timeout: DRAIN,
        ..Config::DEFAULT
    }
}

/// A dispatcher, the time, and what its workers hold.
struct Bench {
    core: Core,
    config: Config,
    now: Instant,
    workers: Vec<Option<Held>>,
    /// Ids in the order of their first attempts.
    started: Vec<u64>,
    fates: BTreeMap<u64, Fate>,
    /// Until when a receiver asked to be left alone.
    quiet_until: Instant,
}

struct Held {
    delivery: Delivery,
    step: Step,
    /// Failed attempts of this round, as the test counts them.
    failed: u8,
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Attempting,
    Waiting { since: Instant, at: Instant },
}

impl Bench {
    fn new(config: Config, bytes: usize, workers: usize) -> Self {
        let bench = Self {
            core: Core::new(config, vec![0; bytes], 1),
            config,
            now: Instant::from_micros(1),
            workers: (0..workers).map(|_| None).collect(),
            started: Vec::new(),
            fates: BTreeMap::new(),
            quiet_until: Instant::default(),
        };
        bench.swap().unwrap();
        bench
    }

    fn swap(&self) -> Result<(), EmitError> {
        self.core.swap(EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap())
    }

    fn emit(&self, length: usize) -> Result<Option<u64>, EmitError> {
        let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
        self.core.emit(&event, "x".repeat(length).as_str(), &mut [0; TEXTS])
    }

    fn stats(&self) -> Stats {
        self.core.stats()
    }

    fn advance(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn probes(&self) -> usize {
        let probing = |held: &&Held| held.step == Step::Attempting && held.delivery.is_probe();
        self.workers.iter().flatten().filter(probing).count()
    }

    fn may_send(&self) {
        assert!(self.now >= self.quiet_until, "sent before the receiver's Retry-After was over");
        let state = self.stats().breaker;
        assert_ne!(state, BreakerState::Open, "sent while the breaker was open");
        assert!(self.probes() <= 1, "one probe at a time");
    }

    /// Worker `n` does whatever comes next, short of ending an attempt.
    fn step(&mut self, n: usize) {
        match self.workers[n].take() {
            None => {
                let mut body = [0; BUFFER];
                match self.core.next(self.now, PilotFormat::BOUND, &mut body).0 {
                    Next::Attempt(delivery) => {
                        let id = delivery.event_id();
                        let (events, mut out) = delivery.split(&mut body);
                        PilotFormat.encode(&events, &mut out).unwrap();
                        let text = std::str::from_utf8(out.finish()).unwrap();
                        assert!(text.starts_with(&format!("{{\"event_id\":{id},")), "{text}");
                        self.started.push(id);
                        self.workers[n] =
                            Some(Held { delivery, step: Step::Attempting, failed: 0 });
                        self.may_send();
                    }
                    Next::Wait(until) => assert!(until.is_none_or(|until| until > self.now)),
                    Next::Again | Next::Done => {}
                }
            }
            Some(mut held) => {
                if let Step::Waiting { since, at } = held.step {
                    let (until, _) = self.core.back_off(&held.delivery, at);
                    if until.is_some_and(|until| self.now < until) {
                        self.workers[n] = Some(held);
                        return;
                    }
                    assert!(since <= self.now);
                    match self.core.retry(&mut held.delivery, self.now).0 {
                        Retry::Attempt => {
                            held.step = Step::Attempting;
                            self.workers[n] = Some(held);
                            self.may_send();
                        }
                        Retry::Wait(_) => self.workers[n] = Some(held),
                        Retry::Settled(_) => {}
                    }
                } else {
                    self.workers[n] = Some(held);
                }
            }
        }
    }

    /// Worker `n`'s attempt, if it makes one, ends.
    fn end(&mut self, n: usize, end: End) {
        let Some(mut held) = self.workers[n].take() else { return };
        if held.step != Step::Attempting {
            self.workers[n] = Some(held);
            return;
        }
        let (limit, _) = self.core.limit(&held.delivery, self.now);
        if limit.is_none() {
            // Swapped: cancelled, and due at once.
            held.step = Step::Waiting { since: self.now, at: self.now };
            self.workers[n] = Some(held);
            return;
        }
        let (result, asked) = end.result();
        if asked > Duration::ZERO {
            self.quiet_until = self.quiet_until.max(self.now + asked);
        }
        match self.core.finish(&mut held.delivery, result, self.now, Timestamp::UNIX_EPOCH) {
            After::Settled(fate) => {
                let id = held.delivery.event_id();
                assert_eq!(self.fates.insert(id, fate), None, "settled once");
            }
            After::Retry(at) => {
                held.failed += 1;
                assert!(held.failed <= self.config.max_attempts, "more attempts than a round has");
                let backoff = BACKOFF * 2_u32.pow(u32::from(held.failed) - 1);
                assert_eq!(at, self.now + backoff.max(asked), "the backoff is exact");
                if held.failed == self.config.max_attempts {
                    assert_eq!(self.config.on_open, OnOpen::Hold);
                    held.failed = 0;
                }
                held.step = Step::Waiting { since: self.now, at };
                self.workers[n] = Some(held);
            }
            After::Returned => assert_eq!(self.config.on_open, OnOpen::Hold),
        }
    }

    fn check(&self) {
        let stats = self.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        assert_eq!(stats.in_flight as usize, self.workers.iter().flatten().count());
        assert!(stats.queued + stats.in_flight <= self.config.capacity);
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Status(u16),
    RetryAfter(u16, u16),
    Error,
}

impl End {
    fn result(self) -> (Result<Reply, ErrorKind>, Duration) {
        match self {
            Self::Status(status) => (Ok(Response::status(status).into()), Duration::ZERO),
            Self::RetryAfter(status, seconds) => {
                let delay = Duration::from_secs(seconds.into());
                let retry_after = Some(RetryAfter::Delay(delay));
                let honoured = matches!(status, 429 | 503);
                let asked = if honoured { delay } else { Duration::ZERO };
                (Ok(Response { status, retry_after }.into()), asked.min(Duration::from_secs(3_600)))
            }
            Self::Error => (Err(ErrorKind::Connect), Duration::ZERO),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Emit(usize),
    Advance(u64),
    Step(usize),
    End(usize, End),
    Vanish(usize),
    Swap,
    Clear,
    Close,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Status(204)),
        1 => Just(End::Status(302)),
        1 => Just(End::Status(400)),
        3 => Just(End::Status(500)),
        1 => Just(End::Status(408)),
        1 => (prop_oneof![Just(429), Just(503), Just(500), Just(400)], 0_u16..5_000)
            .prop_map(|(status, seconds)| End::RetryAfter(status, seconds)),
        3 => Just(End::Error),
    ]
}

fn op(workers: usize) -> impl Strategy<Value = Op> {
    prop_oneof![
        60 => (0_usize..300).prop_map(Op::Emit),
        60 => prop_oneof![0_u64..50, 0_u64..2_000, 0_u64..70_000].prop_map(Op::Advance),
        120 => (0..workers).prop_map(Op::Step),
        120 => (0..workers, end()).prop_map(|(n, end)| Op::End(n, end)),
        4 => (0..workers).prop_map(Op::Vanish),
        4 => Just(Op::Swap),
        2 => Just(Op::Clear),
        1 => Just(Op::Close),
    ]
}

fn any_config() -> impl Strategy<Value = Config> {
    (any::<bool>(), any::<bool>(), 1_u32..12).prop_map(|(hold, drop_oldest, capacity)| Config {
        on_open: if hold { OnOpen::Hold } else { OnOpen::Skip },
        on_full: if drop_oldest { OnFull::DropOldest } else { OnFull::DropNewest },
        capacity,
        ..config()
    })
}

fn scenario() -> impl Strategy<Value = (Config, usize, usize, Vec<Op>)> {
    (any_config(), 100_usize..2_000, 1_usize..4).prop_flat_map(|(config, bytes, workers)| {
        let ops = prop::collection::vec(op(workers), 1..300);
        (Just(config), Just(bytes), Just(workers), ops)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_law_holds_after_every_step_and_a_close_accounts_for_everything(
        (config, bytes, workers, ops) in scenario()
    ) {
        let mut bench = Bench::new(config, bytes, workers);
        let mut is_pure = true;
        for op in ops {
            match op {
                Op::Emit(length) => { let _ = bench.emit(length); }
                Op::Advance(millis) => bench.advance(Duration::from_millis(millis)),
                Op::Step(n) => bench.step(n),
                Op::End(n, end) => bench.end(n, end),
                Op::Vanish(n) => if let Some(mut held) = bench.workers[n].take() {
                    bench.core.release(&mut held.delivery);
                    is_pure = false;
                },
                Op::Swap => {
                    if bench.swap().is_ok() {
                        bench.quiet_until = Instant::default();
                    }
                }
                Op::Clear => bench.core.clear(bench.now),
                Op::Close => bench.core.close(bench.now),
            }
            bench.check();
        }
        // One worker that never vanished: first in, first out.
        if workers == 1 && is_pure && config.on_open == OnOpen::Skip {
            prop_assert!(bench.started.is_sorted(), "{:?}", bench.started);
        }

        bench.core.close(bench.now);
        bench.core.close(bench.now);
        prop_assert_eq!(bench.emit(1), Err(EmitError::Closed));
        bench.advance(DRAIN);
        for n in 0..workers {
            bench.end(n, End::Error);
            bench.step(n);
        }
        // One event a step.
        while bench.stats().queued > 0 {
            bench.step(0);
        }
        bench.check();
        let stats = bench.stats();
        prop_assert_eq!((stats.queued, stats.in_flight), (0, 0));
        prop_assert!(bench.swap().is_err());
    }

    /// Once the receiver is well, everything that is queued gets there, however bad it was before.
    #[test]
    fn with_hold_nothing_is_lost(ops in prop::collection::vec(op(1), 1..200)) {
        let config = Config { on_open: OnOpen::Hold, ..config() };
        let mut bench = Bench::new(config, 1 << 20, 1);
        for op in ops {
            match op {
                Op::Emit(length) => { bench.emit(length % 150).unwrap(); }
                Op::Advance(millis) => bench.advance(Duration::from_millis(millis)),
                Op::Step(_) => bench.step(0),
                Op::End(_, End::Status(302 | 400) | End::RetryAfter(400, _)) => {}
                Op::End(n, end) => bench.end(n, end),
                Op::Vanish(_) | Op::Swap | Op::Clear | Op::Close => {}
            }
            bench.check();
        }
        while bench.stats().queued + bench.stats().in_flight > 0 {
            bench.end(0, End::Status(204));
            bench.advance(Duration::from_secs(3_600));
            bench.step(0);
        }
        let stats = bench.stats();
        prop_assert_eq!(stats.delivered, stats.emitted);
        prop_assert!(bench.fates.keys().is_sorted());
    }
}

#[test]
fn an_event_gets_three_attempts_one_and_two_backoffs_apart() {
    let mut bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    for wait in [BACKOFF, BACKOFF * 2] {
        bench.step(0);
        bench.end(0, End::Status(500));
        bench.advance(wait - Duration::from_micros(1));
        bench.step(0);
        assert!(bench.workers[0].as_ref().is_some_and(|held| held.step != Step::Attempting));
        bench.advance(Duration::from_micros(1));
    }
    bench.step(0);
    bench.end(0, End::Status(500));
    assert_eq!(bench.fates[&1], Fate::Exhausted);
    assert_eq!(bench.stats().attempts, 3);
    assert_eq!(bench.stats().last_status, 500);
}

#[test]
fn the_backoff_of_an_event_does_not_depend_on_an_earlier_event() {
    let mut bench = Bench::new(Config { circuit_threshold: 100, ..config() }, 4_000, 1);
    for _ in 0..5 {
        bench.emit(1).unwrap();
        for _ in 0..3 {
            // `end` checks the schedule of each event.
            bench.step(0);
            bench.end(0, End::Error);
            bench.advance(BACKOFF * 4);
        }
    }
    assert_eq!((bench.stats().exhausted, bench.stats().attempts), (5, 15));
}

/// A bench whose breaker has just opened, with `queued` events waiting.
fn open(config: Config, queued: usize) -> Bench {
    let mut bench = Bench::new(Config { max_attempts: 1, ..config }, 10_000, 1);
    for _ in 0..2 {
        bench.emit(1).unwrap();
        bench.step(0);
        bench.end(0, End::Error);
        bench.advance(BACKOFF);
        bench.step(0);
        bench.end(0, End::Error);
    }
    assert_eq!(bench.stats().breaker, BreakerState::Open);
    for _ in 0..queued {
        bench.emit(1).unwrap();
    }
    bench
}

#[test]
fn an_open_breaker_skips_by_default() {
    let mut bench = open(config(), 3);
    for _ in 0..3 {
        bench.step(0);
    }
    assert_eq!(bench.stats().skipped, 3);
    bench.emit(1).unwrap();
    bench.advance(Duration::from_secs(1));
    bench.step(0);
    assert!(bench.workers[0].as_ref().unwrap().delivery.is_probe());
    bench.end(0, End::Status(200));
    assert_eq!(bench.stats().breaker, BreakerState::Closed);
}

#[test]
fn a_probe_has_one_attempt() {
    let config = Config { max_attempts: 3, ..config() };
    let mut bench = open(config, 0);
    bench.emit(1).unwrap();
    bench.advance(Duration::from_secs(1));
    bench.step(0);
    bench.end(0, End::Status(500));
    assert_eq!(bench.stats().breaker, BreakerState::Open);
    assert_eq!(bench.stats().exhausted, 3);
    assert_eq!(bench.stats().in_flight, 0);
}

#[test]
fn a_long_retry_after_opens_the_breaker_until_it_is_over() {
    let mut bench = Bench::new(Config { on_open: OnOpen::Hold, ..config() }, 10_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.end(0, End::RetryAfter(429, 61));
    assert_eq!(bench.stats().breaker, BreakerState::Open);
    assert_eq!((bench.stats().queued, bench.stats().circuit_opens), (1, 1));
    bench.advance(Duration::from_secs(61) - Duration::from_micros(1));
    bench.step(0);
    assert!(bench.workers[0].is_none());
    bench.advance(Duration::from_micros(1));
    bench.step(0);
    bench.end(0, End::Status(204));
    assert_eq!(bench.stats().delivered, 1);
}

#[test]
fn a_short_retry_after_holds_back_the_events_behind_it_too() {
    let mut bench = Bench::new(Config { max_attempts: 1, ..config() }, 10_000, 1);
    bench.emit(1).unwrap();
    bench.emit(1).unwrap();
    bench.step(0);
    bench.end(0, End::RetryAfter(503, 60));
    assert_eq!(bench.fates[&1], Fate::Exhausted);
    bench.advance(Duration::from_secs(59));
    bench.step(0);
    assert!(bench.workers[0].is_none());
    bench.advance(Duration::from_secs(1));
    bench.step(0);
    assert!(bench.workers[0].is_some());
}

/// The longest one that is waited for by the event itself.
#[test]
fn a_retry_after_of_a_minute_is_no_reason_to_give_up() {
    let mut bench = Bench::new(config(), 10_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.end(0, End::RetryAfter(503, 60));
    assert_eq!(bench.stats().breaker, BreakerState::Closed);
    bench.advance(Duration::from_secs(60));
    bench.step(0);
    bench.end(0, End::Status(204));
    assert_eq!(bench.fates[&1], Fate::Delivered);
}

#[test]
fn the_longest_retry_after_that_is_believed_is_an_hour() {
    let mut bench = Bench::new(Config { on_open: OnOpen::Hold, ..config() }, 10_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.end(0, End::RetryAfter(503, 65_000));
    bench.advance(Duration::from_secs(3_600));
    bench.step(0);
    assert!(bench.workers[0].is_some());
}

#[test]
fn a_swap_takes_queued_and_retried_events_along_and_closes_the_breaker() {
    let mut bench = open(Config { on_open: OnOpen::Hold, ..config() }, 2);
    bench.swap().unwrap();
    assert_eq!(bench.stats().breaker, BreakerState::Closed);
    for _ in 0..4 {
        bench.step(0);
        bench.end(0, End::Status(200));
    }
    assert_eq!((bench.stats().delivered, bench.stats().emitted), (4, 4));
}

#[test]
fn a_late_answer_of_the_old_endpoint_counts_once_and_not_towards_the_new_breaker() {
    let mut bench =
        Bench::new(Config { circuit_threshold: 1, max_attempts: 1, ..config() }, 1_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    let mut held = bench.workers[0].take().unwrap();
    bench.swap().unwrap();
    let after = bench.core.finish(
        &mut held.delivery,
        Err(ErrorKind::Connect),
        bench.now,
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(after, After::Retry(bench.now));
    assert_eq!(bench.stats().breaker, BreakerState::Closed);
    bench.core.release(&mut held.delivery);
    assert_eq!(bench.stats().queued, 1);
}

#[test]
fn a_clear_drains_to_the_old_endpoint_and_takes_in_nothing() {
    let mut bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    assert!(bench.core.destination().is_some());
    bench.core.clear(bench.now);
    assert_eq!(bench.emit(1), Ok(None));
    assert!(bench.core.destination().is_none() && bench.core.endpoint().is_some());
    bench.step(0);
    bench.end(0, End::Status(200));
    assert_eq!((bench.stats().delivered, bench.stats().emitted), (1, 1));
    assert_eq!(bench.emit(1), Ok(None));
    assert!(bench.core.destination().is_none());
    bench.swap().unwrap();
    assert!(bench.core.destination().is_some());
    assert_eq!(bench.emit(1), Ok(Some(2)), "event ids go on");
}

/// Every wait was cut, so round followed upon round without one: 22,000 attempts in a drain of 4.5 s.
#[test]
fn a_drain_with_hold_ends_with_the_round_when_there_is_no_time_for_another() {
    let initial = Duration::from_secs(2);
    let config = Config {
        on_open: OnOpen::Hold,
        circuit_threshold: u16::MAX,
        backoff: Backoff { initial, jitter_percent: 0 },
        ..config()
    };
    let mut bench = Bench::new(config, 1_000, 1);
    bench.emit(1).unwrap();
    let Next::Attempt(mut delivery) =
        bench.core.next(bench.now, PilotFormat::BOUND, &mut [0; BUFFER]).0
    else {
        panic!("no attempt")
    };
    bench.core.close(bench.now);
    let closed = bench.now;
    let mut at = Vec::new();
    loop {
        at.push(bench.now.saturating_since(closed).as_secs());
        let refused = Err(ErrorKind::Connect);
        let after = bench.core.finish(&mut delivery, refused, bench.now, Timestamp::UNIX_EPOCH);
        let After::Retry(due) = after else {
            assert_eq!(after, After::Settled(Fate::Abandoned));
            break;
        };
        bench.now = bench.core.back_off(&delivery, due).0.unwrap_or(bench.now);
        assert!(matches!(bench.core.retry(&mut delivery, bench.now).0, Retry::Attempt));
        assert!(at.len() < 10, "{at:?}");
    }
    // The second wait of a round would outlast the drain, as would then the first.
    assert_eq!(at, [0, 2, 2, 2, 4, 4]);
}

#[test]
fn a_clear_whose_time_is_over_abandons_what_is_left() {
    let mut bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    bench.emit(1).unwrap();
    bench.step(0);
    bench.core.clear(bench.now);
    bench.advance(DRAIN);
    bench.end(0, End::Error);
    bench.step(0);
    assert_eq!(bench.stats().abandoned, 2);
}

#[test]
fn a_dispatcher_without_an_endpoint_does_nothing() {
    let core = Core::new(config(), vec![0; 100], 1);
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    assert_eq!(core.emit(&event, &f64::NAN, &mut [0; TEXTS]), Ok(None));
    assert_eq!(core.stats().emitted, 0);
    core.close(Instant::default());
    assert_eq!(core.emit(&event, &(), &mut [0; TEXTS]), Err(EmitError::Closed));
}

#[test]
fn the_newest_is_dropped_by_default_and_leaves_a_gap_in_the_ids() {
    let mut bench = Bench::new(Config { capacity: 2, ..config() }, 1_000, 1);
    assert_eq!(bench.emit(1), Ok(Some(1)));
    assert_eq!(bench.emit(1), Ok(Some(2)));
    assert_eq!(bench.emit(1), Err(EmitError::Full));
    bench.step(0);
    bench.end(0, End::Status(200));
    assert_eq!(bench.emit(1), Ok(Some(4)));
    assert_eq!(bench.stats().dropped, 1);
}

#[test]
fn the_oldest_is_dropped_on_request_but_never_one_in_flight() {
    let mut bench =
        Bench::new(Config { capacity: 2, on_full: OnFull::DropOldest, ..config() }, 1_000, 1);
    bench.emit(1).unwrap();
    bench.step(0);
    bench.emit(1).unwrap();
    assert_eq!(bench.emit(1), Ok(Some(3)));
    bench.end(0, End::Status(200));
    assert_eq!(bench.fates[&1], Fate::Delivered);
    bench.step(0);
    assert_eq!(bench.started, [1, 3]);
    assert_eq!(bench.stats().dropped, 1);
}

#[test]
fn an_event_that_could_never_fit_drops_no_other() {
    let bench = Bench::new(Config { on_full: OnFull::DropOldest, ..config() }, 150, 1);
    bench.emit(1).unwrap();
    assert!(matches!(bench.emit(150), Err(EmitError::Payload(_))));
    assert_eq!((bench.stats().queued, bench.stats().oversize), (1, 1));
}

/// The probe's success closed the breaker, and the next event went out an hour early.
#[test]
fn a_long_retry_after_outlasts_a_probe_that_was_under_way() {
    for end in [End::Status(204), End::Status(400), End::Error] {
        let config = Config { on_open: OnOpen::Hold, max_attempts: 1, ..config() };
        let mut bench = Bench::new(config, 10_000, 3);
        for _ in 0..4 {
            bench.emit(1).unwrap();
        }
        (0..3).for_each(|n| bench.step(n));
        bench.end(0, End::Error);
        bench.end(1, End::Error);
        bench.advance(Duration::from_secs(1));
        bench.step(0);
        assert_eq!(bench.probes(), 1);
        bench.end(2, End::RetryAfter(503, 3_600));
        bench.end(0, end);
        bench.advance(Duration::from_secs(3_599));
        (0..3).for_each(|n| bench.step(n));
        assert_eq!(bench.stats().breaker, BreakerState::Open);
        bench.advance(Duration::from_secs(1));
        bench.step(0);
        assert_eq!(bench.probes(), 1, "{end:?}");
    }
}

/// The event was settled without a look at whether it was the last one of a drain.
#[test]
fn a_close_ends_when_the_last_event_is_too_long_for_the_worker() {
    let bench = Bench::new(config(), 1_000, 1);
    bench.emit(1).unwrap();
    bench.core.close(bench.now);
    assert!(matches!(bench.core.next(bench.now, PilotFormat::BOUND, &mut []).0, Next::Again));
    assert!(matches!(bench.core.next(bench.now, PilotFormat::BOUND, &mut []).0, Next::Done));
    assert_eq!((bench.stats().oversize, bench.stats().queued), (1, 0));
    let mut closed = std::pin::pin!(bench.core.closed());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(closed.as_mut(), &mut context).is_ready());
}

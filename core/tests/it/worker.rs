//! The delivery loop, with a receiver that follows a script, on a clock that moves when all wait.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Backoff, Clock, Config, Dispatcher, EmitError, Encoding, EndpointBuf, ErrorKind, Event,
    Instant, Message, Notice, Observer, OnFull, OnOpen, PilotFormat, Policy, Reply, RetryAfter,
    Stats, Timestamp, Transport, run,
};

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

/// Time moves to the next time that someone waits for, when nobody was woken.
#[derive(Default)]
struct Time {
    now: Cell<Instant>,
    next: Cell<Option<Instant>>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Clock for Time {
    fn now(&self) -> Instant {
        self.now.get()
    }

    fn wall(&self) -> Timestamp {
        let micros = self.now.get().as_micros();
        Timestamp::new(WALL + i64::try_from(micros / 1_000_000).unwrap(), 0)
    }

    async fn sleep_until(&self, deadline: Instant) {
        poll_fn(|_| {
            if self.now.get() >= deadline {
                return Poll::Ready(());
            }
            let next = self.next.get().map_or(deadline, |next| next.min(deadline));
            self.next.set(Some(next));
            Poll::Pending
        })
        .await;
    }
}

impl Time {
    /// Drives the workers until they end, or nothing is left to do before `end`.
    fn run_until<F: Future<Output = ()>>(&self, end: u64, workers: &mut Pin<Box<F>>) -> Poll<()> {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        for _ in 0..1_000 {
            self.next.set(None);
            if workers.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                return Poll::Ready(());
            }
            if woken.0.swap(false, Relaxed) {
                continue;
            }
            match self.next.get().filter(|next| *next < at(end)) {
                Some(next) => self.now.set(next),
                None => break,
            }
        }
        assert!(self.next.get().is_none_or(|next| next >= at(end)), "no end of it");
        self.now.set(at(end));
        Poll::Pending
    }
}

enum Answer {
    Status(u16),
    Busy(u64),
    /// Until this time, as a date.
    BusyUntil(i64),
    Error(ErrorKind),
    Never,
}

const SAID: &[u8] = b"said";

/// Answers by the script, and notes who asked when and what the worker said of it.
#[derive(Default)]
struct Receiver<'t> {
    script: RefCell<VecDeque<Answer>>,
    time: Option<&'t Time>,
    /// Seconds, and the host.
    posts: RefCell<Vec<(u64, String)>>,
    /// Whether each asked for a connection that has not been used.
    fresh: RefCell<Vec<bool>>,
}

impl<'t> Receiver<'t> {
    fn new(time: &'t Time, script: impl IntoIterator<Item = Answer>) -> Self {
        let script = RefCell::new(script.into_iter().collect());
        Self { script, time: Some(time), ..Self::default() }
    }

    fn posts(&self) -> Vec<(u64, String)> {
        self.posts.borrow().clone()
    }

    fn times(&self) -> Vec<u64> {
        self.posts.borrow().iter().map(|(seconds, _)| *seconds).collect()
    }
}

impl Transport<EndpointBuf<64>> for &Receiver<'_> {
    type Error = ErrorKind;

    async fn send(
        &mut self,
        to: &EndpointBuf<64>,
        message: &Message<'_>,
    ) -> Result<Reply, ErrorKind> {
        self.fresh.borrow_mut().push(message.fresh);
        let seconds = self.time.unwrap().now().as_micros() / 1_000_000;
        self.posts.borrow_mut().push((seconds, to.get().authority().to_owned()));
        let answer = self.script.borrow_mut().pop_front().unwrap_or(Answer::Status(204));
        match answer {
            Answer::Status(status) => Ok(Response::status(status).into()),
            Answer::Busy(seconds) => {
                let retry_after = RetryAfter::Delay(Duration::from_secs(seconds));
                Ok(Response { status: 503, retry_after: Some(retry_after) }.into())
            }
            Answer::BusyUntil(seconds) => {
                let retry_after = RetryAfter::At(Timestamp::new(WALL + seconds, 0));
                Ok(Response { status: 429, retry_after: Some(retry_after) }.into())
            }
            Answer::Error(kind) => Err(kind),
            Answer::Never => pending().await,
        }
    }

    fn answer(&self) -> &[u8] {
        SAID
    }
}

/// What it was told, a line each.
#[derive(Default)]
struct Notices(RefCell<Vec<String>>, RefCell<Vec<Told>>);

/// Of an attempt: how long it took and when it ended, in seconds; the attempt by its message, the ids in it, the length
/// of its body, and the answer.
type Told = (u64, i64, u8, Vec<u64>, usize, &'static [u8]);

impl Observer for Notices {
    fn notice(&self, notice: Notice<'_>) {
        let line = match notice {
            Notice::Attempt {
                event_id,
                attempt,
                is_probe,
                result,
                message,
                contents,
                took,
                ended,
                answer,
                ..
            } => {
                let ids = contents.iter().map(|event| event.id).collect();
                let answer = if answer.is_empty() { &[] } else { SAID };
                let (took, ended) = (took.as_secs(), ended.seconds() - WALL);
                let told = (took, ended, message.attempt, ids, message.body.len(), answer);
                self.1.borrow_mut().push(told);
                let result =
                    result.map_or_else(|error| error.to_string(), |answer| answer.code.to_string());
                format!("{event_id}.{attempt}{}: {result}", if is_probe { " probe" } else { "" })
            }
            Notice::Settled { event_id, fate, message, attempt } => {
                assert!(attempt == 0 || message.is_some());
                let last = if attempt > 1 { format!(" after {attempt}") } else { String::new() };
                format!("{event_id} {fate:?}{last}")
            }
            Notice::Retry { event_id, wait, .. } => format!("{event_id} again in {wait:?}"),
            Notice::Breaker(state) => format!("{state:?}"),
            _ => panic!("an unknown notice"),
        };
        self.0.borrow_mut().push(line);
    }
}

fn notices(core: &Core) -> Vec<String> {
    core.observer().0.borrow().clone()
}

/// One worker over the receiver, on the receiver's time.
async fn worker(core: &Core, mut receiver: &Receiver<'_>) {
    // A clock may be shared.
    let time = &receiver.time.unwrap();
    run(core, &mut receiver, time, Encoding::PILOT, &mut [0; BUFFER]).await;
}

#[test]
fn an_event_is_tried_again_after_its_backoffs_and_each_attempt_is_told() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let script = [Answer::Status(500), Answer::Error(ErrorKind::Connect)];
    let receiver = Receiver::new(&time, script);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 1, 3]);
    let expected = [
        "1.1: 500",
        "1 again in 1s",
        "1.2: the connection could not be made",
        "1 again in 2s",
        "1.3: 204",
        "1 Delivered after 3",
    ];
    assert_eq!(notices(&core), expected);
}

#[test]
fn what_follows_a_failure_asks_for_a_connection_of_its_own() {
    let core = core(Config { max_attempts: 2, circuit_threshold: 1, ..Config::DEFAULT }, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500), Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    // The breaker opens at 1 s, for 30 s.
    assert!(time.run_until(31, &mut worker).is_pending());
    (0..2).for_each(|_| emit(&core));
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 1, 31, 31]);
    assert_eq!(*receiver.fresh.borrow(), [false, true, true, false], "a retry, and a probe");
}

#[test]
fn an_attempt_without_an_answer_ends_at_the_timeout() {
    let core = core(Config { max_attempts: 2, ..Config::DEFAULT }, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Never, Answer::Never]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 6]);
    let timeout = "no answer within the HTTP timeout";
    let expected = [
        format!("1.1: {timeout}"),
        "1 again in 1s".into(),
        format!("1.2: {timeout}"),
        "1 Exhausted after 2".into(),
    ];
    assert_eq!(notices(&core), expected);
    assert_eq!(core.stats().last_status, 0);
}

#[test]
fn an_attempt_is_told_with_its_times_its_message_and_what_was_answered() {
    let core = core(Config { max_attempts: 2, ..Config::DEFAULT }, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Never, Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(60, &mut worker).is_pending());
    let body = br#"{"event_id":1,"event":"t","node_id":1,"timestamp":"1970-01-01T00:00:00Z"}"#;
    let told = core.observer().1.borrow();
    let expected: [Told; 2] =
        [(5, 5, 1, vec![1], body.len(), b""), (0, 6, 2, vec![1], body.len(), SAID)];
    assert_eq!(*told, expected);
}

#[test]
fn a_swap_cancels_the_attempt_and_the_event_goes_to_the_new_endpoint_at_once() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Never]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(2, &mut worker).is_pending());
    swap(&core, "http://two.example/");
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.posts(), [(0, "one.example".into()), (2, "two.example".into())]);
    assert_eq!(notices(&core), ["1.1: 204", "1 Delivered"]);
}

#[test]
fn the_date_of_a_retry_after_is_waited_for_by_the_wall_clock() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500), Answer::BusyUntil(45)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 1, 45]);
}

/// How long each of so many events waits for its second attempt.
fn waits(jitter_percent: u8, events: usize) -> Vec<u64> {
    let backoff = Backoff { initial: Duration::from_secs(100), jitter_percent };
    let core = core(Config { backoff, ..Config::DEFAULT }, events);
    let time = Time::default();
    let script = (0..events).flat_map(|_| [Answer::Status(500), Answer::Status(204)]);
    let receiver = Receiver::new(&time, script);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(10_000, &mut worker).is_pending());
    receiver.times().chunks(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn with_jitter_events_wait_for_different_times() {
    assert_eq!(waits(0, 9), [100; 9]);
    let waits = waits(50, 9);
    assert!(waits.iter().all(|wait| (100..=150).contains(wait)), "{waits:?}");
    assert!(waits.iter().collect::<HashSet<_>>().len() > 4, "{waits:?}");
}

#[test]
fn a_swap_ends_a_backoff() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500), Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(2, &mut worker).is_pending());
    swap(&core, "http://two.example/");
    assert!(time.run_until(60, &mut worker).is_pending());
    let expected = [(0, "one.example"), (1, "one.example"), (2, "two.example")];
    assert_eq!(receiver.posts(), expected.map(|(seconds, host)| (seconds, host.to_owned())));
}

/// Each time the URL was set again, the attempt under way was cancelled and made again, and what the
/// receiver had asked for was forgotten.
#[test]
fn setting_the_endpoint_that_is_set_interrupts_nothing() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Busy(30)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    let again = || core.set_endpoint(endpoint("http://one.example/"));
    assert!(time.run_until(10, &mut worker).is_pending());
    again().unwrap();
    assert!(time.run_until(60, &mut worker).is_pending());
    assert_eq!(receiver.times(), [0, 30]);
    // Another one, and one that was cleared, are set as ever. A closed dispatcher says so.
    core.set_endpoint(endpoint("http://two.example/")).unwrap();
    core.clear(at(60));
    core.set_endpoint(endpoint("http://two.example/")).unwrap();
    emit(&core);
    assert!(time.run_until(61, &mut worker).is_pending());
    assert_eq!(receiver.posts()[2], (60, "two.example".into()));
    core.close(at(61));
    assert!(core.set_endpoint(endpoint("http://two.example/")).is_err());
}

/// A `Retry-After` of another event, and then its probe, hold back an event that is due.
#[test]
fn a_retry_waits_for_the_breaker_and_goes_out_when_the_probe_succeeds() {
    let config = Config { on_open: OnOpen::Hold, max_in_flight: 2, ..Config::DEFAULT };
    let core = core(config, 2);
    let time = Time::default();
    let script = [Answer::Status(500), Answer::Busy(100), Answer::Status(204)];
    let receiver = Receiver::new(&time, script);
    let mut workers = Box::pin(join_two(&core, &receiver));
    assert!(time.run_until(300, &mut workers).is_pending());
    assert_eq!(receiver.times(), [0, 0, 100, 100]);
    let told = notices(&core);
    assert_eq!(told[..5], ["1.1: 500", "1 again in 1s", "2.1: 503", "Open", "HalfOpen"]);
    assert!(told[5].ends_with(" probe: 204"), "{told:?}");
    assert!(told.iter().any(|line| line == "Closed"), "{told:?}");
    assert_eq!(core.stats().delivered, 2);
}

async fn join_two(core: &Core, receiver: &Receiver<'_>) {
    join(worker(core, receiver), worker(core, receiver)).await;
}

/// The event in its backoff is skipped when it is due: the worker goes on to the next.
#[test]
fn a_retry_that_finds_the_breaker_open_is_skipped() {
    let core = core(Config { max_in_flight: 2, ..Config::DEFAULT }, 2);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500), Answer::Busy(100)]);
    let mut workers = Box::pin(join_two(&core, &receiver));
    assert!(time.run_until(50, &mut workers).is_pending());
    emit(&core);
    assert!(time.run_until(60, &mut workers).is_pending());
    let Stats { exhausted, skipped, .. } = core.stats();
    assert_eq!((receiver.times(), exhausted, skipped), (vec![0, 0], 1, 2));
    let told = notices(&core);
    for fate in ["1 Skipped", "2 Exhausted", "3 Skipped"] {
        assert_eq!(told.iter().filter(|line| *line == fate).count(), 1, "{told:?}");
    }
}

#[test]
fn a_breaker_that_opens_and_closes_is_told() {
    let config = Config { max_attempts: 1, circuit_threshold: 1, ..Config::DEFAULT };
    let core = core(config, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(30, &mut worker).is_pending());
    emit(&core);
    assert!(time.run_until(60, &mut worker).is_pending());
    let expected =
        ["1.1: 500", "Open", "1 Exhausted", "HalfOpen", "2.1 probe: 204", "Closed", "2 Delivered"];
    assert_eq!(notices(&core), expected);
}

#[test]
fn a_worker_ends_when_the_dispatcher_is_closed_and_nothing_is_left() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(500)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    core.close(time.now());
    assert!(time.run_until(60, &mut worker).is_ready());
    assert_eq!((receiver.times(), core.stats().delivered), (vec![0, 1], 1));
}

#[test]
fn a_backoff_that_outlasts_a_drain_is_cut() {
    for (drain, second) in [(500, 0), (1_000, 0), (1_001, 1)] {
        let drain_timeout = Duration::from_millis(drain);
        let core = core(Config { drain_timeout, ..Config::DEFAULT }, 1);
        let time = Time::default();
        let receiver = Receiver::new(&time, [Answer::Status(500)]);
        let mut worker = Box::pin(worker(&core, &receiver));
        core.close(time.now());
        assert!(time.run_until(60, &mut worker).is_ready());
        assert_eq!((receiver.times(), core.stats().delivered), (vec![0, second], 1), "{drain} ms");
    }
}

#[test]
fn a_worker_that_is_dropped_leaves_its_event_in_its_place() {
    let core = core(Config::DEFAULT, 2);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Never]);
    let mut first = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(1, &mut first).is_pending());
    assert_eq!((core.stats().queued, core.stats().in_flight), (1, 1));
    drop(first);
    assert_eq!((core.stats().queued, core.stats().in_flight), (2, 0));
    let mut second = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(2, &mut second).is_pending());
    assert_eq!(notices(&core)[0], "1.1: 204");
}

#[test]
fn a_drain_waits_for_a_retry_after_that_is_over_before_it_ends() {
    let core = core(Config::DEFAULT, 3);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Busy(3)]);
    let mut workers = Box::pin(join_two(&core, &receiver));
    core.close(time.now());
    assert!(time.run_until(60, &mut workers).is_ready());
    assert_eq!((receiver.times(), core.stats().delivered), (vec![0, 3, 3, 3], 3));
}

#[test]
fn a_drain_ends_at_once_when_a_retry_after_outlasts_it() {
    let core = core(Config::DEFAULT, 2);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Busy(5)]);
    let mut worker = Box::pin(worker(&core, &receiver));
    core.close(time.now());
    assert!(time.run_until(60, &mut worker).is_ready());
    assert_eq!((receiver.times(), core.stats().abandoned), (vec![0], 2));
    assert_eq!(time.now(), at(0));
}

/// A batch was told as one, and what waited was only counted.
#[test]
fn how_each_event_ended_is_told_by_its_id() {
    let drain_timeout = Duration::from_secs(3);
    let (batch, on_full) = (2, OnFull::DropOldest);
    let core = core(Config { batch, capacity: 4, on_full, drain_timeout, ..Config::DEFAULT }, 6);
    assert_eq!(notices(&core), ["1 Dropped", "2 Dropped"]);
    let time = Time::default();
    let receiver = Receiver::new(&time, [Answer::Status(404), Answer::Never]);
    let mut worker = Box::pin(worker(&core, &receiver));
    assert!(time.run_until(1, &mut worker).is_pending());
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    assert!(core.emit(&event, &f64::NAN, &mut [0; BODY]).is_err());
    emit(&core);
    emit(&core);
    core.close(time.now());
    assert!(time.run_until(60, &mut worker).is_ready());
    let told = notices(&core);
    let expected = [
        "3.1: 404",
        "3 Rejected",
        "4 Rejected",
        "7 Oversize",
        "5.1: no answer before the end of the drain",
        "5 Abandoned",
        "6 Abandoned",
        "8 Abandoned",
        "9 Abandoned",
    ];
    assert_eq!(told[2..], expected);
    assert!(core.stats().is_balanced());
}

#[test]
fn an_event_that_the_full_queue_does_not_take_is_told() {
    let core = core(Config { capacity: 1, ..Config::DEFAULT }, 1);
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    assert_eq!(core.emit(&event, &(), &mut [0; BODY]), Err(EmitError::Full));
    assert_eq!(notices(&core), ["2 Dropped"]);
    // One that waits for room is no event yet.
    let mut scratch = [0; BODY];
    let mut waiting = Box::pin(core.emit_when_room(&event, &(), &mut scratch));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(waiting);
    assert_eq!(notices(&core).len(), 1);
}

#[test]
fn an_event_that_is_too_long_for_the_worker_is_told() {
    let core = core(Config::DEFAULT, 1);
    let time = Time::default();
    let receiver = Receiver::new(&time, []);
    let (clock, mut transport) = (&receiver.time.unwrap(), &receiver);
    core.close(time.now());
    let mut short = [0; 100];
    let worker = run(&core, &mut transport, clock, Encoding::PILOT, &mut short);
    assert!(time.run_until(1, &mut Box::pin(worker)).is_ready());
    assert_eq!(notices(&core), ["1 Oversize"]);
    assert_eq!((core.stats().oversize, core.stats().attempts), (1, 0));
}

//! No task of the client runs here while nothing is waited for: what was queued stays queued.

use pilot_webhook_core::{OnFull, Stats};
use pilot_webhook_std::{Client, EndpointOptions, Filter};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::super::body;
use super::*;

const NOWHERE: &str = "http://127.0.0.1:9/";

/// An intake, and the runtime that its hub is on.
struct Bench {
    runtime: Runtime,
    intake: Intake,
}

impl Intake {
    fn waiting(self, wait: Duration) -> Self {
        Self { when_full: FullNow::new(WhenFull::Wait(wait)), ..self }
    }
}

impl Bench {
    fn new(url: &str, capacity: u32, when_full: WhenFull) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let on_full = match when_full {
            WhenFull::DropOldest => OnFull::DropOldest,
            WhenFull::Wait(_) | WhenFull::SendBack => OnFull::DropNewest,
        };
        let builder = Client::builder(url).queue_capacity(capacity);
        let client = builder.on_full(on_full).drain_timeout(Duration::ZERO);
        let hub = Hub::new();
        {
            let _context = runtime.enter();
            hub.add("pilot", EndpointOptions { waits: true, ..client.into() }).unwrap();
        }
        hub.set_node_id(7);
        Self { runtime, intake: Intake::new(hub, FullNow::new(when_full), Arc::default()) }
    }

    fn post(&self, body: &str) -> Result<(), Shortfall> {
        self.runtime.block_on(self.intake.accept(&body::parse(body.as_bytes()).unwrap()))
    }

    fn stats(&self) -> Stats {
        self.intake.hub.stats()
    }

    /// Posted events, repeats, and those sent back. Nothing is unaccounted for.
    #[track_caller]
    fn counted(&self) -> (u64, u64, u64) {
        let tally = &self.intake.tally;
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let (posted, repeats, sent_back) =
            (count(&tally.posted), count(&tally.repeats), count(&tally.sent_back));
        assert_eq!(posted, self.stats().emitted + repeats + sent_back);
        assert!(self.stats().is_balanced());
        (posted, repeats, sent_back)
    }
}

fn event(id: u64, second: u32) -> String {
    format!(
        "{{\"event_id\":{id},\"event\":\"e\",\"node_id\":5,\"timestamp\":\"2026-01-15T12:34:{second:02}Z\"}}"
    )
}

fn short(queued: usize, of: usize, why: Why) -> Result<(), Shortfall> {
    Err(Shortfall { queued, of, why })
}

#[test]
fn a_repeat_is_taken_and_not_queued_again() {
    let bench = Bench::new(NOWHERE, 8, WhenFull::SendBack);
    for _ in 0..3 {
        assert_eq!(bench.post(&event(1, 0)), Ok(()));
    }
    assert_eq!((bench.stats().queued, bench.counted()), (1, (3, 2, 0)));
    // After a restart of the origin.
    assert_eq!(bench.post(&event(1, 1)), Ok(()));
    assert_eq!((bench.stats().queued, bench.counted()), (2, (4, 2, 0)));
}

#[test]
fn what_has_no_origin_is_never_a_repeat() {
    let bench = Bench::new(NOWHERE, 8, WhenFull::SendBack);
    for body in [r#"{"event":"e"}"#, r#"{"event":"e","event_id":1}"#] {
        assert_eq!((bench.post(body), bench.post(body)), (Ok(()), Ok(())));
    }
    assert_eq!((bench.stats().queued, bench.counted()), (4, (4, 0, 0)));
}

#[test]
fn what_has_no_room_is_the_senders_and_taken_when_it_comes_again() {
    let bench = Bench::new(NOWHERE, 2, WhenFull::SendBack);
    let batch = format!("[{},{},{}]", event(1, 0), event(2, 0), event(3, 0));
    let expected = short(2, 3, Why::NoRoom);
    assert_eq!(bench.post(&batch), expected);
    assert_eq!(
        expected.unwrap_err().to_string(),
        "2 of 3 events are queued: the event queue is full"
    );
    assert_eq!((bench.stats().dropped, bench.counted()), (0, (3, 0, 1)));
    // Those that are queued are known, the other one is not.
    assert_eq!(bench.post(&batch), short(2, 3, Why::NoRoom));
    assert_eq!((bench.stats().dropped, bench.counted()), (0, (6, 2, 2)));
    assert_eq!(bench.post(&event(3, 0)), short(0, 1, Why::NoRoom));
}

/// A receiver that takes a connection, and says nothing.
fn silent() -> (std::net::TcpListener, String) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    (silent, url)
}

#[test]
fn what_waits_for_room_is_queued_when_there_is_and_sent_back_when_there_is_none_in_time() {
    let (receiver, url) = silent();
    let bench = Bench::new(&url, 2, WhenFull::Wait(Duration::from_millis(50)));
    let batch = format!("[{},{},{}]", event(1, 0), event(2, 0), event(3, 0));
    assert_eq!(bench.post(&batch), short(2, 3, Why::NoRoom));
    assert_eq!(bench.counted(), (3, 0, 1));
    // It answers from now on.
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = receiver.accept().unwrap();
        for _ in 0..2 {
            assert!(stream.read(&mut [0; 4_096]).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
        stream
    });
    let patient = Bench { intake: bench.intake.waiting(Duration::from_secs(30)), ..bench };
    assert_eq!(patient.post(&batch), Ok(()));
    assert_eq!((patient.stats().dropped, patient.counted()), (0, (6, 2, 1)));
    drop(answering);
}

#[test]
fn who_gives_up_while_an_event_waits_for_room_still_has_it() {
    let (_receiver, url) = silent();
    let bench = Bench::new(&url, 1, WhenFull::Wait(Duration::from_secs(30)));
    let batch = format!("[{},{}]", event(1, 0), event(2, 0));
    let events = body::parse(batch.as_bytes()).unwrap();
    let given_up = async {
        tokio::time::timeout(Duration::from_millis(20), bench.intake.accept(&events)).await
    };
    assert!(bench.runtime.block_on(given_up).is_err());
    assert_eq!((bench.stats().emitted, bench.counted()), (1, (1, 0, 0)));
}

#[test]
fn the_oldest_gives_way_where_that_is_asked_for() {
    let bench = Bench::new(NOWHERE, 2, WhenFull::DropOldest);
    let batch = format!("[{},{},{}]", event(1, 0), event(2, 0), event(3, 0));
    assert_eq!(bench.post(&batch), Ok(()));
    assert_eq!((bench.stats().dropped, bench.stats().queued), (1, 2));
    assert_eq!(bench.counted(), (3, 0, 0));
}

/// An event that is lost by that is answered well: its sender would post it again.
#[test]
fn what_finds_no_oldest_one_to_drop_is_counted_once() {
    let (_receiver, url) = silent();
    let bench = Bench::new(&url, 1, WhenFull::DropOldest);
    assert_eq!(bench.post(&event(1, 0)), Ok(()));
    bench.runtime.block_on(async {
        while bench.stats().in_flight == 0 {
            tokio::task::yield_now().await;
        }
    });
    let batch = format!("[{},{}]", event(2, 0), event(3, 0));
    assert_eq!(bench.post(&batch), Ok(()));
    assert_eq!((bench.stats().dropped, bench.counted()), (2, (3, 0, 0)));
}

/// Nobody waits for it: what it has no room for is lost there, and its sender is not asked for it again.
#[test]
fn of_several_endpoints_one_that_is_full_counts_what_it_loses_once() {
    let bench = Bench::new(NOWHERE, 8, WhenFull::default());
    {
        let _context = bench.runtime.enter();
        let full = Client::builder(NOWHERE).queue_capacity(2).drain_timeout(Duration::ZERO);
        let filter = Filter::new().topics(["e"]);
        bench.intake.hub.set_filter("pilot", Filter::new().topics(["other"])).unwrap();
        bench.intake.hub.add("full", EndpointOptions { filter, ..full.into() }).unwrap();
    }
    for id in 0..6 {
        assert_eq!(bench.post(&event(id, 0)), Ok(()));
    }
    assert_eq!((bench.stats().emitted, bench.stats().dropped), (6, 4));
    assert_eq!(bench.counted(), (6, 0, 0));
    // One that was lost is known.
    assert_eq!(bench.post(&event(5, 0)), Ok(()));
    assert_eq!(bench.counted(), (7, 1, 0));
}

/// As after a reload.
#[test]
fn what_is_said_while_it_runs_counts_from_the_next_event_on() {
    let bench = Bench::new(NOWHERE, 1, WhenFull::SendBack);
    assert_eq!(bench.post(&event(1, 0)), Ok(()));
    assert_eq!(bench.post(&event(2, 0)), short(0, 1, Why::NoRoom));
    let wait = Duration::from_millis(50);
    bench.intake.when_full.set(WhenFull::Wait(wait));
    let start = std::time::Instant::now();
    assert_eq!(bench.post(&event(2, 0)), short(0, 1, Why::NoRoom));
    assert!(start.elapsed() >= wait);
}

#[test]
fn one_that_cannot_be_delivered_does_not_stop_the_others() {
    let bench = Bench::new(NOWHERE, 8, WhenFull::SendBack);
    let long = format!("{{\"event\":\"e\",\"data\":\"{}\"}}", "x".repeat(100_000));
    let batch = format!("[{},{long},{}]", event(1, 0), event(2, 0));
    assert_eq!(bench.post(&batch), short(2, 3, Why::Unfit(EncodeError::TooLong)));
    assert_eq!((bench.stats().oversize, bench.counted()), (1, (3, 0, 0)));
    let deep = format!("{{\"event\":\"e\",\"data\":{}1{}}}", "[".repeat(129), "]".repeat(129));
    assert_eq!(bench.post(&deep), short(0, 1, Why::Unfit(EncodeError::TooDeep)));
    assert_eq!(bench.counted(), (4, 0, 0));
}

#[test]
fn without_a_webhook_or_when_it_ends_nothing_is_taken() {
    let bench = Bench::new("", 8, WhenFull::SendBack);
    assert_eq!(bench.post(&event(1, 0)), short(0, 1, Why::NoWebhook));
    bench.intake.hub.get("pilot").unwrap().set_url(NOWHERE).unwrap();
    assert_eq!(bench.post(&event(1, 0)), Ok(()));
    bench.runtime.block_on(bench.intake.hub.close());
    assert_eq!(bench.post(&event(2, 0)), short(0, 1, Why::Ending));
    assert_eq!(bench.counted(), (3, 0, 2));
}

proptest! {
    // Each makes a client, which reads the system's roots.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against the set of all that were answered well.
    #[test]
    fn an_event_is_queued_once_and_accounted_for(
        posts in vec(vec((1_u64..8, 0_u32..2), 0..4), 0..30),
        capacity in 1_u32..12,
    ) {
        let bench = Bench::new(NOWHERE, capacity, WhenFull::SendBack);
        let mut accepted = std::collections::HashSet::new();
        for posted in posts {
            let room = capacity as usize - accepted.len();
            let new = posted.iter().filter(|event| !accepted.contains(*event));
            let new = new.collect::<std::collections::HashSet<_>>().len();
            let texts: Vec<_> = posted.iter().map(|&(id, second)| event(id, second)).collect();
            let answer = bench.post(&format!("[{}]", texts.join(",")));
            prop_assert_eq!(answer.is_ok(), new <= room);
            let taken = answer.err().map_or(posted.len(), |shortfall| shortfall.queued);
            accepted.extend(posted.into_iter().take(taken));
            prop_assert_eq!(bench.stats().queued as usize, accepted.len());
            bench.counted();
        }
    }
}

#[test]
fn what_has_no_room_says_where() {
    for (error, said) in [
        (PutError::Full, "the outbox is full"),
        (PutError::Disk, "the disk of the outbox is full or fails"),
    ] {
        let why = not_stored(StoreError::Outbox(error));
        assert!(why.is_room());
        assert_eq!(Shortfall { queued: 0, of: 1, why }.to_string(), said);
    }
}

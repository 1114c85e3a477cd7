//! Sources: every event comes in by one way, and every receipt is told once.

mod consumer;
#[cfg(feature = "outbox")]
mod outbox;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilot_webhook_std::{
    Client, ClientBuilder, EmitError, Ending, ErrorKind, Event, Fate, Incoming, Message, OnFull,
    OnOpen, Over, Receipt, Reply, SendTransport, Source, Timestamp, Verdict,
};
use proptest::prelude::*;

/// Answers by the first event's id.
struct Script(fn(u64) -> Result<Reply, ErrorKind>);

impl SendTransport<&'static str> for Script {
    type Error = ErrorKind;

    async fn send(&mut self, _: &&'static str, message: &Message<'_>) -> Result<Reply, ErrorKind> {
        tokio::task::yield_now().await;
        (self.0)(message.id.first)
    }
}

const ACCEPTED: Result<Reply, ErrorKind> = Ok(Reply { verdict: Verdict::Accepted, code: 204 });

fn builder(
    answer: fn(u64) -> Result<Reply, ErrorKind>,
) -> ClientBuilder<Over<impl Fn() -> Script + Send + Sync + 'static, &'static str>> {
    ClientBuilder::with_transport(move || Script(answer), Some("a"))
        .retry_backoff(Duration::from_millis(1))
        .circuit_cooldown(Duration::from_millis(1))
}

/// What each event's receipts were told.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<Vec<Ending>>>>);

struct Slip {
    book: Book,
    number: usize,
}

impl Receipt for Slip {
    fn ended(self, ending: Ending) {
        self.book.0.lock().unwrap()[self.number].push(ending);
    }
}

impl Book {
    /// Completes when each was told: by threads that may be behind the one that waited for the end.
    async fn told(&self) {
        let all = async {
            while self.0.lock().unwrap().iter().any(Vec::is_empty) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.expect("each is told");
    }

    /// How each event ended: each was told once.
    #[track_caller]
    fn endings(&self) -> Vec<Ending> {
        let book = self.0.lock().unwrap();
        book.iter()
            .map(|told| {
                assert_eq!(told.len(), 1, "{told:?}");
                told[0]
            })
            .collect()
    }
}

/// Numbers, as many as there are.
struct Numbers {
    left: usize,
    can_wait: bool,
    book: Book,
    data: String,
    answers: Vec<Result<Option<u64>, EmitError>>,
}

impl Numbers {
    fn new(left: usize, can_wait: bool) -> Self {
        Self { left, can_wait, book: Book::default(), data: String::new(), answers: Vec::new() }
    }
}

impl Source for Numbers {
    type Receipt = Slip;

    fn can_wait(&self) -> bool {
        self.can_wait
    }

    async fn next(&mut self) -> Option<Incoming<'_, Slip>> {
        self.left = self.left.checked_sub(1)?;
        let number = {
            let mut book = self.book.0.lock().unwrap();
            book.push(Vec::new());
            book.len() - 1
        };
        self.data = number.to_string();
        let event = Event::new("t", 7, Timestamp::UNIX_EPOCH);
        let slip = Slip { book: self.book.clone(), number };
        Some(Incoming::new(event, &self.data).with_receipt(slip))
    }

    fn answered(&mut self, answer: Result<Option<u64>, EmitError>) {
        self.answers.push(answer);
    }
}

#[tokio::test]
async fn a_receipt_is_told_how_its_event_ended() {
    let client = builder(|id| match id % 4 {
        1 => Ok(Reply { verdict: Verdict::Refused, code: 404 }),
        2 => Err(ErrorKind::Timeout),
        _ => ACCEPTED,
    });
    let client = client.queue_capacity(4).build().unwrap();
    let mut numbers = Numbers::new(40, true);
    client.pull(&mut numbers).await;
    client.drained().await;
    for (number, ending) in numbers.book.endings().into_iter().enumerate() {
        let fate = match (number + 1) % 4 {
            1 => Fate::Rejected,
            2 => Fate::Exhausted,
            _ => Fate::Delivered,
        };
        assert_eq!(ending, Ending::Ended(fate), "{number}");
    }
    let ids = (1..=40).map(|id| Ok(Some(id))).collect::<Vec<_>>();
    assert_eq!(numbers.answers, ids);
}

#[tokio::test]
async fn what_a_source_cannot_hold_back_is_dropped_and_told() {
    let client = builder(|_| ACCEPTED).queue_capacity(3).build().unwrap();
    let mut numbers = Numbers::new(5, false);
    // No worker runs before an await that waits.
    client.pull(&mut numbers).await;
    client.drained().await;
    let (delivered, dropped) = (Ending::Ended(Fate::Delivered), Ending::Ended(Fate::Dropped));
    assert_eq!(numbers.book.endings(), [delivered, delivered, delivered, dropped, dropped]);

    let client = builder(|_| ACCEPTED).queue_capacity(3).on_full(OnFull::DropOldest);
    let client = client.build().unwrap();
    let mut numbers = Numbers::new(5, false);
    client.pull(&mut numbers).await;
    client.drained().await;
    assert_eq!(numbers.book.endings(), [dropped, dropped, delivered, delivered, delivered]);
}

#[tokio::test]
async fn a_source_waits_for_a_target_and_ends_with_the_client() {
    let client = builder(|_| ACCEPTED).build().unwrap();
    client.clear();
    let (mut first, mut second) = (Numbers::new(2, true), Numbers::new(2, false));
    client.pull(&mut second).await;
    assert_eq!(second.book.endings(), [Ending::NotTaken; 2]);
    tokio::join!(client.pull(&mut first), async {
        tokio::task::yield_now().await;
        client.set_target("b").unwrap();
    });
    client.drained().await;
    assert_eq!(first.book.endings(), [Ending::Ended(Fate::Delivered); 2]);
    client.clear();
    let mut third = Numbers::new(2, true);
    tokio::join!(client.pull(&mut third), async {
        tokio::task::yield_now().await;
        client.close().await;
    });
    assert_eq!(third.book.endings(), [Ending::NotTaken; 2]);
    assert_eq!(third.answers, [Err(EmitError::Closed); 2]);
}

#[tokio::test]
async fn one_that_stops_pulling_and_a_client_that_is_gone_leave_no_receipt_untold() {
    let client = builder(|_| Err(ErrorKind::Connect)).queue_capacity(2).on_open(OnOpen::Hold);
    let client = client.drain_timeout(Duration::ZERO).build().unwrap();
    let mut numbers = Numbers::new(9, true);
    let pulled = tokio::time::timeout(Duration::from_millis(50), client.pull(&mut numbers)).await;
    pulled.unwrap_err();
    client.close().await;
    let endings = numbers.book.endings();
    assert_eq!(endings, [Ending::Ended(Fate::Abandoned); 3]);
}

#[tokio::test]
async fn a_receipt_that_panics_stops_nothing() {
    struct Bad(u8);
    struct Panics(Arc<AtomicUsize>);
    impl Receipt for Panics {
        fn ended(self, _: Ending) {
            self.0.fetch_add(1, Relaxed);
            panic!("in a receipt");
        }
    }
    struct Bads(u8, Arc<AtomicUsize>);
    impl Source for Bads {
        type Receipt = Panics;
        async fn next(&mut self) -> Option<Incoming<'_, Panics>> {
            let Bad(left) = Bad(self.0.checked_sub(1)?);
            self.0 = left;
            let event = Event::new("t", 7, Timestamp::UNIX_EPOCH);
            Some(Incoming::new(event, "1").with_receipt(Panics(Arc::clone(&self.1))))
        }
    }
    let client = builder(|_| ACCEPTED).build().unwrap();
    let told = Arc::default();
    client.pull(&mut Bads(3, Arc::clone(&told))).await;
    client.drained().await;
    assert_eq!((told.load(Relaxed), client.panics(), client.stats().delivered), (3, 0, 3));
}

/// What may happen beside the sources.
#[derive(Clone, Copy, Debug)]
enum Beside {
    Nothing,
    Clear,
    Retarget,
    Close,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Three sources on threads, a receiver that fails, a queue that is full, and an end at any moment: what the
    /// receipts were told adds up to the counters.
    #[test]
    fn every_receipt_is_told_once_and_all_of_them_are_the_counters(
        capacity in 1_u32..20,
        in_flight in 1_u16..5,
        batch in 1_u16..4,
        drop_oldest in any::<bool>(),
        beside in prop_oneof![
            Just(Beside::Nothing), Just(Beside::Clear), Just(Beside::Retarget), Just(Beside::Close)
        ],
        delay in 0_u64..3,
    ) {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(3).enable_all().build().unwrap();
        let (endings, stats) = runtime.block_on(async {
            let client = builder(|id| match id % 7 {
                3 => Ok(Reply { verdict: Verdict::Refused, code: 404 }),
                5 => Err(ErrorKind::Timeout),
                _ => ACCEPTED,
            });
            let on_full = if drop_oldest { OnFull::DropOldest } else { OnFull::DropNewest };
            let client = client.queue_capacity(capacity).max_in_flight(in_flight).batch(batch);
            let client = client.on_full(on_full).drain_timeout(Duration::from_millis(20));
            let client: Client<&str> = client.build().unwrap();
            let pull = |can_wait| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut numbers = Numbers::new(60, can_wait);
                    client.pull(&mut numbers).await;
                    numbers.book
                })
            };
            let pulls = [pull(true), pull(false), pull(true)];
            tokio::time::sleep(Duration::from_millis(delay)).await;
            match beside {
                Beside::Nothing => {}
                Beside::Clear => {
                    client.clear();
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                    client.set_target("b").unwrap();
                }
                Beside::Retarget => client.set_target("b").unwrap(),
                Beside::Close => client.close().await,
            }
            let mut endings = Vec::new();
            for pulled in pulls {
                let book = pulled.await.unwrap();
                client.close().await;
                book.told().await;
                endings.extend(book.endings());
            }
            (endings, client.stats())
        });
        let count = |fate| endings.iter().filter(|ending| **ending == Ending::Ended(fate)).count();
        let told = [
            Fate::Delivered, Fate::Rejected, Fate::Exhausted, Fate::Skipped, Fate::Dropped,
            Fate::Oversize, Fate::Abandoned,
        ]
        .map(|fate| count(fate) as u64);
        let counted = [
            stats.delivered, stats.rejected, stats.exhausted, stats.skipped, stats.dropped,
            stats.oversize, stats.abandoned,
        ];
        prop_assert_eq!(told, counted);
        prop_assert_eq!(endings.len(), 180);
    }
}

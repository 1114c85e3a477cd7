//! A client with an outbox that is started anew: attempts go on where they were, and a pause ends.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pilot_webhook_core::{ErrorKind, Message, Reply, RetryAfter, Schedule, SendTransport, Verdict};
use pilot_webhook_std::outbox::{OutboxFile, Stored};
use pilot_webhook_std::{Client, ClientBuilder, Outbox, OutboxOptions, Over};

/// The ids of events with the numbers of attempts, and when they were made.
type Sent = Arc<Mutex<Vec<(u64, u8, Instant)>>>;

struct Script {
    is_well: bool,
    sent: Sent,
}

impl SendTransport<&'static str> for Script {
    type Error = ErrorKind;

    async fn send(&mut self, _: &&'static str, message: &Message<'_>) -> Result<Reply, ErrorKind> {
        self.sent.lock().unwrap().push((message.id.first, message.attempt, Instant::now()));
        let asks = message.topic.as_str().contains("hour");
        let asks = asks.then_some(RetryAfter::Delay(Duration::from_secs(3600)));
        let failed = Reply { verdict: Verdict::Later(asks), code: 503 };
        Ok(if self.is_well { Reply { verdict: Verdict::Accepted, code: 204 } } else { failed })
    }
}

fn builder(
    sent: &Sent,
    file: &Path,
    is_well: bool,
) -> ClientBuilder<Over<impl Fn() -> Script + Send + Sync + 'static + use<>, &'static str>> {
    let sent = Arc::clone(sent);
    let transport = move || Script { is_well, sent: Arc::clone(&sent) };
    ClientBuilder::with_transport(transport, Some("a"))
        .drain_timeout(Duration::from_millis(100))
        .outbox(Outbox::open(file, OutboxOptions::default()).unwrap())
}

fn attempts(sent: &Sent) -> Vec<(u64, u8)> {
    sent.lock().unwrap().iter().map(|(id, attempt, _)| (*id, *attempt)).collect()
}

/// The first event of the file, when so many attempts at it are noted.
async fn noted(file: &Path, attempts: u8) -> Stored {
    loop {
        let first = OutboxFile::open(file).unwrap().list("pilot", 0, 1).unwrap().pop();
        let is_noted = |event: &Stored| event.tried.is_some_and(|tried| tried.attempts == attempts);
        if let Some(first) = first.filter(is_noted) {
            return first;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The file knows of no attempt at its first event, soon.
async fn forgotten(file: &Path) {
    let forgotten = async {
        while OutboxFile::open(file).unwrap().list("pilot", 0, 1).unwrap()[0].tried.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), forgotten).await.expect("the file forgets them");
}

async fn stop(client: Client<&'static str>, file: &Path) {
    let start = Instant::now();
    client.close().await;
    // What is due later is not waited for, and not tried before its time.
    assert!(start.elapsed() < Duration::from_secs(1));
    drop(client);
    assert_eq!(OutboxFile::open(file).unwrap().verify().unwrap().problems, [""; 0]);
}

#[tokio::test]
async fn a_schedule_goes_on_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sent = Sent::default();
    let waits = [1, 700, 3_600_000, 3_600_000].map(Duration::from_millis);
    let schedule = Schedule::new(&waits).unwrap();
    let client = builder(&sent, &file, false).retry_schedule(schedule).build().unwrap();
    client.emit("t", &1).unwrap();
    client.emit("t", &2).unwrap();
    let second = noted(&file, 2).await;
    assert_eq!(second.tried.unwrap().wait, waits[1]);
    stop(client, &file).await;
    assert_eq!(attempts(&sent), [(1, 1), (1, 2)]);

    let client = builder(&sent, &file, false).retry_schedule(schedule).build().unwrap();
    noted(&file, 3).await;
    stop(client, &file).await;
    assert_eq!(attempts(&sent), [(1, 1), (1, 2), (1, 3)]);
    let times: Vec<_> = sent.lock().unwrap().iter().map(|(.., at)| *at).collect();
    // By the system's clock in milliseconds, and by this one.
    assert!(times[2] - times[1] >= waits[1] - Duration::from_millis(5), "{times:?}");

    // An hour is left. Where order is kept, what is behind it waits, too.
    let client = builder(&sent, &file, true).retry_schedule(schedule).build().unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(sent.lock().unwrap().len(), 3);
    // A start takes nothing from what the file knows: the next one needs it, too.
    let first = OutboxFile::open(&file).unwrap().list("pilot", 0, 1).unwrap().pop();
    assert_eq!(first.unwrap().tried.map(|tried| tried.attempts), Some(3));
    // A new target begins anew.
    client.set_target("b").unwrap();
    client.drained().await;
    stop(client, &file).await;
    assert_eq!(attempts(&sent)[3..], [(1, 1), (2, 1)]);
    let left: i64 = rusqlite::Connection::open(&file)
        .unwrap()
        .query_row("SELECT count(*) FROM attempts", (), |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

/// The file said that the first event waits for an hour, and so it did after a kill, though its round was over.
#[tokio::test]
async fn what_goes_back_as_the_breaker_opens_begins_a_new_round_after_a_kill_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sent = Sent::default();
    let schedule = Schedule::new(&[1, 3_600_000].map(Duration::from_millis)).unwrap();
    let client =
        builder(&sent, &file, false).retry_schedule(schedule).max_in_flight(2).build().unwrap();
    client.emit("t", &1).unwrap();
    noted(&file, 2).await;
    client.emit("asks for an hour", &2).unwrap();
    forgotten(&file).await;
    stop(client, &file).await;
    assert_eq!(attempts(&sent), [(1, 1), (1, 2), (2, 1)]);
    let client = builder(&sent, &file, true).retry_schedule(schedule).build().unwrap();
    client.drained().await;
    stop(client, &file).await;
    assert_eq!(attempts(&sent)[3..], [(1, 1), (2, 1)]);
}

/// A clear ends the rounds: the target that is set next, be it the same, is tried as if nothing had been.
#[tokio::test]
async fn a_target_that_is_set_after_a_clear_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sent = Sent::default();
    let schedule = Schedule::new(&[1, 3_600_000].map(Duration::from_millis)).unwrap();
    let client = builder(&sent, &file, false).retry_schedule(schedule).build().unwrap();
    client.emit("t", &1).unwrap();
    noted(&file, 2).await;
    // So that none of the new target's own are noted.
    client.pause();
    client.set_target("a").unwrap();
    noted(&file, 2).await;
    client.clear();
    client.set_target("a").unwrap();
    forgotten(&file).await;
    stop(client, &file).await;
}

/// Whoever pauses an endpoint finds all events in the file, also after a restart, which ends the pause.
#[tokio::test]
async fn what_comes_while_it_is_paused_is_stored_and_delivered_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sent = Sent::default();
    let client = builder(&sent, &file, true).queue_capacity(8).build().unwrap();
    client.pause();
    for n in 1..=300 {
        client.emit("t", &n).unwrap();
    }
    assert_eq!(client.emit_durable("t", &301).await, Ok(301));
    assert_eq!(client.outbox().unwrap().ledger().unwrap().stored, 301);
    assert_eq!(attempts(&sent), []);
    client.resume();
    client.drained().await;
    assert_eq!(attempts(&sent), Vec::from_iter((1..=301).map(|id| (id, 1))));

    client.pause();
    for n in 302..=400 {
        client.emit("t", &n).unwrap();
    }
    stop(client, &file).await;
    assert_eq!(sent.lock().unwrap().len(), 301);
    assert_eq!(OutboxFile::open(&file).unwrap().status().unwrap().ledger.stored, 99);
    let client = builder(&sent, &file, true).build().unwrap();
    assert!(!client.is_paused());
    client.drained().await;
    stop(client, &file).await;
    assert_eq!(attempts(&sent), Vec::from_iter((1..=400).map(|id| (id, 1))));
}

//! A client with an outbox: what is emitted is delivered or a dead letter, over restarts, too.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilot_webhook_core::{ErrorKind, Message, Reply, SendTransport, Verdict};
use pilot_webhook_std::outbox::{DeadFate, NewEvent, OutboxFile};
use pilot_webhook_std::{
    Client, ClientBuilder, Outbox, OutboxOptions, Over, StoreError, Timestamp,
};

/// The name of a target, and what was sent to it: the ids of events, and of messages.
type Sent = Arc<Mutex<Vec<(&'static str, u64, String)>>>;

/// Answers by the event's id.
struct Script {
    answer: fn(u64) -> Result<Reply, ErrorKind>,
    sent: Sent,
}

impl SendTransport<&'static str> for Script {
    type Error = ErrorKind;

    async fn send(&mut self, to: &&'static str, message: &Message<'_>) -> Result<Reply, ErrorKind> {
        let id = message.id.first;
        self.sent.lock().unwrap().push((*to, id, message.id.to_string()));
        (self.answer)(id)
    }
}

const ACCEPTED: Result<Reply, ErrorKind> = Ok(Reply { verdict: Verdict::Accepted, code: 204 });

fn builder(
    sent: &Sent,
    to: Option<&'static str>,
    answer: fn(u64) -> Result<Reply, ErrorKind>,
) -> ClientBuilder<Over<impl Fn() -> Script + Send + Sync + 'static + use<>, &'static str>> {
    let sent = Arc::clone(sent);
    let transport = move || Script { answer, sent: Arc::clone(&sent) };
    ClientBuilder::with_transport(transport, to)
        .retry_backoff(Duration::from_millis(1))
        .circuit_cooldown(Duration::from_millis(1))
        .drain_timeout(Duration::ZERO)
}

fn outbox(file: &Path) -> Outbox {
    Outbox::open(file, OutboxOptions::default()).unwrap()
}

fn ids(sent: &Sent) -> Vec<u64> {
    sent.lock().unwrap().iter().map(|(_, id, _)| *id).collect()
}

#[tokio::test]
async fn what_is_emitted_without_a_target_is_delivered_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sent = Sent::default();
    let client = builder(&sent, None, |_| ACCEPTED).outbox(outbox(&file)).build().unwrap();
    for n in 1..=500 {
        assert_eq!(client.emit("t", &n), Ok(None));
    }
    assert_eq!(client.emit_durable("t", &()).await, Ok(501));
    client.close().await;
    assert!(ids(&sent).is_empty());

    let client = builder(&sent, Some("a"), |_| ACCEPTED).outbox(outbox(&file)).build().unwrap();
    client.drained().await;
    assert_eq!(ids(&sent), (1..=501).collect::<Vec<_>>());
    assert_eq!(client.emit_durable("t", &()).await, Ok(502), "ids go on");
    client.drained().await;
    client.close().await;
    let status = OutboxFile::open(&file).unwrap().status().unwrap();
    assert_eq!((status.ledger.accepted, status.ledger.delivered), (502, 502));
    let instance = format!("{:016x}", status.instance);
    assert!(sent.lock().unwrap().iter().all(|(_, _, name)| name.contains(&instance)));
}

#[tokio::test]
async fn what_no_receiver_takes_is_a_dead_letter_and_stalls_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sent = Sent::default();
    let answer = |id| match id {
        2 => Ok(Reply { verdict: Verdict::Refused, code: 404 }),
        3 => Ok(Reply { verdict: Verdict::Later(None), code: 500 }),
        5 => Err(ErrorKind::Disconnected),
        _ => ACCEPTED,
    };
    let client = builder(&sent, Some("a"), answer).outbox(outbox(&file)).build().unwrap();
    for n in 1..=20 {
        client.emit("t", &n).unwrap();
    }
    client.drained().await;
    client.close().await;
    let file = OutboxFile::open(&file).unwrap();
    let ledger = file.status().unwrap().ledger;
    assert_eq!((ledger.delivered, ledger.rejected, ledger.exhausted), (17, 1, 2));
    let dead = file.dead("pilot", 0, 10).unwrap();
    let dead: Vec<_> = dead.iter().map(|letter| (letter.event.id, &letter.reason)).collect();
    assert_eq!((dead[0].0, dead[0].1.fate, dead[0].1.status), (2, DeadFate::Rejected, Some(404)));
    assert_eq!((dead[1].0, dead[1].1.fate, dead[1].1.status), (3, DeadFate::Exhausted, Some(500)));
    assert_eq!((dead[2].0, dead[2].1.status), (5, None));
    assert_eq!(dead[2].1.error.as_deref(), Some("the connection broke before the answer"));
    assert_eq!(file.verify().unwrap().problems, [""; 0]);
}

/// What was on its way to the engine's queue when the target was cleared is not lost.
#[tokio::test]
async fn after_a_clear_what_is_left_goes_to_the_next_target() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sent = Sent::default();
    let client = builder(&sent, Some("a"), |id| match id {
        1..=3 => ACCEPTED,
        _ => Err(ErrorKind::Connect),
    });
    let client = client.outbox(outbox(&file)).build().unwrap();
    for n in 1..=100 {
        client.emit("t", &n).unwrap();
    }
    while client.stats().delivered < 3 || client.stats().circuit_opens == 0 {
        tokio::task::yield_now().await;
    }
    client.clear();
    while client.stats().abandoned == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.outbox().unwrap().ledger().unwrap().delivered, 3);
    client.close().await;
    drop(client);

    let client = builder(&sent, Some("b"), |_| ACCEPTED).outbox(outbox(&file)).build().unwrap();
    client.clear();
    client.set_target("c").unwrap();
    client.drained().await;
    client.close().await;
    let taken = sent
        .lock()
        .unwrap()
        .iter()
        .filter(|(to, ..)| *to != "a")
        .map(|(_, id, _)| *id)
        .collect::<Vec<_>>();
    assert_eq!(taken, (4..=100).collect::<Vec<_>>());
    assert_eq!(OutboxFile::open(&file).unwrap().status().unwrap().ledger.delivered, 100);
}

#[tokio::test]
async fn a_clear_and_a_new_target_in_one_life_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sent = Sent::default();
    let client: Client<&str> =
        builder(&sent, Some("a"), |_| ACCEPTED).outbox(outbox(&file)).build().unwrap();
    for round in 0..20 {
        for n in 0..50 {
            client.emit("t", &n).unwrap();
        }
        client.clear();
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        client.set_target(if round % 3 == 0 { "a" } else { "b" }).unwrap();
    }
    client.drained().await;
    client.close().await;
    let mut taken = ids(&sent);
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken, (1..=1_000).collect::<Vec<_>>());
    let ledger = OutboxFile::open(&file).unwrap().status().unwrap().ledger;
    assert_eq!((ledger.delivered, ledger.stored), (1_000, 0));
}

/// Also when no further event comes.
#[tokio::test]
async fn what_a_clear_leaves_goes_to_the_next_target() {
    let directory = tempfile::tempdir().unwrap();
    let sent = Sent::default();
    let client = builder(&sent, Some("a"), |_| ACCEPTED)
        .outbox(outbox(&directory.path().join("events.db")))
        .build()
        .unwrap();
    client.pause();
    for n in 0..3 {
        client.emit("t", &n).unwrap();
    }
    while client.stats().queued < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    client.clear();
    while client.stats().abandoned < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    client.resume();
    client.set_target("b").unwrap();
    tokio::time::timeout(Duration::from_secs(20), client.drained()).await.expect("in time");
    let sent = sent.lock().unwrap();
    let sent: Vec<_> = sent.iter().map(|(to, id, _)| (*to, *id)).collect();
    assert_eq!(sent, [("b", 1), ("b", 2), ("b", 3)]);
}

/// It was told that the queue is full.
#[tokio::test]
async fn without_an_outbox_nothing_is_stored_and_the_error_says_what_to_do() {
    let sent = Sent::default();
    let client = builder(&sent, Some("a"), |_| ACCEPTED).build().unwrap();
    let error = client.emit_durable("t", &1).await.unwrap_err();
    assert_eq!(error, StoreError::NoOutbox);
    assert!(error.to_string().ends_with("give it one with ClientBuilder::outbox"), "{error}");
    assert_eq!(client.stats().emitted, 0);
    client.close().await;
}

#[tokio::test]
async fn an_event_that_is_too_long_is_an_error_and_not_stored() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let sent = Sent::default();
    let client = builder(&sent, Some("a"), |_| ACCEPTED).max_event_bytes(20);
    let client = client.outbox(outbox(&file)).build().unwrap();
    assert!(client.emit("t", "x".repeat(20).as_str()).is_err());
    assert!(client.emit("t", &f64::NAN).is_err());
    client.emit("t", "x".repeat(10).as_str()).unwrap();
    client.drained().await;
    client.close().await;
    assert!(client.emit("t", &1).is_err());
    assert_eq!(ids(&sent), [1]);
}

/// Two clients over one outbox: each delivers what is for its endpoint, and one that is closed leaves the other alone.
#[tokio::test]
async fn clients_of_several_endpoints_share_an_outbox() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let shared = outbox(&file);
    let (a, b) = (shared.endpoint("a").unwrap(), shared.endpoint("b").unwrap());
    let both = [a.id(), b.id()];
    let (to_a, to_b) = (Sent::default(), Sent::default());
    let start_a = || {
        let client = builder(&to_a, Some("a"), |_| ACCEPTED);
        client.outbox_endpoint(a.clone()).build().unwrap()
    };
    let first = start_a();
    let refusing = |_| Ok(Reply { verdict: Verdict::Refused, code: 404 });
    let second = builder(&to_b, Some("b"), refusing).outbox_endpoint(b.clone()).build().unwrap();
    for _ in 0..200 {
        let event = NewEvent::new("t", 7, Timestamp::UNIX_EPOCH).for_endpoints(&both);
        shared.put(event).unwrap().await.unwrap();
    }
    // What a client takes is for its endpoint.
    assert_eq!(second.emit_durable("t", &1).await, Ok(201));
    first.drained().await;
    first.close().await;
    assert!(first.emit("t", &1).is_err() && first.emit_durable("t", &1).await.is_err());
    assert_eq!(ids(&to_a), (1..=200).collect::<Vec<_>>());
    second.drained().await;
    assert_eq!(b.ledger().unwrap().rejected, 201);

    // Another client goes on where that one was, with all of its ends on disk.
    assert_eq!(
        shared
            .put(NewEvent::new("t", 7, Timestamp::UNIX_EPOCH).for_endpoints(&both))
            .unwrap()
            .await,
        Ok(202)
    );
    let third = start_a();
    third.drained().await;
    third.close().await;
    assert_eq!(ids(&to_a), (1..=200).chain([202]).collect::<Vec<_>>());
    second.drained().await;
    drop(second);
    shared.close().await.unwrap();
    let found = OutboxFile::open(&file).unwrap().verify().unwrap();
    assert_eq!(found.problems, [""; 0]);
    assert_eq!((found.ledger.accepted, found.ledger.delivered, found.ledger.dead), (403, 201, 202));
}

/// A client that is dropped keeps nobody from opening the file again.
#[tokio::test]
async fn a_client_that_is_dropped_leaves_its_outbox() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let client =
        builder(&Sent::default(), None, |_| ACCEPTED).outbox(outbox(&file)).build().unwrap();
    client.emit_durable("t", &1).await.unwrap();
    drop(client);
    let free = async {
        while OutboxFile::open(&file).unwrap().status().unwrap().is_live {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
    assert_eq!(outbox(&file).ledger().unwrap().stored, 1);
}

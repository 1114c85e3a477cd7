//! What an emitter and an engine hand to the outbox allocates nothing.

use pilot_webhook_std::outbox::{End, NewEvent, Outbox, OutboxOptions};
use pilot_webhook_std::{Client, Timestamp};

use crate::counting::ALLOCATIONS;

#[tokio::test]
async fn what_is_handed_in_allocates_nothing_once_the_buffers_have_grown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let outbox = Outbox::open(path, OutboxOptions::default()).unwrap();
    let (one, other) = (outbox.endpoint("a").unwrap(), outbox.endpoint("b").unwrap());
    let both = [one.id(), other.id()];
    let event = NewEvent::new("conn.fin", 7, Timestamp::UNIX_EPOCH)
        .with_data(r#"{"peer":2}"#)
        .for_endpoints(&both);
    let mut rounds = Vec::new();
    // Both buffers, that of the writer and that which is filled.
    for round in 0..100_u64 {
        let before = ALLOCATIONS.get();
        for number in 0..100 {
            outbox.submit(event).unwrap();
            one.end(round * 100 + number, End::Delivered);
            other.end(round * 100 + number, End::Delivered);
        }
        rounds.push(ALLOCATIONS.get() - before);
        // All of it is on disk before the next round.
        outbox.put_all(&[], None).unwrap().await.unwrap();
    }
    // How much of a round is in which buffer is up to the writer. Five lists of each of the two double at most
    // some eight times, whenever that is.
    assert!(rounds.iter().filter(|allocations| **allocations == 0).count() >= 60, "{rounds:?}");
    outbox.close().await.unwrap();
}

/// The same of a client: with an outbox, too, `emit` allocates nothing.
#[tokio::test]
async fn a_client_that_stores_allocates_nothing_once_the_buffers_have_grown() {
    let directory = tempfile::tempdir().unwrap();
    let outbox =
        Outbox::open(directory.path().join("events.db"), OutboxOptions::default()).unwrap();
    // Nobody answers there: what is measured is what emitters do.
    let client = Client::builder("http://127.0.0.1:9/").outbox(outbox).build().unwrap();
    let mut rounds = Vec::new();
    for _ in 0..100 {
        let before = ALLOCATIONS.get();
        for number in 0..100_u64 {
            client.emit("conn.fin", &number).unwrap();
        }
        rounds.push(ALLOCATIONS.get() - before);
        // All of it is on disk before the next round.
        client.emit_durable("conn.fin", &()).await.unwrap();
    }
    assert!(rounds.iter().filter(|allocations| **allocations == 0).count() >= 60, "{rounds:?}");
}

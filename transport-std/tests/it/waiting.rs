//! Tasks that wait cost nothing, however many there are.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;

use pilot_webhook_core::{ErrorKind, Event, Message, Reply, SendTransport, Timestamp, Verdict};
use pilot_webhook_std::{Client, ClientBuilder};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const WAITERS: u64 = 200;
const CAPACITY: u32 = 100;

/// Accepts all, once it is open.
struct Gate(Arc<Semaphore>);

impl SendTransport<()> for Gate {
    type Error = ErrorKind;

    async fn send(&mut self, _: &(), _: &Message<'_>) -> Result<Reply, ErrorKind> {
        let _permit = self.0.acquire().await.map_err(|_| ErrorKind::Connect)?;
        Ok(Reply { verdict: Verdict::Accepted, code: 1 })
    }
}

/// A client whose queue is full and whose receiver does not answer until the gate is opened.
async fn full() -> (Client<()>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let own = Arc::clone(&gate);
    let client = ClientBuilder::with_transport(move || Gate(Arc::clone(&own)), Some(()))
        .queue_capacity(CAPACITY)
        .build()
        .unwrap();
    for n in 0..CAPACITY {
        client.emit("t", &n).unwrap();
    }
    (client, gate)
}

/// `future`, with its polls counted.
async fn counted<F: Future>(future: F, polls: Arc<AtomicU64>) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.fetch_add(1, Relaxed);
        future.as_mut().poll(cx)
    })
    .await
}

/// More turns than waiting tasks need to be at rest.
async fn turns() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// The 65th that waited woke the first, which woke the second, and so on: a processor was busy.
#[tokio::test]
async fn two_hundred_emitters_that_wait_for_room_are_at_rest_and_then_all_have_their_turn() {
    let (client, gate) = full().await;
    let polls = Arc::new(AtomicU64::new(0));
    let mut emitters = JoinSet::new();
    for n in 0..WAITERS {
        let (client, polls) = (client.clone(), Arc::clone(&polls));
        emitters.spawn(async move {
            let event = Event::new("t", 1, Timestamp::default());
            counted(client.emit_when_room(&event, &n), polls).await
        });
    }
    turns().await;
    assert_eq!(polls.load(Relaxed), WAITERS, "each was polled once");

    gate.add_permits(1);
    for result in emitters.join_all().await {
        assert!(matches!(result, Ok(Some(_))), "{result:?}");
    }
    client.drained().await;
    assert_eq!(client.stats().delivered, WAITERS + u64::from(CAPACITY));
    // All are woken whenever the queue is half empty: at most five times here, the first included.
    let polls = polls.load(Relaxed);
    assert!(polls <= 5 * WAITERS, "{polls} polls");
}

#[tokio::test]
async fn two_hundred_who_wait_for_room_and_bring_nothing_are_at_rest_until_there_is() {
    let (client, gate) = full().await;
    let polls = Arc::new(AtomicU64::new(0));
    let mut waiters = JoinSet::new();
    for _ in 0..WAITERS {
        let (client, polls) = (client.clone(), Arc::clone(&polls));
        waiters.spawn(async move { counted(client.room(), polls).await });
    }
    turns().await;
    assert_eq!(polls.load(Relaxed), WAITERS, "each was polled once");
    gate.add_permits(1);
    waiters.join_all().await;
    client.close().await;
    assert_eq!(client.stats().delivered, u64::from(CAPACITY));
}

#[tokio::test]
async fn two_hundred_who_wait_for_the_end_are_at_rest_until_it_comes() {
    let (client, gate) = full().await;
    let polls = Arc::new(AtomicU64::new(0));
    let mut waiters = JoinSet::new();
    for _ in 0..WAITERS {
        let (client, polls) = (client.clone(), Arc::clone(&polls));
        waiters.spawn(async move { counted(client.drained(), polls).await });
    }
    turns().await;
    assert_eq!(polls.load(Relaxed), WAITERS, "each was polled once");
    gate.add_permits(1);
    waiters.join_all().await;
    assert!(polls.load(Relaxed) <= 3 * WAITERS);
    client.close().await;
    assert_eq!(client.stats().delivered, u64::from(CAPACITY));
}

/// A future that was polled, and then is neither polled nor dropped, is in nobody's way.
#[tokio::test]
async fn one_that_waits_and_is_forgotten_keeps_nobody_waiting() {
    let (client, gate) = full().await;
    let event = Event::new("t", 1, Timestamp::default());
    let mut forgotten = pin!(client.emit_when_room(&event, &0));
    let mut forgotten_end = pin!(client.drained());
    poll_fn(|cx| {
        assert!(forgotten.as_mut().poll(cx).is_pending());
        assert!(forgotten_end.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    gate.add_permits(1);
    assert!(matches!(client.emit_when_room(&event, &1).await, Ok(Some(_))));
    client.close().await;
    assert_eq!(client.stats().delivered, u64::from(CAPACITY) + 1);
}

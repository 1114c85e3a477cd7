//! Options at the ends of their ranges.

use std::time::Duration;

use pilot_webhook_std::{Client, ClientError};

/// The sum with the grace of a close was more than a `Duration` holds.
#[tokio::test]
async fn a_drain_without_an_end_is_none_when_nothing_is_queued() {
    let client = Client::builder("http://127.0.0.1:9/").drain_timeout(Duration::MAX);
    let client = client.build().unwrap();
    client.close().await;
    assert!(client.stats().is_balanced());
}

/// It ended the process.
#[tokio::test]
async fn a_queue_that_no_memory_holds_is_an_error() {
    for builder in [
        Client::builder("").queue_bytes(usize::MAX),
        Client::builder("").queue_bytes(usize::MAX / 2),
        Client::builder("").max_event_bytes(usize::MAX),
    ] {
        let error = builder.build().unwrap_err();
        assert!(error.to_string().contains("memory"), "{error}");
    }
}

/// An empty variable in the place of the secret turned signing off.
#[tokio::test]
async fn an_empty_secret_is_an_error() {
    let error = Client::builder("http://127.0.0.1:9/").secret(b"").build().unwrap_err();
    assert_eq!(error.to_string(), "the secret is empty");
    let client = Client::builder("http://127.0.0.1:9/").secret(b"hush").build().unwrap();
    assert!(matches!(client.set_secret(b""), Err(ClientError::EmptySecret)));
}

/// Four tebibytes were asked for, of which the queue would have used two gibibytes.
#[tokio::test]
async fn a_queue_of_any_number_of_events_asks_for_no_more_than_it_can_use() {
    let client = Client::builder("http://127.0.0.1:9/").queue_capacity(u32::MAX).build();
    assert_eq!(client.unwrap().emit("t", &()), Ok(Some(1)));
}

/// Workers panicked over a buffer for it, and emitters did.
#[tokio::test]
async fn an_event_is_never_longer_than_the_queue() {
    let client = Client::builder("http://127.0.0.1:9/").max_event_bytes(usize::MAX);
    let client = client.queue_bytes(1_000).build().unwrap();
    assert!(client.emit("t", &"x".repeat(1_000)).is_err());
    assert_eq!(client.emit("t", &"x".repeat(500)), Ok(Some(2)));
    assert_eq!(client.stats().oversize, 1);
}

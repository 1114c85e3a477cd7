//! With nothing to deliver, a client with an outbox does nothing. Alone in its process, because it counts what its
//! runtime does.

#![cfg(feature = "outbox")]
#![allow(clippy::unwrap_used, reason = "a failed test says where and why at once")]

use std::time::Duration;

use pilot_webhook_std::outbox::End;
use pilot_webhook_std::{Client, Outbox, OutboxOptions};
use tokio::runtime::Handle;

/// All of the file was delivered in an earlier life. Such a client read the file again and again.
#[tokio::test]
async fn a_client_whose_file_is_empty_waits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    let event =
        pilot_webhook_std::outbox::NewEvent::new("a", 7, pilot_webhook_std::Timestamp::UNIX_EPOCH);
    let id = outbox.put(event).unwrap().await.unwrap();
    outbox.pilot().end(id, End::Delivered);
    outbox.close().await.unwrap();

    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    let _client = Client::builder("http://127.0.0.1:9/").outbox(outbox).build().unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let metrics = Handle::current().metrics();
    let before = metrics.worker_park_count(0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let parked = metrics.worker_park_count(0) - before;
    assert!(parked < 20, "it woke {parked} times");
}

//! With nothing to deliver, an outbox and a client with one do nothing.

use std::time::Duration;

use pilot_webhook_std::outbox::End;
use pilot_webhook_std::{Client, Outbox, OutboxOptions};
use tokio::runtime::Handle;

/// All of the file was delivered in an earlier life. Such a client read the file again and again.
#[tokio::test]
async fn a_client_whose_file_is_empty_waits() {
    let _process = crate::process().await;
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

/// The processor time of the threads that write outboxes.
#[cfg(target_os = "linux")]
fn of_writers() -> Duration {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // A thread may have ended meanwhile.
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        if let Some((_, fields)) = stat.split_once("(outbox-writer) ") {
            let fields: Vec<_> = fields.split(' ').collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    Duration::from_millis(ticks * 10)
}

/// Whether something is too old was asked for each name in the file, twice a second.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn names_that_nobody_uses_cost_nothing() {
    let _process = crate::process().await;
    let directory = tempfile::tempdir().unwrap();
    let mut options = OutboxOptions::default();
    options.max_age = Some(Duration::from_secs(3600));
    let outbox = Outbox::open(directory.path().join("events.db"), options).unwrap();
    for n in 0..4_500 {
        outbox.endpoint(&format!("old-{n}")).unwrap();
    }
    outbox.put_all(&[], None).unwrap().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = of_writers();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let took = of_writers().saturating_sub(before);
    assert!(took < Duration::from_millis(100), "{took:?} of 1.5 s");
}

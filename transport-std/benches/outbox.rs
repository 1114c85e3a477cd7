//! What the outbox stores, reads and ends in a second, and the processor time that it takes.
//!
//! `cargo bench -p pilot-webhook-std --features outbox --bench outbox -- DIRECTORY` has its file there: in memory (a tmpfs)
//! the processor alone counts, on a disk its `fsync`, too.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pilot_webhook_core::Timestamp;
use pilot_webhook_std::outbox::{End, NewEvent, Outbox, OutboxOptions, PutError};

/// Events of one measurement.
const EVENTS: usize = 200_000;
const DATA: &str = r#"{"conn_id":2,"dst_port":444,"src_addr":"0:0000.0000.0002","local_addr":"0:0000.0000.0001","state":"ESTABLISHED","retransmits":0,"bytes_sent":12345,"bytes_received":67890}"#;

fn main() {
    let directory = std::env::args().skip(1).find(|it| !it.starts_with("--"));
    let directory = directory.map_or_else(std::env::temp_dir, PathBuf::from);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        measure(&directory, "submit", async |outbox| submit(outbox, EVENTS).await).await;
        measure(&directory, "put, 64 at a time", async |outbox| put(outbox, 64).await).await;
        measure(&directory, "in, read and ended, 64 at a time", async |outbox| {
            through(outbox, 64).await;
        })
        .await;
        look(&directory).await;
    });
}

/// What a scrape of metrics asks, while events are stored beside a million that wait for a hundred endpoints by turns.
async fn look(directory: &Path) {
    let directory = tempfile::tempdir_in(directory).unwrap();
    let outbox =
        Outbox::open(directory.path().join("events.db"), OutboxOptions::default()).unwrap();
    let ids: Vec<_> =
        (0..100).map(|n| outbox.endpoint(&format!("endpoint {n}")).unwrap().id()).collect();
    for n in 0..1_000_000 {
        let event = event().for_endpoints(&ids[n % 100..][..1]);
        while outbox.submit(event).is_err() {
            outbox.room(event.size()).await.unwrap();
        }
    }
    let filled = outbox.put(event()).unwrap().await.unwrap();
    let store = async || {
        let start = Instant::now();
        for _ in 0..100 {
            outbox.put_all(&[event(); 64], None).unwrap().await.unwrap();
        }
        start.elapsed() / 100
    };
    let alone = store().await;
    let looking = outbox.clone();
    let looks = std::thread::spawn(move || {
        let mut times: Vec<_> = (0..100)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(looking.ledgers().unwrap().endpoints.len(), 101);
                assert_eq!(looking.oldest().unwrap().len(), 101);
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        (times[50], times[99])
    });
    let beside = store().await;
    let (median, longest) = looks.join().unwrap();
    println!(
        "ledgers and oldest, of {filled} events: {median:?}, {longest:?} at most; 64 events are stored in {alone:?}, \
         {beside:?} meanwhile"
    );
    outbox.close().await.unwrap();
}

async fn measure(directory: &Path, what: &str, work: impl AsyncFn(&Outbox)) {
    let directory = tempfile::tempdir_in(directory).unwrap();
    let file = directory.path().join("events.db");
    let outbox = Outbox::open(&file, OutboxOptions::default()).unwrap();
    let (start, before) = (Instant::now(), processor());
    work(&outbox).await;
    outbox.close().await.unwrap();
    let (time, used) = (start.elapsed(), processor() - before);
    let each = |time: Duration| time.as_nanos() / EVENTS as u128;
    let rate = 1_000_000_000 / each(time).max(1);
    let length = fs::metadata(&file).unwrap().len();
    println!("{what}: {rate}/s, {} ns of the processor an event, file {length} bytes", each(used));
}

fn event() -> NewEvent<'static> {
    NewEvent::new("conn.established", 7, Timestamp::new(1_800_000_000, 5)).with_data(DATA)
}

async fn submit(outbox: &Outbox, events: usize) {
    for _ in 0..events {
        while let Err(error) = outbox.submit(event()) {
            assert_eq!(error, PutError::Full);
            outbox.room(event().size()).await.unwrap();
        }
    }
}

async fn put(outbox: &Outbox, at_a_time: usize) {
    for _ in 0..EVENTS / at_a_time {
        outbox.put_all(&vec![event(); at_a_time], None).unwrap().await.unwrap();
    }
}

async fn through(outbox: &Outbox, at_a_time: usize) {
    let endpoint = outbox.pilot();
    let mut after = 0;
    for _ in 0..EVENTS / at_a_time {
        outbox.put_all(&vec![event(); at_a_time], None).unwrap().await.unwrap();
        for event in endpoint.read(after, at_a_time, 1 << 20).await.unwrap() {
            after = event.id;
            endpoint.end(event.id, End::Delivered);
        }
    }
}

/// The processor time of this process, of all threads that there ever were, in steps of 10 ms.
fn processor() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may hold spaces; user and system time are the 12th and 13th after it.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

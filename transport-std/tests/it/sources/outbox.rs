//! With an outbox a receipt is told when the event is on disk.

use std::time::Duration;

use pilot_webhook_std::outbox::{NewEvent, Outbox, OutboxFile, OutboxOptions, Position};
use pilot_webhook_std::{EmitError, Ending, Event, Fate, Incoming, Source, Timestamp};

use super::{ACCEPTED, Book, Slip, builder};

/// Lines of a file, whose origin numbers them from 0 to 4 again and again.
struct Lines {
    next: usize,
    end: usize,
    can_wait: bool,
    data: String,
    position: String,
    book: Book,
    answers: Vec<Result<Option<u64>, EmitError>>,
}

impl Lines {
    fn new(end: usize, data: &str) -> Self {
        let book = Book(std::sync::Arc::new(vec![Vec::new(); end].into()));
        let (data, position, answers) = (data.to_owned(), String::new(), Vec::new());
        Self { next: 0, end, can_wait: true, data, position, book, answers }
    }
}

impl Source for Lines {
    type Receipt = Slip;

    fn can_wait(&self) -> bool {
        self.can_wait
    }

    async fn next(&mut self) -> Option<Incoming<'_, Slip>> {
        let number = self.next;
        if number == self.end {
            return None;
        }
        self.next += 1;
        self.position = format!("line {}", self.next);
        let event = Event::new("t", 7, Timestamp::UNIX_EPOCH);
        let slip = Slip { book: self.book.clone(), number };
        let incoming = Incoming::new(event, &self.data).with_receipt(slip);
        let position = Position { source: "file", text: &self.position };
        Some(incoming.with_origin_id(number as u64 % 5).at(position))
    }

    fn answered(&mut self, answer: Result<Option<u64>, EmitError>) {
        self.answers.push(answer);
    }
}

#[tokio::test]
async fn a_receipt_is_told_the_id_under_which_its_event_is_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let outbox = Outbox::open(&path, OutboxOptions::default()).unwrap();
    let client = builder(|_| ACCEPTED).outbox(outbox).build().unwrap();
    let mut lines = Lines::new(7, r#"{"n":1}"#);
    client.pull(&mut lines).await;
    lines.book.told().await;
    // The last two are the first two again.
    assert_eq!(lines.book.endings(), [1, 2, 3, 4, 5, 1, 2].map(Ending::Stored));
    assert_eq!(client.outbox().unwrap().position("file").unwrap().as_deref(), Some("line 7"));
    client.drained().await;
    client.close().await;
    let ledger = OutboxFile::open(&path).unwrap().status().unwrap().ledger;
    assert_eq!((ledger.delivered, ledger.repeats), (5, 2));
    assert_eq!(lines.answers, [Ok(None); 7]);

    let mut late = Lines::new(1, "1");
    client.pull(&mut late).await;
    assert_eq!(late.book.endings(), [Ending::NotTaken]);
}

#[tokio::test]
async fn without_room_a_source_waits_or_its_event_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events.db");
    let mut options = OutboxOptions::default();
    options.max_bytes = 3 * NewEvent::new("t", 7, Timestamp::UNIX_EPOCH).with_data("1").size();
    let outbox = Outbox::open(&path, options).unwrap();
    let client = builder(|_| ACCEPTED).outbox(outbox).build().unwrap();
    client.clear();
    let mut lines = Lines { can_wait: false, ..Lines::new(5, "1") };
    client.pull(&mut lines).await;
    lines.book.told().await;
    let dropped = Ending::Ended(Fate::Dropped);
    let stored = Ending::Stored;
    assert_eq!(lines.book.endings(), [stored(1), stored(2), stored(3), dropped, dropped]);

    // They were in no counter.
    assert_eq!((client.stats().dropped, client.emit("t", &1)), (2, Err(EmitError::Full)));
    assert_eq!(client.stats().dropped, 3);
    assert!(client.stats().is_balanced());
    let event = Event::new("t", 7, Timestamp::UNIX_EPOCH);
    assert_eq!(client.emit_if_room(&event, &1), Err(EmitError::Full));
    assert_eq!(client.stats().dropped, 3, "it is the caller's still");

    let mut waiting = Lines { next: 3, ..Lines::new(5, "1") };
    tokio::join!(client.pull(&mut waiting), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.set_target("b").unwrap();
    });
    client.drained().await;
    client.close().await;
    let told = waiting.book.0.lock().unwrap()[3..].concat();
    assert_eq!(told, [stored(4), stored(5)]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(directory.path().join("e.db"), OutboxOptions::default()).unwrap();
    let client = builder(|_| ACCEPTED).outbox(outbox).build().unwrap();
    let mut lines = Lines::new(1, "{");
    client.pull(&mut lines).await;
    assert_eq!(lines.book.endings(), [Ending::Ended(Fate::Oversize)]);
    client.close().await;
}

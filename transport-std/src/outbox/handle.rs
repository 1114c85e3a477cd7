//! The outbox, as its users hold it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::batch::Tell;
use super::commit::Committer;
use super::error::{OutboxError, OutboxErrorKind, PutError};
use super::event::{End, NewEvent, Position, Stored};
use super::intake::Intake;
use super::ledger::{Counter, Counts, Ledger};
use super::lock::FileLock;
use super::pending::Pending;
use super::reader::{self, Read};
use super::rows::unsigned;
use super::schema::{self, Opener};
use super::writer;

/// What each of the two connections keeps of the file in memory, in KiB: half of SQLite's own. Events are written once
/// and read once.
const CACHE: i64 = 1024;

/// The bounds of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxOptions {
    /// The room for events, in bytes ([`NewEvent::size`]): those that wait, and those on their way to the
    /// disk. Dead letters are not among them. 1 GiB.
    pub max_bytes: u64,
    /// Events that are older, by the system's clock, are lost, and counted as such. None.
    pub max_age: Option<Duration>,
    /// How many dead letters are kept; the oldest go first and are counted. 10,000.
    pub dead_max: u64,
    /// How long an event that nobody waits for may be in memory only. 5 ms.
    pub delay: Duration,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            max_age: None,
            dead_max: 10_000,
            delay: Duration::from_millis(5),
        }
    }
}

/// A durable outbox: a handle that is cheap to clone.
///
/// When the last handle is dropped, what was handed in is still written; [`close`](Self::close) waits for it.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Handle>);

/// What the writer holds until the file is closed.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) intake: Arc<Intake>,
    lock: Option<FileLock>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Free before the end is told.
        drop(self.lock.take());
        self.intake.closed();
    }
}

#[derive(Debug)]
struct Handle {
    path: PathBuf,
    instance: u64,
    intake: Arc<Intake>,
    questions: Mutex<Option<Sender<Read>>>,
}

impl Handle {
    fn close(&self) {
        self.intake.close();
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Outbox {
    /// Opens the file `path`, and makes it when there is none. It blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be used. It is left as it was.
    pub fn open(path: impl AsRef<Path>, options: OutboxOptions) -> Result<Self, OutboxError> {
        let path = path.as_ref();
        Self::open_or_say(path, options).map_err(|kind| kind.at(path))
    }

    fn open_or_say(path: &Path, options: OutboxOptions) -> Result<Self, OutboxErrorKind> {
        schema::check_directory(path)?;
        let lock = FileLock::acquire(path)?;
        let writes = schema::open(path, Opener::Outbox)?;
        // A table that is missing shows here, and not in the writer.
        drop(Committer::new(&writes, options.dead_max)?);
        let reads = schema::open(path, Opener::Tool)?;
        for connection in [&writes, &reads] {
            connection.pragma_update(None, "cache_size", -CACHE)?;
        }
        let instance = schema::instance(&writes)?;
        let counts = Counts::read(&writes)?;
        let number = |counter| unsigned(counts.get(counter).max(0));
        let (bytes, newest) = (number(Counter::StoredBytes), number(Counter::LastId));
        let intake = Arc::new(Intake::new(options.max_bytes, options.delay, bytes, newest));
        let held = Held { intake: Arc::clone(&intake), lock: Some(lock) };
        let (sender, questions) = mpsc::channel();
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        let reader = thread("outbox-reader").spawn(move || reader::run(reads, questions))?;
        thread("outbox-writer").spawn(move || writer::run(held, writes, reader, options))?;
        let questions = Some(sender).into();
        Ok(Self(Arc::new(Handle { path: path.to_owned(), instance, intake, questions })))
    }

    /// The random number that was made with the file: with it, its ids are unique for all time.
    #[must_use]
    pub fn instance(&self) -> u64 {
        self.0.instance
    }

    /// The room for events, in bytes: [`OutboxOptions::max_bytes`].
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.0.intake.max_bytes()
    }

    /// Hands an event in, and gives a receipt that completes when it is on disk. It never blocks on the disk.
    ///
    /// An event with an origin id that was stored before is not stored again: the receipt gives the id that it
    /// has. The 100,000 newest are known.
    ///
    /// # Errors
    /// When it was not taken.
    pub fn put(&self, event: NewEvent<'_>) -> Result<Pending, PutError> {
        let (reply, outcome) = oneshot::channel();
        self.0.intake.put(&[event], None, || Tell::One(reply))?;
        Ok(Pending::new(outcome, Arc::clone(&self.0.intake)))
    }

    /// As [`put`](Self::put), without a receipt: it is on disk within [`OutboxOptions::delay`] and the time
    /// of a commit, as long as the disk works. It does not allocate, but for a buffer that grows.
    ///
    /// # Errors
    /// As `put`.
    pub fn submit(&self, event: NewEvent<'_>) -> Result<(), PutError> {
        self.0.intake.put(&[event], None, || Tell::Nobody)
    }

    /// As [`submit`](Self::submit), with how far its source was read, and with the one who is told.
    pub(crate) fn submit_at(
        &self,
        event: NewEvent<'_>,
        position: Option<Position<'_>>,
        reply: impl FnOnce() -> Tell,
    ) -> Result<(), PutError> {
        self.0.intake.put(&[event], position, reply)
    }

    /// Hands in several events, and how far their source was read, as one unit: after a crash all of it is
    /// there, or nothing.
    ///
    /// # Errors
    /// When nothing of it was taken.
    pub fn put_all(
        &self,
        events: &[NewEvent<'_>],
        position: Option<Position<'_>>,
    ) -> Result<Pending<Vec<u64>>, PutError> {
        let (reply, outcome) = oneshot::channel();
        self.0.intake.put(events, position, || Tell::All(reply))?;
        Ok(Pending::new(outcome, Arc::clone(&self.0.intake)))
    }

    /// Completes when `bytes` ([`NewEvent::size`]) would be taken. Another may come first.
    ///
    /// # Errors
    /// [`PutError::TooLarge`] and [`PutError::Closed`]: they never will be.
    pub async fn room(&self, bytes: u64) -> Result<(), PutError> {
        self.0.intake.room(bytes).await
    }

    /// Tells how an event ended. It never blocks on the disk. After a crash within
    /// [`OutboxOptions::delay`] the event waits again. An event that has ended is not ended again. Once the
    /// outbox is closed, this changes nothing: the event waits.
    pub fn end(&self, id: u64, end: End) {
        self.0.intake.end(id, end);
    }

    /// What waits after the id `after`, in the order of ids: at most `most_events`, and of topics and data at
    /// most `most_bytes`, but for the first event, which may be longer. An empty answer means that there is
    /// nothing yet.
    ///
    /// # Errors
    /// When the file cannot be read, or the outbox is closed.
    pub async fn read(
        &self,
        after: u64,
        most_events: usize,
        most_bytes: usize,
    ) -> Result<Vec<Stored>, OutboxError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Read { after, most_events, most_bytes, reply });
        match answer.await {
            Ok(Ok(events)) => Ok(events),
            Ok(Err(error)) => Err(OutboxErrorKind::from(error).at(&self.0.path)),
            Err(_) => Err(OutboxErrorKind::Closed.at(&self.0.path)),
        }
    }

    fn ask(&self, question: Read) {
        let questions = self.0.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(questions) = &*questions {
            // A reader that has ended drops the question, and the answer says so.
            let _ = questions.send(question);
        }
    }

    /// Completes when an event with a greater id than `after` was stored or replayed: true. When the outbox
    /// is closed: false.
    pub async fn changed(&self, after: u64) -> bool {
        self.0.intake.newer(after).await
    }

    /// How far `source` was read, as it was last stored. It blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn position(&self, source: &str) -> Result<Option<String>, OutboxError> {
        use rusqlite::OptionalExtension as _;
        let look = || {
            let connection = schema::open(&self.0.path, Opener::Tool)?;
            let found = connection.query_row(
                "SELECT position FROM positions WHERE source = ?1",
                [source],
                |row| row.get(0),
            );
            Ok(found.optional()?)
        };
        look().map_err(|kind: OutboxErrorKind| kind.at(&self.0.path))
    }

    /// The counters, as they are on disk. It blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ledger(&self) -> Result<Ledger, OutboxError> {
        let look = || Ok(Counts::read(&schema::open(&self.0.path, Opener::Tool)?)?.into());
        look().map_err(|kind: OutboxErrorKind| kind.at(&self.0.path))
    }

    /// Takes nothing more, and completes when all that was handed in is on disk and the file is free for
    /// another. All handles are closed by it.
    ///
    /// # Errors
    /// [`OutboxErrorKind::Lost`] when the disk failed: so many events that were taken are not stored.
    pub async fn close(&self) -> Result<(), OutboxError> {
        self.0.close();
        match self.0.intake.end_of_all().await {
            0 => Ok(()),
            lost => Err(OutboxErrorKind::Lost(lost).at(&self.0.path)),
        }
    }
}

//! The outbox, as its users hold it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::batch::{Attempt, Ended, Tell};
use super::check::Check;
use super::commit::Committer;
use super::endpoint::{OutboxEndpoint, milliseconds};
use super::error::{OutboxError, OutboxErrorKind, PutError};
use super::event::{EndpointId, NewEvent, Position};
use super::intake::Intake;
use super::ledger::{Account, Counter, Counts, Entry, Ledger, Ledgers, accounts, count};
use super::lines::Lines;
use super::lock::FileLock;
use super::pending::Pending;
use super::reader::{self, Read};
use super::schema::{self, Opener};
use super::writer::{self, Others};

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
    /// How many dead letters are kept for each endpoint; the oldest go first and are counted. 10,000.
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
    pub(crate) lines: Arc<Lines>,
    lock: Option<FileLock>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Free before the end is told.
        drop(self.lock.take());
        self.intake.closed();
        self.lines.wake_all();
    }
}

#[derive(Debug)]
struct Handle {
    path: PathBuf,
    instance: u64,
    intake: Arc<Intake>,
    lines: Arc<Lines>,
    max_age: i64,
    questions: Mutex<Option<Sender<Read>>>,
}

impl Handle {
    fn close(&self) {
        self.intake.close();
        self.lines.wake_all();
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
        let counts = Counts::read(&writes)?;
        let number = |counter| count(counts.get(counter));
        let max_age = options.max_age.map_or(i64::MAX, milliseconds);
        let lines = Lines::new(accounts(&writes)?, number(Counter::LastId), max_age);
        let lines = Arc::new(lines.ok_or(OutboxErrorKind::Corrupt)?);
        // A table that is missing shows here, and not in the writer.
        drop(Committer::new(&writes, options.dead_max, Arc::clone(&lines))?);
        let reads = schema::open(path, Opener::Tool)?;
        for connection in [&writes, &reads] {
            connection.pragma_update(None, "cache_size", -CACHE)?;
        }
        let instance = schema::instance(&writes)?;
        let bytes = number(Counter::StoredBytes);
        let intake = Arc::new(Intake::new(options.max_bytes, options.delay, bytes));
        let check = Check::begin(path, &writes, &intake)?;
        let held =
            Held { intake: Arc::clone(&intake), lines: Arc::clone(&lines), lock: Some(lock) };
        let (sender, questions) = mpsc::channel();
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        let reader = thread("outbox-reader").spawn(move || reader::run(reads, questions))?;
        let others = Others { reader, check };
        thread("outbox-writer").spawn(move || writer::run(held, writes, others, options))?;
        let questions = Some(sender).into();
        let path = path.to_owned();
        Ok(Self(Arc::new(Handle { path, instance, intake, lines, max_age, questions })))
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

    /// As [`submit`](Self::submit), as one unit with how far its source was read, and with the one who is told, who is made
    /// when the event is taken. With `can_wait` it waits for room, as long as `is_open`.
    pub(crate) async fn submit_at(
        &self,
        event: NewEvent<'_>,
        position: Option<Position<'_>>,
        can_wait: bool,
        is_open: impl Fn() -> bool,
        mut reply: impl FnMut() -> Tell,
    ) -> Result<(), PutError> {
        while is_open() {
            match self.0.intake.put(&[event], position, &mut reply) {
                Err(PutError::Full | PutError::Disk) if can_wait => self.room(event.size()).await?,
                answer => return answer,
            }
        }
        Err(PutError::Closed)
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

    /// The endpoint that is called so, to which events wait to be delivered. The file gets it when it has none of this
    /// name, with the next commit; one that was removed takes events again.
    ///
    /// # Errors
    /// [`OutboxErrorKind::Closed`], when it is a new one.
    pub fn endpoint(&self, name: &str) -> Result<OutboxEndpoint, OutboxError> {
        let Handle { intake, lines, .. } = &*self.0;
        let line = lines.find_or_add(name, |id| intake.name(id, name));
        let line = line.map_err(|_| self.says(OutboxErrorKind::Closed))?;
        line.restore();
        Ok(OutboxEndpoint::new(self.clone(), line))
    }

    /// The endpoint `pilot`, which every file has: that of events and clients that name none.
    #[must_use]
    pub fn pilot(&self) -> OutboxEndpoint {
        let pilot = Arc::clone(&self.0.lines.pilot);
        pilot.restore();
        OutboxEndpoint::new(self.clone(), pilot)
    }

    /// Nothing more waits for the endpoint of this name, and what does is removed, and counted as purged. Its dead letters
    /// and its counters stay. Completes when that is done.
    ///
    /// # Errors
    /// When there is no such endpoint, or the outbox is closed meanwhile.
    pub async fn remove(&self, name: &str) -> Result<(), OutboxError> {
        let Some(line) = self.0.lines.find(name) else {
            return Err(self.says(OutboxErrorKind::NoEndpoint(name.to_owned())));
        };
        line.remove();
        self.0.intake.call();
        match self.0.intake.done(|| !line.is_clearing()).await {
            true => Ok(()),
            false => Err(self.says(OutboxErrorKind::Closed)),
        }
    }

    pub(crate) fn end(&self, ended: Ended) {
        self.0.intake.end(ended);
    }

    pub(crate) fn attempted(&self, attempt: Attempt) {
        self.0.intake.attempted(attempt);
    }

    pub(crate) fn all_anew(&self, endpoint: EndpointId) {
        self.0.intake.all_anew(endpoint);
    }

    pub(crate) fn ask(&self, question: Read) {
        let questions = self.0.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(questions) = &*questions {
            // A reader that has ended drops the question, and the answer says so.
            let _ = questions.send(question);
        }
    }

    pub(crate) fn says(&self, kind: OutboxErrorKind) -> OutboxError {
        kind.at(&self.0.path)
    }

    /// How much may wait for each endpoint that has a share of the room, in bytes; the greatest number for no bound.
    pub(crate) fn set_share(&self, bytes: u64) {
        self.0.lines.set_share(bytes);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.intake.is_open()
    }

    /// The greatest age where an endpoint says nothing else, in milliseconds.
    pub(crate) fn max_age(&self) -> i64 {
        self.0.max_age
    }

    /// How far `source` was read, as it was last stored. It blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn position(&self, source: &str) -> Result<Option<String>, OutboxError> {
        use rusqlite::OptionalExtension as _;
        self.look(|connection| {
            let sql = "SELECT position FROM positions WHERE source = ?1";
            connection.query_row(sql, [source], |row| row.get(0)).optional()
        })
    }

    /// The counters of the file, as they are on disk: the sum of those of its endpoints. It blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ledger(&self) -> Result<Ledger, OutboxError> {
        Ok(self.ledgers()?.file)
    }

    /// The counters of the file and of each endpoint, as they are on disk at one moment. It blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ledgers(&self) -> Result<Ledgers, OutboxError> {
        let (counts, accounts) = self.look(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            Ok((Counts::read(&snapshot)?, accounts(&snapshot)?))
        })?;
        Ok(Ledgers {
            file: Ledger::of_file(&counts, accounts.iter().map(|(.., account)| account)),
            endpoints: accounts
                .into_iter()
                .map(|(_, name, it)| (name, Ledger::from(&it)))
                .collect(),
        })
    }

    /// The counters of the endpoint of this name, as they are on disk. `None`: the file has none of this name, and gets none
    /// by this. It blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ledger_of(&self, name: &str) -> Result<Option<Ledger>, OutboxError> {
        self.0.lines.find(name).map(|line| self.ledger_by_id(line.id)).transpose()
    }

    pub(crate) fn ledger_by_id(&self, endpoint: EndpointId) -> Result<Ledger, OutboxError> {
        use rusqlite::OptionalExtension as _;
        self.look(|connection| {
            let sql = format!("SELECT {} FROM endpoints WHERE id = ?1", Entry::columns());
            let account = connection.query_row(&sql, [endpoint], |row| Account::from_row(row, 0));
            // One that is new is not there before the next commit.
            Ok((&account.optional()?.unwrap_or_default()).into())
        })
    }

    pub(crate) fn look<T>(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, OutboxError> {
        let connection =
            schema::open(&self.0.path, Opener::Tool).map_err(|kind| self.says(kind))?;
        look(&connection).map_err(|error| self.says(error.into()))
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
            lost => Err(self.says(OutboxErrorKind::Lost(lost))),
        }
    }
}

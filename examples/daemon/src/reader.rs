//! The thread that reads events and hands them to the client.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use log::warn;
use pilot_webhook_core::{Clock as _, EmitError, Event, Json};
use pilot_webhook_std::{Client, TokioClock};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::Failure;
use crate::events::{Line, Lines};

/// Where events come from.
pub(crate) type Input = Box<dyn BufRead + Send>;

/// Opens a file, or standard input for `-`.
pub(crate) fn open(path: &Path) -> Result<Input, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let unusable = |error| Failure::usage(format!("{}: {error}", path.display()));
    if fs::metadata(path).map_err(unusable)?.file_type().is_fifo() {
        return Ok(Box::new(BufReader::new(NamedPipe { path: path.to_owned(), file: None })));
    }
    Ok(Box::new(BufReader::new(File::open(path).map_err(unusable)?)))
}

/// A pipe that the first read opens, which waits for a writer: only the reader's thread may.
struct NamedPipe {
    path: PathBuf,
    file: Option<File>,
}

impl Read for NamedPipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        self.file.insert(file).read(out)
    }
}

/// What became of the lines that are no events of the client's: those are in its counters.
#[derive(Default)]
pub(crate) struct Tally {
    /// All that were read, but blank ones.
    pub(crate) lines: AtomicU64,
    /// Those that are no events.
    pub(crate) bad_lines: AtomicU64,
    /// Events that were read when there was no webhook, or when it was closed.
    pub(crate) not_taken: AtomicU64,
}

/// What is to become of the lines.
pub(crate) struct Reader {
    pub(crate) client: Client,
    pub(crate) runtime: Handle,
    pub(crate) node_id: u32,
    /// Whether it waits when the queue is full.
    pub(crate) blocks: bool,
    pub(crate) tally: Arc<Tally>,
}

impl Reader {
    /// Reads to the end, on a thread of its own: reading a pipe blocks, and the thread is left
    /// behind when a signal comes.
    pub(crate) async fn run(self, input: Input) -> Result<(), Failure> {
        let (done, end) = oneshot::channel();
        thread::spawn(move || done.send(self.read(input)));
        let outcome = end.await.map_err(|_| Failure::runtime("the reader stopped"))?;
        outcome.map_err(|error| Failure::runtime(format!("the events could not be read: {error}")))
    }

    fn read(&self, input: impl BufRead) -> io::Result<()> {
        let mut lines = Lines::new(input);
        while let Some((number, line)) = lines.next()? {
            self.tally.lines.fetch_add(1, Relaxed);
            match line.map(|line| self.emit(&line)) {
                // The client counts them, and logs that its queue is full.
                Ok(Ok(Some(_)) | Err(EmitError::Full)) => {}
                Ok(Ok(None)) => {
                    self.tally.not_taken.fetch_add(1, Relaxed);
                }
                Ok(Err(EmitError::Closed)) => {
                    self.tally.not_taken.fetch_add(1, Relaxed);
                    return Ok(());
                }
                // The client counts them.
                Ok(Err(error)) => warn!("line {number}: {error}"),
                Err(bad) => {
                    self.tally.bad_lines.fetch_add(1, Relaxed);
                    warn!("line {number}: {bad}");
                }
            }
        }
        Ok(())
    }

    fn emit(&self, line: &Line<'_>) -> Result<Option<u64>, EmitError> {
        let event = Event {
            topic: &line.topic,
            node_id: line.node_id.unwrap_or(self.node_id),
            timestamp: line.timestamp.unwrap_or_else(|| TokioClock::new().wall()),
        };
        let data = Json(line.data());
        if self.blocks {
            self.runtime.block_on(self.client.emit_when_room(&event, &data))
        } else {
            self.client.emit_event(&event, &data)
        }
    }
}

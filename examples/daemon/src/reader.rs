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

/// What is to become of the lines.
pub(crate) struct Reader {
    pub(crate) client: Client,
    pub(crate) runtime: Handle,
    pub(crate) node_id: u32,
    pub(crate) block_when_full: bool,
    pub(crate) bad_lines: Arc<AtomicU64>,
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
            match line {
                Ok(line) => match self.emit(&line) {
                    Ok(_) => {}
                    // Counted and logged by the client.
                    Err(EmitError::Full) => {}
                    Err(EmitError::Closed) => return Ok(()),
                    Err(error) => warn!("line {number}: {error}"),
                },
                Err(bad) => {
                    self.bad_lines.fetch_add(1, Relaxed);
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
        if self.block_when_full {
            self.runtime.block_on(self.client.emit_when_room(&event, &data))
        } else {
            self.client.emit_event(&event, &data)
        }
    }
}

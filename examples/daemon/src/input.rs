//! Opens the source of events, and stops reading between lines.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::watch;
use tracing::warn;

use crate::Failure;
use crate::follow::Followed;

/// Where lines are read.
pub(crate) type Input = Box<dyn Bytes>;

pub(crate) trait Bytes: Read + Send {
    /// Where the next line begins, as a text to store, if `unused` bytes of the last read were not used. `None`:
    /// it cannot be read again.
    fn position(&self, unused: usize) -> Option<String> {
        let _ = unused;
        None
    }
}

impl Bytes for File {}

impl Bytes for NamedPipe {}

impl Bytes for Followed {
    fn position(&self, unused: usize) -> Option<String> {
        Followed::position(self, unused).map(|position| position.to_string())
    }
}

/// What the position in a file is called in the outbox.
pub(crate) fn name(path: &Path) -> String {
    format!("file {}", path.display())
}

/// Opens a file, or standard input for `-`. One that is followed has no end, and goes on where it was read to,
/// if that is known.
pub(crate) fn open(path: &Path, follow: bool, begin: Option<&str>) -> Result<Input, Failure> {
    let unusable = |error| Failure::usage(format!("{}: {error}", path.display()));
    if path == Path::new("-") {
        if follow {
            return Err(Failure::usage(
                "standard input cannot be followed, as it has no name under which it could go on: \
                 give a file or a named pipe",
            ));
        }
        // The standard library's has a buffer, in which lines would be lost from sight.
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(unusable)?;
        return Ok(Box::new(File::from(input)));
    }
    if follow {
        let begin = begin.and_then(|text| {
            let position = text.parse();
            if position.is_err() {
                warn!(
                    "the stored position in {} is none: it is read from its beginning",
                    path.display()
                );
            }
            position.ok()
        });
        return Ok(Box::new(Followed::new(path, begin.as_ref()).map_err(unusable)?));
    }
    if fs::metadata(path).map_err(unusable)?.file_type().is_fifo() {
        return Ok(Box::new(NamedPipe { path: path.to_owned(), file: None }));
    }
    Ok(Box::new(File::open(path).map_err(unusable)?))
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

/// The state of the reading thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It waits for bytes, and every line that it has read is accounted for.
    Idle,
    /// It waits for bytes, and has the beginning of a line.
    Begun,
    /// It works on lines that it has read.
    Busy,
}

/// An input that can be stopped early, but never inside a line: the next reader of a pipe finds whole lines.
pub(crate) struct Gate {
    source: Input,
    stop: Arc<AtomicBool>,
    progress: watch::Sender<Progress>,
    is_inside_line: bool,
}

impl Gate {
    /// Ends at the first end of a line after `stop` was set.
    pub(crate) fn new(
        source: Input,
        stop: Arc<AtomicBool>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self { source, stop, progress, is_inside_line: false }
    }
}

impl Gate {
    /// Where the next line begins, if `unused` bytes of the last read were not used.
    pub(crate) fn position(&self, unused: usize) -> Option<String> {
        self.source.position(unused)
    }
}

impl Read for Gate {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let out = match (self.stop.load(Relaxed), self.is_inside_line) {
            (true, false) => return Ok(0),
            // Not a byte of the next line.
            (true, true) => &mut out[..1],
            (false, _) => out,
        };
        let waiting = if self.is_inside_line { Progress::Begun } else { Progress::Idle };
        self.progress.send_replace(waiting);
        let read = self.source.read(out);
        self.progress.send_replace(Progress::Busy);
        if let Ok(length) = read {
            self.is_inside_line = out[..length].last().is_some_and(|last| *last != b'\n');
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Bytes for &'static [u8] {}

    #[test]
    fn a_gate_that_is_told_to_stop_ends_behind_the_line() {
        let source: &'static [u8] = b"one\ntwo\nthree\n";
        let stop = Arc::<AtomicBool>::default();
        let progress = watch::Sender::new(Progress::Idle);
        let mut gate = Gate::new(Box::new(source), Arc::clone(&stop), progress);
        assert_eq!(gate.read(&mut [0; 6]).unwrap(), 6);
        stop.store(true, Relaxed);
        let mut rest = String::new();
        gate.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "o\n");
        stop.store(false, Relaxed);
        gate.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "o\nthree\n");
    }
}

//! Watches a path.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use pilot_webhook_std::Throttle;
use tracing::{info, warn};

use super::{FileId, Files, Seen};

/// Files that are open and not read yet. Arbitrary: more rotations than an outage lasts, and fewer files than a process
/// may open.
const WAITING_MAX: usize = 64;

/// A file that was at the path.
pub struct Opened {
    pub(super) handle: File,
    pub(super) file: FileId,
    pub(super) is_pipe: bool,
}

impl Opened {
    pub(super) fn new(handle: File, seen: Seen) -> Self {
        Self { handle, file: seen.file, is_pipe: seen.is_pipe }
    }
}

/// Opens every file that comes to a path. It does not wait for the reader, so that none is missed while that one is
/// blocked.
pub struct Looker<F> {
    files: F,
    /// The last file that was handed on.
    last: Option<FileId>,
    opened: SyncSender<Opened>,
    news: Throttle,
    complaints: Throttle,
    /// Whether the last look failed, which was logged.
    has_complained: bool,
}

impl<F: Files> Looker<F> {
    pub(super) fn new(files: F, last: Option<FileId>) -> (Self, Receiver<Opened>) {
        let (opened, next) = sync_channel(WAITING_MAX);
        let (news, complaints) = (Throttle::default(), Throttle::default());
        (Self { files, last, opened, news, complaints, has_complained: false }, next)
    }

    /// Hands on what is at the path if it is another file than last time. Returns whether there is something.
    ///
    /// # Errors
    /// When what is there cannot be opened.
    pub(super) fn try_look(&mut self) -> io::Result<bool> {
        let Some(seen) = self.files.at_path()? else { return Ok(false) };
        if Some(seen.file) == self.last {
            return Ok(true);
        }
        let Some(handle) = self.files.open()? else { return Ok(false) };
        // It may be another one already, or the last one again.
        let seen = self.files.look(&handle)?;
        if Some(seen.file) == self.last {
            return Ok(true);
        }
        match self.opened.try_send(Opened::new(handle, seen)) {
            Ok(()) => self.last = Some(seen.file),
            // The next look tries it again.
            Err(TrySendError::Full(_)) => {
                return Err(io::Error::other(format!("{WAITING_MAX} older ones are not read yet")));
            }
            Err(TrySendError::Disconnected(_)) => {}
        }
        Ok(true)
    }

    /// Whether it has handed this one on, or began behind it.
    pub(super) fn knows(&self, file: FileId) -> bool {
        self.last == Some(file)
    }

    /// Does the same, and logs what is wrong: that may pass.
    pub fn look(&mut self) {
        let before = self.last;
        let found = self.try_look();
        let (is_news, throttle) = match found {
            Ok(_) => (self.last != before, &self.news),
            Err(_) => (!self.has_complained, &self.complaints),
        };
        let is_logged = is_news && throttle.admit(Instant::now()).is_some();
        self.has_complained = found.is_err() && (is_logged || self.has_complained);
        match (found, before) {
            _ if !is_logged => {}
            (Err(error), _) => warn!("the file of events cannot be opened yet: {error}"),
            (Ok(_), None) => info!("the file of events is there"),
            (Ok(_), Some(_)) => info!("the file of events was replaced: the new one comes next"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::follow::Disk;

    #[test]
    fn files_that_come_while_the_reader_is_blocked_are_kept_open_up_to_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let (mut looker, next) = Looker::new(Disk::new(&path), None);
        assert!(!looker.try_look().unwrap());
        for number in 0..WAITING_MAX {
            fs::write(&path, number.to_string()).unwrap();
            assert!(looker.try_look().unwrap());
            // A look that finds the same one hands on nothing.
            assert!(looker.try_look().unwrap());
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, "one more").unwrap();
        let error = looker.try_look().unwrap_err().to_string();
        assert_eq!(error, "64 older ones are not read yet");
        let read = |opened: Opened| io::read_to_string(opened.handle).unwrap();
        assert_eq!(read(next.recv().unwrap()), "0");
        // There is room, and it is still there.
        assert!(looker.try_look().unwrap());
        let rest: Vec<_> = next.try_iter().map(read).collect();
        assert_eq!(rest.len(), WAITING_MAX);
        assert_eq!(rest.last().unwrap(), "one more");
    }
}

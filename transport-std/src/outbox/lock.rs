//! One live outbox a file.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::error::OutboxErrorKind;

/// Held while an outbox is open, on a file of its own beside the database: closing a descriptor of the
/// database itself would take SQLite's locks away. The file stays; the system releases the lock with the
/// process, however it ends.
#[derive(Debug)]
pub(crate) struct FileLock(
    #[cfg_attr(windows, allow(dead_code, reason = "the lock lives with it"))] File,
);

/// Closing it is not enough: a process that is just being started has a copy of the descriptor, until it executes its program.
#[cfg(unix)]
impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}

/// Tools look at the lock for a moment: it is tried so often, so far apart.
#[cfg(unix)]
const TRIES: (u32, std::time::Duration) = (5, std::time::Duration::from_millis(20));

impl FileLock {
    /// The lock of the database `path`.
    ///
    /// # Errors
    /// [`OutboxErrorKind::InUse`] when another outbox has it, of this process or another.
    #[cfg(unix)]
    pub(crate) fn acquire(path: &Path) -> Result<Self, OutboxErrorKind> {
        use rustix::fs::{FlockOperation, flock};
        let file = open(path)?;
        for _ in 0..TRIES.0 {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(TRIES.1),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Err(OutboxErrorKind::InUse)
    }

    /// Whether a live outbox has the database `path`.
    #[cfg(unix)]
    pub(crate) fn is_held(path: &Path) -> bool {
        use rustix::fs::{FlockOperation, flock};
        File::open(beside(path))
            .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// Elsewhere a file that is open without sharing is the lock.
    #[cfg(windows)]
    pub(crate) fn acquire(path: &Path) -> Result<Self, OutboxErrorKind> {
        /// `ERROR_SHARING_VIOLATION`.
        const SHARED: i32 = 32;
        match open(path) {
            Ok(file) => Ok(Self(file)),
            Err(error) if error.raw_os_error() == Some(SHARED) => Err(OutboxErrorKind::InUse),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(windows)]
    pub(crate) fn is_held(path: &Path) -> bool {
        beside(path).exists() && open(path).is_err()
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // In a directory that others may write to, a link would make a file of theirs, at a place of ours.
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    #[cfg(windows)]
    std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0);
    options.read(true).write(true).create(true).truncate(false).open(beside(path))
}

/// `events.db-lock` beside `events.db`, as SQLite names its own.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    name.into()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_being_started_keeps_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("e.db");
        let lock = FileLock::acquire(&path).unwrap();
        let _copy = lock.0.try_clone().unwrap();
        assert!(FileLock::is_held(&path));
        drop(lock);
        assert!(!FileLock::is_held(&path));
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("e.db"), directory.path().join("made"));
        std::os::unix::fs::symlink(&target, beside(&path)).unwrap();
        assert!(FileLock::acquire(&path).is_err());
        assert!(!target.exists());
    }
}

//! A file that may only be read.
//!
//! SQLite reads a write-ahead log by its index beside it, and makes the index when there is none. Here nothing is made:
//! what another user left there would keep the daemon from its own file.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::OutboxErrorKind;
use super::lock::FileLock;

/// Whether the file, and beside it, may not be written.
pub(crate) fn is_needed(path: &Path) -> bool {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    !may_write(path) || !may_write(directory.unwrap_or(Path::new(".")))
}

#[cfg(unix)]
fn may_write(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    !matches!(
        access(path, Access::WRITE_OK),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS | rustix::io::Errno::PERM)
    )
}

#[cfg(not(unix))]
fn may_write(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_dir() || !found.permissions().readonly())
}

/// A connection that reads the log, too. Where there is no log, and nobody who writes one, the file alone is all.
pub(crate) fn open(path: &Path) -> Result<Connection, OutboxErrorKind> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if is_still(path) {
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        return Ok(Connection::open_with_flags(immutable(path), flags)?);
    }
    if !beside(path, "-shm").exists() {
        return Err(OutboxErrorKind::LogUnread);
    }
    Ok(Connection::open_with_flags(path, flags)?)
}

/// Whether nobody writes the file, and all is in it.
pub(crate) fn is_still(path: &Path) -> bool {
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    log == 0 && !beside(path, "-shm").exists() && !FileLock::is_held(path)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// As a URI that tells SQLite to look for nothing beside the file.
fn immutable(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            _ => _ = write!(uri, "%{byte:02X}"),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

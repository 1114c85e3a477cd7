//! Why a file cannot be used, and why an event was not taken.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use rusqlite::ErrorCode;

/// Why the outbox's file cannot be used. `Display` names the file, and nothing that is in it.
#[derive(Debug)]
pub struct OutboxError {
    path: PathBuf,
    kind: OutboxErrorKind,
}

/// What is wrong with the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutboxErrorKind {
    /// Its directory does not exist. Make it.
    NoDirectory,
    /// There is no such file. Only [`Outbox::open`](crate::outbox::Outbox::open) makes one.
    NoFile,
    /// It, or its directory, may not be written. Correct its permissions.
    ReadOnly,
    /// It may only be read, and its write-ahead log has no index, without which it cannot be read. Copy the file and its log to
    /// a directory of your own, and look there.
    LogUnread,
    /// It may only be read, and a daemon began to write to it. Try again.
    Changed,
    /// Another live process has it. Stop that one, or name another file.
    InUse,
    /// It is something else than a SQLite database. Name another file.
    NotADatabase,
    /// It is a SQLite database of something else. Name another file.
    Foreign,
    /// A newer version of this software has written it: `found` where `known` is the last one that is
    /// known. Use the newer version.
    Newer {
        /// The version of the file.
        found: i64,
        /// The newest version that this software knows.
        known: i64,
    },
    /// An older version has written it. [`Outbox::open`](crate::outbox::Outbox::open) brings it up to date.
    Older,
    /// It is damaged. Restore it, or move it away; `sqlite3 FILE .recover` reads what can be read.
    Corrupt,
    /// The disk is full. Make room.
    Full,
    /// Another process writes to it for longer than five seconds. Try again.
    Busy,
    /// It has no endpoint of this name.
    NoEndpoint(String),
    /// The outbox is closed.
    Closed,
    /// The outbox was closed while the disk failed, and this many events that it had taken are lost.
    Lost(u64),
    /// The operating system said no.
    Io(io::Error),
    /// SQLite said something else.
    Sqlite(String),
}

impl OutboxErrorKind {
    pub(crate) fn at(self, path: &Path) -> OutboxError {
        OutboxError { path: path.to_owned(), kind: self }
    }
}

impl OutboxError {
    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> &OutboxErrorKind {
        &self.kind
    }
}

impl From<rusqlite::Error> for OutboxErrorKind {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase,
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Sqlite(error.to_string()),
        }
    }
}

impl From<io::Error> for OutboxErrorKind {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::StorageFull => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for OutboxErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDirectory => f.write_str("its directory does not exist"),
            Self::NoFile => f.write_str("no such file"),
            Self::ReadOnly => f.write_str("the file or its directory may not be written"),
            Self::LogUnread => f.write_str(
                "it may only be read, and its log cannot be read without writing beside it: \
                 copy the file and its -wal to a directory of your own, and look there",
            ),
            Self::Changed => f.write_str("a daemon began to write to it: try again"),
            Self::InUse => f.write_str("another live process has it"),
            Self::NotADatabase => f.write_str("not a SQLite database"),
            Self::Foreign => f.write_str("a SQLite database, but no outbox"),
            Self::Newer { found, known } => {
                write!(f, "of version {found}, and only versions up to {known} are known here")
            }
            Self::Older => f.write_str("of an older version: start the daemon on it once"),
            Self::Corrupt => f.write_str(
                "damaged: restore it, or move it away (`sqlite3 FILE .recover` reads what can be read)",
            ),
            Self::Full => f.write_str("the disk is full"),
            Self::Busy => f.write_str("another process keeps writing to it"),
            Self::NoEndpoint(name) => write!(f, "it has no endpoint {name:?}"),
            Self::Closed => f.write_str("the outbox is closed"),
            Self::Lost(events) => write!(f, "{events} events could not be stored and are lost"),
            Self::Io(error) => error.fmt(f),
            Self::Sqlite(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for OutboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outbox {}: {}", self.path.display(), self.kind)
    }
}

impl std::error::Error for OutboxError {}

/// Why an event was not taken. It is in no counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PutError {
    /// There is no room. Wait for it with [`Outbox::room`](crate::outbox::Outbox::room).
    Full,
    /// It is larger than all the room there is. It will never be taken.
    TooLarge,
    /// The disk fails, or has less than 32 MiB left, or less than an eighth of it if that is less. Try again
    /// when there is [`room`](crate::outbox::Outbox::room).
    Disk,
    /// It is for no endpoint.
    NoEndpoint,
    /// The outbox is closed.
    Closed,
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the outbox is full",
            Self::TooLarge => "the event is larger than the outbox",
            Self::Disk => "the outbox's disk is full or fails",
            Self::NoEndpoint => "the event is for no endpoint",
            Self::Closed => "the outbox is closed",
        })
    }
}

impl std::error::Error for PutError {}

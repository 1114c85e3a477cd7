//! Creates and removes the socket's file.
//!
//! The socket is bound in a private directory beside its path, gets mode 0600 there, and is linked
//! to its path when it listens already. So no other process ever sees it with another mode, no file at the
//! path is replaced without a check, and a socket at the path that does not answer is stale.

use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// How often the path may change hands while we look. Arbitrary: each time, another daemon was
/// started in the same instant.
const TRIES: usize = 3;

/// Why there is no socket. The operator corrects it.
#[derive(Debug)]
pub(crate) enum IpcError {
    /// Somebody answers there.
    InUse(PathBuf),
    /// Something else stands there; it was left alone.
    NotASocket(PathBuf),
    Io(PathBuf, io::Error),
}

impl fmt::Display for IpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => {
                write!(f, "{}: a daemon listens there already", path.display())
            }
            Self::NotASocket(path) => {
                write!(f, "{}: there is something that is no socket", path.display())
            }
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for IpcError {}

/// A path that leads to our socket. Removed when it is dropped, if it still does.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to our socket. Another process may have replaced or removed it.
    pub(super) fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| Identity::of(&found) == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours() {
            // There is nobody to report a failure to.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Device and inode: which file it is, whatever it is called. Nobody else's has them while we listen.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// Listens at `path`, with mode 0600. A stale socket there is replaced.
pub(super) async fn listen(path: &Path) -> Result<(UnixListener, SocketFile), IpcError> {
    let io = |error| IpcError::Io(path.to_owned(), error);
    // Checked here, as the path that is bound is another: too long, and no client could connect.
    SocketAddr::from_pathname(path).map_err(io)?;
    let staging = Staging::beside(path).map_err(io)?;
    let staged = staging.path("s");
    let listener = staging.bind("s").map_err(io)?;
    fs::set_permissions(&staged, Permissions::from_mode(0o600)).map_err(io)?;
    let identity = Identity::of(&fs::symlink_metadata(&staged).map_err(io)?);
    let file = || SocketFile { path: path.to_owned(), identity };
    for _ in 0..TRIES {
        match fs::hard_link(&staged, path) {
            Ok(()) => return Ok((listener, file())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                take_away(path, &staging).await?;
            }
            // Some file systems know no hard links. Nothing stood at the path a moment ago.
            Err(_) => {
                fs::rename(&staged, path).map_err(io)?;
                return Ok((listener, file()));
            }
        }
    }
    Err(IpcError::InUse(path.to_owned()))
}

/// Frees `path` of a stale socket, and of nothing else.
async fn take_away(path: &Path, staging: &Staging) -> Result<(), IpcError> {
    let io = |error| IpcError::Io(path.to_owned(), error);
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    if !found.file_type().is_socket() {
        return Err(IpcError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(io(error)),
        // Also one whose daemon is too busy to answer.
        _ => return Err(IpcError::InUse(path.to_owned())),
    }
    // Taken away first and looked at again: in the meantime another daemon may have done the same,
    // and what stands there now may be its socket.
    let taken = staging.path("stale");
    match fs::rename(path, &taken) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    }
    let same = fs::symlink_metadata(&taken).map_err(io)?;
    if Identity::of(&same) == Identity::of(&found) {
        return Ok(());
    }
    // Put back, unless a third has the path by now.
    if let Err(error) = fs::hard_link(&taken, path)
        && error.kind() != ErrorKind::AlreadyExists
    {
        fs::rename(&taken, path).map_err(io)?;
    }
    Err(IpcError::InUse(path.to_owned()))
}

/// A directory that only we can enter, on the same file system. Removed with all that is in it.
struct Staging(PathBuf);

impl Staging {
    fn beside(path: &Path) -> io::Result<Self> {
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        // Random, so that nobody can stand in the way; short, as socket paths must be.
        let name = format!(".pw-{:08x}", RandomState::new().hash_one(()) & 0xFFFF_FFFF);
        let directory = parent.join(name);
        DirBuilder::new().mode(0o700).create(&directory)?;
        Ok(Self(directory))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Listens in it. A path that is longer than a socket's may be, as our names can make it, is cut
    /// short by way of the open directory, which Linux has a short path for.
    fn bind(&self, name: &str) -> io::Result<UnixListener> {
        let path = self.path(name);
        if SocketAddr::from_pathname(&path).is_ok() {
            return UnixListener::bind(path);
        }
        let directory = File::open(&self.0)?;
        UnixListener::bind(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("{}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;

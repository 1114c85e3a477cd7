//! The file system, as far as a followed file needs it.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{
    DirEntryExt as _, FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::FileId;
use super::rotated::{Rank, Turn};

/// The time between two looks, for bytes and for files. Arbitrary: nobody waits long, and a look costs microseconds.
/// (inotify would tell at once, but nothing of network file systems, and takes as many looks to be sure.)
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// A file as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub(super) file: FileId,
    /// In bytes; 0 of a pipe.
    pub(super) length: u64,
    /// Whether it is a pipe, whose bytes have no place in it.
    pub(super) is_pipe: bool,
}

/// What is done with files. In tests others meddle with them between two calls.
pub trait Files {
    /// What is at the path. `None`: nothing.
    ///
    /// # Errors
    /// When that cannot be told, or when it is neither a regular file nor a pipe.
    fn at_path(&mut self) -> io::Result<Option<Seen>>;

    /// Opens what is at the path, without waiting for the writer of a pipe. `None`: nothing is there.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&mut self) -> io::Result<Option<File>>;

    /// Opens a file at the path, or in its directory under another name. `None`: it is not there.
    ///
    /// # Errors
    /// When the directory cannot be read, or the file not be opened.
    fn find(&mut self, file: FileId) -> io::Result<Option<File>>;

    /// The files that were at the path after this one and were rotated since, in the order in which they were there,
    /// as far as their names and the times at which they were last written tell. Nothing is known when this one is
    /// not there.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn rotated_after(&mut self, file: FileId) -> io::Result<Vec<FileId>>;

    /// What an open file is now.
    ///
    /// # Errors
    /// When that cannot be told.
    fn look(&mut self, file: &File) -> io::Result<Seen>;

    /// Reads a regular file, from `offset` on.
    ///
    /// # Errors
    /// When that fails.
    fn read_at(&mut self, file: &File, out: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Whether a pipe has bytes now.
    ///
    /// # Errors
    /// When that cannot be told.
    fn has_bytes(&mut self, pipe: &File) -> io::Result<bool>;

    /// Reads a pipe. 0: there is nothing now.
    ///
    /// # Errors
    /// When that fails.
    fn read_pipe(&mut self, pipe: &File, out: &mut [u8]) -> io::Result<usize>;

    /// Waits until it is time for another look; no longer than until the pipe has bytes, if one is open.
    ///
    /// # Errors
    /// When there is no more to wait for.
    fn wait(&mut self, pipe: Option<&File>) -> io::Result<()>;
}

/// The real files, around a path.
#[derive(Clone)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// A path at which there may be nothing yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }
}

impl Files for Disk {
    fn at_path(&mut self) -> io::Result<Option<Seen>> {
        present(fs::metadata(&self.path))?.as_ref().map(seen).transpose()
    }

    fn open(&mut self) -> io::Result<Option<File>> {
        open(&self.path)
    }

    fn find(&mut self, file: FileId) -> io::Result<Option<File>> {
        if self.at_path()?.is_some_and(|seen| seen.file == file && !seen.is_pipe) {
            return open(&self.path);
        }
        let Some(entries) = present(fs::read_dir(self.directory()))? else { return Ok(None) };
        for entry in entries {
            let entry = entry?;
            // Of a name that is gone, or is something else, it is not asked again.
            if entry.ino() == file.inode
                && entry.file_type().is_ok_and(|kind| kind.is_file())
                && let Some(found) = open(&entry.path())?
                && seen(&found.metadata()?)?.file == file
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn rotated_after(&mut self, file: FileId) -> io::Result<Vec<FileId>> {
        let original = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut all = Vec::new();
        for entry in present(fs::read_dir(self.directory()))?.into_iter().flatten() {
            let entry = entry?;
            let name = Rank::of(&entry.file_name().to_string_lossy(), &original);
            let Some(found) = present(entry.metadata())? else { continue };
            let id = FileId { device: found.dev(), inode: found.ino() };
            if found.is_file() && (id == file || name != Rank::Unknown) {
                all.push((Turn { written: found.modified()?, name }, id, found.len() == 0));
            }
        }
        let Some(&(begin, _, is_empty)) = all.iter().find(|(_, id, _)| *id == file) else {
            return Ok(Vec::new());
        };
        all.retain(|&(turn, id, _)| id != file && begin.is_before(turn, is_empty));
        all.sort_unstable_by_key(|(turn, ..)| *turn);
        Ok(all.into_iter().map(|(_, id, _)| id).collect())
    }

    fn look(&mut self, file: &File) -> io::Result<Seen> {
        seen(&file.metadata()?)
    }

    fn read_at(&mut self, file: &File, out: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(out, offset)
    }

    fn has_bytes(&mut self, pipe: &File) -> io::Result<bool> {
        Ok(events(pipe, Duration::ZERO)?.contains(PollFlags::IN))
    }

    fn read_pipe(&mut self, mut pipe: &File, out: &mut [u8]) -> io::Result<usize> {
        match pipe.read(out) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            read => read,
        }
    }

    fn wait(&mut self, pipe: Option<&File>) -> io::Result<()> {
        match pipe {
            // Without a writer it is at its end all the time, and nothing waits for the next one.
            Some(pipe) if events(pipe, LOOK)? != PollFlags::HUP => {}
            _ => thread::sleep(LOOK),
        }
        Ok(())
    }
}

/// What a pipe has to tell within a time.
fn events(pipe: &File, time: Duration) -> io::Result<PollFlags> {
    let mut events = [PollFd::new(pipe, PollFlags::IN)];
    match poll(&mut events, Timespec::try_from(time).ok().as_ref()) {
        Ok(_) => Ok(events[0].revents()),
        Err(Errno::INTR) => Ok(PollFlags::empty()),
        Err(error) => Err(error.into()),
    }
}

/// `None` when there is nothing at the path.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    // Else it would wait for the writer of a pipe, and a read for its bytes.
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    present(File::options().read(true).custom_flags(without_waiting).open(path))
}

fn seen(found: &Metadata) -> io::Result<Seen> {
    let is_pipe = found.file_type().is_fifo();
    if !is_pipe && !found.is_file() {
        return Err(io::Error::other("neither a regular file nor a named pipe"));
    }
    let file = FileId { device: found.dev(), inode: found.ino() };
    Ok(Seen { file, length: found.len(), is_pipe })
}

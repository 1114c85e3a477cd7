//! Reads the files that come to a path, one after the other.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Instant;

use pilot_webhook_std::Throttle;
use tracing::{info, warn};

use super::decision::{Step, Unread, decide, is_left, unread};
use super::disk::LOOK;
use super::position::HEAD_MAX;
use super::{Disk, FileId, Files, Looker, Opened, Position};

/// The bytes of what is at a path, without an end. Lines are whole: where a file is left or begun again inside of a
/// line, an end of the line is put in.
pub struct Followed<F = Disk> {
    files: F,
    /// Rotated before anybody watched, and not open yet. They come first.
    waiting: VecDeque<FileId>,
    next: Receiver<Opened>,
    /// The one that is read, and those that came to the path after it.
    open: VecDeque<Open>,
    is_inside_line: bool,
    news: Throttle,
    /// Gone with it: nobody need look any more.
    is_alive: Arc<()>,
}

/// A file that was read to `offset`.
struct Open {
    opened: Opened,
    /// In bytes.
    offset: u64,
    /// The first bytes that were read, `HEAD_MAX` at most.
    head: Vec<u8>,
}

impl Followed {
    /// Reads a file or a pipe from its beginning, or from where another reader came to: in the file at the path, or in
    /// one beside it that was renamed since, and then in those that were rotated after it. Where that file is not there, or has other bytes, the one at the path is
    /// read from its beginning. If there is nothing at the path, it is waited for. A thread watches it.
    ///
    /// # Errors
    /// When what is there cannot be read, or there can be no more threads.
    pub fn new(path: &Path, begin: Option<&Position>) -> io::Result<Self> {
        let (followed, mut looker) = Self::with(Disk::new(path), begin)?;
        let reader = Arc::downgrade(&followed.is_alive);
        thread::Builder::new().name("looker".to_owned()).spawn(move || {
            while reader.strong_count() > 0 {
                looker.look();
                thread::sleep(LOOK);
            }
        })?;
        Ok(followed)
    }
}

impl<F: Files + Clone> Followed<F> {
    /// The same with other files than those of the disk, and with a looker that has looked once.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub fn with(mut files: F, begin: Option<&Position>) -> io::Result<(Self, Looker<F>)> {
        let first = match begin {
            Some(position) => Open::resume(&mut files, position)?,
            None => None,
        };
        if first.is_none() && begin.is_some() {
            warn!("the file of events that was read before is not there, or has other bytes");
        }
        let (mut looker, next) =
            Looker::new(files.clone(), first.as_ref().map(|it| it.opened.file));
        if !looker.try_look()? {
            info!("there is no file of events: it is waited for");
        }
        let mut waiting = VecDeque::new();
        if let Some(first) = &first {
            let is_at_path = files.at_path()?.is_some_and(|seen| seen.file == first.opened.file);
            if !is_at_path {
                waiting.extend(files.rotated_after(first.opened.file)?);
                waiting.retain(|file| !looker.knows(*file));
            }
        }
        if !waiting.is_empty() {
            info!("{} rotated files of events come before the one at the path", waiting.len());
        }
        let followed = Self {
            files,
            waiting,
            next,
            open: first.into_iter().collect(),
            is_inside_line: false,
            news: Throttle::default(),
            is_alive: Arc::default(),
        };
        Ok((followed, looker))
    }
}

impl<F: Files> Followed<F> {
    /// Where the next byte is, if `unused` bytes of the last read were not used: what a `BufReader` has in its buffer.
    /// That is a place to begin when it is behind a line. `None`: in no regular file.
    #[must_use]
    pub fn position(&self, unused: usize) -> Option<Position> {
        let Open { opened, offset, head } = self.open.front()?;
        let offset = offset.saturating_sub(unused as u64);
        (!opened.is_pipe).then(|| Position::new(opened.file, offset, head))
    }

    /// What to do next.
    fn step(&mut self) -> io::Result<Step> {
        // More are not needed to decide, and wait where they are bounded.
        while self.open.len() < 3 {
            if let Some(file) = self.waiting.pop_front() {
                match self.files.find(file)? {
                    Some(handle) => {
                        let seen = self.files.look(&handle)?;
                        self.open.push_back(Open::at_beginning(Opened::new(handle, seen)));
                    }
                    None => warn!("a rotated file of events is gone before it was read"),
                }
                continue;
            }
            let Ok(opened) = self.next.try_recv() else { break };
            // One that was rotated and came back to the path is here already.
            if self.open.iter().all(|open| open.opened.file != opened.file) {
                self.open.push_back(Open::at_beginning(opened));
            }
        }
        let later = self.open.iter().skip(1).map(|open| self.files.look(&open.opened.handle));
        let is_left = is_left(later.collect::<io::Result<Vec<_>>>()?);
        let unread = self.open.front().map(|open| open.unread(&mut self.files)).transpose()?;
        Ok(decide(is_left, unread))
    }

    fn wait(&mut self) -> io::Result<()> {
        let pipe = self.open.front().filter(|open| open.opened.is_pipe);
        self.files.wait(pipe.map(|pipe| &pipe.opened.handle))
    }
}

impl Open {
    fn at_beginning(opened: Opened) -> Self {
        Self { opened, offset: 0, head: Vec::new() }
    }

    /// The file of a position, if it is there and has the content that it had.
    fn resume(files: &mut impl Files, position: &Position) -> io::Result<Option<Self>> {
        let Some(handle) = files.find(position.file)? else { return Ok(None) };
        let seen = files.look(&handle)?;
        let head = head(files, &handle, position.head_length())?;
        let offset = position.offset;
        if seen.length < offset || !position.is_behind(&head) {
            return Ok(None);
        }
        Ok(Some(Self { opened: Opened::new(handle, seen), offset, head }))
    }

    fn unread(&self, files: &mut impl Files) -> io::Result<Unread> {
        if self.opened.is_pipe {
            let has_bytes = files.has_bytes(&self.opened.handle)?;
            return Ok(if has_bytes { Unread::Bytes } else { Unread::Nothing });
        }
        let length = files.look(&self.opened.handle)?.length;
        let head_now = head(files, &self.opened.handle, self.head.len())?;
        Ok(unread(self.offset, &self.head, length, &head_now))
    }

    /// Reads on. 0: there is nothing now.
    fn read(&mut self, files: &mut impl Files, out: &mut [u8]) -> io::Result<usize> {
        if self.opened.is_pipe {
            return files.read_pipe(&self.opened.handle, out);
        }
        let read = files.read_at(&self.opened.handle, out, self.offset)?;
        // Where it began further behind, the bytes between are not known.
        if self.head.len() as u64 == self.offset {
            let wanted = read.min(HEAD_MAX - self.head.len());
            self.head.extend_from_slice(&out[..wanted]);
        }
        self.offset += read as u64;
        Ok(read)
    }
}

/// The first bytes of a file: `length`, or all there are.
fn head(files: &mut impl Files, handle: &File, length: usize) -> io::Result<Vec<u8>> {
    let mut head = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match files.read_at(handle, &mut head[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    head.truncate(filled);
    Ok(head)
}

impl<F: Files> Read for Followed<F> {
    /// Waits for bytes; `Ok(0)` comes only where `out` has no room.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let step = self.step()?;
            if matches!(step, Step::Next | Step::Restart) && self.is_inside_line {
                self.is_inside_line = false;
                out[0] = b'\n';
                return Ok(1);
            }
            match (step, self.open.front_mut()) {
                (Step::Read, Some(open)) => {
                    let read = open.read(&mut self.files, out)?;
                    if read > 0 {
                        self.is_inside_line = out[read - 1] != b'\n';
                        return Ok(read);
                    }
                    // It was truncated after the look, or has a length that is not true.
                    self.wait()?;
                }
                (Step::Restart, Some(open)) => {
                    open.offset = 0;
                    open.head.clear();
                    if self.news.admit(Instant::now()).is_some() {
                        info!("the file of events was truncated: reading it from its beginning");
                    }
                }
                (Step::Next, _) => drop(self.open.pop_front()),
                (Step::Wait | Step::Read | Step::Restart, _) => self.wait()?,
            }
        }
    }
}

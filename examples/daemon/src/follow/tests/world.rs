//! A directory with a file that is written and rotated, and what a reader should make of it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::follow::{FileId, Position};

/// What others do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Nothing,
    /// The path is looked at.
    Look,
    /// The writer appends.
    Append {
        pieces: u8,
    },
    /// The writer opens what is at the path, and creates it if there is nothing.
    Reopen,
    /// It appends, opens, and appends there.
    MoveOn,
    /// The file gets another name.
    Rename,
    /// It gets its name back; one in its place that nobody used is removed.
    RenameBack,
    Remove,
    /// An empty file is put at the path.
    Create,
    Truncate,
    /// The reader begins again, at the position that it had stored as text, after as many rotations that it did not see.
    Restart {
        rotations: u8,
    },
}

/// All that is known of a file.
pub(super) struct Model {
    id: FileId,
    /// What was read of the contents that it had before it was truncated.
    before: Vec<u8>,
    /// Its content, and how much of it was read.
    content: Vec<u8>,
    read: usize,
    pub(super) was_opened: bool,
    is_removed: bool,
    /// Nothing was read since it was truncated.
    is_just_truncated: bool,
}

pub(super) struct World {
    directory: TempDir,
    pub(super) script: VecDeque<Op>,
    /// In the order in which they were created.
    pub(super) files: Vec<Model>,
    pub(super) at_path: Option<usize>,
    renamed: Option<(usize, PathBuf)>,
    writer: Option<(usize, File)>,
    pieces: u64,
    pub(super) idle: u32,
}

impl World {
    /// An empty directory.
    pub(super) fn new(script: &[Op]) -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            script: script.iter().copied().collect(),
            files: Vec::new(),
            at_path: None,
            renamed: None,
            writer: None,
            pieces: 0,
            idle: 0,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("events")
    }

    /// A look comes between two rotations, and between two rotations the writer notices the first. Else a file is never
    /// seen.
    fn may_go(&self) -> Option<usize> {
        let file = self.at_path?;
        (self.is_written(file) && self.files[file].was_opened).then_some(file)
    }

    fn is_written(&self, file: usize) -> bool {
        self.writer.as_ref().is_some_and(|(written, _)| *written == file)
    }

    fn create(&mut self) {
        let file = File::options().append(true).create_new(true).open(self.path()).unwrap();
        let found = file.metadata().unwrap();
        self.at_path = Some(self.files.len());
        self.files.push(Model {
            id: FileId { device: found.dev(), inode: found.ino() },
            before: Vec::new(),
            content: Vec::new(),
            read: 0,
            was_opened: false,
            is_removed: false,
            is_just_truncated: false,
        });
    }

    pub(super) fn act(&mut self, op: Op) {
        match op {
            Op::Nothing | Op::Look | Op::Restart { .. } => {}
            Op::Append { pieces } => {
                let Some((file, handle)) = &mut self.writer else { return };
                for _ in 0..pieces {
                    let piece = piece(self.pieces);
                    self.pieces += 1;
                    handle.write_all(piece.as_bytes()).unwrap();
                    self.files[*file].content.extend(piece.as_bytes());
                }
            }
            Op::Reopen => {
                if self.at_path.is_none() {
                    self.create();
                }
                let handle = File::options().append(true).open(self.path()).unwrap();
                self.writer = self.at_path.map(|file| (file, handle));
            }
            Op::MoveOn => {
                for op in [Op::Append { pieces: 1 }, Op::Reopen, Op::Append { pieces: 2 }] {
                    self.act(op);
                }
            }
            Op::Rename => {
                let Some(file) = self.may_go() else { return };
                self.rename(file);
            }
            Op::RenameBack => {
                if let Some(file) = self.at_path {
                    // One that nobody used may go.
                    let model = &self.files[file];
                    let is_used =
                        self.is_written(file) || model.was_opened || !model.content.is_empty();
                    if self.renamed.is_none() || is_used {
                        return;
                    }
                    fs::remove_file(self.path()).unwrap();
                    self.at_path = None;
                }
                let Some((file, name)) = self.renamed.take() else { return };
                fs::rename(name, self.path()).unwrap();
                self.at_path = Some(file);
            }
            Op::Remove => {
                let Some(file) = self.may_go() else { return };
                fs::remove_file(self.path()).unwrap();
                self.files[file].is_removed = true;
                (self.at_path, self.renamed) = (None, None);
            }
            Op::Create => {
                if self.at_path.is_none() {
                    self.create();
                }
            }
            Op::Truncate => {
                let Some(file) = self.may_go() else { return };
                File::options().write(true).open(self.path()).unwrap().set_len(0).unwrap();
                let model = &mut self.files[file];
                // The rest is gone before it could be read.
                let read = model.content[..model.read].to_vec();
                append(&mut model.before, &read);
                model.content.clear();
                (model.read, model.is_just_truncated) = (0, true);
            }
        }
    }

    fn rename(&mut self, file: usize) {
        // Two that are written at the same moment are told apart by the days.
        let name = self.directory.path().join(format!("events-{:08}", 20_260_000 + file));
        fs::rename(self.path(), &name).unwrap();
        (self.at_path, self.renamed) = (None, Some((file, name)));
    }

    /// The writer goes to another file, and nobody looks.
    pub(super) fn rotate(&mut self) {
        if let Some(file) = self.at_path.filter(|file| self.is_written(*file)) {
            self.act(Op::Append { pieces: 1 });
            self.rename(file);
            self.act(Op::Reopen);
            self.act(Op::Append { pieces: 2 });
        }
    }

    /// The last one, as a number is given again when a file is gone.
    pub(super) fn model(&mut self, id: FileId) -> &mut Model {
        self.files.iter_mut().rfind(|model| model.id == id).unwrap()
    }

    /// That bytes were read, to here.
    pub(super) fn note(&mut self, position: Position) {
        let model = self.model(position.file);
        model.read = usize::try_from(position.offset).unwrap();
        assert_eq!(position, Position::new(model.id, position.offset, &model.content));
        model.is_just_truncated = false;
    }

    /// Whether a reader that has nothing but this position can go on without a loss.
    pub(super) fn may_restart_at(&self, position: Option<Position>, rotations: u8) -> bool {
        let writer = self.writer.as_ref().map(|(file, _)| *file);
        let is_done = |file: usize| self.files[file].content.is_empty() && writer != Some(file);
        let is_there = |file: usize| is_done(file) || !self.files[file].is_removed;
        let are_done =
            |mut files: Range<usize>| files.all(|file| self.at_path == Some(file) || is_done(file));
        let Some(position) = position else {
            return rotations == 0 && are_done(0..self.files.len());
        };
        let front = self.files.iter().rposition(|model| model.id == position.file).unwrap();
        let model = &self.files[front];
        let is_whole = model.read.is_multiple_of(LINE);
        let is_read = model.read == model.content.len() && writer != Some(front);
        let is_found = !model.is_removed && !model.is_just_truncated;
        let is_recognised = self.at_path == Some(front) || !model.is_just_truncated;
        is_whole
            && (is_read || !model.is_removed)
            && is_recognised
            && match is_found && (rotations > 0 || self.at_path != Some(front)) {
                true => (front + 1..self.files.len()).all(is_there),
                // The next file is found at the path only.
                false => rotations == 0 && are_done(front + 1..self.files.len()),
            }
    }

    /// All that was not gone before it could be read.
    pub(super) fn expected(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for model in &self.files {
            append(&mut all, &model.before);
            append(&mut all, &model.content);
        }
        all
    }
}

/// What comes from another file, or from another content, begins with a line.
fn append(all: &mut Vec<u8>, more: &[u8]) {
    if !more.is_empty() && all.last().is_some_and(|last| *last != b'\n') {
        all.push(b'\n');
    }
    all.extend(more);
}

const PIECE: usize = 8;
const LINE: usize = 3 * PIECE;

/// A third of a line, unlike any other.
fn piece(number: u64) -> String {
    let unique = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    if number % 3 == 2 { format!("{:07x}\n", unique >> 4) } else { format!("{unique:08x}") }
}
